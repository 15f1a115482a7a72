/*
 * gemm_library_plan.cu - one algorithm of cuBLASLt for a weight, taken only if its bits do not depend on M.
 *
 * Contract   kernels/gemm_library.cuh, library_plan_make(); docs/numerics.md, "families".
 * Reference  tests/test_library_refusals.c, with libraries whose order depends on M or that do not serve each M.
 * Source     cuBLAS manual, "cublasLtMatmulAlgoGetHeuristic()", "cublasLtMatmulAlgoCheck()".
 *
 * Mapping    Host code at load: the library is asked whether the algorithm serves each M from 1 to 2048, the largest of
 *            a call, with our workspace; once for all weights of a shape. Then two kernels for the check of the order, for
 *            each weight: the same row x, many times over, is multiplied at M = 1, 8, 64 and 2048, and once with wider
 *            rows; every row of the sums must have the bits of the first. So the order depends neither on M nor on the
 *            row's place.
 * Numerics   No split K: the library is asked for algorithms without a reduction, and one that splits all the same is
 *            passed over. The inputs of the check are of many sizes, so that no sum is exact and another order shows.
 * Bound      2048 questions to the library a shape; about 2200 rows of the product, 16 N bytes a row, a weight. The time
 *            that takes was not measured.
 */
#include "cublaslt.cuh"

#include "launch.cuh"
#include "vec.cuh"

#include <string.h>

