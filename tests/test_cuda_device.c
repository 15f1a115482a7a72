/*
 * test_cuda_device.c - the CUDA backend's devices, memory and errors, on the stand-in, where every
 * failure can be asked for, and on a GPU where there is one; and what opening says where there is
 * none.
 */
#include "simt_calls.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(cuda_device, .timeout = OP_TEST_SECONDS);

static const op_place places[] = {OP_SIMT_F32, OP_CUDA_F32};
enum { N_PLACES = sizeof places / sizeof places[0] };

static void expect_line(const char *words)
{
    cr_expect(strstr(op_services_line(), words) != NULL, "\"%s\" does not say \"%s\"",
              op_services_line(), words);
}

static void expect_open(const hdl_backend *backend, int index, hdl_status status, const char *words)
{
    hdl_backend_device *device = NULL;
    cr_expect_eq(backend->open(index, NULL, &op_services, &device), status, "%s",
                 op_services_line());
    cr_expect_null(device);
    expect_line(words);
}

Test(cuda_device, what_is_missing_is_said_in_words)
{
    const hdl_backend *simt = op_library("simt");
    if (simt == NULL) return;
    set_devices(-1);
    expect_open(simt, 0, HDL_EDEVICE,
                "simt: no driver: the NVIDIA driver (libcuda.so.1) is not installed here");
    set_devices(0);
    expect_open(simt, 0, HDL_EDEVICE,
                "simt: no device: the driver is there and sees no CUDA device");
    set_devices(2);
    expect_open(simt, 2, HDL_EDEVICE,
                "simt: device 2 was asked for, the driver sees 2, numbered from 0");
    fail_next("cudaGetDeviceCount", INSUFFICIENT_DRIVER, 0);
    expect_open(simt, 0, HDL_EDEVICE, "simt: the driver is too old: it serves CUDA ");
    fail_next("cudaGetDeviceCount", NO_DEVICE, 0);
    expect_open(simt, 0, HDL_EDEVICE, "simt: no device: ");
    fail_next("cudaGetDeviceCount", INVALID_VALUE, 0);
    expect_open(simt, 0, HDL_EDEVICE, "simt: cudaErrorInvalidValue: ");
    set_capability(0, 7, 5);
    expect_open(simt, 0, HDL_ENOSUPPORT, "has compute capability 7.5, this library needs 8.0 or later");
    set_capability(0, 9, 0);
    static const char *const calls[] = {"cudaSetDevice", "cudaGetDeviceProperties",
                                        "cudaStreamCreateWithFlags"};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        fail_next(calls[i], INVALID_VALUE, 0);
        expect_open(simt, 0, HDL_EDEVICE, "cudaErrorInvalidValue: ");
    }
}

/* Opening loads one kernel, which tells whether there is code for the device; the first stream loads all, once. */
Test(cuda_device, the_first_stream_loads_the_kernels)
{
    const hdl_backend *simt = op_library("simt");
    if (simt == NULL) return;
    hdl_backend_device *device = NULL;
    hdl_backend_stream *streams[2] = {NULL, NULL};
    fail_next("cudaFuncGetAttributes", INVALID_VALUE, 0);
    expect_open(simt, 0, HDL_EDEVICE, "loading the kernel ");
    for (int wrapped = 0; wrapped < 2; wrapped++) {
        fail_next("cudaFuncGetAttributes", INVALID_VALUE, 3);
        cr_assert_eq(simt->open(0, NULL, &op_services, &device), HDL_OK, "%s", op_services_line());
        cr_expect_eq(wrapped ? simt->stream_wrap(device, NULL, &streams[0]) : simt->stream_create(device, &streams[0]),
                     HDL_EDEVICE);
        cr_expect_null(streams[0]);
        char name[64], error[64];
        cr_expect_eq(sscanf(op_services_line(), "loading the kernel %63[a-z0-9_]%*[^:]: %63[A-Za-z]", name, error) +
                     sscanf(op_services_line(), "loading the kernel %63[a-z0-9_]: %63[A-Za-z]", name, error), 3, "%s",
                     op_services_line());      /* with the arguments of a template, or without any */
        cr_expect_not_null(strstr(name, "_kernel"), "%s", op_services_line());
        cr_expect_str_eq(error, "cudaErrorInvalidValue");
        cr_assert_eq(simt->stream_create(device, &streams[0]), HDL_OK, "%s", op_services_line());
        fail_next("cudaFuncGetAttributes", INVALID_VALUE, 0);
        cr_expect_eq(simt->stream_create(device, &streams[1]), HDL_OK, "loaded twice: %s", op_services_line());
        expect_open(simt, 0, HDL_EDEVICE, "loading the kernel ");       /* what waits for the next call goes with it */
        for (int i = 0; i < 2; i++) simt->stream_close(streams[i]);
        simt->close(device);
        device = NULL, streams[0] = streams[1] = NULL;
    }
}

