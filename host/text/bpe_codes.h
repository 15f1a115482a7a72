/* bpe_codes.h - subword-nmt merge rules, ready for use: symbols are numbers, a pair gives its rank and its product. */
#ifndef HEDDLE_HOST_BPE_CODES_H
#define HEDDLE_HOST_BPE_CODES_H

#include "base/memory.h"

#define HDL__BPE_END_OF_WORD "</w>"
#define HDL__BPE_CONTINUES "@@"

typedef struct hdl__bpe_symbol { size_t begin, n; } hdl__bpe_symbol;    /* bytes of `text` */
typedef struct hdl__bpe_pair { int32_t left, right, rank, product; } hdl__bpe_pair;    /* left -1: empty slot */

typedef struct hdl__bpe_codes {
    hdl__str         text;
    hdl__bpe_symbol *symbols;       /* [n_symbols] */
    int32_t          n_symbols;
    int32_t         *symbol_slots;  /* open addressing, -1: empty */
    size_t           symbol_mask;
    hdl__bpe_pair   *pairs;         /* open addressing */
    size_t           pair_mask;
    bool             end_is_symbol; /* version 0.1: "</w>" is a symbol of its own; 0.2: the tail of the last one */
} hdl__bpe_codes;

/* HDL_EFORMAT names the line. */
hdl_status hdl__bpe_codes_read(const char *data, size_t n, hdl__bpe_codes *out);
void       hdl__bpe_codes_free(hdl__bpe_codes *codes);

/* The symbol `head` + `tail`, or -1 when no merge knows it. */
int32_t hdl__bpe_codes_symbol(const hdl__bpe_codes *codes, const char *head, size_t n_head, const char *tail,
                              size_t n_tail);
/* NULL when no merge joins them. */
const hdl__bpe_pair *hdl__bpe_codes_pair(const hdl__bpe_codes *codes, int32_t left, int32_t right);

#endif
