/* cpu_backend.c - the CPU backend's table, and opening its device. */
#include "cpu/cpu_table.h"
#include "cpu/cpu_device.h"
#include "cpu/gemm_onednn.h"

#include <stdio.h>
#include <unistd.h>

/* The device as others see it, and the pair of kernel tables that it points to. */
typedef struct hdl__cpu_device { hdl_backend_device device; hdl__cpu_kernels kernels; } hdl__cpu_device;

/* An event is passed the moment it is recorded; the object only has to be distinct. */
struct hdl_backend_event { int32_t unused; };

static void write_description(hdl_backend_device *device)
{
    char brand[HDL__BRAND_BYTES];
    hdl__cpu_brand(brand);
    const hdl__cpu_features *f = &device->features;
    const bool wide = device->isa == HDL_ISA_AVX512;
    snprintf(device->description, sizeof device->description, "%s, %s%s%s%s; products: %s", brand,
             hdl__isa_name(device->isa),
             wide && f->vnni ? " VNNI" : "", wide && f->avx512_bf16 ? " BF16" : "",
             wide && (f->amx_bf16 || f->amx_int8) ? " AMX" : "", device->onednn != NULL ? "oneDNN" : "heddle");
}

static void close_device(hdl_backend_device *device)
{
    if (device == NULL) return;
    hdl__onednn_close(device->onednn);
    hdl__free(device);
}

static hdl_status choose_isa(hdl_backend_device *device, hdl_isa asked)
{
    hdl_status status = HDL_OK;
    HDL_CHECK((unsigned)asked <= HDL_ISA_AVX512, HDL_EINVAL, "cpu: isa = %d, allowed 0 to %d", (int)asked,
              (int)HDL_ISA_AVX512);
    HDL_CHECK(hdl__isa_offered(&device->features, asked), HDL_ENOSUPPORT, "cpu: isa = %s, this processor has %s",
              hdl__isa_name(asked), hdl__isa_name(hdl__isa_best(&device->features)));
    device->isa = asked == HDL_ISA_AUTO ? hdl__isa_best(&device->features) : asked;
done:
    return status;
}

/* oneDNN multiplies where it is asked for; our own loops are as fast or faster on every instruction set. */
static hdl_status choose_products(hdl_backend_device *device, hdl_products asked)
{
    hdl_status status = HDL_OK;
    HDL_CHECK((unsigned)asked <= HDL_PRODUCTS_CUBLASLT, HDL_EINVAL, "cpu: products = %d, allowed 0 to %d", (int)asked,
              (int)HDL_PRODUCTS_CUBLASLT);
    HDL_CHECK(asked != HDL_PRODUCTS_ONEDNN || hdl__onednn_built(), HDL_ENOSUPPORT,
              "cpu: products = oneDNN, this build has none");
    device->products = asked;
    if (asked == HDL_PRODUCTS_ONEDNN) HDL_TRY(hdl__onednn_open(&device->onednn));
done:
    return status;
}

static hdl_status open_device(int index, const hdl_device_options *options, const hdl_backend_host *host,
                              hdl_backend_device **out)
{
    hdl_status status = HDL_OK;
    const hdl_device_options defaults = HDL_DEVICE_OPTIONS_INIT;
    const hdl_device_options *o = options ? options : &defaults;
    hdl__cpu_device *made = NULL;
    HDL_CHECK(index == 0, HDL_EDEVICE, "cpu: device index %d, there is only 0", index);
    made = hdl__calloc(1, sizeof *made);
    HDL_CHECK(made != NULL, HDL_ENOMEM, "cpu: no memory for the device");
    hdl_backend_device *device = &made->device;
    device->host = host;
    device->features = hdl__cpu_features_detect();
    HDL_TRY(choose_isa(device, o->isa));
    HDL_TRY(choose_products(device, o->products));
    made->kernels = hdl__isa_kernels(device->isa);
    device->kernels = &made->kernels;
    device->has_hooks = o->hooks != NULL;
    if (o->hooks != NULL) device->hooks = *o->hooks;
    write_description(device);
    *out = device;
    made = NULL;
done:
    close_device(made ? &made->device : NULL);
    return status;
}

