/* device_memory.c - what a device is, and its memory. */
#include "device/device_state.h"

#include "base/memory.h"
#include "base/struct_args.h"

hdl_status hdl_device_describe(const hdl_device *device, hdl_device_info *info)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(device != NULL, HDL_EINVAL, "describe: device is NULL");
    HDL_CHECK(info != NULL, HDL_EINVAL, "describe: info is NULL");
    HDL_TRY(hdl__struct_room("describe: info", info));
    hdl_device_info found = device->info;
    found.row_maxima = device->table->row_maxima;
    HDL_TRY(device->table->describe(device->inner, &found));
    hdl__struct_write(info, &found, sizeof found);
done:
    return status;
}

hdl_status hdl_device_alloc(hdl_device *device, size_t bytes, void **block)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(device != NULL, HDL_EINVAL, "alloc: device is NULL");
    HDL_CHECK(block != NULL, HDL_EINVAL, "alloc: the pointer for the result is NULL");
    HDL_CHECK(bytes > 0, HDL_EINVAL, "alloc: bytes = 0, allowed 1 and more");
    HDL_TRY(device->table->alloc(device->inner, bytes, block));
done:
    return status;
}

void hdl_device_free(hdl_device *device, void *block, size_t bytes)
{
    if (device != NULL && block != NULL) device->table->free(device->inner, block, bytes);
}

hdl_status hdl_device_host_alloc(hdl_device *device, size_t bytes, void **block)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(device != NULL, HDL_EINVAL, "host alloc: device is NULL");
    HDL_CHECK(block != NULL, HDL_EINVAL, "host alloc: the pointer for the result is NULL");
    HDL_CHECK(bytes > 0, HDL_EINVAL, "host alloc: bytes = 0, allowed 1 and more");
    if (device->table->host_alloc != NULL) {
        HDL_TRY(device->table->host_alloc(device->inner, bytes, block));
        goto done;
    }
    void *made = hdl__calloc(1, bytes);
    HDL_CHECK(made != NULL, HDL_ENOMEM, "host alloc: no memory for %zu bytes", bytes);
    *block = made;
done:
    return status;
}

void hdl_device_host_free(hdl_device *device, void *block, size_t bytes)
{
    if (device == NULL || block == NULL) return;
    if (device->table->host_free != NULL)
        device->table->host_free(device->inner, block, bytes);
    else
        hdl__free(block);
}
