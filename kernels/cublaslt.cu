/*
 * cublaslt.cu - cuBLASLt for a device: opened when it is asked for, its functions by name, one product by it.
 *
 * Contract   kernels/gemm_library.cuh; HDL_PRODUCTS_CUBLASLT of include/heddle/device.h.
 * Reference  host/cpu/gemm_onednn.c does the same for oneDNN; tests/test_library_products.c.
 * Source     cuBLAS manual, "Using the cuBLASLt API".
 *
 * Mapping    Host code. Nothing is linked: a function that is missing fails the opening of the device, in words.
 *            Descriptors of a call lie on the stack, so that no product allocates.
 * Numerics   Sums in f32. f32 weights are multiplied as f32: the pedantic compute type allows no TF32, no emulation.
 * Bound      gemm_library.cu.
 */
#include "cublaslt.cuh"

#include "backend_name.cuh"
#include "library.cuh"

#include <stdio.h>

namespace hdl {
namespace {

// The calls are the same since 12.0. A later major version than that of the header may have changed them.
constexpr int kLeastVersion = 120000, kVersionStep = 10000;

struct Symbol {
    const char *name;
    void       *to;                                  // a member of CublasLtCalls
};

// Null, or the name of the first function that the library lacks.
const char *find_calls(const Library &library, CublasLtCalls *call)
{
    const Symbol symbols[] = {
        {"cublasLtCreate", &call->Create},
        {"cublasLtDestroy", &call->Destroy},
        {"cublasLtGetStatusName", &call->GetStatusName},
        {"cublasLtMatrixLayoutInit_internal", &call->MatrixLayoutInit},
        {"cublasLtMatmulDescInit_internal", &call->MatmulDescInit},
        {"cublasLtMatmulDescSetAttribute", &call->MatmulDescSetAttribute},
        {"cublasLtMatmulPreferenceInit_internal", &call->PreferenceInit},
        {"cublasLtMatmulPreferenceSetAttribute", &call->PreferenceSetAttribute},
        {"cublasLtMatmulAlgoGetHeuristic", &call->AlgoGetHeuristic},
        {"cublasLtMatmulAlgoCheck", &call->AlgoCheck},
        {"cublasLtMatmulAlgoConfigGetAttribute", &call->AlgoConfigGetAttribute},
        {"cublasLtMatmul", &call->Matmul},
    };
    static_assert(sizeof symbols / sizeof *symbols == sizeof *call / sizeof(void *), "every call has its name");
    for (const Symbol &symbol : symbols) {
        void *address = library_symbol(library, symbol.name);
        if (address == nullptr) return symbol.name;
        memcpy(symbol.to, &address, sizeof address);
    }
    return nullptr;
}

// The functions that fill a descriptor are told its size in our header. One of them that refuses it is of a library whose
// descriptors are others: null, or that function's name.
const char *find_refusal(const CublasLtCalls &call, cublasStatus_t *status)
{
    cublasLtMatmulDescOpaque_t product;
    cublasLtMatrixLayoutOpaque_t layout;
    cublasLtMatmulPreferenceOpaque_t wish;
    *status = call.MatmulDescInit(&product, sizeof product, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    if (*status != CUBLAS_STATUS_SUCCESS) return "cublasLtMatmulDescInit";
    *status = call.MatrixLayoutInit(&layout, sizeof layout, CUDA_R_32F, 1, 1, 1);
    if (*status != CUBLAS_STATUS_SUCCESS) return "cublasLtMatrixLayoutInit";
    *status = call.PreferenceInit(&wish, sizeof wish);
    return *status != CUBLAS_STATUS_SUCCESS ? "cublasLtMatmulPreferenceInit" : nullptr;
}

hdl_status connect(hdl_backend_device *device, const Library &library, ProductLibrary *products)
{
    const int least = kLeastVersion / kVersionStep;
    if (library.version < kLeastVersion || library.version / kVersionStep > CUBLAS_VER_MAJOR)
        return fail(device, HDL_EBACKEND, "%s: products: %s: this backend speaks to cuBLASLt %d to %d", kBackendName,
                    library.line, least, CUBLAS_VER_MAJOR);
    const char *missing = find_calls(library, &products->call);
    if (missing != nullptr)
        return fail(device, HDL_EBACKEND, "%s: products: %s has no function %s", kBackendName, library.line, missing);
    cublasStatus_t refused;
    const char *refusing = find_refusal(products->call, &refused);
    if (refusing != nullptr)
        return fail(device, HDL_EBACKEND, "%s: products: %s has other descriptors than this backend was built for: %s: %s",
                    kBackendName, library.line, refusing, products->call.GetStatusName(refused));
    const cublasStatus_t made = products->call.Create(&products->handle);
    if (made != CUBLAS_STATUS_SUCCESS)
        return fail(device, HDL_EDEVICE, "%s: products: %s does not start: %s", kBackendName, library.line,
                    products->call.GetStatusName(made));
    const int v = library.version;
    snprintf(products->words, sizeof products->words, "cuBLASLt %d.%d.%d", v / 10000, v / 100 % 100, v % 100);
    return HDL_OK;
}

}  // namespace

hdl_status product_library_open(hdl_backend_device *device)
{
    const DeviceScope scope(device);
    Library library = {};
    hdl_status status = library_open(device, kCublasLt, &library);
    if (status != HDL_OK) return status;
    auto *made = static_cast<ProductLibrary *>(device->host->alloc(sizeof(ProductLibrary)));
    if (made == nullptr) return fail(device, HDL_ENOMEM, "%s: no memory for a library's functions", kBackendName);
    status = connect(device, library, made);
    if (status != HDL_OK) {
        device->host->free(made);
        return status;
    }
    (void)pthread_mutex_init(&made->lock, nullptr);
    device->products  = made;
    const size_t used = strlen(device->description);
    snprintf(device->description + used, sizeof device->description - used, "; products: %s", made->words);
    return HDL_OK;
}

void product_library_close(hdl_backend_device *device)
{
    if (device->products == nullptr) return;
    const DeviceScope scope(device);
    ProductLibrary *products = device->products;
    if (!device->lost) (void)products->call.Destroy(products->handle);      // which may wait for the device
    while (products->asked != nullptr) {
        AskedShape *shape = products->asked;
        products->asked   = shape->next;
        device->host->free(shape);
    }
    (void)pthread_mutex_destroy(&products->lock);
    device->host->free(products);
    device->products = nullptr;
}

void product_library_describe(const hdl_backend_device *device, hdl_device_info *info)
{
    if (device->products == nullptr) return;
    info->products        = device->products->words;
    info->library_weights = __atomic_load_n(&device->products->taken, __ATOMIC_RELAXED);
    info->refused_weights = __atomic_load_n(&device->products->refused, __ATOMIC_RELAXED);
}

cublasStatus_t describe_rows(const hdl_weight *w, const LibraryPlan &plan, int64_t ldx, int32_t M, RowLayouts *rows)
{
    const CublasLtCalls &call = w->device->products->call;
    const auto K = static_cast<uint64_t>(w->K), N = static_cast<uint64_t>(w->N), columns = static_cast<uint64_t>(M);
    const cublasStatus_t status = call.MatrixLayoutInit(&rows->in, sizeof rows->in, plan.element, K, columns, ldx);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    return call.MatrixLayoutInit(&rows->out, sizeof rows->out, CUDA_R_32F, N, columns, sums_ld(w->N));
}

cublasStatus_t library_sums(const hdl_weight *w, const LibraryPlan &plan, const void *x, int64_t ldx, int32_t M,
                            float *sums, void *workspace, cudaStream_t stream)
{
    const ProductLibrary &library = *w->device->products;
    const float one = 1.0f, zero = 0.0f;
    RowLayouts rows;
    const cublasStatus_t status = describe_rows(w, plan, ldx, M, &rows);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    // The library takes its descriptors without const and does not change them.
    return library.call.Matmul(library.handle, const_cast<cublasLtMatmulDescOpaque_t *>(&plan.product), &one, w->data,
                               const_cast<cublasLtMatrixLayoutOpaque_t *>(&plan.weights), x, &rows.in, &zero, sums,
                               &rows.out, sums, &rows.out, &plan.algorithm, workspace, kLibraryWorkspaceBytes, stream);
}

}  // namespace hdl
