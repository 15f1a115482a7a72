/* token_map.c - token strings to ids: open addressing over a borrowed vocabulary. */
#include "text/token_map.h"

#include <string.h>

typedef struct map_slot { uint32_t hash; int32_t id; } map_slot;    /* id -1: empty */

struct hdl__token_map {
    const hdl__vocabulary *vocabulary;
    map_slot              *slots;
    size_t                 mask;
};

uint64_t hdl__hash_bytes(uint64_t hash, const char *bytes, size_t n)
{
    const uint64_t prime = UINT64_C(0x100000001B3);
    for (size_t i = 0; i < n; i++) hash = (hash ^ (uint8_t)bytes[i]) * prime;
    return hash;
}

size_t hdl__hash_slots(size_t n)
{
    size_t slots = 8;
    while (slots / 2 < n) {
        if (slots > SIZE_MAX / 4) return 0;
        slots *= 2;
    }
    return slots;
}

/* The high half is mixed best by FNV's multiplications. */
static uint32_t fold_hash(uint64_t hash) { return (uint32_t)(hash ^ (hash >> 32)); }

static bool token_equals(const char *token, const char *head, size_t n_head, const char *tail, size_t n_tail)
{
    /* strncmp stops at the token's NUL; a NUL inside the text is no part of any token. */
    if (strncmp(token, head, n_head) != 0 || memchr(head, 0, n_head) != NULL) return false;
    if (n_tail > 0 && (strncmp(token + n_head, tail, n_tail) != 0 || memchr(tail, 0, n_tail) != NULL)) return false;
    return token[n_head + n_tail] == '\0';
}

/* The slot of the token, or the empty one where it would go. */
static map_slot *find_slot(const hdl__token_map *map, uint32_t hash, const char *head, size_t n_head,
                           const char *tail, size_t n_tail)
{
    for (size_t i = hash & map->mask;; i = (i + 1) & map->mask) {
        map_slot *slot = &map->slots[i];
        if (slot->id < 0) return slot;
        if (slot->hash == hash && token_equals(map->vocabulary->tokens[slot->id], head, n_head, tail, n_tail)) {
            return slot;
        }
    }
}

hdl_status hdl__token_map_open(const hdl__vocabulary *vocabulary, hdl__token_map **out)
{
    hdl_status status = HDL_OK;
    hdl__token_map *map = hdl__calloc(1, sizeof *map);
    size_t n_slots = hdl__hash_slots((size_t)vocabulary->n);
    HDL_CHECK(map != NULL && n_slots != 0, HDL_ENOMEM, "vocabulary: no memory to index %d tokens", vocabulary->n);
    map->vocabulary = vocabulary;
    map->mask = n_slots - 1;
    map->slots = hdl__calloc(n_slots, sizeof *map->slots);
    HDL_CHECK(map->slots != NULL, HDL_ENOMEM, "vocabulary: no memory to index %d tokens", vocabulary->n);
    for (size_t i = 0; i < n_slots; i++) map->slots[i].id = -1;
    for (int32_t id = 0; id < vocabulary->n; id++) {
        const char *token = vocabulary->tokens[id];
        size_t n = strlen(token);
        uint32_t hash = fold_hash(hdl__hash_bytes(HDL__HASH_START, token, n));
        map_slot *slot = find_slot(map, hash, token, n, "", 0);
        if (slot->id < 0) *slot = (map_slot){hash, id};
    }
    *out = map;
    map = NULL;
done:
    hdl__token_map_close(map);
    return status;
}

int32_t hdl__token_map_find_joined(const hdl__token_map *map, const char *head, size_t n_head, const char *tail,
                                   size_t n_tail)
{
    uint64_t hash = hdl__hash_bytes(hdl__hash_bytes(HDL__HASH_START, head, n_head), tail, n_tail);
    return find_slot(map, fold_hash(hash), head, n_head, tail, n_tail)->id;
}

int32_t hdl__token_map_find(const hdl__token_map *map, const char *token, size_t n)
{
    return hdl__token_map_find_joined(map, token, n, "", 0);
}

int32_t hdl__token_map_size(const hdl__token_map *map) { return map->vocabulary->n; }

void hdl__token_map_close(hdl__token_map *map)
{
    if (map == NULL) return;
    hdl__free(map->slots);
    hdl__free(map);
}
