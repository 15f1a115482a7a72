/* tiny_memory.h - a tiny golden model held in memory, so that a test can spoil a weight of it. */
#ifndef HEDDLE_TESTS_TINY_MEMORY_H
#define HEDDLE_TESTS_TINY_MEMORY_H

#include <heddle/heddle.h>

#define TINY_FILES 4
typedef struct tiny_memory { hdl_memory_file files[TINY_FILES]; } tiny_memory;

/* Reads tests/data/goldens/<name>. 0: it could not be read. */
int  tiny_read(const char *name, tiny_memory *out);
void tiny_free(tiny_memory *memory);

/* Where the bytes of a tensor of the safetensors file begin, and how many there are; NULL: no such tensor. */
float *tiny_tensor(tiny_memory *memory, const char *tensor, size_t *n_bytes);

#endif
