/* bump.c - a list of growing blocks. */
#include "base/bump.h"

#include <string.h>

#define FIRST_BLOCK_BYTES ((size_t)1024)
#define LARGEST_STEP_BYTES ((size_t)1 << 16)    /* blocks double up to here, so that waste stays small */
#define ALIGN_BYTES ((size_t)16)

struct hdl__bump_block {
    hdl__bump_block *next;
    size_t           bytes;
    _Alignas(16) uint8_t data[];
};

void *hdl__bump_take(hdl__bump *bump, size_t n, size_t size)
{
    size_t bytes, total;
    if (!hdl__mul_size(n, size, &bytes) || !hdl__add_size(bytes, ALIGN_BYTES - 1, &bytes)) return NULL;
    bytes &= ~(ALIGN_BYTES - 1);
    if (bump->blocks == NULL || bytes > bump->capacity - bump->used) {
        const bool few = bump->blocks == NULL || bump->blocks->next == NULL;     /* an ordinary line fits into two */
        size_t capacity = few ? FIRST_BLOCK_BYTES : bump->blocks->bytes * 2;
        if (capacity > LARGEST_STEP_BYTES) capacity = LARGEST_STEP_BYTES;
        if (capacity < bytes) capacity = bytes;
        if (!hdl__add_size(sizeof(hdl__bump_block), capacity, &total)) return NULL;
        hdl__bump_block *block = hdl__calloc(1, total);
        if (block == NULL) return NULL;
        block->next = bump->blocks;
        block->bytes = capacity;
        bump->blocks = block;
        bump->used = 0;
        bump->capacity = capacity;
    }
    void *taken = bump->blocks->data + bump->used;
    bump->used += bytes;
    return taken;
}

char *hdl__bump_copy(hdl__bump *bump, const char *bytes, size_t n)
{
    char *copy = n == SIZE_MAX ? NULL : hdl__bump_take(bump, n + 1, 1);
    if (copy != NULL && n > 0) memcpy(copy, bytes, n);
    return copy;
}

void hdl__bump_free(hdl__bump *bump)
{
    while (bump->blocks != NULL) {
        hdl__bump_block *next = bump->blocks->next;
        hdl__free(bump->blocks);
        bump->blocks = next;
    }
    *bump = (hdl__bump){0};
}
