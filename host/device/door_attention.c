/* door_attention.c - the doors of attention, of the key/value pool and of cache_append. */
#include "device/door.h"
#include "device/stamps.h"

/* Which keys, for the names of stamps. */
static const char *kind_of(hdl_key_source keys)
{
    return keys == HDL_KEYS_PACKED ? "packed" : keys == HDL_KEYS_SELF_PAGES ? "self" : "source";
}

static hdl_status check_head(const char *op, int32_t D)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__door_range(op, "D", D, HDL__LEAST_HEAD, HDL__MOST_HEAD));
    HDL_CHECK(D % HDL__HEAD_STEP == 0, HDL_EINVAL, "%s: D = %d is not a multiple of %d", op, D, HDL__HEAD_STEP);
done:
    return status;
}

static hdl_status check_pool(const hdl_device *device, const char *op, const hdl_kv_pool_desc *desc, const void *result)
{
    hdl_status status = HDL_OK;
    const hdl_backend *table = device->table;
    HDL_TRY(hdl__door_offered(
        device, op, table->kv_pool_open != NULL && table->kv_pool_bytes != NULL && table->kv_pool_close != NULL));
    HDL_TRY(hdl__door_pointer(op, "the pointer for the result", result));
    HDL_TRY(hdl__door_range(op, "n_pages", desc->n_pages, 1, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "n_layers", desc->n_layers, 1, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "Hkv", desc->Hkv, 1, INT32_MAX));
    HDL_TRY(check_head(op, desc->D));
    HDL_TRY(hdl__door_pool_dtype(device, op, desc->dtype));
done:
    return status;
}

hdl_status hdl_kv_pool_bytes(const hdl_device *device, const hdl_kv_pool_desc *desc, size_t *bytes)
{
    const char *op = "kv_pool";
    hdl_status status = HDL_OK;
    static const hdl_kv_pool_desc defaults = HDL_KV_POOL_DESC_INIT;
    hdl_kv_pool_desc whole;
    HDL_TRY(hdl__door_device(device, op));
    desc = hdl__struct_read(op, desc, &defaults, &whole, sizeof whole);
    if (desc == NULL) return HDL_EINVAL;
    HDL_TRY(check_pool(device, op, desc, bytes));
    *bytes = device->table->kv_pool_bytes(desc);
done:
    return status;
}

hdl_status hdl_kv_pool_open(hdl_device *device, const hdl_kv_pool_desc *desc, hdl_kv_pool **pool)
{
    const char *op = "kv_pool";
    hdl_status status = HDL_OK;
    static const hdl_kv_pool_desc defaults = HDL_KV_POOL_DESC_INIT;
    hdl_kv_pool_desc whole;
    HDL_TRY(hdl__door_device(device, op));
    desc = hdl__struct_read(op, desc, &defaults, &whole, sizeof whole);
    if (desc == NULL) return HDL_EINVAL;
    HDL_TRY(check_pool(device, op, desc, pool));
    HDL_TRY(device->table->kv_pool_open(device->inner, desc, pool));
done:
    return status;
}

void hdl_kv_pool_close(hdl_device *device, hdl_kv_pool *pool)
{
    if (device != NULL && pool != NULL) device->table->kv_pool_close(pool);
}

static hdl_status check_attention_sizes(const char *op, const hdl_attention_args *args)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__door_range(op, "keys", (int32_t)args->keys, HDL_KEYS_PACKED, HDL_KEYS_SOURCE_PAGES));
    HDL_TRY(hdl__door_range(op, "mask", (int32_t)args->mask, HDL_MASK_NONE,
                            args->keys == HDL_KEYS_PACKED ? HDL_MASK_CAUSAL : HDL_MASK_NONE));
    HDL_TRY(hdl__door_range(op, "M", args->M, 0, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "H", args->H, 1, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "Hkv", args->Hkv, 1, INT32_MAX));
    HDL_CHECK(args->H % args->Hkv == 0, HDL_ESHAPE, "%s: H = %d is not a multiple of Hkv = %d", op, args->H, args->Hkv);
    HDL_TRY(check_head(op, args->D));
    HDL_TRY(hdl__door_finite(op, "scale", args->scale));
    HDL_TRY(hdl__door_range(op, "keep_alignment", args->keep_alignment, 0,
                            args->keys == HDL_KEYS_SOURCE_PAGES ? 1 : 0));
    if (args->probs != NULL || args->keep_alignment != 0) {
        HDL_TRY(hdl__door_range(op, "probs_first", args->probs_first, 0, args->H - 1));
        HDL_TRY(hdl__door_range(op, "probs_heads", args->probs_heads, 1, args->H - args->probs_first));
    }
    if (args->probs != NULL) HDL_TRY(hdl__door_range(op, "ldp", args->ldp, 1, INT64_MAX));
done:
    return status;
}

static hdl_status check_packed_keys(const hdl_device *device, const char *op, const hdl_attention_args *args)
{
    hdl_status status = HDL_OK;
    const size_t element = hdl_dtype_bytes(args->act_dtype);
    const int64_t width = (int64_t)args->Hkv * args->D;
    const hdl__block k = {"k", args->k, width, width}, v = {"v", args->v, width, width};
    const hdl__block out_max = {"out_max", args->out_max, args->M, args->M};
    HDL_TRY(hdl__door_range(op, "n_seq", args->n_seq, 1, args->M));
    HDL_TRY(hdl__door_pointer(op, "k", args->k));
    HDL_TRY(hdl__door_pointer(op, "v", args->v));
    HDL_TRY(hdl__door_pointer(op, "cu_q", args->cu_q));
    HDL_TRY(hdl__door_pointer(op, "cu_k", args->cu_k));
    HDL_TRY(hdl__door_stride(op, "ldkv", args->ldkv, "Hkv * D", width));
    /* how many keys there are only the device knows; the first is all that is known */
    HDL_TRY(hdl__door_row_maxima(device, op, &out_max, &k, 1, element));
    HDL_TRY(hdl__door_row_maxima(device, op, &out_max, &v, 1, element));
done:
    return status;
}

