/*
 * device.h - devices and streams: open by name, memory, copies, waiting.
 */
#ifndef HEDDLE_DEVICE_H
#define HEDDLE_DEVICE_H

#include <heddle/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hdl_device hdl_device;
typedef struct hdl_stream hdl_stream;   /* an ordered queue of work on one device; one thread at a time */

/* Instruction sets of the CPU backend. AUTO takes the best that the processor has; a forced one that it lacks is HDL_ENOSUPPORT. */
typedef enum hdl_isa { HDL_ISA_AUTO = 0, HDL_ISA_PLAIN, HDL_ISA_AVX2, HDL_ISA_AVX512 } hdl_isa;

/*
 * Which matrix products a backend takes. AUTO: ours; a library's only where it is asked for by name: oneDNN is the CPU
 * backend's, cuBLASLt the CUDA backend's, and the other backend takes ours. A library that is asked for and missing is
 * HDL_ENOSUPPORT (not built in) or HDL_EBACKEND (not found: the line says where it was looked for).
 */
typedef enum hdl_products {
    HDL_PRODUCTS_AUTO = 0, HDL_PRODUCTS_OWN, HDL_PRODUCTS_ONEDNN, HDL_PRODUCTS_CUBLASLT
} hdl_products;

/* Hooks for memory; every field or none. `kind` is 0 device, 1 pinned, 2 host. On CUDA the device is the calling thread's current one. */
typedef struct hdl_memory_hooks {
    void *(*alloc)(size_t bytes, int kind, void *user);
    void  (*free)(void *block, size_t bytes, int kind, void *user);
    void  *user;
} hdl_memory_hooks;

typedef struct hdl_device_options {
    size_t                  struct_bytes;
    /* Where backends and the libraries that they can use (cuBLASLt, NCCL) are looked for first. NULL: backends beside
     * libheddle, then on the loader's path; the others there, then in $CUDA_HOME/lib64 and /usr/local/cuda/lib64. */
    const char             *library_dir;
    const hdl_memory_hooks *hooks;          /* copied; NULL: the backend's own */
    hdl_isa                 isa;            /* cpu only */
    hdl_products            products;
} hdl_device_options;

#define HDL_DEVICE_OPTIONS_INIT { sizeof(hdl_device_options), NULL, NULL, HDL_ISA_AUTO, HDL_PRODUCTS_AUTO }

/*
 * Opens "cpu", "cuda", "cuda:1", "simt", "simt:1", or "auto" (the first CUDA device, else cpu): one device. A translator
 * takes several (hdl_translator_options.device).
 * HDL_EBACKEND (library missing, or built for another ABI: the line says which), HDL_EDEVICE (no driver, no device),
 * HDL_EINVAL (unknown name), HDL_ENOSUPPORT (instruction set). `options` may be NULL.
 */
HDL_API hdl_status hdl_device_open(const char *name, const hdl_device_options *options, hdl_device **device);
/* NULL is fine. All that was made on it (streams, recordings, weights, tables, pools, memory) goes before the device. */
HDL_API void       hdl_device_close(hdl_device *device);

#define HDL_DEVICE_NAME_BYTES 16
#define HDL_DEVICE_LINE_BYTES 256
#define HDL_DEVICE_LIBRARIES_BYTES 1024

/* One line of a listing: a device that works, or the reason why a kind of device does not. */
typedef struct hdl_device_entry {
    size_t     struct_bytes;
    char       name[HDL_DEVICE_NAME_BYTES];     /* as hdl_device_open takes it: "cpu", "cuda:0" */
    hdl_status status;                          /* of opening it */
    char       line[HDL_DEVICE_LINE_BYTES];     /* HDL_OK: its description; else why it cannot be used */
    /* One line each, '\n' between them: a library that the backend uses if it is there, with its version and file, or
     * where it was looked for. Filled even where no device works. "": there are none */
    char       libraries[HDL_DEVICE_LIBRARIES_BYTES];
    int32_t    reserved;                        /* 0 */
} hdl_device_entry;

#define HDL_DEVICE_ENTRY_INIT { sizeof(hdl_device_entry), "", HDL_OK, "", "", 0 }

/*
 * The i-th entry, from 0, in a fixed order: cpu, cuda devices (or one entry that says why there is none), simt. Opens
 * and closes the device to ask it. Past the end: HDL_EINVAL. `options` may be NULL.
 */
HDL_API hdl_status hdl_device_list(const hdl_device_options *options, int32_t i, hdl_device_entry *entry);

typedef struct hdl_device_info {
    size_t      struct_bytes;
    const char *name;           /* "cpu" */
    const char *description;    /* "AMD EPYC, AVX-512 VNNI BF16; products: heddle" */
    int32_t     kind, index;    /* hdl_device_kind */
    int32_t     native_bf16;    /* 1: bf16 products run at least twice as fast as f32 by multiply-adds */
    uint64_t    memory_bytes;   /* of the device; 0: unknown */
    const char *products;       /* CUDA: the library whose products were asked for, "cuBLASLt 13.0.2"; NULL: ours */
    /* With it: matrices packed so far that it multiplies, and those that took ours, since no algorithm of it gave sums
     * of one order at every M. */
    int32_t     library_weights, refused_weights;
    int32_t     row_maxima;     /* 1: ops of the device note them */
    int32_t     reserved;       /* 0 */
} hdl_device_info;

