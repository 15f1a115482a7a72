/* device_open.c - from a name to an open device, and back. */
#include "device/device_state.h"

#include "base/memory.h"
#include "base/struct_args.h"
#include "cpu/cpu_table.h"
#include "device/counting.h"
#include "device/device_names.h"
#include "device/plugin.h"

#include <stdio.h>
#include <string.h>

static hdl_status record_failure(hdl_status status, const char *line)
{
    return hdl__fail(status, "%s", line == NULL ? "the backend gave no reason" : line);
}

static void *lend_memory(size_t bytes) { return hdl__calloc(1, bytes); }

const hdl_backend_host hdl__host_services = {sizeof(hdl_backend_host), record_failure, lend_memory, hdl__free};

hdl_status hdl__device_options_check(const hdl_device_options *options)
{
    hdl_status status = HDL_OK;
    HDL_CHECK((int)options->isa >= HDL_ISA_AUTO && options->isa <= HDL_ISA_AVX512, HDL_EINVAL,
              "device: options.isa = %d, allowed %d to %d", (int)options->isa, HDL_ISA_AUTO, HDL_ISA_AVX512);
    HDL_CHECK((int)options->products >= HDL_PRODUCTS_AUTO && options->products <= HDL_PRODUCTS_CUBLASLT, HDL_EINVAL,
              "device: options.products = %d, allowed %d to %d", (int)options->products, HDL_PRODUCTS_AUTO,
              HDL_PRODUCTS_CUBLASLT);
    const hdl_memory_hooks *hooks = options->hooks;
    HDL_CHECK(hooks == NULL || (hooks->alloc != NULL && hooks->free != NULL), HDL_EINVAL,
              "device: options.hooks needs both alloc and free");
done:
    return status;
}

static hdl_status open_named(const char *name, const hdl_device_options *options, hdl_device **device)
{
    hdl_status status = HDL_OK;
    hdl_device *made = hdl__calloc(1, sizeof *made);
    hdl__device_name wanted;
    HDL_CHECK(made != NULL, HDL_ENOMEM, "device: no memory for %zu bytes", sizeof *made);
    HDL_TRY(hdl__device_name_read(name, &wanted));
    if (strcmp(wanted.kind, "cpu") == 0) made->table = hdl__cpu_backend();
    else HDL_TRY(hdl__plugin_table(wanted.kind, options->library_dir, &made->table));
    made->lag = made->table->lag;
    HDL_TRY(made->table->open(wanted.index, options, &hdl__host_services, &made->inner));
    made->info.struct_bytes = sizeof made->info;
    HDL_TRY(made->table->describe(made->inner, &made->info));
    *device = made;
    made = NULL;
done:
    hdl_device_close(made);
    return status;
}

/* After the CUDA device has been refused: whether it opens without the library that was asked for. The line stays. */
static bool lacks_library_alone(const hdl_device_options *options)
{
    char why[HDL__DETAIL_BYTES];
    hdl_device_options own = *options;
    hdl_device *device = NULL;
    if (options->products != HDL_PRODUCTS_CUBLASLT) return false;
    snprintf(why, sizeof why, "%s", hdl_error_detail());
    own.products = HDL_PRODUCTS_OWN;
    const bool works = open_named("cuda", &own, &device) == HDL_OK;
    hdl_device_close(device);
    (void)hdl__fail(HDL_EBACKEND, "%s", why);
    return works;
}

hdl_status hdl_device_open(const char *name, const hdl_device_options *options, hdl_device **device)
{
    hdl_status status = HDL_OK;
    const hdl_device_options defaults = HDL_DEVICE_OPTIONS_INIT;
    hdl_device_options whole;
    if (options == NULL) options = &defaults;
    HDL_CHECK(name != NULL, HDL_EINVAL, "device: name is NULL, allowed " HDL__DEVICE_NAMES);
    HDL_CHECK(device != NULL, HDL_EINVAL, "device: the pointer for the result is NULL");
    options = hdl__struct_read("device: options", options, &defaults, &whole, sizeof whole);
    if (options == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__device_options_check(options));
    if (strcmp(name, "auto") != 0) {
        HDL_TRY(open_named(name, options, device));
    } else if ((status = open_named("cuda", options, device)) != HDL_OK && !lacks_library_alone(options)) {
        hdl__log(HDL_LOG_INFO, "device auto: cpu, because %s", hdl_error_detail());
        status = open_named("cpu", options, device);
    }
done:
    return status;
}

hdl_status hdl__device_open_counted(const char *name, const hdl_device_options *options, hdl__counters **counters,
                                    hdl_device **device)
{
    hdl_status status = HDL_OK;
    hdl_device *made = NULL;
    hdl__counters *counts = NULL;
    HDL_TRY(hdl_device_open(name, options, &made));
    counts = hdl__calloc(1, sizeof *counts);
    HDL_CHECK(counts != NULL, HDL_ENOMEM, "device: no memory for %zu bytes", sizeof *counts);
    HDL_TRY(hdl__counting_wrap(made->table, made->inner, counts, &made->table, &made->inner));
    made->counters = counts;
    counts = NULL;
    hdl__counters_reset(made->counters);
    *counters = made->counters;
    *device = made;
    made = NULL;
done:
    hdl__free(counts);
    hdl_device_close(made);
    return status;
}

void hdl_device_close(hdl_device *device)
{
    if (device == NULL) return;
    if (device->inner != NULL) device->table->close(device->inner);
    hdl__free(device->counters);
    hdl__free(device);
}