static hdl_status describe_device(const hdl_backend_device *device, hdl_device_info *info)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    info->name = "cpu";
    info->description = device->description;
    info->kind = HDL_DEVICE_CPU;
    info->index = 0;
    info->native_bf16 = device->isa == HDL_ISA_AVX512 && device->features.amx_bf16;
    info->memory_bytes = pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : 0;
    return HDL_OK;
}

static hdl_status create_event(hdl_backend_device *device, hdl_backend_event **out)
{
    (void)device;
    hdl_status status = HDL_OK;
    hdl_backend_event *event = hdl__calloc(1, sizeof *event);
    HDL_CHECK(event != NULL, HDL_ENOMEM, "event: no memory");
    *out = event;
done:
    return status;
}

static void close_event(hdl_backend_event *event) { hdl__free(event); }

/* Recording an event and making a stream wait for one: nothing is ever pending on this backend. */
static hdl_status pass_event(hdl_backend_stream *stream, hdl_backend_event *event)
{
    (void)stream;
    (void)event;
    return HDL_OK;
}

static hdl_status sync_event(hdl_backend_event *event)
{
    (void)event;
    return HDL_OK;
}

/* Rows between ops are f32 whatever the weights are. */
static hdl_dtype hidden_dtype(hdl_compute compute)
{
    (void)compute;
    return HDL_F32;
}

/* Who lets weights round, lets keys and values round too: pages are the most of what a lane fills. */
static hdl_dtype page_dtype(hdl_compute compute)
{
    return compute == HDL_COMPUTE_F32 ? HDL_F32 : HDL_BF16;
}

static const hdl_backend cpu_table = {
    .abi = HDL_BACKEND_ABI, .struct_bytes = sizeof(hdl_backend), .name = "cpu", .kind = HDL_DEVICE_CPU,
    .lag = 0, .unified = 1, .lanes_share = 1, .act_dtypes = 1u << HDL_F32,
    .act_dtype = hidden_dtype, .pool_dtypes = 1u << HDL_F32 | 1u << HDL_BF16, .pool_dtype = page_dtype,
    .open = open_device, .close = close_device, .describe = describe_device, .alloc = hdl__cpu_alloc,
    .free = hdl__cpu_free,
    .stream_create = hdl__cpu_stream_create, .stream_reserve = hdl__cpu_stream_reserve,
    .stream_close = hdl__cpu_stream_close,
    .stream_wait = hdl__cpu_stream_wait, .upload = hdl__cpu_upload, .download = hdl__cpu_download,
    .event_create = create_event, .event_close = close_event, .event_record = pass_event, .event_wait = pass_event,
    .event_sync = sync_event,
    .record_begin = hdl__cpu_record_begin, .record_end = hdl__cpu_record_end, .replay = hdl__cpu_replay,
    .graph_close = hdl__cpu_graph_close,
    .pack = hdl__cpu_pack, .weight_close = hdl__cpu_weight_close, .weight_bytes = hdl__cpu_weight_bytes,
    .embedding_open = hdl__cpu_embedding_open, .embedding_of = hdl__cpu_embedding_of,
    .embedding_close = hdl__cpu_embedding_close,
    .kv_pool_open = hdl__cpu_kv_pool_open, .kv_pool_bytes = hdl__cpu_kv_pool_bytes,
    .kv_pool_close = hdl__cpu_kv_pool_close,
    .gemm = hdl__cpu_gemm, .norm = hdl__cpu_norm, .embed = hdl__cpu_embed, .cache_append = hdl__cpu_cache_append,
    .attention = hdl__cpu_attention, .quantise_rows = hdl__cpu_quantise_rows, .gather_rows = hdl__cpu_gather_rows,
    .glu = hdl__cpu_glu, .logit_edits = hdl__cpu_logit_edits, .logit_reduce = hdl__cpu_logit_reduce,
    .beam_step = hdl__cpu_beam_step, .token_logprobs = hdl__cpu_token_logprobs,
    .scatter_words = hdl__cpu_scatter_words,
    .stamp = hdl__cpu_stamp,
    .stream_assist = hdl__cpu_stream_assist,
};

const hdl_backend *hdl__cpu_backend(void) { return &cpu_table; }
