/* dtype.c - names and sizes of element types. */
#include <heddle/base.h>

static const struct { const char *name; size_t bytes; } dtypes[] = {
    [HDL_F32] = {"f32", 4}, [HDL_F16] = {"f16", 2}, [HDL_BF16] = {"bf16", 2}, [HDL_I8] = {"i8", 1},
    [HDL_I32] = {"i32", 4}, [HDL_I16] = {"i16", 2}, [HDL_U8] = {"u8", 1},     [HDL_I64] = {"i64", 8},
};

#define N_DTYPES (sizeof dtypes / sizeof dtypes[0])

size_t hdl_dtype_bytes(hdl_dtype dtype)
{
    return (unsigned)dtype < N_DTYPES ? dtypes[dtype].bytes : 0;
}

const char *hdl_dtype_name(hdl_dtype dtype)
{
    return (unsigned)dtype < N_DTYPES ? dtypes[dtype].name : "?";
}
