/* bpe_segmenter.c - byte pair encoding as subword-nmt applies it, marks included. */
#include "text/bpe_codes.h"
#include "text/segmenter.h"
#include "text/text.h"

#include <string.h>

enum { NOWHERE = -1, DEAD = -2, QUICK_SYMBOLS = 64, MAX_SYMBOLS = INT32_MAX / 8 };

typedef struct bpe {
    hdl__segmenter base;    /* first: the tokenizer sees this */
    hdl__bpe_codes codes;
} bpe;

/*
 * A word while it is merged: a linked list of symbols over their first positions, and a heap of pairs that may be
 * merged, keyed rank << 32 | position, so that the best pair comes first and its places come from left to right.
 */
typedef struct word {
    const char *text;
    size_t      n_bytes;
    size_t     *begin;      /* [n] first byte of the symbol that starts at this position */
    int32_t    *symbol;     /* [n] number, -1 (no merge knows it) or DEAD (merged into the one before) */
    int32_t    *next, *previous;
    uint64_t   *heap;       /* [3n]: n pairs at the start, two more for each merge */
    uint64_t   *round;      /* [3n] */
    int32_t     n, n_heap;
} word;

typedef struct scratch { void *block; int32_t capacity; } scratch;

/* Bytes of the arrays of a word of n symbols; the widest come first, which keeps all of them aligned. */
static size_t word_bytes(int32_t n)
{
    return (size_t)n * (sizeof(size_t) + 6 * sizeof(uint64_t) + 3 * sizeof(int32_t));
}

static void carve_word(word *w, void *block, int32_t n)
{
    w->heap = block;
    w->round = w->heap + 3 * (size_t)n;
    w->begin = (size_t *)(w->round + 3 * (size_t)n);
    w->symbol = (int32_t *)(w->begin + n);
    w->next = w->symbol + n;
    w->previous = w->next + n;
}