static hdl_status check_paged_keys(const char *op, const hdl_attention_args *args)
{
    hdl_status status = HDL_OK;
    unsigned needs = HDL__NEED_SELF_PAGES | HDL__NEED_HISTORY | HDL__NEED_BEAM | HDL__NEED_POS;
    if (args->keys == HDL_KEYS_SOURCE_PAGES) {
        needs = HDL__NEED_SOURCE_PAGES | HDL__NEED_GROUPS;
        if (args->keep_alignment != 0) needs |= HDL__NEED_HISTORY | HDL__NEED_BEAM | HDL__NEED_POS;
    }
    HDL_TRY(hdl__door_pointer(op, "pool", args->pool));
    HDL_TRY(hdl__door_range(op, "layer", args->layer, 0, INT32_MAX));
    HDL_TRY(hdl__door_slots(op, args->slots, args->rows, needs));
done:
    return status;
}

hdl_status hdl_attention(hdl_stream *stream, const hdl_attention_args *args)
{
    const char *op = "attention";
    hdl_status status = HDL_OK;
    static const hdl_attention_args defaults = HDL_ATTENTION_ARGS_INIT;
    hdl_attention_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->attention != NULL));
    HDL_TRY(check_attention_sizes(op, args));
    HDL_TRY(hdl__door_act_dtype(stream->device, op, args->act_dtype));
    if (args->M == 0) goto done;
    const int64_t E = (int64_t)args->H * args->D;
    HDL_TRY(hdl__door_pointer(op, "q", args->q));
    HDL_TRY(hdl__door_pointer(op, "out", args->out));
    HDL_TRY(hdl__door_stride(op, "ldq", args->ldq, "H * D", E));
    HDL_TRY(hdl__door_stride(op, "ldo", args->ldo, "H * D", E));
    const hdl__block q = {"q", args->q, args->ldq, E}, out = {"out", args->out, args->ldo, E};
    const hdl__block out_max = {"out_max", args->out_max, 1, 1};
    HDL_TRY(hdl__door_same_or_apart(op, &out, &q, args->M, hdl_dtype_bytes(args->act_dtype)));
    HDL_TRY(hdl__door_row_maxima(stream->device, op, &out_max, &out, args->M, hdl_dtype_bytes(args->act_dtype)));
    HDL_TRY(hdl__door_row_maxima(stream->device, op, &out_max, &q, args->M, hdl_dtype_bytes(args->act_dtype)));
    HDL_TRY(args->keys == HDL_KEYS_PACKED ? check_packed_keys(stream->device, op, args) : check_paged_keys(op, args));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->attention(stream->inner, args)));
    HDL_TRY(hdl__door_leave(stream, (hdl__stamped){op, kind_of(args->keys), args->M, 0, 0}));
done:
    return status;
}

hdl_status hdl_cache_append(hdl_stream *stream, const hdl_cache_append_args *args)
{
    const char *op = "cache_append";
    hdl_status status = HDL_OK;
    static const hdl_cache_append_args defaults = HDL_CACHE_APPEND_ARGS_INIT;
    hdl_cache_append_args whole;
    HDL_TRY(hdl__stream_usable(stream, op));
    args = hdl__struct_read(op, args, &defaults, &whole, sizeof whole);
    if (args == NULL) return HDL_EINVAL;
    HDL_TRY(hdl__door_offered(stream->device, op, stream->device->table->cache_append != NULL));
    HDL_TRY(hdl__door_range(op, "keys", (int32_t)args->keys, HDL_KEYS_SELF_PAGES, HDL_KEYS_SOURCE_PAGES));
    HDL_TRY(hdl__door_range(op, "M", args->M, 0, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "Hkv", args->Hkv, 1, INT32_MAX));
    HDL_TRY(check_head(op, args->D));
    HDL_TRY(hdl__door_range(op, "layer", args->layer, 0, INT32_MAX));
    HDL_TRY(hdl__door_act_dtype(stream->device, op, args->act_dtype));
    if (args->M == 0) goto done;
    HDL_TRY(hdl__door_pointer(op, "k", args->k));
    HDL_TRY(hdl__door_pointer(op, "v", args->v));
    HDL_TRY(hdl__door_pointer(op, "pool", args->pool));
    HDL_TRY(hdl__door_stride(op, "ldkv", args->ldkv, "Hkv * D", (int64_t)args->Hkv * args->D));
    HDL_TRY(hdl__door_slots(op, args->slots, args->rows,
                            HDL__NEED_POS | (args->keys == HDL_KEYS_SELF_PAGES ? HDL__NEED_SELF_PAGES | HDL__NEED_BEAM
                                                                               : HDL__NEED_SOURCE_PAGES)));
    HDL_TRY(hdl__stream_result(stream, stream->device->table->cache_append(stream->inner, args)));
    HDL_TRY(hdl__door_leave(stream, (hdl__stamped){op, kind_of(args->keys), args->M, 0, 0}));
done:
    return status;
}
