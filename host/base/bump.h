/* bump.h - memory that is given back all at once: what belongs to one result. */
#ifndef HEDDLE_HOST_BUMP_H
#define HEDDLE_HOST_BUMP_H

#include "base/memory.h"

typedef struct hdl__bump_block hdl__bump_block;
typedef struct hdl__bump { hdl__bump_block *blocks; size_t used, capacity; } hdl__bump;    /* zeroed: empty */

/* Zeroed, 16-byte aligned; NULL when memory is out or n * size overflows. n * size may be 0: a valid pointer. */
void *hdl__bump_take(hdl__bump *bump, size_t n, size_t size);
char *hdl__bump_copy(hdl__bump *bump, const char *bytes, size_t n);     /* NUL-terminated */
void  hdl__bump_free(hdl__bump *bump);

#endif
