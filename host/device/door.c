/* door.c - the checks that the doors of all ops share, with their words. */
#include "device/door.h"

#include <math.h>

hdl_status hdl__door_offered(const hdl_device *device, const char *op, bool offered)
{
    if (offered) return HDL_OK;
    return hdl__fail(HDL_ENOSUPPORT, "%s: not offered by the %s backend", op, device->table->name);
}

hdl_status hdl__door_device(const hdl_device *device, const char *op)
{
    return device != NULL ? HDL_OK : hdl__fail(HDL_EINVAL, "%s: device is NULL", op);
}

hdl_status hdl__door_range(const char *op, const char *name, int64_t value, int64_t least, int64_t most)
{
    if (value >= least && value <= most) return HDL_OK;
    if (most == INT32_MAX)
        return hdl__fail(HDL_EINVAL, "%s: %s = %lld, allowed %lld and more", op, name, (long long)value,
                         (long long)least);
    return hdl__fail(HDL_EINVAL, "%s: %s = %lld, allowed %lld to %lld", op, name, (long long)value,
                     (long long)least, (long long)most);
}

hdl_status hdl__door_pointer(const char *op, const char *name, const void *pointer)
{
    return pointer != NULL ? HDL_OK : hdl__fail(HDL_EINVAL, "%s: %s is NULL", op, name);
}

hdl_status hdl__door_finite(const char *op, const char *name, float value)
{
    return isfinite(value) ? HDL_OK
                           : hdl__fail(HDL_EINVAL, "%s: %s = %g, allowed finite values", op, name, (double)value);
}

hdl_status hdl__door_equal(const char *op, const char *name, int64_t value, const char *other, int64_t expected)
{
    if (value == expected) return HDL_OK;
    return hdl__fail(HDL_ESHAPE, "%s: %s = %lld, but %s = %lld", op, name, (long long)value, other,
                     (long long)expected);
}

hdl_status hdl__door_stride(const char *op, const char *name, int64_t stride, const char *width_name, int64_t width)
{
    if (stride >= width) return HDL_OK;
    return hdl__fail(HDL_ESHAPE, "%s: %s = %lld is less than %s = %lld", op, name, (long long)stride, width_name,
                     (long long)width);
}

hdl_status hdl__door_activation(const char *op, hdl_activation act)
{
    return hdl__door_range(op, "act", (int32_t)act, HDL_ACT_NONE, HDL_N_ACTIVATIONS - 1);
}

static hdl_status check_dtype(const hdl_device *device, const char *op, const char *name, uint32_t taken, hdl_dtype dtype)
{
    if ((unsigned)dtype < 32 && ((taken >> (unsigned)dtype) & 1u) != 0) return HDL_OK;
    return hdl__fail(HDL_EDTYPE, "%s: %s = %d (%s), which the %s backend does not take", op, name, (int)dtype,
                     hdl_dtype_name(dtype), device->table->name);
}

hdl_status hdl__door_act_dtype(const hdl_device *device, const char *op, hdl_dtype act_dtype)
{
    return check_dtype(device, op, "act_dtype", device->table->act_dtypes, act_dtype);
}

hdl_status hdl__door_pool_dtype(const hdl_device *device, const char *op, hdl_dtype dtype)
{
    const hdl_backend *table = device->table;
    return check_dtype(device, op, "dtype", table->pool_dtypes != 0 ? table->pool_dtypes : table->act_dtypes, dtype);
}

static bool blocks_meet(const hdl__block *a, const hdl__block *b, int32_t M, size_t element_bytes)
{
    if (a->data == NULL || b->data == NULL || M < 1) return false;
    const uint64_t element = element_bytes, rows = (uint64_t)M - 1;
    const uint64_t a0 = (uint64_t)(uintptr_t)a->data, b0 = (uint64_t)(uintptr_t)b->data;
    const uint64_t a_width = (uint64_t)a->width * element, b_width = (uint64_t)b->width * element;
    const uint64_t a_stride = (uint64_t)a->stride * element, b_stride = (uint64_t)b->stride * element;
    if (a0 + rows * a_stride + a_width <= b0 || b0 + rows * b_stride + b_width <= a0) return false;
    if (a_stride != b_stride || a_stride == 0) return true;
    /* one wide buffer: where b's rows begin within a's rows decides */
    const uint64_t shift = b0 >= a0 ? (b0 - a0) % a_stride : (a_stride - (a0 - b0) % a_stride) % a_stride;
    return shift < a_width || shift + b_width > a_stride;
}

hdl_status hdl__door_apart(const char *op, const hdl__block *a, const hdl__block *b, int32_t M, size_t element_bytes)
{
    if (!blocks_meet(a, b, M, element_bytes)) return HDL_OK;
    return hdl__fail(HDL_EINVAL, "%s: %s overlaps %s", op, a->name, b->name);
}

