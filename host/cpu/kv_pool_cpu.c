/* kv_pool_cpu.c - opens and closes the pool of key/value pages; pages that are never touched cost nothing. */
#include "cpu/kv_pool.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

enum { HOOK_DEVICE = 0 };   /* hdl_memory_hooks: device memory */

size_t hdl__cpu_kv_pool_bytes(const hdl_kv_pool_desc *desc)
{
    size_t bytes = 2 * HDL_PAGE_ROWS * hdl_dtype_bytes(desc->dtype);
    if (!hdl__mul_size(bytes, (size_t)desc->D, &bytes) || !hdl__mul_size(bytes, (size_t)desc->Hkv, &bytes)
        || !hdl__mul_size(bytes, (size_t)desc->n_layers, &bytes)
        || !hdl__mul_size(bytes, (size_t)desc->n_pages, &bytes))
        return SIZE_MAX;
    return bytes;
}

/* Address space now, memory when a page is first written. */
static uint8_t *reserve_pages(hdl_backend_device *device, size_t bytes)
{
    if (device->has_hooks) {
        uint8_t *block = device->hooks.alloc(bytes, HOOK_DEVICE, device->hooks.user);
        if (block != NULL) memset(block, 0, bytes);
        return block;
    }
    void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return block == MAP_FAILED ? NULL : block;
}

hdl_status hdl__cpu_kv_pool_open(hdl_backend_device *device, const hdl_kv_pool_desc *desc, hdl_kv_pool **out)
{
    assert(desc->dtype == HDL_F32 || desc->dtype == HDL_BF16);
    assert(desc->n_pages > 0 && desc->n_layers > 0 && desc->Hkv > 0 && desc->D > 0 && desc->D % 4 == 0);
    hdl_status status = HDL_OK;
    hdl_kv_pool *pool = hdl__calloc(1, sizeof *pool);
    const size_t bytes = hdl__cpu_kv_pool_bytes(desc);
    HDL_CHECK(pool != NULL, HDL_ENOMEM, "key/value pool: no memory for its header");
    pool->device = device;
    pool->desc = *desc;
    pool->bytes = bytes;
    pool->layer_bytes = 2 * HDL_PAGE_ROWS * (size_t)desc->Hkv * (size_t)desc->D * hdl_dtype_bytes(desc->dtype);
    pool->page_bytes = pool->layer_bytes * (size_t)desc->n_layers;
    pool->base = bytes == SIZE_MAX ? NULL : reserve_pages(device, bytes);
    HDL_CHECK(pool->base != NULL, HDL_ENOMEM, "key/value pool: %zu bytes for %d pages are not to be had", bytes,
              desc->n_pages);
    *out = pool;
    pool = NULL;
done:
    hdl__free(pool);
    return status;
}

void hdl__cpu_kv_pool_close(hdl_kv_pool *pool)
{
    if (pool == NULL) return;
    if (pool->device->has_hooks)
        pool->device->hooks.free(pool->base, pool->bytes, HOOK_DEVICE, pool->device->hooks.user);
    else
        munmap(pool->base, pool->bytes);
    hdl__free(pool);
}
