/*
 * gemm_onednn.c - running oneDNN's products: engine, streams, and blocks of rows with our own bias, activation
 * and residual.
 *
 * One thread per call: threads are lanes, and a library that started its own would fight them. int8 products are
 * exact sums, scaled as ours are.
 */
#include "cpu/gemm_onednn.h"

#if defined(HEDDLE_ONEDNN)

#include "cpu/onednn_calls.h"

#include "base/half.h"

#include <dlfcn.h>
#include <string.h>

bool hdl__onednn_built(void) { return true; }

hdl_status hdl__onednn_open(hdl__onednn **out)
{
    hdl_status status = HDL_OK;
    hdl__onednn *library = hdl__calloc(1, sizeof *library);
    HDL_CHECK(library != NULL, HDL_ENOMEM, "oneDNN: no memory for the engine");
    HDL_CHECK(dnnl_engine_create(&library->engine, dnnl_cpu, 0) == dnnl_success, HDL_EDEVICE,
              "oneDNN: no engine for this processor");
    library->openmp = dlopen("libgomp.so.1", RTLD_LAZY | RTLD_NOLOAD);
    if (library->openmp != NULL) {
        void *get = dlsym(library->openmp, "omp_get_max_threads"), *set = dlsym(library->openmp, "omp_set_num_threads");
        /* ISO C has no cast from an object's to a function's address */
        memcpy(&library->get_threads, &get, sizeof get);
        memcpy(&library->set_threads, &set, sizeof set);
    }
    *out = library;
    library = NULL;
done:
    hdl__onednn_close(library);
    return status;
}

void hdl__onednn_close(hdl__onednn *library)
{
    if (library == NULL) return;
    if (library->openmp != NULL) dlclose(library->openmp);
    if (library->engine != NULL) dnnl_engine_destroy(library->engine);
    hdl__free(library);
}

hdl_status hdl__onednn_stream_open(hdl__onednn *library, void **out)
{
    hdl_status status = HDL_OK;
    dnnl_stream_t stream = NULL;
    HDL_CHECK(dnnl_stream_create(&stream, library->engine, dnnl_stream_default_flags) == dnnl_success, HDL_EDEVICE,
              "oneDNN: no stream");
    *out = stream;
done:
    return status;
}

void hdl__onednn_stream_close(void *stream)
{
    if (stream != NULL) dnnl_stream_destroy(stream);
}

static dnnl_status_t make_memory(dnnl_memory_t *out, dnnl_primitive_desc_t plan, dnnl_query_t what,
                                 dnnl_engine_t engine, void *data)
{
    return dnnl_memory_create(out, dnnl_primitive_desc_query_md(plan, what, 0), engine, data);
}

hdl_status hdl__onednn_run_bucket(const hdl__onednn *library, dnnl_stream_t stream, const hdl__onednn_weight *weight,
                                  const hdl__onednn_run *run)
{
    hdl_status status = HDL_OK;
    enum { X, W, Y, PAD, N_MEMORIES };
    dnnl_memory_t memory[N_MEMORIES] = {NULL};
    dnnl_primitive_desc_t plan = weight->plan[run->bucket];
    const int before = hdl__onednn_one_thread(library);
    const bool made = make_memory(&memory[X], plan, dnnl_query_src_md, library->engine, run->x) == dnnl_success
                   && make_memory(&memory[W], plan, dnnl_query_weights_md, library->engine, weight->data)
                       == dnnl_success
                   && make_memory(&memory[Y], plan, dnnl_query_dst_md, library->engine, run->sums) == dnnl_success
                   && make_memory(&memory[PAD], plan, dnnl_query_scratchpad_md, library->engine, run->scratchpad)
                       == dnnl_success;
    HDL_CHECK(made, HDL_ENOMEM, "oneDNN: no memory for the views of a product");
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, memory[X]}, {DNNL_ARG_WEIGHTS, memory[W]}, {DNNL_ARG_DST, memory[Y]},
                                    {DNNL_ARG_SCRATCHPAD, memory[PAD]}};
    HDL_CHECK(dnnl_primitive_execute(weight->primitive[run->bucket], stream, N_MEMORIES, args) == dnnl_success
              && dnnl_stream_wait(stream) == dnnl_success, HDL_EDEVICE, "oneDNN: a product failed");
done:
    hdl__onednn_threads_back(library, before);
    for (int i = 0; i < N_MEMORIES; ++i)
        if (memory[i] != NULL) dnnl_memory_destroy(memory[i]);
    return status;
}

