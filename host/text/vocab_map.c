/* vocab_map.c - CTranslate2's vmap.txt: source n-grams to the target tokens that may follow. */
#include "text/token_map.h"

#include <string.h>

typedef struct map_rule {
    size_t  key, n_key;         /* bytes of `keys`; n_key 0: empty slot */
    size_t  first, n;           /* of `ids` */
} map_rule;

struct hdl__vocab_map {
    hdl__str  keys;
    map_rule *rules;            /* open addressing */
    size_t    mask;
    int32_t  *ids;
    size_t    n_ids;
    int32_t  *always;           /* allowed for every sentence */
    size_t    n_always;
    size_t    longest;          /* words of the longest n-gram */
    int32_t   V;
};

typedef struct line_parts { const char *key, *targets; size_t n_key, n_targets; } line_parts;

static uint32_t fold_hash(uint64_t hash) { return (uint32_t)(hash ^ (hash >> 32)); }

static size_t count_bytes(const char *data, size_t n, char wanted)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) count += data[i] == wanted;
    return count;
}

static map_rule *find_key(const hdl__vocab_map *map, const char *key, size_t n)
{
    size_t i = fold_hash(hdl__hash_bytes(HDL__HASH_START, key, n)) & map->mask;
    for (; map->rules[i].n_key > 0; i = (i + 1) & map->mask) {
        if (map->rules[i].n_key == n && memcmp(map->keys.data + map->rules[i].key, key, n) == 0) break;
    }
    return &map->rules[i];
}

/* Appends the ids of the words; those that the vocabulary lacks would be the unknown one, which is always allowed. */
static size_t append_ids(const hdl__token_map *target, const char *words, size_t n, int32_t *ids)
{
    size_t n_ids = 0;
    for (size_t begin = 0; begin < n;) {
        const char *space = memchr(words + begin, ' ', n - begin);
        size_t length = space == NULL ? n - begin : (size_t)(space - words) - begin;
        int32_t id = length == 0 ? -1 : hdl__token_map_find(target, words + begin, length);
        if (id >= 0) ids[n_ids++] = id;
        begin += length + 1;
    }
    return n_ids;
}

static void add_rule(hdl__vocab_map *map, const hdl__token_map *target, const line_parts *line)
{
    if (line->n_key == 0) {
        map->n_always += append_ids(target, line->targets, line->n_targets, map->always + map->n_always);
        return;
    }
    map_rule *rule = find_key(map, line->key, line->n_key);
    if (rule->n_key == 0) {
        rule->key = map->keys.n;
        rule->n_key = line->n_key;
        hdl__str_add(&map->keys, line->key, line->n_key);
        size_t words = count_bytes(line->key, line->n_key, ' ') + 1;
        if (words > map->longest) map->longest = words;
    }
    rule->first = map->n_ids;    /* of lines with the same n-gram the last counts */
    rule->n = append_ids(target, line->targets, line->n_targets, map->ids + map->n_ids);
    map->n_ids += rule->n;
}

static hdl_status reserve_map(hdl__vocab_map *map, const char *data, size_t n)
{
    hdl_status status = HDL_OK;
    size_t n_lines = count_bytes(data, n, '\n') + 1, n_words = count_bytes(data, n, ' ') + n_lines;
    size_t slots = hdl__hash_slots(n_lines);
    map->rules = hdl__calloc(slots, sizeof *map->rules);
    map->ids = hdl__calloc(n_words, sizeof *map->ids);
    map->always = hdl__calloc(n_words, sizeof *map->always);
    HDL_CHECK(map->rules != NULL && map->ids != NULL && map->always != NULL, HDL_ENOMEM,
              "no memory for a vocabulary map of %zu bytes", n);
    map->mask = slots - 1;
done:
    return status;
}