/* The real library: on a machine without a GPU it loads and says what is missing; through the
 * public call it is the same. */
Test(cuda_device, the_real_library_opens_or_says_why)
{
    const hdl_backend *cuda = op_library("cuda");
    if (cuda == NULL) return;
    cr_assert_eq(cuda->abi, HDL_BACKEND_ABI);
    cr_assert_eq(cuda->struct_bytes, sizeof *cuda);
    cr_assert_str_eq(cuda->name, "cuda");
    hdl_backend_device *inner = NULL;
    const hdl_status status = cuda->open(0, NULL, &op_services, &inner);
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.library_dir = HEDDLE_BACKENDS;
    hdl_device *device = NULL;
    cr_expect_eq(hdl_device_open("cuda", &options, &device), status);
    if (status == HDL_OK) {
        printf("a CUDA device opened\n");
        cuda->close(inner);
        hdl_device_close(device);
        return;
    }
    printf("%s\n", op_services_line());
    cr_expect_eq(status, HDL_EDEVICE);
    cr_expect_str_eq(hdl_error_detail(), op_services_line());
    const char *line = op_services_line();
    cr_expect(strstr(line, "cuda: no driver") == line || strstr(line, "cuda: no device") == line ||
                  strstr(line, "cuda: the driver is too old") == line,
              "%s", line);
}

Test(cuda_device, describes_itself)
{
    for (int i = 0; i < N_PLACES; i++) {
        op_world w;
        if (!op_open_at(&w, places[i], 1)) continue;
        hdl_device_info info = HDL_DEVICE_INFO_INIT;
        cr_assert_eq(w.backend->describe(w.device, &info), HDL_OK);
        printf("%s\n", info.description);
        cr_expect_str_eq(info.name, w.backend->name);
        cr_expect_eq(info.kind, places[i] == OP_SIMT_F32 ? HDL_DEVICE_SIMT : HDL_DEVICE_CUDA);
        cr_expect(info.native_bf16 == 1 && info.memory_bytes > 0 &&
                  strstr(info.description, "multiprocessors") != NULL);
        cr_expect(w.backend->act_dtype(HDL_COMPUTE_F32) == HDL_F32 &&
                  w.backend->act_dtype(HDL_COMPUTE_BF16) == HDL_BF16 &&
                  w.backend->act_dtype(HDL_COMPUTE_F16) == HDL_F16);
        op_close(&w);
    }
}

Test(cuda_device, memory_is_zeroed_aligned_and_returned)
{
    for (int i = 0; i < N_PLACES; i++) {
        op_world w;
        if (!op_open_at(&w, places[i], 1)) continue;
        static const unsigned char zero[1000];
        unsigned char *pinned = NULL, *blocks[3];
        for (int round = 0; round < 3; round++) { /* a block that comes again is zeroed again */
            cr_assert_eq(w.backend->alloc(w.device, 1000, (void **)&blocks[0]), HDL_OK);
            cr_assert_eq(w.backend->host_alloc(w.device, 1000, (void **)&pinned), HDL_OK);
            cr_expect((uintptr_t)blocks[0] % 256 == 0 && (uintptr_t)pinned % 64 == 0);
            cr_expect_eq(memcmp(pinned, zero, sizeof zero), 0);
            memset(pinned, 7, 1000);
            op_fetch(&w, pinned, blocks[0], 1000);
            cr_expect_eq(memcmp(pinned, zero, sizeof zero), 0);
            memset(pinned, 9, 1000);
            op_send(&w, blocks[0], pinned, 1000);
            w.backend->free(w.device, blocks[0], 1000);
            w.backend->host_free(w.device, pinned, 1000);
        }
        w.backend->free(w.device, NULL, 10);
        w.backend->host_free(w.device, NULL, 10);
        void *none = NULL;
        cr_expect_eq(w.backend->alloc(w.device, (size_t)1 << 50, &none), HDL_ENOMEM);
        cr_expect(none == NULL && strstr(op_services_line(),
                                         "device memory: 1125899906842624 bytes needed, ") != NULL);
        op_close(&w);
    }
}