static void push_pair(word *w, uint64_t key)
{
    int32_t i = w->n_heap++;
    for (; i > 0 && w->heap[(i - 1) / 2] > key; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = key;
}

static uint64_t pop_pair(word *w)
{
    uint64_t top = w->heap[0], last = w->heap[--w->n_heap];
    int32_t i = 0;
    for (;;) {
        int32_t child = 2 * i + 1;
        if (child >= w->n_heap) break;
        if (child + 1 < w->n_heap && w->heap[child + 1] < w->heap[child]) child++;
        if (w->heap[child] >= last) break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

static const hdl__bpe_pair *pair_at(const hdl__bpe_codes *codes, const word *w, int32_t i)
{
    if (i == NOWHERE || w->symbol[i] == DEAD || w->next[i] == NOWHERE) return NULL;
    return hdl__bpe_codes_pair(codes, w->symbol[i], w->symbol[w->next[i]]);
}

static void offer_pair(const hdl__bpe_codes *codes, word *w, int32_t i)
{
    const hdl__bpe_pair *pair = pair_at(codes, w, i);
    if (pair != NULL) push_pair(w, (uint64_t)(uint32_t)pair->rank << 32 | (uint32_t)i);
}

static void merge_at(const hdl__bpe_codes *codes, word *w, int32_t i, int32_t product)
{
    int32_t gone = w->next[i];
    w->symbol[i] = product;
    w->symbol[gone] = DEAD;
    w->next[i] = w->next[gone];
    if (w->next[i] != NOWHERE) w->previous[w->next[i]] = i;
    offer_pair(codes, w, w->previous[i]);
    offer_pair(codes, w, i);
}

/* Each round merges all places of the best pair, left to right, before any pair that this makes is looked at. */
static void merge_word(const hdl__bpe_codes *codes, word *w)
{
    for (int32_t i = 0; i < w->n; i++) offer_pair(codes, w, i);
    while (w->n_heap > 0) {
        int32_t n_round = 0;
        uint64_t rank = w->heap[0] >> 32;
        while (w->n_heap > 0 && w->heap[0] >> 32 == rank) w->round[n_round++] = pop_pair(w);
        for (int32_t k = 0; k < n_round; k++) {
            int32_t i = (int32_t)(uint32_t)w->round[k];
            const hdl__bpe_pair *pair = pair_at(codes, w, i);
            if (pair != NULL && (uint64_t)pair->rank == rank) merge_at(codes, w, i, pair->product);
        }
    }
}

/* Characters become symbols; the end of the word is a symbol (0.1) or the tail of the last one (0.2). */
static void start_word(const hdl__bpe_codes *codes, word *w, int32_t n)
{
    const char *end_mark = HDL__BPE_END_OF_WORD;
    size_t n_mark = strlen(end_mark), at = 0;
    for (int32_t i = 0; i < n; i++) {
        int length;
        hdl__utf8_decode(w->text + at, w->n_bytes - at, &length);
        bool last = i == n - 1 && !codes->end_is_symbol;
        w->begin[i] = at;
        w->symbol[i] = hdl__bpe_codes_symbol(codes, w->text + at, (size_t)length, end_mark, last ? n_mark : 0);
        at += (size_t)length;
    }
    w->n = n;
    w->n_heap = 0;
    if (codes->end_is_symbol) {
        w->begin[n] = at;
        w->symbol[n] = hdl__bpe_codes_symbol(codes, end_mark, n_mark, "", 0);
        w->n++;
    }
    for (int32_t i = 0; i < w->n; i++) {
        w->previous[i] = i - 1;    /* the first: NOWHERE */
        w->next[i] = i == w->n - 1 ? NOWHERE : i + 1;
    }
}

static void emit_word(const word *w, hdl__sink *sink)
{
    for (int32_t i = 0; i != NOWHERE; i = w->next[i]) {
        size_t begin = w->begin[i], end = w->next[i] == NOWHERE ? w->n_bytes : w->begin[w->next[i]];
        if (begin == w->n_bytes) break;    /* an end mark that nothing took is not shown */
        bool more = end < w->n_bytes;
        hdl__sink_joined(sink, w->text + begin, end - begin, HDL__BPE_CONTINUES, more ? 2 : 0);
    }
}

static hdl_status encode_word(const bpe *self, const char *text, size_t n_bytes, scratch *memory, hdl__sink *sink)
{
    hdl_status status = HDL_OK;
    size_t n = 0;
    for (size_t i = 0; i < n_bytes; i++) n += ((uint8_t)text[i] & 0xC0) != 0x80;
    if (n == 1) {
        hdl__sink_text(sink, text, n_bytes);
        return HDL_OK;
    }
    HDL_CHECK(n < MAX_SYMBOLS, HDL_EINVAL, "bpe: a word of %zu characters", n);
    int32_t needed = (int32_t)n + 1;
    uint64_t quick[QUICK_SYMBOLS * 9];    /* word_bytes(QUICK_SYMBOLS), checked below */
    _Static_assert(sizeof(size_t) + 6 * sizeof(uint64_t) + 3 * sizeof(int32_t) <= 9 * sizeof(uint64_t),
                   "a word on the stack would be written past its end");
    if (needed > QUICK_SYMBOLS && needed > memory->capacity) {
        hdl__free(memory->block);
        memory->capacity = 0;
        memory->block = hdl__calloc(1, word_bytes(needed));
        HDL_CHECK(memory->block != NULL, HDL_ENOMEM, "bpe: no memory for a word of %zu characters", n);
        memory->capacity = needed;
    }
    word w = {.text = text, .n_bytes = n_bytes};
    if (needed > QUICK_SYMBOLS) carve_word(&w, memory->block, memory->capacity);
    else carve_word(&w, quick, QUICK_SYMBOLS);
    start_word(&self->codes, &w, (int32_t)n);
    merge_word(&self->codes, &w);
    emit_word(&w, sink);
done:
    return status;
}

/* Words end at U+0020 only, as in subword-nmt: other white space is part of a word. */
static hdl_status encode_text(const hdl__segmenter *base, const char *text, size_t n, hdl__sink *sink)
{
    hdl_status status = HDL_OK;
    scratch memory = {NULL, 0};
    for (size_t begin = 0; begin < n;) {
        const char *space = memchr(text + begin, ' ', n - begin);
        size_t length = space == NULL ? n - begin : (size_t)(space - text) - begin;
        if (length > 0) HDL_TRY(encode_word((const bpe *)base, text + begin, length, &memory, sink));
        begin += length + 1;
    }
done:
    hdl__free(memory.block);
    return status;
}

static hdl_status decode_tokens(const hdl__segmenter *base, const char *const *tokens, size_t n, hdl__str *out)
{
    (void)base;
    return hdl__words_join(tokens, n, HDL__BPE_CONTINUES, out);
}

static void close_bpe(hdl__segmenter *base)
{
    bpe *self = (bpe *)base;
    hdl__bpe_codes_free(&self->codes);
    hdl__free(self);
}

hdl_status hdl__bpe_open(const uint8_t *data, size_t n, const char *file_name, hdl__segmenter **out)
{
    hdl_status status = HDL_OK;
    bpe *self = hdl__calloc(1, sizeof *self);
    if (self == NULL) return hdl__fail(HDL_ENOMEM, "%s: no memory", file_name);
    self->base = (hdl__segmenter){.kind = "bpe", .users = 1, .encode = encode_text, .decode = decode_tokens,
                                  .close = close_bpe};
    status = hdl__bpe_codes_read((const char *)data, n, &self->codes);
    if (status != HDL_OK) {
        hdl__free(self);
        return hdl__fail_prefix(status, file_name);
    }
    *out = &self->base;
    return HDL_OK;
}
