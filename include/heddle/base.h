/*
 * base.h - what every other heddle header needs: linkage, version, status codes, dtypes, tensor views.
 */
#ifndef HEDDLE_BASE_H
#define HEDDLE_BASE_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#  define HDL_API __attribute__((visibility("default")))
#else
#  define HDL_API
#endif

#define HDL_VERSION_MAJOR 0
#define HDL_VERSION_MINOR 1
#define HDL_VERSION_PATCH 0
#define HDL_VERSION_STRING "0.1.0"

#ifdef __cplusplus
extern "C" {
#endif

/* "MAJOR.MINOR.PATCH" of the library that is loaded, which may be newer than this header. Static. */
HDL_API const char *hdl_version(void);

/* One table: the enum, the names and the texts cannot drift apart. Numbers are pinned and never reused. */
#define HDL_STATUS_MAP(X)                                                  \
    X(OK,           0, "success")                                          \
    X(EINVAL,      -1, "argument out of its documented range")             \
    X(ESHAPE,      -2, "tensor shapes or strides do not agree")            \
    X(EDTYPE,      -3, "no kernel for this combination of dtypes")         \
    X(ENOMEM,      -4, "host or device memory exhausted")                  \
    X(EWORKSPACE,  -5, "workspace smaller than the sizing call said")      \
    X(EBACKEND,    -6, "backend missing, or built for another ABI")        \
    X(EDEVICE,     -7, "the device reported an error")                     \
    X(EFORMAT,     -8, "model or vocabulary file is malformed")            \
    X(EIO,         -9, "file could not be read or written")                \
    X(EAGAIN,     -10, "queue full; try again later")                      \
    X(ECANCELLED, -11, "request was cancelled")                            \
    X(ETIMEOUT,   -12, "deadline passed")                                  \
    X(ENOSUPPORT, -13, "not offered by this backend or build")             \
    X(ESTATE,     -14, "call not allowed in this state")                   \
    X(ENUMERIC,   -15, "a value is not finite")

typedef enum hdl_status {
#define X(name, value, text) HDL_##name = value,
    HDL_STATUS_MAP(X)
#undef X
} hdl_status;

/* "HDL_EINVAL" and "argument out of its documented range". Static; unknown numbers get a text that says so. */
HDL_API const char *hdl_status_name(hdl_status status);
HDL_API const char *hdl_status_text(hdl_status status);

/* What went wrong, in one line, for the last failing call on this thread: the argument or file, the value
 * found, the value allowed. Never NULL; valid until the next failing call on the same thread. */
HDL_API const char *hdl_error_detail(void);

typedef enum hdl_log_level { HDL_LOG_WARNING = 1, HDL_LOG_INFO = 2, HDL_LOG_DEBUG = 3 } hdl_log_level;
typedef void (*hdl_log_fn)(hdl_log_level level, const char *line, void *user);

/* The library never prints. Lines of at most `level` go to `fn`; NULL (the start) drops them. Set it before any
 * other call and before other threads use the library; it is the process's only global setting. `fn` is called on any
 * thread, in the middle of a call that may hold a lock, and calls nothing of the library but what base.h declares. */
HDL_API void hdl_log_set(hdl_log_fn fn, hdl_log_level level, void *user);

typedef enum hdl_dtype {
    HDL_F32 = 0, HDL_F16 = 1, HDL_BF16 = 2, HDL_I8 = 3, HDL_I32 = 4, HDL_I16 = 5, HDL_U8 = 6, HDL_I64 = 7
} hdl_dtype;

/* Bytes of one element; 0 for a value outside the enum. */
HDL_API size_t hdl_dtype_bytes(hdl_dtype dtype);
/* "f32", "bf16", ...; "?" for a value outside the enum. Static. */
HDL_API const char *hdl_dtype_name(hdl_dtype dtype);

typedef enum hdl_device_kind { HDL_DEVICE_CPU = 0, HDL_DEVICE_CUDA = 1, HDL_DEVICE_SIMT = 2 } hdl_device_kind;

#define HDL_MAX_RANK 5

/* Non-owning view, row-major, strides in elements. `device_kind` and `device_index` say where `data` lives. */
typedef struct hdl_tensor {
    void     *data;
    hdl_dtype dtype;
    int32_t   rank;
    int64_t   shape[HDL_MAX_RANK];
    int64_t   stride[HDL_MAX_RANK];
    int32_t   device_kind;    /* hdl_device_kind */
    int32_t   device_index;
} hdl_tensor;

/* Borrowed scratch bytes; the callee neither frees nor remembers them. */
typedef struct hdl_span { void *data; size_t bytes; } hdl_span;

#ifdef __cplusplus
}
#endif
#endif /* HEDDLE_BASE_H */
