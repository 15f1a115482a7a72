/*
 * door.h - checks that the doors of all ops share.
 *
 * A door is the one place where an op's arguments are checked: hdl_<op> looks at them once, says in words which
 * argument is wrong, what it found and what is allowed, and then calls the backend, which trusts it. Each check
 * returns HDL_OK or a failure whose detail begins with the op's name. What lies in device memory is not looked at.
 * Arguments of an older or newer caller are completed first (base/struct_args.h): a backend gets structs of the size that
 * this library knows, which last no longer than the call.
 */
#ifndef HEDDLE_HOST_DOOR_H
#define HEDDLE_HOST_DOOR_H

#include "base/struct_args.h"
#include "device/device_state.h"

/* Widest rows for which an op was built; a larger value is a mistake, not a model. */
#define HDL__MOST_WIDTH 16384
#define HDL__LEAST_HEAD 4
#define HDL__MOST_HEAD 256
#define HDL__HEAD_STEP 4

/* HDL_EINVAL: device is NULL. */
hdl_status hdl__door_device(const hdl_device *device, const char *op);
hdl_status hdl__door_offered(const hdl_device *device, const char *op, bool offered);

/* HDL_EINVAL: a value outside [least, most], a pointer that is NULL, a value that is not finite. */
hdl_status hdl__door_range(const char *op, const char *name, int64_t value, int64_t least, int64_t most);
hdl_status hdl__door_pointer(const char *op, const char *name, const void *pointer);
hdl_status hdl__door_finite(const char *op, const char *name, float value);
/* Two arguments that must agree. HDL_ESHAPE */
hdl_status hdl__door_equal(const char *op, const char *name, int64_t value, const char *other, int64_t expected);
/* Row strides: at least the width of a row. HDL_ESHAPE */
hdl_status hdl__door_stride(const char *op, const char *name, int64_t stride, const char *width_name, int64_t width);
hdl_status hdl__door_activation(const char *op, hdl_activation act);
/* HDL_EDTYPE: rows of a dtype that the backend's ops do not take. */
hdl_status hdl__door_act_dtype(const hdl_device *device, const char *op, hdl_dtype act_dtype);
/* The same of pages. */
hdl_status hdl__door_pool_dtype(const hdl_device *device, const char *op, hdl_dtype dtype);

/* M rows of `width` elements, `stride` apart. */
typedef struct hdl__block { const char *name; const void *data; int64_t stride, width; } hdl__block;

/* HDL_EINVAL when an element of a is one of b: blocks of one wide buffer that take different columns do not overlap. */
hdl_status hdl__door_apart(const char *op, const hdl__block *a, const hdl__block *b, int32_t M, size_t element_bytes);
/* The same for blocks of which only one and the same may be given twice: equal is fine, shifted is not. */
hdl_status hdl__door_same_or_apart(const char *op, const hdl__block *a, const hdl__block *b, int32_t M,
                                   size_t element_bytes);

/* Row maxima, f32 [M], of `rows`: HDL_ENOSUPPORT on a device that notes none (device.h), HDL_EINVAL when they overlap. NULL is fine. */
hdl_status hdl__door_row_maxima(const hdl_device *device, const char *op, const hdl__block *maxima,
                                const hdl__block *rows, int32_t M, size_t element_bytes);

/* What an op reads of slots and rows, beyond options, state, count and slot, which all read. */
enum {
    HDL__NEED_TOKEN = 1, HDL__NEED_SUM = 2, HDL__NEED_HISTORY = 4, HDL__NEED_SIDE = 8, HDL__NEED_SELF_PAGES = 16,
    HDL__NEED_SOURCE_PAGES = 32, HDL__NEED_BEAM = 64, HDL__NEED_POS = 128, HDL__NEED_GROUPS = 256
};

hdl_status hdl__door_slots(const char *op, const hdl_slots *slots, const hdl_rows *rows, unsigned needs);

/* One part of a matrix: data, dtype, rows, and the values of scale, which lie in host memory. `i` is for the words. */
hdl_status hdl__door_part(const char *op, const hdl_pack_part *part, int32_t i);

#endif