#define HDL_DEVICE_INFO_INIT { sizeof(hdl_device_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/*
 * Row maxima. An int8 product rounds a row of x by its greatest magnitude, so it would have to read the row twice. On a
 * device with row_maxima the op that writes a row notes that magnitude (y_max, out_max) and the product takes it from
 * there (x_max): max over the row of |value as stored|, f32, +infinity or NaN where the row is not finite. "Raised"
 * means that blocks of one row join theirs: the array is zero before. They lie apart from what the op reads and
 * writes. Other devices answer HDL_ENOSUPPORT to y_max, out_max and zero, and leave x_max unread.
 */

/* As it is now: the counts grow. Strings live as long as the device. */
HDL_API hdl_status hdl_device_describe(const hdl_device *device, hdl_device_info *info);

/* Memory of the device, 256-byte aligned, zeroed; free with the same device. HDL_ENOMEM says needed and free bytes. */
HDL_API hdl_status hdl_device_alloc(hdl_device *device, size_t bytes, void **block);
HDL_API void       hdl_device_free(hdl_device *device, void *block, size_t bytes);

/*
 * Host memory that copies of this device read and write without waiting (pinned on CUDA), 64-byte aligned, zeroed; free
 * with the same device.
 */
HDL_API hdl_status hdl_device_host_alloc(hdl_device *device, size_t bytes, void **block);
HDL_API void       hdl_device_host_free(hdl_device *device, void *block, size_t bytes);

/* After a device error (HDL_EDEVICE) a stream is lost: every later call on it says so, and close still works. */
HDL_API hdl_status hdl_stream_create(hdl_device *device, hdl_stream **stream);
/*
 * Borrows the caller's native stream (cudaStream_t); ops on it never allocate, synchronise or set attributes. CPU:
 * HDL_ENOSUPPORT. A device's first stream loads its kernels: make it while nothing is captured.
 */
HDL_API hdl_status hdl_stream_wrap(hdl_device *device, void *native, hdl_stream **stream);
HDL_API void       hdl_stream_close(hdl_stream *stream);    /* NULL is fine */
HDL_API hdl_status hdl_stream_wait(hdl_stream *stream);     /* until all queued work is done; the first device error, if any */

/* Queue a copy. Host memory must stay valid until the stream has passed it. */
HDL_API hdl_status hdl_stream_upload(hdl_stream *stream, void *device_to, const void *host_from, size_t bytes);
HDL_API hdl_status hdl_stream_download(hdl_stream *stream, void *host_to, const void *device_from, size_t bytes);

/* The largest shapes that ops on this stream will meet; scratch is made now, so that no op allocates. 0: the field is not used. */
typedef struct hdl_stream_limits {
    size_t  struct_bytes;
    int32_t M;              /* rows of a product */
    int32_t K, N;           /* widest input and output of a product, the vocabulary aside */
    int32_t V;              /* vocabulary */
    int32_t Tk, H, D;       /* attention: keys of one sequence, heads, head dimension */
    int32_t reserved;       /* 0 */
} hdl_stream_limits;

HDL_API hdl_status hdl_stream_reserve(hdl_stream *stream, const hdl_stream_limits *limits);

#define HDL_STREAM_LIMITS_INIT { sizeof(hdl_stream_limits), 0, 0, 0, 0, 0, 0, 0, 0 }

/* A recorded step: ops with their arguments as given (sizes and pointers), to be queued again by one call. */
typedef struct hdl_recording hdl_recording;

/* Ops between begin and end are recorded, not run; copies, waits and other recordings in between are HDL_ESTATE. */
HDL_API hdl_status hdl_record_begin(hdl_stream *stream);
HDL_API hdl_status hdl_record_end(hdl_stream *stream, hdl_recording **recording);
/* Queues the recorded ops; every pointer in them must still be good. Any stream of the device with the same limits. */
HDL_API hdl_status hdl_record_replay(hdl_stream *stream, hdl_recording *recording);
HDL_API void       hdl_record_close(hdl_recording *recording);     /* NULL is fine */

/*
 * Queues a reading of the device's clock: to[*place * stride + index] = nanoseconds since a point of its own, when all
 * that was queued before has ended. For traces; can be recorded.
 */
typedef struct hdl_stamp_args {
    size_t         struct_bytes;
    uint64_t      *to;          /* u64 [*, stride] in device memory */
    const int32_t *place;       /* i32 [1] in device memory; NULL: 0 */
    int64_t        stride;
    int32_t        index;       /* 0 .. stride - 1 */
    int32_t        reserved;    /* 0 */
} hdl_stamp_args;

#define HDL_STAMP_ARGS_INIT { sizeof(hdl_stamp_args), NULL, NULL, 0, 0, 0 }

HDL_API hdl_status hdl_stamp(hdl_stream *stream, const hdl_stamp_args *args);

/* A point in a stream's work. */
typedef struct hdl_event hdl_event;

HDL_API hdl_status hdl_event_create(hdl_device *device, hdl_event **event);
HDL_API void       hdl_event_close(hdl_event *event);      /* NULL is fine */
HDL_API hdl_status hdl_event_record(hdl_event *event, hdl_stream *stream); /* the point: all that is queued now */
HDL_API hdl_status hdl_event_wait(hdl_event *event, hdl_stream *stream);   /* later work of the stream waits for it */
HDL_API hdl_status hdl_event_sync(hdl_event *event);                       /* the calling thread waits for it */

#ifdef __cplusplus
}
#endif
#endif /* HEDDLE_DEVICE_H */
