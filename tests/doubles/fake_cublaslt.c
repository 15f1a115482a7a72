/*
 * fake_cublaslt.c - a libcublasLt.so for the stand-in: the functions that the CUDA backend calls, right and wrong ones.
 *
 * Built once for each FAKE_... below, each into a folder of its own, which a test gives as library_dir. Products run when
 * the stream comes to them; sums are f32 in four parts, another order than ours.
 */
#include "base/half.h"
#include "simt/simt_hooks.h"

#include <cublasLt.h>
#include <stdbool.h>
#include <string.h>

enum {
    FAKE_SOUND,         /* one order of sums */
    FAKE_DRIFTS,        /* the order depends on M */
    FAKE_PLACES,        /* the order depends on the row's place */
    FAKE_SECOND,        /* the first candidate drifts, the next one is sound */
    FAKE_SPLITS,        /* every candidate splits K */
    FAKE_SKIPS,         /* the last row is not written */
    FAKE_EMPTY,         /* no candidates */
    FAKE_NO_SYMBOL,     /* a function is missing */
    FAKE_NO_START,      /* no handle */
    FAKE_OLD,           /* version 11.9.0 */
    FAKE_BREAKS,        /* an error at M = 5, which no check sees before the product */
    FAKE_NARROW,        /* no candidate serves M = 777 */
    FAKE_FIRST_NARROW,  /* the first candidate does not, the next one does */
    FAKE_HUNGRY,        /* every candidate needs more workspace at M = 1501 than there is */
    FAKE_OTHER_SIZES    /* a descriptor of another size than the header's */
};

enum {
    N_CANDIDATES = 2, PARTS = 4, DRIFT_ROWS = 8, BROKEN_ROWS = 5, ALIGN = 16, VERSION = 130002, OLD_VERSION = 110900,
    SPLIT = 3, TAG = 0x6c74, UNSERVED_ROWS = 777, HUNGRY_ROWS = 1501
};

/* What lies in the library's opaque structures. */
typedef struct layout { int type; uint64_t rows, columns; int64_t ld; } layout;
typedef struct product { int compute, scale, transposed; } product;
typedef struct wish { uint32_t reduction, x_align; size_t workspace; } wish;

typedef struct task {
    layout w, x, sums;
    product how;
    const void *weights, *rows;
    float *to;
    uint64_t candidate;
} task;

static int handles;         /* the address of a handle is all that is asked of it */

static int checks;

/* Calls of cublasLtMatmulAlgoCheck so far. */
int fake_cublaslt_checks(void) { return checks; }

size_t cublasLtGetVersion(void) { return FAKE == FAKE_OLD ? OLD_VERSION : VERSION; }

const char *cublasLtGetStatusName(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_NOT_INITIALIZED    ? "CUBLAS_STATUS_NOT_INITIALIZED"
           : status == CUBLAS_STATUS_EXECUTION_FAILED ? "CUBLAS_STATUS_EXECUTION_FAILED"
                                                      : "CUBLAS_STATUS_INVALID_VALUE";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    *handle = (cublasLtHandle_t)(void *)&handles;
    return FAKE == FAKE_NO_START ? CUBLAS_STATUS_NOT_INITIALIZED : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
    return (void *)handle == (void *)&handles ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t to, size_t size, cudaDataType type,
                                                 uint64_t rows, uint64_t columns, int64_t ld)
{
    const layout made = {(int)type, rows, columns, ld};
    if (size < sizeof made || ld < (int64_t)rows) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, &made, sizeof made);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t to, size_t size, cublasComputeType_t compute,
                                               cudaDataType_t scale)
{
    const product made = {(int)compute, (int)scale, 0};
    if (size < sizeof made || FAKE == FAKE_OTHER_SIZES) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, &made, sizeof made);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t to, cublasLtMatmulDescAttributes_t attribute,
                                              const void *value, size_t size)
{
    product made;
    int32_t operation;
    if (attribute != CUBLASLT_MATMUL_DESC_TRANSA || size != sizeof operation) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(&operation, value, sizeof operation);
    memcpy(&made, to, sizeof made);
    made.transposed = operation == CUBLAS_OP_T;
    memcpy(to, &made, sizeof made);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t to, size_t size)
{
    const wish made = {CUBLASLT_REDUCTION_SCHEME_MASK, 256, 0};     /* the library's defaults */
    if (size < sizeof made) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, &made, sizeof made);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t to,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
                                                    size_t size)
{
    wish made;
    memcpy(&made, to, sizeof made);
    if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES && size == sizeof made.workspace)
        memcpy(&made.workspace, value, size);
    else if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK && size == sizeof made.reduction)
        memcpy(&made.reduction, value, size);
    else if (attribute == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES && size == sizeof made.x_align)
        memcpy(&made.x_align, value, size);
    else
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, &made, sizeof made);
    return CUBLAS_STATUS_SUCCESS;
}

