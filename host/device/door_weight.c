/* door_weight.c - the doors of packed weights. */
#include "device/door.h"

hdl_status hdl_weight_pack(hdl_device *device, const hdl_pack_args *args, hdl_weight **weight)
{
    const char *op = "pack";
    hdl_status status = HDL_OK;
    static const hdl_pack_args defaults = HDL_PACK_ARGS_INIT;
    hdl_pack_args whole;
    HDL_TRY(hdl__door_device(device, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    const hdl_backend *table = device->table;
    HDL_TRY(hdl__door_offered(device, op,
                              table->pack != NULL && table->weight_close != NULL && table->weight_bytes != NULL));
    HDL_TRY(hdl__door_pointer(op, "the pointer for the result", weight));
    HDL_TRY(hdl__door_range(op, "N", args->N, 1, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "K", args->K, 1, INT32_MAX));
    /* AUTO is the caller's to resolve: only he knows what the weights were stored as */
    HDL_TRY(hdl__door_range(op, "compute", (int32_t)args->compute, HDL_COMPUTE_F32, HDL_COMPUTE_INT8));
    HDL_TRY(hdl__door_range(op, "use", (int32_t)args->use, HDL_PACK_FOR_ALL, HDL_PACK_FOR_LOGITS));
    HDL_CHECK(args->rank == 0 && args->ranks == 1, HDL_ENOSUPPORT,
              "%s: rank %d of %d, only 0 of 1 is offered so far", op, args->rank, args->ranks);
    HDL_TRY(hdl__door_range(op, "n_parts", args->n_parts, 1, INT32_MAX));
    HDL_TRY(hdl__door_pointer(op, "parts", args->parts));
    int64_t rows = 0;
    for (int32_t i = 0; i < args->n_parts; i++) {
        HDL_TRY(hdl__door_part(op, &args->parts[i], i));
        rows += args->parts[i].rows;
    }
    HDL_TRY(hdl__door_equal(op, "N", args->N, "the sum of the parts' rows", rows));
    HDL_TRY(table->pack(device->inner, args, weight));
done:
    return status;
}

void hdl_weight_close(hdl_device *device, hdl_weight *weight)
{
    if (device != NULL && weight != NULL) device->table->weight_close(weight);
}

size_t hdl_weight_bytes(const hdl_device *device, const hdl_weight *weight)
{
    return device == NULL || weight == NULL ? 0 : device->table->weight_bytes(weight);
}
