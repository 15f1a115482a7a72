/* token_map.h - what the text files know of hdl__token_map beyond text.h. */
#ifndef HEDDLE_HOST_TOKEN_MAP_H
#define HEDDLE_HOST_TOKEN_MAP_H

#include "text/text.h"

/* The id of the token that is `head` followed by `tail`; -1: absent. */
int32_t hdl__token_map_find_joined(const hdl__token_map *map, const char *head, size_t n_head, const char *tail,
                                   size_t n_tail);
/* Number of ids, V. */
int32_t hdl__token_map_size(const hdl__token_map *map);

/* FNV-1a, 64 bits; HDL__HASH_START begins a hash, so that text in several parts can be hashed part by part. */
#define HDL__HASH_START UINT64_C(0xCBF29CE484222325)
uint64_t hdl__hash_bytes(uint64_t hash, const char *bytes, size_t n);

/* The power of two, at least 8, that keeps an open-addressing table of n entries at most half full; 0: too large. */
size_t hdl__hash_slots(size_t n);

#endif