static bool is_product(const layout *w, const layout *x, const layout *sums, const product *how)
{
    const uint64_t N = how->transposed ? w->columns : w->rows, K = how->transposed ? w->rows : w->columns;
    const bool whole = how->compute == CUBLAS_COMPUTE_32F_PEDANTIC;     /* f32 must not become TF32 */
    return w->type == x->type && sums->type == CUDA_R_32F && x->rows == K && sums->rows == N &&
           x->columns == sums->columns && how->scale == CUDA_R_32F && (w->type == CUDA_R_32F) == whole &&
           (whole || how->compute == CUBLAS_COMPUTE_32F);
}

/* Whether an algorithm serves this product, and what it needs: asked for each M. */
cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t A,
                                       cublasLtMatrixLayout_t B, cublasLtMatrixLayout_t C, cublasLtMatrixLayout_t D,
                                       const cublasLtMatmulAlgo_t *algo, cublasLtMatmulHeuristicResult_t *result)
{
    layout w, x, sums;
    product how;
    (void)handle, (void)C;
    memcpy(&w, A, sizeof w), memcpy(&x, B, sizeof x), memcpy(&sums, D, sizeof sums), memcpy(&how, desc, sizeof how);
    memset(result, 0, sizeof *result);
    checks++;
    if (algo->data[0] != TAG || !is_product(&w, &x, &sums, &how)) return CUBLAS_STATUS_INVALID_VALUE;
    const bool narrow = FAKE == FAKE_NARROW || (FAKE == FAKE_FIRST_NARROW && algo->data[1] == 0);
    if (narrow && sums.columns == UNSERVED_ROWS) return CUBLAS_STATUS_NOT_SUPPORTED;
    result->workspaceSize = FAKE == FAKE_HUNGRY && sums.columns == HUNGRY_ROWS ? SIZE_MAX : 0;
    return CUBLAS_STATUS_SUCCESS;
}

#ifndef BUILDS_FAKE_NO_SYMBOL
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t A,
                                              cublasLtMatrixLayout_t B, cublasLtMatrixLayout_t C,
                                              cublasLtMatrixLayout_t D, cublasLtMatmulPreference_t preference, int asked,
                                              cublasLtMatmulHeuristicResult_t found[], int *n)
{
    layout w, x, sums;
    product how;
    wish what;
    (void)handle, (void)C;
    memcpy(&w, A, sizeof w), memcpy(&x, B, sizeof x), memcpy(&sums, D, sizeof sums);
    memcpy(&how, desc, sizeof how), memcpy(&what, preference, sizeof what);
    *n = 0;
    if (!is_product(&w, &x, &sums, &how) || what.workspace == 0 || what.x_align > ALIGN ||
        what.reduction != CUBLASLT_REDUCTION_SCHEME_NONE)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (FAKE == FAKE_EMPTY) return CUBLAS_STATUS_NOT_SUPPORTED;
    for (; *n < asked && *n < N_CANDIDATES; ++*n) {
        memset(&found[*n], 0, sizeof found[*n]);
        found[*n].algo.data[0] = TAG;
        found[*n].algo.data[1] = (uint64_t)*n;
        found[*n].state = CUBLAS_STATUS_SUCCESS;
    }
    return CUBLAS_STATUS_SUCCESS;
}
#endif

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t attribute, void *value,
                                                    size_t size, size_t *written)
{
    const int32_t parts = FAKE == FAKE_SPLITS ? SPLIT : 1;
    if (algo->data[0] != TAG || attribute != CUBLASLT_ALGO_CONFIG_SPLITK_NUM || size != sizeof parts)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(value, &parts, size);
    *written = size;
    return CUBLAS_STATUS_SUCCESS;
}