namespace hdl {
namespace {

constexpr int     kThreads    = 256;
constexpr int     kCandidates = 4;                   // of the library's list, best first
// The M that the algorithm is chosen for: between the rows of a step and those of an encoder pass, as a weight of the
// decoder sees both. What it costs at other M, bench_gemm tells.
constexpr int32_t kTuneRows   = 512;
constexpr int32_t kTriedRows[] = {1, 8, 64, kLibraryRows};
constexpr int     kTries      = sizeof kTriedRows / sizeof *kTriedRows;
constexpr int32_t kWideRows   = 8;                   // M of the try whose rows lie twice as far apart
constexpr size_t  kAlign      = 256;
constexpr uint32_t kStep = 0x9e3779b9u, kMix = 0x85ebca6bu;    // a Weyl sequence and a multiplier of MurmurHash3
// Inputs have 12 sizes, 1 to 2^-11: sums of products of 16 bits then need more than the 24 of an f32, whatever the
// weights.
constexpr uint32_t kSizes = 12, kFloatBias = 127, kFloatExponent = 23;

// Every row the same: element k from a hash of k.
template <class Element>
__global__ void __launch_bounds__(kThreads) library_fill_kernel(Element *x, const int32_t ld, const int32_t K)
{
    const int k = blockIdx.x * kThreads + threadIdx.x;
    if (k >= K) return;
    uint32_t bits = (static_cast<uint32_t>(k) + 1u) * kStep;
    bits = (bits ^ bits >> 16) * kMix;
    const float size    = __uint_as_float((kFloatBias - bits % kSizes) << kFloatExponent);
    const Element value = narrow<Element>(static_cast<float>(static_cast<int>(bits)) * 0x1p-31f * size);
    for (int m = blockIdx.y; m < kLibraryRows; m += gridDim.y) x[static_cast<int64_t>(m) * ld + k] = value;
}

// Counts sums that have not the bits of the first row's.
__global__ void __launch_bounds__(kThreads)
library_compare_kernel(const float *first, const float *sums, const int32_t ld, const int32_t N, const int32_t M,
                       int32_t *wrong)
{
    const int n = blockIdx.x * kThreads + threadIdx.x;
    if (n >= N) return;
    const uint32_t bits = __float_as_uint(first[n]);
    for (int m = blockIdx.y; m < M; m += gridDim.y)
        if (__float_as_uint(sums[static_cast<int64_t>(m) * ld + n]) != bits) atomicAdd(wrong, 1);
}

// Device memory of one check.
struct Bench {
    unsigned char *block;
    size_t         bytes;
    void          *x;                                // element [kLibraryRows, ldx]
    int32_t        ldx;
    float         *sums, *first;                     // f32 [kLibraryRows, sums_ld(N)], [sums_ld(N)]
    int32_t       *wrong;
    void          *workspace;
};

constexpr unsigned kGridY = 64;                      // rows of a grid; each takes every 64th

dim3 grid_of(int32_t width, int32_t M)
{
    const unsigned rows = static_cast<unsigned>(M);
    return dim3(static_cast<unsigned>((width + kThreads - 1) / kThreads), rows < kGridY ? rows : kGridY);
}

hdl_status bench_open(const hdl_weight *w, Bench *bench)
{
    const int32_t together  = static_cast<int32_t>(kVectorBytes / dtype_bytes(w->dtype));
    const auto align        = [](size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; };
    bench->ldx              = (w->K + together - 1) / together * together;
    const size_t row_bytes  = static_cast<size_t>(sums_ld(w->N)) * sizeof(float);
    const size_t x_bytes    = align(kLibraryRows * static_cast<size_t>(bench->ldx) * dtype_bytes(w->dtype));
    const size_t sums_bytes = align(kLibraryRows * row_bytes), first_bytes = align(row_bytes);
    bench->bytes            = x_bytes + sums_bytes + first_bytes + kAlign + kLibraryWorkspaceBytes;
    void *block             = nullptr;
    const hdl_status status = device_alloc(w->device, bench->bytes, &block);
    if (status != HDL_OK) return status;
    bench->block     = static_cast<unsigned char *>(block);
    bench->x         = block;
    bench->sums      = reinterpret_cast<float *>(bench->block + x_bytes);
    bench->first     = reinterpret_cast<float *>(bench->block + x_bytes + sums_bytes);
    bench->wrong     = reinterpret_cast<int32_t *>(bench->block + x_bytes + sums_bytes + first_bytes);
    bench->workspace = bench->block + x_bytes + sums_bytes + first_bytes + kAlign;
    return HDL_OK;
}

template <class Element> hdl_status fill(hdl_backend_stream *stream, const hdl_weight *w, const Bench &bench)
{
    return launch(stream, "pack", listed<library_fill_kernel<Element>>, grid_of(w->K, kLibraryRows), dim3(kThreads), 0,
                  static_cast<Element *>(bench.x), bench.ldx, w->K);
}

hdl_status fill_rows(hdl_backend_stream *stream, const hdl_weight *w, const Bench &bench)
{
    if (w->dtype == HDL_F32) return fill<float>(stream, w, bench);
    return w->dtype == HDL_F16 ? fill<__half>(stream, w, bench) : fill<__nv_bfloat16>(stream, w, bench);
}

// One product; the sums begin as NaN, so that one which is not written differs. `*serves`: the library took it.
hdl_status try_rows(hdl_backend_stream *stream, const hdl_weight *w, const LibraryPlan &plan, const Bench &bench,
                    int64_t ldx, int32_t M, bool *serves)
{
    const size_t row_bytes = static_cast<size_t>(sums_ld(w->N)) * sizeof(float);
    cudaError_t error = cudaMemsetAsync(bench.sums, 0xff, static_cast<size_t>(M) * row_bytes, stream->native);
    if (error != cudaSuccess) return check(w->device, error, "pack");
    *serves = library_sums(w, plan, bench.x, ldx, M, bench.sums, bench.workspace, stream->native) ==
              CUBLAS_STATUS_SUCCESS;
    if (!*serves) return HDL_OK;
    if (M == 1) {
        error = cudaMemcpyAsync(bench.first, bench.sums, row_bytes, cudaMemcpyDeviceToDevice, stream->native);
        return check(w->device, error, "pack");
    }
    return launch(stream, "pack", listed<library_compare_kernel>, grid_of(w->N, M), dim3(kThreads), 0, bench.first,
                  bench.sums, sums_ld(w->N), w->N, M, bench.wrong);
}

// Whether the plan gives one order of sums.
hdl_status check_order(hdl_backend_stream *stream, const hdl_weight *w, const LibraryPlan &plan, const Bench &bench,
                       bool *serves)
{
    int32_t wrong = 0;
    *serves       = true;
    hdl_status status = check(w->device, cudaMemsetAsync(bench.wrong, 0, sizeof wrong, stream->native), "pack");
    for (int i = 0; i < kTries && status == HDL_OK && *serves; ++i)
        status = try_rows(stream, w, plan, bench, bench.ldx, kTriedRows[i], serves);
    if (status == HDL_OK && *serves) status = try_rows(stream, w, plan, bench, 2 * bench.ldx, kWideRows, serves);
    if (status != HDL_OK || !*serves) return status;
    status = check(w->device, cudaMemcpyAsync(&wrong, bench.wrong, sizeof wrong, cudaMemcpyDeviceToHost,
                                              stream->native), "pack");
    if (status == HDL_OK) status = check(w->device, cudaStreamSynchronize(stream->native), "pack");
    *serves = wrong == 0;
    return status;
}

cublasStatus_t describe_product(const CublasLtCalls &call, const hdl_weight *w, LibraryPlan *plan)
{
    // 16-bit weights lie as [N, ld]: columns of K inputs to the library, so transposed; f32 ones as [K, ld].
    const bool narrow_weights = w->dtype != HDL_F32;
    const auto N = static_cast<uint64_t>(w->N), K = static_cast<uint64_t>(w->K);
    const cublasOperation_t transposed = CUBLAS_OP_T;
    plan->element = !narrow_weights ? CUDA_R_32F : w->dtype == HDL_F16 ? CUDA_R_16F : CUDA_R_16BF;
    cublasStatus_t status =
        call.MatmulDescInit(&plan->product, sizeof plan->product,
                            narrow_weights ? CUBLAS_COMPUTE_32F : CUBLAS_COMPUTE_32F_PEDANTIC, CUDA_R_32F);
    if (status == CUBLAS_STATUS_SUCCESS && narrow_weights)
        status = call.MatmulDescSetAttribute(&plan->product, CUBLASLT_MATMUL_DESC_TRANSA, &transposed,
                                             sizeof transposed);
    if (status == CUBLAS_STATUS_SUCCESS)
        status = call.MatrixLayoutInit(&plan->weights, sizeof plan->weights, plan->element, narrow_weights ? K : N,
                                       narrow_weights ? N : K, w->ld);
    return status;
}

// The library's candidates, best first; 0 when it has none.
int ask_candidates(const ProductLibrary &library, const hdl_weight *w, LibraryPlan *plan, int32_t ldx,
                   cublasLtMatmulHeuristicResult_t (&found)[kCandidates])
{
    const CublasLtCalls &call = library.call;
    cublasLtMatmulPreferenceOpaque_t wish;
    RowLayouts rows;
    const uint32_t no_reduction = CUBLASLT_REDUCTION_SCHEME_NONE, x_align = kVectorBytes;
    const size_t workspace      = kLibraryWorkspaceBytes;
    int n = 0;
    const bool described =
        describe_rows(w, *plan, ldx, kTuneRows, &rows) == CUBLAS_STATUS_SUCCESS &&
        call.PreferenceInit(&wish, sizeof wish) == CUBLAS_STATUS_SUCCESS &&
        call.PreferenceSetAttribute(&wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace) ==
            CUBLAS_STATUS_SUCCESS &&
        call.PreferenceSetAttribute(&wish, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &no_reduction,
                                    sizeof no_reduction) == CUBLAS_STATUS_SUCCESS &&
        call.PreferenceSetAttribute(&wish, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &x_align, sizeof x_align) ==
            CUBLAS_STATUS_SUCCESS;
    if (!described || call.AlgoGetHeuristic(library.handle, &plan->product, &plan->weights, &rows.in, &rows.out,
                                            &rows.out, &wish, kCandidates, found, &n) != CUBLAS_STATUS_SUCCESS)
        return 0;
    return n;
}

bool splits_sums(const CublasLtCalls &call, const cublasLtMatmulAlgo_t &algorithm)
{
    int32_t parts  = 0;
    size_t written = 0;
    const cublasStatus_t asked = call.AlgoConfigGetAttribute(&algorithm, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts,
                                                             sizeof parts, &written);
    return asked != CUBLAS_STATUS_SUCCESS || parts > 1;      // 0 and 1: not split
}

// Whether the library would run the algorithm at every M of a call: the list was made for one, and an encoder pass has
// any.
bool ask_all_rows(const ProductLibrary &library, const hdl_weight *w, LibraryPlan *plan, int32_t ldx)
{
    for (int32_t M = 1; M <= kLibraryRows; ++M) {
        RowLayouts rows;
        cublasLtMatmulHeuristicResult_t found = {};
        if (describe_rows(w, *plan, ldx, M, &rows) != CUBLAS_STATUS_SUCCESS ||
            library.call.AlgoCheck(library.handle, &plan->product, &plan->weights, &rows.in, &rows.out, &rows.out,
                                   &plan->algorithm, &found) != CUBLAS_STATUS_SUCCESS ||
            found.state != CUBLAS_STATUS_SUCCESS || found.workspaceSize > kLibraryWorkspaceBytes)
            return false;
    }
    return true;
}

bool is_shape(const AskedShape &a, const AskedShape &b)
{
    return a.dtype == b.dtype && a.N == b.N && a.K == b.K && a.ld == b.ld && a.ldx == b.ldx &&
           memcmp(&a.algorithm, &b.algorithm, sizeof a.algorithm) == 0;
}

// The same, from the list where a weight of this shape came before. Who asks holds the lock, so that nobody asks twice.
bool covers_rows(ProductLibrary *library, const hdl_weight *w, LibraryPlan *plan, int32_t ldx)
{
    AskedShape shape = {w->dtype, w->N, w->K, w->ld, ldx, plan->algorithm, false, nullptr};
    (void)pthread_mutex_lock(&library->lock);
    const AskedShape *found = library->asked;
    while (found != nullptr && !is_shape(*found, shape)) found = found->next;
    shape.serves = found != nullptr ? found->serves : ask_all_rows(*library, w, plan, ldx);
    shape.next   = library->asked;
    void *kept   = found == nullptr ? w->device->host->alloc(sizeof shape) : nullptr;
    if (kept != nullptr) library->asked = static_cast<AskedShape *>(memcpy(kept, &shape, sizeof shape));
    (void)pthread_mutex_unlock(&library->lock);
    return shape.serves;             // also without memory to keep it: the next weight asks again
}

// `*serves` with plan->algorithm set, or no candidate holds.
hdl_status choose(hdl_backend_stream *stream, const hdl_weight *w, LibraryPlan *plan, const Bench &bench, bool *serves)
{
    ProductLibrary &library = *w->device->products;
    cublasLtMatmulHeuristicResult_t found[kCandidates] = {};
    *serves = false;
    if (describe_product(library.call, w, plan) != CUBLAS_STATUS_SUCCESS) return HDL_OK;
    const int n = ask_candidates(library, w, plan, bench.ldx, found);
    hdl_status status = n > 0 ? fill_rows(stream, w, bench) : HDL_OK;
    for (int i = 0; i < n && status == HDL_OK && !*serves; ++i) {
        if (found[i].state != CUBLAS_STATUS_SUCCESS || found[i].workspaceSize > kLibraryWorkspaceBytes ||
            splits_sums(library.call, found[i].algo))
            continue;
        plan->algorithm = found[i].algo;
        if (!covers_rows(&library, w, plan, bench.ldx)) continue;
        status = check_order(stream, w, *plan, bench, serves);
    }
    return status;
}

}  // namespace

hdl_status library_plan_make(hdl_weight *w)
{
    hdl_backend_device *device = w->device;
    if (device->products == nullptr || w->dtype == HDL_I8) return HDL_OK;
    const DeviceScope scope(device);
    auto *plan = static_cast<LibraryPlan *>(device->host->alloc(sizeof(LibraryPlan)));
    if (plan == nullptr) return fail(device, HDL_ENOMEM, "pack: no memory for a product's plan");
    hdl_backend_stream stream = {};                  // no scratch: the check brings its own memory
    stream.device             = device;
    stream.native             = device->setup;
    Bench bench               = {};
    bool serves               = false;
    hdl_status status         = bench_open(w, &bench);
    const bool has_room       = status != HDL_ENOMEM;    // without room for the check ours takes its place
    if (status == HDL_OK) status = choose(&stream, w, plan, bench, &serves);
    if (!has_room) status = HDL_OK;
    (void)cudaStreamSynchronize(device->setup);      // what is queued reads the memory that goes
    device_free(device, bench.block, bench.bytes);
    if (status == HDL_OK) __atomic_fetch_add(serves ? &device->products->taken : &device->products->refused, 1,
                                             __ATOMIC_RELAXED);
    w->refused = status == HDL_OK && !serves;
    if (status == HDL_OK && serves) w->plan = plan;
    else device->host->free(plan);
    return status;
}

hdl_status library_plan_copy(const hdl_weight *w, hdl_weight *copy)
{
    copy->plan = nullptr;
    hdl_backend_device *device = copy->device;
    if (w->refused && device->products != nullptr) __atomic_fetch_add(&device->products->refused, 1, __ATOMIC_RELAXED);
    if (w->plan == nullptr) return HDL_OK;
    if (device->products == nullptr || device->major != w->device->major || device->minor != w->device->minor ||
        device->sm_count != w->device->sm_count)
        return fail(device, HDL_ENOSUPPORT, "pack: the sums of %s have one order on devices of one kind only; "
                    "device %d is unlike device %d", w->device->products->words, device->index, w->device->index);
    copy->plan = static_cast<LibraryPlan *>(device->host->alloc(sizeof(LibraryPlan)));
    if (copy->plan == nullptr) return fail(device, HDL_ENOMEM, "pack: no memory for a product's plan");
    *copy->plan = *w->plan;
    __atomic_fetch_add(&device->products->taken, 1, __ATOMIC_RELAXED);
    return HDL_OK;
}

void library_plan_close(hdl_weight *w)
{
    if (w->plan != nullptr) w->device->host->free(w->plan);
    w->plan = nullptr;
}

}  // namespace hdl
