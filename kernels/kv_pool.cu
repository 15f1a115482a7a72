/*
 * kv_pool.cu - opens and closes the pool of key/value pages.
 *
 * Contract   include/heddle/attention.h, hdl_kv_pool_open(); the door has checked the sizes.
 * Reference  host/cpu/kv_pool_cpu.c; tests/test_cache.c.
 * Source     Kwon et al. 2023, arXiv 2309.06180 (pages).
 * Mapping    One block of device memory; the layout is in kv_pool.cuh.
 * Numerics   None.
 * Bound      None: runs once.
 */
#include "kv_pool.cuh"
#include "ops.cuh"

namespace hdl {
namespace {

// *bytes *= factor; false when it does not fit.
bool multiply_size(size_t &bytes, int32_t factor)
{
    return !__builtin_mul_overflow(bytes, static_cast<size_t>(factor), &bytes);
}

}  // namespace

size_t op_kv_pool_bytes(const hdl_kv_pool_desc *desc)
{
    size_t rows = kHeadRows; // kernels count rows in 32 bits
    if (!multiply_size(rows, desc->Hkv) || !multiply_size(rows, desc->n_layers) ||
        !multiply_size(rows, desc->n_pages) || rows > UINT32_MAX)
        return SIZE_MAX;
    size_t bytes = rows * (desc->dtype == HDL_F32 ? sizeof(float) : sizeof(uint16_t));
    return multiply_size(bytes, desc->D) ? bytes : SIZE_MAX;
}

hdl_status op_kv_pool_open(hdl_backend_device *device, const hdl_kv_pool_desc *desc,
                           hdl_kv_pool **out)
{
    const size_t bytes = op_kv_pool_bytes(desc);
    if (bytes == SIZE_MAX)
        return fail(device, HDL_ENOMEM, "key/value pool: %d pages are more than can be numbered",
                    desc->n_pages);
    auto *pool = static_cast<hdl_kv_pool *>(device->host->alloc(sizeof(hdl_kv_pool)));
    void *base = nullptr;
    const hdl_status status =
        pool != nullptr ? device_alloc(device, bytes, &base)
                        : fail(device, HDL_ENOMEM, "key/value pool: no memory for its header");
    if (status != HDL_OK) {
        device->host->free(pool);
        return status;
    }
    pool->device = device;
    pool->desc   = *desc;
    pool->base   = base;
    pool->bytes  = bytes;
    *out = pool;
    return HDL_OK;
}

void op_kv_pool_close(hdl_kv_pool *pool)
{
    if (pool == nullptr) return;
    hdl_backend_device *device = pool->device;
    device_free(device, pool->base, pool->bytes);
    device->host->free(pool);
}

}  // namespace hdl
