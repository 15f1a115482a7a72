/* memory.c - the counted allocator, checked sizes, growing strings. */
#define _GNU_SOURCE
#include "base/memory.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static atomic_uint_fast64_t alloc_count;
static atomic_uint_fast64_t fail_at;    /* the count at which one allocation fails; 0 is off */

static _Thread_local uint64_t own_count;

uint64_t hdl__alloc_count(void) { return atomic_load(&alloc_count); }
uint64_t hdl__alloc_count_here(void) { return own_count; }

void hdl__alloc_fail_at(uint64_t n)
{
    atomic_store(&fail_at, n == 0 ? 0 : atomic_load(&alloc_count) + n);
}

bool hdl__mul_size(size_t a, size_t b, size_t *out)
{
    size_t product;     /* the builtin writes its result even when that has wrapped */
    if (__builtin_mul_overflow(a, b, &product)) return false;
    *out = product;
    return true;
}

bool hdl__add_size(size_t a, size_t b, size_t *out)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum)) return false;
    *out = sum;
    return true;
}

/* Counts one allocation; false: this is the one that a test wants to fail. */
static bool count_allocation(void)
{
    own_count++;
    return atomic_fetch_add(&alloc_count, 1) + 1 != atomic_load(&fail_at);
}

void *hdl__pages_take(size_t bytes)
{
    if (!count_allocation()) return NULL;
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void hdl__pages_give(void *pages, size_t bytes)
{
    if (pages != NULL) munmap(pages, bytes);
}

void *hdl__calloc(size_t n, size_t size)
{
    size_t bytes;
    if (!hdl__mul_size(n, size, &bytes) || !hdl__add_size(bytes, HDL__CACHE_LINE - 1, &bytes)) return NULL;
    bytes &= ~(size_t)(HDL__CACHE_LINE - 1);
    if (bytes == 0) bytes = HDL__CACHE_LINE;
    if (!count_allocation()) return NULL;
    void *block = aligned_alloc(HDL__CACHE_LINE, bytes);
    if (block != NULL) memset(block, 0, bytes);
    return block;
}

void *hdl__regrow(void *block, size_t old_bytes, size_t new_bytes)
{
    void *grown = hdl__calloc(1, new_bytes);
    if (grown == NULL) return NULL;
    if (block != NULL) memcpy(grown, block, old_bytes < new_bytes ? old_bytes : new_bytes);
    hdl__free(block);
    return grown;
}

void hdl__free(void *block) { free(block); }

char *hdl__strndup(const char *text, size_t n)
{
    char *copy = hdl__calloc(n + 1, 1);
    if (copy != NULL && n > 0) memcpy(copy, text, n);
    return copy;
}

char *hdl__strdup(const char *text) { return hdl__strndup(text, strlen(text)); }

static bool reserve_bytes(hdl__str *s, size_t more)
{
    size_t needed;
    if (s->failed) return false;
    if (!hdl__add_size(s->n, more, &needed) || !hdl__add_size(needed, 1, &needed)) {
        s->failed = true;
        return false;
    }
    if (needed <= s->capacity) return true;
    size_t capacity = s->capacity < 64 ? 64 : s->capacity;
    while (capacity < needed && capacity < SIZE_MAX / 2) capacity *= 2;
    if (capacity < needed) capacity = needed;
    char *grown = hdl__regrow(s->data, s->n, capacity);
    if (grown == NULL) {
        s->failed = true;
        return false;
    }
    s->data = grown;
    s->capacity = capacity;
    return true;
}

void hdl__str_add(hdl__str *s, const char *bytes, size_t n)
{
    if (!reserve_bytes(s, n)) return;
    if (n > 0) memcpy(s->data + s->n, bytes, n);
    s->n += n;
    s->data[s->n] = '\0';
}

void hdl__str_puts(hdl__str *s, const char *text) { hdl__str_add(s, text, strlen(text)); }

void hdl__str_printf(hdl__str *s, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0) s->failed = true;
    if (n >= 0 && reserve_bytes(s, (size_t)n)) {
        vsnprintf(s->data + s->n, (size_t)n + 1, format, again);
        s->n += (size_t)n;
    }
    va_end(again);
}

void hdl__str_clear(hdl__str *s)
{
    s->n = 0;
    if (s->data != NULL) s->data[0] = '\0';
}

void hdl__str_free(hdl__str *s)
{
    hdl__free(s->data);
    *s = (hdl__str){0};
}
