/* device_group.c - the door of replicas: groups of devices and copies between them. */
#include "device/device_group.h"

#include "base/memory.h"

#include <stdio.h>

struct hdl__group {
    const hdl_backend *table;           /* of the first device; the others have the same, or one that counts the same */
    hdl_backend_group *inner;
    hdl_device        *devices[HDL_MOST_REPLICAS];
    int32_t            n;
};

void hdl__device_name_of(const hdl_device *device, char name[HDL_DEVICE_NAME_BYTES])
{
    if (device->info.kind == HDL_DEVICE_CPU) snprintf(name, HDL_DEVICE_NAME_BYTES, "%s", device->info.name);
    else snprintf(name, HDL_DEVICE_NAME_BYTES, "%.8s:%u", device->info.name, (unsigned)device->info.index % 10000);
}

hdl_status hdl__group_open(hdl_device *const *devices, int32_t n, hdl__group **out)
{
    hdl_status status = HDL_OK;
    const hdl_backend *table = devices[0]->table;
    hdl_backend_device *inner[HDL_MOST_REPLICAS];
    hdl__group *made = NULL;
    HDL_CHECK(n >= 2 && n <= HDL_MOST_REPLICAS, HDL_EINVAL, "group: %d devices, allowed 2 to %d", n, HDL_MOST_REPLICAS);
    HDL_CHECK(table->group_open != NULL && table->group_close != NULL && table->group_way != NULL && table->group_broadcast != NULL
              && table->group_weight != NULL && table->group_embedding != NULL, HDL_ENOSUPPORT,
              "the %s backend does not copy weights from device to device: one device at a time", table->name);
    made = hdl__calloc(1, sizeof *made);
    HDL_CHECK(made != NULL, HDL_ENOMEM, "group: no memory for %zu bytes", sizeof *made);
    *made = (hdl__group){.table = table, .n = n};
    for (int32_t i = 0; i < n; i++) {
        made->devices[i] = devices[i];
        inner[i] = devices[i]->inner;
    }
    HDL_TRY(table->group_open(inner, n, &made->inner));
    *out = made;
    made = NULL;
done:
    hdl__group_close(made);
    return status;
}

void hdl__group_close(hdl__group *group)
{
    if (group == NULL) return;
    if (group->inner != NULL) group->table->group_close(group->inner);
    hdl__free(group);
}

const char *hdl__group_way(const hdl__group *group) { return group->table->group_way(group->inner); }

/* Puts the device before the line when memory was out on it: it is the first that has no copy. */
static hdl_status name_device(const hdl__group *group, hdl_status status, int32_t i)
{
    char name[HDL_DEVICE_NAME_BYTES];
    if (status != HDL_ENOMEM || i >= group->n) return status;
    hdl__device_name_of(group->devices[i], name);
    return hdl__fail_prefix(status, name);
}

hdl_status hdl__group_weight(hdl__group *group, const hdl_weight *from, hdl_weight **to)
{
    int32_t made = 1;
    for (int32_t i = 1; i < group->n; i++) to[i] = NULL;
    const hdl_status status = group->table->group_weight(group->inner, from, to);
    if (status == HDL_OK) return HDL_OK;
    for (; made < group->n && to[made] != NULL; made++) {}
    for (int32_t i = 1; i < made; i++) {
        hdl_weight_close(group->devices[i], to[i]);
        to[i] = NULL;
    }
    return name_device(group, status, made);
}

hdl_status hdl__group_embedding(hdl__group *group, const hdl_embedding *from, hdl_embedding **to)
{
    int32_t made = 1;
    for (int32_t i = 1; i < group->n; i++) to[i] = NULL;
    const hdl_status status = group->table->group_embedding(group->inner, from, to);
    if (status == HDL_OK) return HDL_OK;
    for (; made < group->n && to[made] != NULL; made++) {}
    for (int32_t i = 1; i < made; i++) {
        hdl_embedding_close(group->devices[i], to[i]);
        to[i] = NULL;
    }
    return name_device(group, status, made);
}

hdl_status hdl__group_block(hdl__group *group, void *from, size_t bytes, void **to)
{
    hdl_status status = HDL_OK;
    int32_t made = 1;
    to[0] = from;
    for (; made < group->n && status == HDL_OK; made++) {
        to[made] = NULL;
        status = hdl_device_alloc(group->devices[made], bytes, &to[made]);
        if (status != HDL_OK) break;
    }
    if (status == HDL_OK) status = group->table->group_broadcast(group->inner, to, bytes);
    if (status == HDL_OK) return HDL_OK;
    for (int32_t i = 1; i < made; i++) {
        hdl_device_free(group->devices[i], to[i], bytes);
        to[i] = NULL;
    }
    return name_device(group, status, made);
}