/* A failed call gives back what it had taken. */
Test(cuda_device, every_failure_has_its_line)
{
    op_world w;
    if (!op_open_at(&w, OP_SIMT_F32, 1)) return;
    void *block = NULL;
    const size_t before = used_bytes();
    fail_next("cudaMalloc", OUT_OF_MEMORY, 0);
    cr_expect_eq(w.backend->alloc(w.device, 64, &block), HDL_ENOMEM);
    expect_line("device memory: 64 bytes needed, ");
    fail_next("cudaMalloc", INVALID_VALUE, 0);
    cr_expect_eq(w.backend->alloc(w.device, 64, &block), HDL_EDEVICE);
    expect_line("device memory: cudaErrorInvalidValue: ");
    fail_next("cudaMemsetAsync", INVALID_VALUE, 0);
    cr_expect_eq(w.backend->alloc(w.device, 64, &block), HDL_EDEVICE);
    cr_expect_eq(used_bytes(), before);
    fail_next("cudaHostAlloc", OUT_OF_MEMORY, 0);
    cr_expect_eq(w.backend->host_alloc(w.device, 64, &block), HDL_ENOMEM);
    expect_line("pinned host memory: 64 bytes needed, ");
    fail_next("cudaHostAlloc", INVALID_VALUE, 0);
    cr_expect_eq(w.backend->host_alloc(w.device, 64, &block), HDL_EDEVICE);
    expect_line("pinned host memory: cudaErrorInvalidValue: ");
    cr_expect_null(block);
    hdl_backend_stream *stream = NULL;
    fail_next("cudaStreamCreateWithFlags", OUT_OF_MEMORY, 0);
    cr_expect_eq(w.backend->stream_create(w.device, &stream), HDL_ENOMEM);
    expect_line("stream: cudaErrorMemoryAllocation: ");
    hdl_backend_event *event = NULL;
    fail_next("cudaEventCreateWithFlags", INVALID_VALUE, 0);
    cr_expect_eq(w.backend->event_create(w.device, &event), HDL_EDEVICE);
    cr_expect(stream == NULL && event == NULL);
    hdl_stream_limits limits = HDL_STREAM_LIMITS_INIT;
    limits.M = 64, limits.K = 64, limits.N = 64, limits.V = 1000, limits.Tk = 64, limits.H = 4,
    limits.D = 16;
    fail_next("cudaMalloc", OUT_OF_MEMORY, 0);
    cr_expect_eq(w.backend->stream_reserve(w.stream, &limits), HDL_ENOMEM);
    expect_line("device memory: ");
    for (int twice = 0; twice < 2; twice++, limits.M *= 4) { /* what was outgrown goes with the stream */
        const size_t held = used_bytes();
        cr_expect_eq(w.backend->stream_reserve(w.stream, &limits), HDL_OK);
        cr_expect_gt(used_bytes(), held);
        const size_t reserved = used_bytes();
        limits.M /= 2;
        cr_expect_eq(w.backend->stream_reserve(w.stream, &limits), HDL_OK);
        cr_expect_eq(used_bytes(), reserved, "less was asked for than is there");
        limits.M *= 2;
    }
    op_close(&w);
    cr_expect_eq(used_bytes(), 0);
}

typedef struct hook_log {
    const hdl_backend *backend;
    size_t balance[3];
    int calls[3];
    size_t shift;
    void *base;
} hook_log;