hdl_status hdl__door_same_or_apart(const char *op, const hdl__block *a, const hdl__block *b, int32_t M,
                                   size_t element_bytes)
{
    if (a->data == b->data && a->stride == b->stride) return HDL_OK;
    if (!blocks_meet(a, b, M, element_bytes)) return HDL_OK;
    return hdl__fail(HDL_EINVAL, "%s: %s overlaps %s without being the same", op, a->name, b->name);
}

static hdl__block in_bytes(const hdl__block *block, size_t element_bytes)
{
    const int64_t element = (int64_t)element_bytes;
    return (hdl__block){block->name, block->data, block->stride * element, block->width * element};
}

hdl_status hdl__door_row_maxima(const hdl_device *device, const char *op, const hdl__block *maxima,
                                const hdl__block *rows, int32_t M, size_t element_bytes)
{
    hdl_status status = HDL_OK;
    const hdl__block a = in_bytes(maxima, sizeof(float)), b = in_bytes(rows, element_bytes);
    HDL_CHECK(maxima->data == NULL || device->table->row_maxima != 0, HDL_ENOSUPPORT,
              "%s: %s is given, but the %s backend notes no row maxima", op, maxima->name, device->table->name);
    HDL_TRY(hdl__door_apart(op, &a, &b, M, 1));
done:
    return status;
}

typedef struct need { unsigned bit; const char *name; const void *pointer; } need;

hdl_status hdl__door_slots(const char *op, const hdl_slots *slots, const hdl_rows *rows, unsigned needs)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__door_pointer(op, "slots", slots));
    HDL_TRY(hdl__door_pointer(op, "rows", rows));
    HDL_TRY(hdl__door_range(op, "slots->n_slots", slots->n_slots, 1, INT32_MAX));
    HDL_TRY(hdl__door_range(op, "slots->V", slots->V, 1, INT32_MAX));
    const need pointers[] = {
        {0, "slots->options", slots->options},
        {0, "slots->state", slots->state},
        {0, "rows->count", rows->count},
        {0, "rows->slot", rows->slot},
        {HDL__NEED_TOKEN, "slots->token", slots->token},
        {HDL__NEED_SUM, "slots->sum", slots->sum},
        {HDL__NEED_HISTORY, "slots->history", slots->history},
        {HDL__NEED_HISTORY, "slots->history_off", slots->history_off},
        {HDL__NEED_SIDE, "slots->side", slots->side},
        {HDL__NEED_SELF_PAGES, "slots->self_pages", slots->self_pages},
        {HDL__NEED_SOURCE_PAGES, "slots->source_pages", slots->source_pages},
        {HDL__NEED_BEAM, "rows->beam", rows->beam},
        {HDL__NEED_POS, "rows->pos", rows->pos},
        {HDL__NEED_GROUPS, "rows->n_groups", rows->n_groups},
        {HDL__NEED_GROUPS, "rows->group", rows->group},
    };
    for (size_t i = 0; i < sizeof pointers / sizeof pointers[0]; i++)
        if ((pointers[i].bit & ~needs) == 0) HDL_TRY(hdl__door_pointer(op, pointers[i].name, pointers[i].pointer));
    if ((needs & HDL__NEED_SELF_PAGES) != 0)
        HDL_TRY(hdl__door_range(op, "slots->self_stride", slots->self_stride, 1, INT32_MAX));
    if ((needs & HDL__NEED_SOURCE_PAGES) != 0)
        HDL_TRY(hdl__door_range(op, "slots->source_stride", slots->source_stride, 1, INT32_MAX));
done:
    return status;
}

hdl_status hdl__door_part(const char *op, const hdl_pack_part *part, int32_t i)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(part->rows >= 1, HDL_EINVAL, "%s: parts[%d].rows = %d, allowed 1 and more", op, i, part->rows);
    HDL_CHECK(part->data != NULL, HDL_EINVAL, "%s: parts[%d].data is NULL", op, i);
    bool known = part->dtype == HDL_F32 || part->dtype == HDL_F16 || part->dtype == HDL_BF16 || part->dtype == HDL_I8 ||
                 part->dtype == HDL_I16;
    HDL_CHECK(known, HDL_EDTYPE, "%s: parts[%d].dtype = %d (%s), allowed f32, f16, bf16, i8, i16", op, i,
              (int)part->dtype, hdl_dtype_name(part->dtype));
    HDL_CHECK(part->transposed == 0 || part->transposed == 1, HDL_EINVAL,
              "%s: parts[%d].transposed = %d, allowed 0 and 1", op, i, part->transposed);
    if (part->scale == NULL) goto done;
    HDL_CHECK(part->n_scale == 1 || part->n_scale == part->rows, HDL_ESHAPE,
              "%s: parts[%d].n_scale = %d, allowed 1 and rows = %d", op, i, part->n_scale, part->rows);
    for (int32_t k = 0; k < part->n_scale; k++)
        HDL_CHECK(isfinite(part->scale[k]) && part->scale[k] != 0.0f, HDL_ENUMERIC,
                  "%s: parts[%d].scale[%d] = %g, allowed finite values other than 0", op, i, k, (double)part->scale[k]);
done:
    return status;
}
