/*
 * cublaslt.cuh - the functions of cuBLASLt that are called, and one product by it. For the files of the family "lib".
 *
 * The library is column-major: our rows of x are its columns, y^T = W x^T.
 */
#pragma once
#include "gemm_library.cuh"

#include <cublasLt.h>
#include <pthread.h>

namespace hdl {

// Of one call; longer products go in blocks of rows. Sums of a block then stay in the second-level cache until they are
// finished: 2048 rows of 2048 outputs are 16 MiB. It is also the largest M that the check at pack must try.
constexpr int32_t kLibraryRows = 2048;
// What NVIDIA recommends for sm_90; without split K the algorithms that are taken need less.
constexpr size_t kLibraryWorkspaceBytes = size_t{32} << 20;

// Members are called as the library's functions, without their prefix.
struct CublasLtCalls {
    decltype(&cublasLtCreate)                       Create;
    decltype(&cublasLtDestroy)                      Destroy;
    decltype(&cublasLtGetStatusName)                GetStatusName;
    decltype(&cublasLtMatrixLayoutInit_internal)    MatrixLayoutInit;
    decltype(&cublasLtMatmulDescInit_internal)      MatmulDescInit;
    decltype(&cublasLtMatmulDescSetAttribute)       MatmulDescSetAttribute;
    decltype(&cublasLtMatmulPreferenceInit_internal) PreferenceInit;
    decltype(&cublasLtMatmulPreferenceSetAttribute) PreferenceSetAttribute;
    decltype(&cublasLtMatmulAlgoGetHeuristic)       AlgoGetHeuristic;
    decltype(&cublasLtMatmulAlgoCheck)              AlgoCheck;
    decltype(&cublasLtMatmulAlgoConfigGetAttribute) AlgoConfigGetAttribute;
    decltype(&cublasLtMatmul)                       Matmul;
};

constexpr int kProductsBytes = 32;

// Whether an algorithm serves every M of a call, which depends on nothing else than this: weights of one shape share
// the answer, as asking takes kLibraryRows calls.
struct AskedShape {
    hdl_dtype            dtype;
    int32_t              N, K;
    int64_t              ld, ldx;
    cublasLtMatmulAlgo_t algorithm;
    bool                 serves;
    AskedShape          *next;
};

// Of a device; calls may come from any thread.
struct ProductLibrary {
    CublasLtCalls    call;
    cublasLtHandle_t handle;
    char             words[kProductsBytes];          // "cuBLASLt 13.0.2"
    int32_t          taken, refused;                 // weights so far; atomic
    pthread_mutex_t  lock;                           // of the list
    AskedShape      *asked;                          // so far; freed with the library
};

// How one weight is multiplied; never changes after pack.
struct LibraryPlan {
    cublasLtMatmulDescOpaque_t   product;
    cublasLtMatrixLayoutOpaque_t weights;
    cublasLtMatmulAlgo_t         algorithm;
    cudaDataType_t               element;            // of x and of the weights
};

inline int32_t sums_ld(int32_t N) { return (N + 3) / 4 * 4; }      // rows of sums start at multiples of 16 bytes

// What the library has to know of x [M, K] and of the sums.
struct RowLayouts {
    cublasLtMatrixLayoutOpaque_t in, out;
};

cublasStatus_t describe_rows(const hdl_weight *w, const LibraryPlan &plan, int64_t ldx, int32_t M, RowLayouts *rows);

// Sums f32 [M, sums_ld(N)] of x [M, K] and w, M <= kLibraryRows; x and ldx are multiples of 16 bytes.
cublasStatus_t library_sums(const hdl_weight *w, const LibraryPlan &plan, const void *x, int64_t ldx, int32_t M,
                            float *sums, void *workspace, cudaStream_t stream);

}  // namespace hdl