static void *log_alloc(size_t bytes, int kind, void *user)
{
    hook_log *log = user;
    log->balance[kind] += bytes;
    log->calls[kind]++;
    return (char *)log->base + log->shift;
}

static void log_free(void *block, size_t bytes, int kind, void *user)
{
    hook_log *log = user;
    log->balance[kind] -= bytes;
    cr_expect_eq(block, (char *)log->base + log->shift);
}

/* Memory from a hook, which here hands out a block of another device handle. */
Test(cuda_device, memory_hooks)
{
    op_world w;
    if (!op_open_at(&w, OP_SIMT_F32, 1)) return;
    hook_log log = {.backend = w.backend, .base = op_device(&w, NULL, 4096)};
    const hdl_memory_hooks hooks = {log_alloc, log_free, &log};
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.hooks = &hooks;
    hdl_backend_device *device = NULL;
    void *block = NULL;
    cr_assert_eq(w.backend->open(0, &options, &op_services, &device), HDL_OK);
    cr_assert_eq(w.backend->alloc(device, 1024, &block), HDL_OK);
    cr_expect_eq(log.balance[0], 1024);
    w.backend->free(device, block, 1024);
    log.shift = 64;
    cr_expect_eq(w.backend->alloc(device, 1024, &block), HDL_EINVAL);
    expect_line("device memory: the hook's block is not aligned to 256 bytes");
    cr_expect(log.balance[0] == 0 && log.calls[0] == 2 && log.calls[1] == 0);
    unsigned char *pinned = NULL;
    cr_assert_eq(w.backend->host_alloc(w.device, 4096, (void **)&pinned), HDL_OK);
    log.base = memset(pinned, 7, 4096);
    cr_assert_eq(w.backend->host_alloc(device, 1000, &block), HDL_OK);
    cr_expect(block == pinned + log.shift && log.balance[1] == 1000 && log.calls[0] == 2);
    cr_expect(pinned[log.shift] == 0 && pinned[log.shift + 999] == 0 && pinned[log.shift + 1000] == 7);
    w.backend->host_free(device, block, 1000);
    cr_expect_eq(log.balance[1], 0);
    w.backend->host_free(w.device, pinned, 4096);
    w.backend->close(device);
    op_close(&w);
}

/* An op that the device refuses, and one that dies on it: a line each, and after the second nothing
 * works but closing. */
Test(cuda_device, device_errors)
{
    op_world w;
    if (!op_open_at(&w, OP_SIMT_F32, 1)) return;
    const int32_t words[2] = {0, 1};
    const hdl_scatter_words_args a = {sizeof a, op_device(&w, words, sizeof words),
                                      op_device(&w, words, sizeof words),
                                      op_device(&w, words, sizeof words), 2, 0};
    fail_next("cudaLaunchKernelEx", INVALID_VALUE, 0);
    cr_expect_eq(w.backend->scatter_words(w.stream, &a), HDL_EDEVICE);
    expect_line("scatter_words: cudaErrorInvalidValue: invalid argument");
    cr_expect_eq(w.backend->scatter_words(w.stream, &a), HDL_OK,
                 "an error that does not stick is not reported twice");
    cr_expect_eq(w.backend->stream_wait(w.stream), HDL_OK);
    fail_next("kernel", LAUNCH_FAILURE, 0);
    cr_expect_eq(w.backend->scatter_words(w.stream, &a), HDL_OK);
    cr_expect_eq(w.backend->stream_wait(w.stream), HDL_EDEVICE);
    expect_line("wait: cudaErrorLaunchFailure: ");
    cr_expect_eq(w.backend->scatter_words(w.stream, &a), HDL_EDEVICE);
    op_close(&w);
}