static size_t block_bytes(int32_t K, int32_t N)
{
    return (size_t)HDL__ROW_BLOCK * sizeof(float) * ((size_t)K + (size_t)N + 1) + 8 * (size_t)HDL__CACHE_LINE;
}

size_t hdl__onednn_scratch_bytes(const hdl_backend_device *device, const hdl_stream_limits *limits)
{
    if (device->onednn == NULL) return 0;
    return block_bytes(limits->K, limits->N) + atomic_load(&device->onednn->scratchpad_bytes);
}

/* One row of x, dense, in the library's type. */
static void convert_row(const hdl_backend_device *device, dnnl_data_type_t type, const float *x, int32_t K,
                        uint8_t *to, float *scale)
{
    if (type == dnnl_s8) {
        device->kernels->gemm.quantise(x, K, (int8_t *)to, scale);
    } else if (type == dnnl_bf16) {
        uint16_t *half = (uint16_t *)(void *)to;
        for (int32_t k = 0; k < K; ++k) half[k] = hdl__bf16_of_f32(x[k]);
    } else {
        memcpy(to, x, (size_t)K * sizeof(float));
    }
}

/* i32 sums to real values, in place and with the roundings of our own kernels. */
static void scale_sums(void *sums, int32_t M, int32_t N, const float *scale, const float *unscale)
{
    for (int32_t m = 0; m < M; ++m) {
        uint8_t *row = (uint8_t *)sums + (size_t)m * (size_t)N * sizeof(float);
        const float factor = 1.0f / scale[m];
        for (int32_t n = 0; n < N; ++n) {
            int32_t sum;
            memcpy(&sum, row + (size_t)n * sizeof sum, sizeof sum);
            const float real = (float)sum * factor * unscale[n];
            memcpy(row + (size_t)n * sizeof real, &real, sizeof real);
        }
    }
}

hdl_status hdl__onednn_multiply(hdl_backend_stream *stream, const hdl_gemm_args *a, int32_t m0, int32_t M)
{
    hdl_status status = HDL_OK;
    const hdl_weight *w = a->w;
    const hdl_backend_device *device = stream->device;
    const hdl__onednn_weight *library = w->library;
    hdl__onednn_run run = {.bucket = hdl__onednn_bucket(M)};
    const size_t rows = (size_t)hdl__bucket_rows[run.bucket];
    const size_t row_bytes = (size_t)w->K * hdl__onednn_type_bytes(library->type);
    const size_t pad = atomic_load(&device->onednn->scratchpad_bytes);
    HDL_CHECK(block_bytes(w->K, w->N) + pad <= stream->scratch.bytes, HDL_EWORKSPACE,
              "gemm: K = %d, N = %d need %zu bytes of scratch, the stream has %zu", w->K, w->N,
              block_bytes(w->K, w->N) + pad,
              stream->scratch.bytes);
    size_t used = 0;
    float *scale = hdl__cpu_carve(stream, &used, rows * sizeof(float));
    uint8_t *x = hdl__cpu_carve(stream, &used, rows * row_bytes);
    float *sums = hdl__cpu_carve(stream, &used, rows * (size_t)w->N * sizeof(float));
    for (int32_t m = 0; m < M; ++m) {
        const int64_t from = a->rows ? a->rows[m0 + m] : m0 + m;
        convert_row(device, library->type, (const float *)a->x + from * a->ldx, w->K, x + (size_t)m * row_bytes,
                    &scale[m]);
    }
    memset(x + (size_t)M * row_bytes, 0, (rows - (size_t)M) * row_bytes);
    run.x = x;
    run.sums = sums;
    run.scratchpad = hdl__cpu_carve(stream, &used, pad);
    HDL_TRY(hdl__onednn_run_bucket(device->onednn, stream->library, library, &run));
    if (w->compute == HDL_COMPUTE_INT8) scale_sums(sums, M, w->N, scale, w->unscale);
    const hdl__gemm_finish finish = {
        .tile = sums, .ld_tile = w->N, .bias = a->bias,
        .residual = a->residual ? (const float *)a->residual + m0 * a->ldr : NULL,
        .ldr = a->ldr, .y = (float *)a->y + m0 * a->ldy, .ldy = a->ldy, .M = M, .columns = a->N, .act = a->act,
    };
    device->kernels->gemm.finish(&finish);
done:
    return status;
}

#endif
