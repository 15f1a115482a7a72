/*
 * memory.h - host memory: the only allocator of the library, arenas, growing strings.
 *
 * Every allocation passes here, so that a test can count them and make the n-th one fail.
 */
#ifndef HEDDLE_HOST_MEMORY_H
#define HEDDLE_HOST_MEMORY_H

#include "base/status.h"

#include <stdbool.h>

#define HDL__CACHE_LINE 64

/* Zeroed memory for n * size bytes, 64-byte aligned; NULL when the product overflows or memory is out. Free with hdl__free. */
void *hdl__calloc(size_t n, size_t size);
/* Grows or makes a block; contents up to `old_bytes` are kept, the rest is zero. On failure the old block lives on. */
void *hdl__regrow(void *block, size_t old_bytes, size_t new_bytes);
void  hdl__free(void *block);
/* Zeroed pages straight from the kernel, which gives memory only where it is touched; counted like hdl__calloc. NULL: none left. */
void *hdl__pages_take(size_t bytes);
void  hdl__pages_give(void *pages, size_t bytes);    /* NULL is fine */
char *hdl__strdup(const char *text);
char *hdl__strndup(const char *text, size_t n);

/* Allocations since the process began (any thread); for "nothing is allocated while decoding". */
uint64_t hdl__alloc_count(void);
/* The calling thread's own. */
uint64_t hdl__alloc_count_here(void);
/* Test hook: the n-th allocation from now fails, once (1 is the next; 0 switches off). */
void hdl__alloc_fail_at(uint64_t n);

/* Checked sizes: false on overflow, then *out is untouched. */
bool hdl__mul_size(size_t a, size_t b, size_t *out);
bool hdl__add_size(size_t a, size_t b, size_t *out);

/* A growing byte string. `failed` sticks after an allocation failure; check it once, at the end. data is always
 * NUL-terminated once anything was added (NULL before). */
typedef struct hdl__str { char *data; size_t n, capacity; bool failed; } hdl__str;

void hdl__str_add(hdl__str *s, const char *bytes, size_t n);
void hdl__str_puts(hdl__str *s, const char *text);
void hdl__str_printf(hdl__str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void hdl__str_clear(hdl__str *s);    /* keeps the capacity */
void hdl__str_free(hdl__str *s);

#endif