static float element(const void *from, int type, int64_t i)
{
    if (type == CUDA_R_32F) return ((const float *)from)[i];
    const uint16_t bits = ((const uint16_t *)from)[i];
    return type == CUDA_R_16F ? hdl__f32_of_f16(bits) : hdl__f32_of_bf16(bits);
}

/* Whether this row's sums are added up the other way round. */
static bool is_reversed(const task *t, uint64_t m)
{
    const bool drifts = FAKE == FAKE_DRIFTS || (FAKE == FAKE_SECOND && t->candidate == 0);
    return (drifts && t->sums.columns > DRIFT_ROWS) || (FAKE == FAKE_PLACES && m % DRIFT_ROWS == DRIFT_ROWS - 1);
}

static void multiply(const void *user)
{
    task t;
    memcpy(&t, user, sizeof t);
    const int64_t K = (int64_t)t.x.rows, N = (int64_t)t.sums.rows, M = (int64_t)t.sums.columns;
    for (int64_t m = 0; m < M - (FAKE == FAKE_SKIPS); m++)
        for (int64_t n = 0; n < N; n++) {
            float part[PARTS] = {0};
            const bool reversed = is_reversed(&t, (uint64_t)m);
            for (int64_t i = 0; i < K; i++) {
                const int64_t k = reversed ? K - 1 - i : i;
                const int64_t at = t.how.transposed ? n * t.w.ld + k : k * t.w.ld + n;
                part[i % PARTS] += element(t.weights, t.w.type, at) * element(t.rows, t.x.type, m * t.x.ld + k);
            }
            t.to[m * t.sums.ld + n] = (part[0] + part[1]) + (part[2] + part[3]);
        }
}

static size_t span(const layout *l)
{
    const uint64_t elements = (l->columns - 1) * (uint64_t)l->ld + l->rows;
    return (size_t)elements * (l->type == CUDA_R_32F ? 4 : 2);
}

static bool is_aligned(const void *base, const layout *l)
{
    return (uintptr_t)base % ALIGN == 0 && l->ld * (l->type == CUDA_R_32F ? 4 : 2) % ALIGN == 0;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void *alpha, const void *A,
                              cublasLtMatrixLayout_t Adesc, const void *B, cublasLtMatrixLayout_t Bdesc, const void *beta,
                              const void *C, cublasLtMatrixLayout_t Cdesc, void *D, cublasLtMatrixLayout_t Ddesc,
                              const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspace_bytes,
                              cudaStream_t stream)
{
    task t = {.weights = A, .rows = B, .to = D, .candidate = algo->data[1]};
    float one, zero;
    (void)C, (void)Cdesc, (void)handle;
    memcpy(&t.w, Adesc, sizeof t.w), memcpy(&t.x, Bdesc, sizeof t.x), memcpy(&t.sums, Ddesc, sizeof t.sums);
    memcpy(&t.how, desc, sizeof t.how);
    memcpy(&one, alpha, sizeof one), memcpy(&zero, beta, sizeof zero);
    if (algo->data[0] != TAG || !is_product(&t.w, &t.x, &t.sums, &t.how) || one != 1.0f || zero != 0.0f ||
        !is_aligned(A, &t.w) || !is_aligned(B, &t.x) || !is_aligned(D, &t.sums))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (FAKE == FAKE_BREAKS && t.sums.columns == BROKEN_ROWS) return CUBLAS_STATUS_EXECUTION_FAILED;
    const simt_part parts[] = {{A, span(&t.w), 0}, {B, span(&t.x), 0}, {D, span(&t.sums), 1},
                               {workspace, workspace_bytes, 1}};
    const int error = simt_queue_work(stream, "kernel of cuBLASLt's double", parts, sizeof parts / sizeof *parts, multiply,
                                      &t, sizeof t);
    return error == 0 ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