/* Through the public header, with a stream of the caller's: CUDA's default one. */
Test(cuda_device, public_calls_and_a_borrowed_stream)
{
    if (op_library("simt") == NULL) return;
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.library_dir = HEDDLE_BACKENDS;
    hdl_device *device = NULL;
    hdl_stream *stream = NULL, *wrapped = NULL;
    cr_assert_eq(hdl_device_open("simt", &options, &device), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl_stream_create(device, &stream), HDL_OK);
    cr_assert_eq(hdl_stream_wrap(device, NULL, &wrapped), HDL_OK);
    int32_t in[4] = {1, 2, 3, 4}, out[4] = {0};
    void *block = NULL;
    cr_assert_eq(hdl_device_alloc(device, sizeof in, &block), HDL_OK);
    cr_assert_eq(hdl_stream_upload(wrapped, block, in, sizeof in), HDL_OK);
    cr_assert_eq(hdl_stream_wait(wrapped), HDL_OK);
    cr_assert_eq(hdl_stream_download(stream, out, block, sizeof out), HDL_OK);
    cr_assert_eq(hdl_stream_wait(stream), HDL_OK);
    cr_assert_eq(memcmp(in, out, sizeof in), 0);
    hdl_device_free(device, block, sizeof in);
    hdl_stream_close(wrapped);
    hdl_stream_close(stream);
    hdl_device_close(device);
    cr_expect_eq(used_bytes(), 0);
}

/* Each call makes its device current, so that one thread may use two by turns. */
Test(cuda_device, two_devices_by_turns)
{
    const hdl_backend *simt = op_library("simt");
    if (simt == NULL) return;
    set_devices(2);
    struct {
        hdl_backend_device *device;
        hdl_backend_stream *stream;
        int32_t *base, *words;
    } side[2];
    for (int d = 0; d < 2; d++) {
        cr_assert_eq(simt->open(d, NULL, &op_services, &side[d].device), HDL_OK);
        cr_assert_eq(simt->stream_create(side[d].device, &side[d].stream), HDL_OK);
        cr_assert_eq(simt->alloc(side[d].device, sizeof(int32_t), (void **)&side[d].base), HDL_OK);
        cr_assert_eq(simt->alloc(side[d].device, 2 * sizeof(int32_t), (void **)&side[d].words),
                     HDL_OK);
    }
    for (int32_t round = 0; round < 3; round++)
        for (int d = 0; d < 2; d++) {
            const int32_t words[2] = {0, 10 * round + d};
            int32_t found = -1;
            cr_assert_eq(simt->upload(side[d].stream, side[d].words, words, sizeof words), HDL_OK);
            const hdl_scatter_words_args a = {sizeof a, side[d].base, side[d].words,
                                              side[d].words + 1, 1, 0};
            cr_assert_eq(simt->scatter_words(side[d].stream, &a), HDL_OK, "%s", op_services_line());
            cr_assert_eq(simt->download(side[d].stream, &found, side[d].base, sizeof found),
                         HDL_OK);
            cr_assert_eq(simt->stream_wait(side[d].stream), HDL_OK);
            cr_assert_eq(found, 10 * round + d);
        }
    for (int d = 0; d < 2; d++) {
        simt->free(side[d].device, side[d].base, sizeof(int32_t));
        simt->free(side[d].device, side[d].words, 2 * sizeof(int32_t));
        simt->stream_close(side[d].stream);
        simt->close(side[d].device);
    }
}

/* The listing tells where optional libraries are, also where no device works. */
Test(cuda_device, the_list_names_optional_libraries)
{
    if (op_library("simt") == NULL) return;
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.library_dir = HEDDLE_BACKENDS;
    hdl_device_entry entry = HDL_DEVICE_ENTRY_INIT;
    for (int32_t i = 0; hdl_device_list(&options, i, &entry) == HDL_OK; i++) {
        printf("%s: %s\n%s\n", entry.name, entry.line, entry.libraries);
        const bool backend = strncmp(entry.name, "cuda", 4) == 0 ? op_library("cuda") != NULL
                                                                 : strcmp(entry.name, "simt") == 0;
        if (!backend) cr_expect_str_eq(entry.libraries, "", "%s", entry.name);
        else cr_expect(strncmp(entry.libraries, "cuBLASLt ", 9) == 0 && strstr(entry.libraries, "\nNCCL ") != NULL,
                       "%s: %s", entry.name, entry.libraries);
    }
}
