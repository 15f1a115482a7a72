/*
 * cpu_memory.c - blocks of device memory, which on this backend is host memory: 256-byte aligned, zeroed, through
 * the caller's hooks.
 */
#include "cpu/cpu_device.h"

#include <string.h>
#include <unistd.h>

#define HDL__BLOCK_ALIGN 256u

/* From here on blocks are pages of their own, which cost nothing until they are touched: pools are sized for the
 * worst case. */
#define HDL__PAGES_FROM_BYTES ((size_t)1 << 20)

enum { HDL__MEMORY_DEVICE = 0 };    /* `kind` of hdl_memory_hooks */

/* A block starts at a boundary after its base, and the base's address stands in the bytes before it. */
#define HDL__BLOCK_EXTRA (HDL__BLOCK_ALIGN + sizeof(void *))

static size_t free_memory(void)
{
    const long pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
}

hdl_status hdl__cpu_alloc(hdl_backend_device *device, size_t bytes, void **block)
{
    hdl_status status = HDL_OK;
    size_t total = 0;
    uint8_t *base = NULL;
    if (hdl__add_size(bytes, HDL__BLOCK_EXTRA, &total)) {
        if (device->has_hooks) {
            base = device->hooks.alloc(total, HDL__MEMORY_DEVICE, device->hooks.user);
            if (base != NULL) memset(base, 0, total);
        } else {
            base = total >= HDL__PAGES_FROM_BYTES ? hdl__pages_take(total) : hdl__calloc(1, total);
        }
    }
    HDL_CHECK(base != NULL, HDL_ENOMEM, "device memory: %zu bytes needed, %zu free", bytes, free_memory());
    const size_t past = ((uintptr_t)base + sizeof(void *)) % HDL__BLOCK_ALIGN;
    uint8_t *start = base + sizeof(void *) + (past == 0 ? 0 : HDL__BLOCK_ALIGN - past);
    memcpy(start - sizeof(void *), &base, sizeof base);
    *block = start;
done:
    return status;
}

void hdl__cpu_free(hdl_backend_device *device, void *block, size_t bytes)
{
    if (block == NULL) return;
    void *base;
    memcpy(&base, (uint8_t *)block - sizeof base, sizeof base);
    if (device->has_hooks) device->hooks.free(base, bytes + HDL__BLOCK_EXTRA, HDL__MEMORY_DEVICE, device->hooks.user);
    else if (bytes + HDL__BLOCK_EXTRA >= HDL__PAGES_FROM_BYTES) hdl__pages_give(base, bytes + HDL__BLOCK_EXTRA);
    else hdl__free(base);
}
