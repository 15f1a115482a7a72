/* device_names.c - from "cuda:0,1" to devices of one kind, each once. */
#include "device/device_names.h"

#include "device/device_state.h"
#include "device/plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_DEVICES 1024   /* a larger number is a typing error, not a machine */
#define MOST_DIGITS 4       /* of such a number */
#define LIST_BYTES 1024     /* HDL_MOST_REPLICAS names fit several times */
#define DIGITS "0123456789"

static const char *const kinds[] = {"cuda", "simt"};    /* those whose devices are numbered */
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

/* What stands behind "cuda:" and the like, or NULL; *kind is its kind. */
static const char *after_kind(const char *name, const char **kind)
{
    for (int i = 0; i < N_KINDS; i++) {
        const size_t n = strlen(kinds[i]);
        if (strncmp(name, kinds[i], n) != 0 || name[n] != ':') continue;
        *kind = kinds[i];
        return name + n + 1;
    }
    return NULL;
}

static bool is_all(const char *name)
{
    const char *kind, *rest = after_kind(name, &kind);
    return rest != NULL && strcmp(rest, "all") == 0;
}

hdl_status hdl__device_name_read(const char *name, hdl__device_name *out)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(strchr(name, ',') == NULL && !is_all(name), HDL_EINVAL,
              "device: \"%s\" may be several devices: one is opened at a time, a translator's options take them all", name);
    *out = (hdl__device_name){strcmp(name, "cpu") == 0 ? "cpu" : NULL, 0};
    for (int i = 0; i < N_KINDS; i++)
        if (strcmp(name, kinds[i]) == 0) out->kind = kinds[i];
    if (out->kind != NULL) return HDL_OK;
    const char *number = after_kind(name, &out->kind);
    HDL_CHECK(number != NULL, HDL_EINVAL, "device: \"%s\" is not one of " HDL__DEVICE_NAMES, name);
    const size_t digits = strspn(number, DIGITS);
    const bool sound = digits > 0 && digits <= MOST_DIGITS && number[digits] == '\0';
    const long value = sound ? strtol(number, NULL, 10) : MOST_DEVICES;
    HDL_CHECK(value < MOST_DEVICES, HDL_EINVAL, "device: \"%s\": after %s: stands a number, 0 to %d", name, out->kind,
              MOST_DEVICES - 1);
    out->index = (int)value;
done:
    return status;
}

/* One part of a list: a name, or a number alone that stands for a device of the kind before it. */
static hdl_status add_part(const char *list, const char *part, hdl__device_set *out, const char **kind)
{
    hdl_status status = HDL_OK;
    hdl__device_name name;
    char full[LIST_BYTES + HDL_DEVICE_NAME_BYTES];
    const bool bare = part[0] != '\0' && part[strspn(part, DIGITS)] == '\0';
    HDL_CHECK(part[0] != '\0', HDL_EINVAL, "device: \"%s\": the %s is empty", list,
              out->n == 0 ? "part before the first comma" : "part behind a comma");
    HDL_CHECK(!is_all(part), HDL_EINVAL, "device: \"%s\": %s is all devices and stands alone", list, part);
    HDL_CHECK(strcmp(part, "auto") != 0, HDL_EINVAL, "device: \"%s\": auto is one device and stands alone", list);
    HDL_CHECK(!bare || *kind != NULL, HDL_EINVAL, "device: \"%s\": the first is a number; a list begins like cuda:0,1", list);
    snprintf(full, sizeof full, "%s%s%s", bare ? *kind : "", bare ? ":" : "", part);
    HDL_TRY(hdl__device_name_read(full, &name));
    HDL_CHECK(strcmp(name.kind, "cpu") != 0 || *kind != NULL, HDL_EINVAL,
              "device: \"%s\": the cpu is one device with a lane per thread; a list takes cuda or simt devices", list);
    HDL_CHECK(*kind == NULL || strcmp(*kind, name.kind) == 0, HDL_EINVAL,
              "device: \"%s\": devices of one kind work together, found %s and %s", list, *kind, name.kind);
    HDL_CHECK(out->n < HDL_MOST_REPLICAS, HDL_EINVAL, "device: a list of more than %d devices", HDL_MOST_REPLICAS);
    *kind = name.kind;
    snprintf(out->names[out->n], HDL_DEVICE_NAME_BYTES, "%s:%d", name.kind, name.index);
    for (int32_t i = 0; i < out->n; i++)
        HDL_CHECK(strcmp(out->names[i], out->names[out->n]) != 0, HDL_EINVAL, "device: \"%s\": %s stands there twice", list,
                  out->names[i]);
    out->n++;
done:
    return status;
}

static hdl_status read_parts(const char *list, hdl__device_set *out)
{
    hdl_status status = HDL_OK;
    char text[LIST_BYTES], *part = text;
    const char *kind = NULL;
    memcpy(text, list, strlen(list) + 1);
    while (part != NULL) {
        char *comma = strchr(part, ',');
        if (comma != NULL) *comma = '\0';
        HDL_TRY(add_part(list, part, out, &kind));
        part = comma != NULL ? comma + 1 : NULL;
    }
done:
    return status;
}

/* All devices of a kind that open; the reason of the first that does not when none does. */
static hdl_status find_all(const char *list, const hdl_device_options *options, hdl__device_set *out)
{
    hdl_status status = HDL_OK;
    const hdl_backend *table = NULL;
    const char *kind = NULL;
    int32_t count = 1;
    char first[HDL__DETAIL_BYTES] = "";
    (void)after_kind(list, &kind);
    HDL_TRY(hdl__plugin_table(kind, options != NULL ? options->library_dir : NULL, &table));
    if (table->count != NULL) HDL_TRY(table->count(&hdl__host_services, &count));
    for (int32_t i = 0; i < count && i < MOST_DEVICES && out->n < HDL_MOST_REPLICAS; i++) {
        hdl_device *device = NULL;
        char *name = out->names[out->n];
        snprintf(name, HDL_DEVICE_NAME_BYTES, "%s:%d", kind, i);
        const hdl_status opened = hdl_device_open(name, options, &device);
        hdl_device_close(device);
        if (opened == HDL_OK) {
            out->n++;
            continue;
        }
        if (status == HDL_OK) snprintf(first, sizeof first, "%s", hdl_error_detail());
        if (status == HDL_OK) status = opened;
        hdl__log(HDL_LOG_WARNING, "%s: %s is left out: %s", list, name, hdl_error_detail());
    }
    if (out->n > 0) return HDL_OK;
    status = status != HDL_OK ? hdl__fail(status, "%s", first) : hdl__fail(HDL_EDEVICE, "device: \"%s\": there is none", list);
done:
    return status;
}

hdl_status hdl__device_set_read(const char *list, const hdl_device_options *options, hdl__device_set *out)
{
    hdl_status status = HDL_OK;
    hdl__device_name name;
    *out = (hdl__device_set){0};
    if (options != NULL) HDL_TRY(hdl__device_options_check(options));
    HDL_CHECK(strlen(list) < LIST_BYTES, HDL_EINVAL, "device: a list of %zu bytes, allowed %d", strlen(list), LIST_BYTES - 1);
    if (is_all(list)) return find_all(list, options, out);
    if (strchr(list, ',') != NULL) return read_parts(list, out);
    if (strcmp(list, "auto") != 0) HDL_TRY(hdl__device_name_read(list, &name));
    snprintf(out->names[0], HDL_DEVICE_NAME_BYTES, "%s", list);
    out->n = 1;
done:
    return status;
}