hdl_status hdl__vocab_map_open(const hdl__file *file, const char *file_name, const hdl__token_map *target,
                               hdl__vocab_map **out)
{
    hdl_status status = HDL_OK;
    const char *data = file->n == 0 ? "" : (const char *)file->data;
    size_t line_number = 0;
    hdl__vocab_map *map = hdl__calloc(1, sizeof *map);
    HDL_CHECK(map != NULL, HDL_ENOMEM, "no memory for a vocabulary map");
    map->V = hdl__token_map_size(target);
    HDL_TRY(reserve_map(map, data, file->n));
    hdl__str_add(&map->keys, "", 0);
    for (size_t begin = 0; begin < file->n;) {
        const char *line = data + begin, *feed = memchr(line, '\n', file->n - begin);
        size_t length = feed == NULL ? file->n - begin : (size_t)(feed - line);
        begin += length + 1;
        line_number++;
        if (length > 0 && line[length - 1] == '\r') length--;
        if (length == 0) continue;
        const char *tab = memchr(line, '\t', length);
        HDL_CHECK(tab != NULL, HDL_EFORMAT, "line %zu has no tab between source and target words", line_number);
        size_t n_key = (size_t)(tab - line);
        line_parts parts = {line, tab + 1, n_key, length - n_key - 1};
        HDL_CHECK(memchr(parts.targets, '\t', parts.n_targets) == NULL, HDL_EFORMAT, "line %zu has two tabs",
                  line_number);
        add_rule(map, target, &parts);
        /* at once: the next line's key is compared with bytes that would not be there */
        HDL_CHECK(!map->keys.failed, HDL_ENOMEM, "no memory for a vocabulary map of %zu bytes", file->n);
    }
    *out = map;
    map = NULL;
done:
    hdl__vocab_map_close(map);
    return status == HDL_OK ? HDL_OK : hdl__fail_prefix(status, file_name);
}

/* Whether the key is the tokens joined by one space. */
static bool key_equals(const char *key, size_t n_key, const char *const *tokens, size_t n_tokens)
{
    size_t at = 0;
    for (size_t i = 0; i < n_tokens; i++) {
        size_t n = strlen(tokens[i]);
        if (i > 0 && (at == n_key || key[at++] != ' ')) return false;
        if (n > n_key - at || memcmp(key + at, tokens[i], n) != 0) return false;
        at += n;
    }
    return at == n_key;
}

static void allow_ids(const hdl__vocab_map *map, const int32_t *ids, size_t n, uint64_t *allowed)
{
    for (size_t i = 0; i < n; i++) {
        if (ids[i] >= 0 && ids[i] < map->V) allowed[ids[i] / 64] |= UINT64_C(1) << (ids[i] % 64);
    }
}

/* All n-grams that begin at tokens[0], one hash growing with the n-gram. */
static void allow_ngrams(const hdl__vocab_map *map, const char *const *tokens, size_t n_tokens, uint64_t *allowed)
{
    uint64_t hash = HDL__HASH_START;
    for (size_t words = 1; words <= n_tokens && words <= map->longest; words++) {
        if (words > 1) hash = hdl__hash_bytes(hash, " ", 1);
        hash = hdl__hash_bytes(hash, tokens[words - 1], strlen(tokens[words - 1]));
        for (size_t i = fold_hash(hash) & map->mask; map->rules[i].n_key > 0; i = (i + 1) & map->mask) {
            const map_rule *rule = &map->rules[i];
            if (!key_equals(map->keys.data + rule->key, rule->n_key, tokens, words)) continue;
            allow_ids(map, map->ids + rule->first, rule->n, allowed);
            break;
        }
    }
}

hdl_status hdl__vocab_map_lookup(const hdl__vocab_map *map, const char *const *source_tokens, size_t n_tokens,
                                 const int32_t *always, size_t n_always, int32_t **ids, size_t *n_ids)
{
    hdl_status status = HDL_OK;
    size_t n_words = (size_t)map->V / 64 + 1, count = 0, at = 0;
    int32_t *found = NULL;
    uint64_t *allowed = hdl__calloc(n_words, sizeof *allowed);
    HDL_CHECK(allowed != NULL, HDL_ENOMEM, "vocabulary map: no memory for %d tokens", map->V);
    allow_ids(map, map->always, map->n_always, allowed);
    allow_ids(map, always, n_always, allowed);
    for (size_t i = 0; i < n_tokens; i++) allow_ngrams(map, source_tokens + i, n_tokens - i, allowed);
    for (size_t i = 0; i < n_words; i++) count += (size_t)__builtin_popcountll(allowed[i]);
    found = hdl__calloc(count, sizeof *found);
    HDL_CHECK(found != NULL, HDL_ENOMEM, "vocabulary map: no memory for %zu ids", count);
    for (int32_t id = 0; id < map->V; id++) {
        if ((allowed[id / 64] >> (id % 64) & 1) != 0) found[at++] = id;
    }
    *ids = found;
    *n_ids = count;
done:
    hdl__free(allowed);
    return status;
}

void hdl__vocab_map_close(hdl__vocab_map *map)
{
    if (map == NULL) return;
    hdl__str_free(&map->keys);
    hdl__free(map->rules);
    hdl__free(map->ids);
    hdl__free(map->always);
    hdl__free(map);
}
