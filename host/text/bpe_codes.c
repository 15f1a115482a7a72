/* bpe_codes.c - reads subword-nmt code files, versions 0.1 and 0.2. */
#include "text/bpe_codes.h"

#include "text/token_map.h"

#include <string.h>

static const char VERSION_MARK[] = "#version:";

static size_t hash_pair(int32_t left, int32_t right)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key = (key ^ (key >> 33)) * UINT64_C(0xFF51AFD7ED558CCD);    /* the finaliser of MurmurHash3 */
    key = (key ^ (key >> 33)) * UINT64_C(0xC4CEB9FE1A85EC53);
    return (size_t)(key ^ (key >> 33));
}

static size_t find_symbol_slot(const hdl__bpe_codes *codes, const char *head, size_t n_head, const char *tail,
                               size_t n_tail)
{
    uint64_t hash = hdl__hash_bytes(hdl__hash_bytes(HDL__HASH_START, head, n_head), tail, n_tail);
    size_t i = (size_t)(hash ^ (hash >> 32)) & codes->symbol_mask;
    for (; codes->symbol_slots[i] >= 0; i = (i + 1) & codes->symbol_mask) {
        hdl__bpe_symbol symbol = codes->symbols[codes->symbol_slots[i]];
        const char *text = codes->text.data + symbol.begin;
        if (symbol.n == n_head + n_tail && memcmp(text, head, n_head) == 0 &&
            memcmp(text + n_head, tail, n_tail) == 0) {
            break;
        }
    }
    return i;
}

int32_t hdl__bpe_codes_symbol(const hdl__bpe_codes *codes, const char *head, size_t n_head, const char *tail,
                              size_t n_tail)
{
    return codes->symbol_slots[find_symbol_slot(codes, head, n_head, tail, n_tail)];
}

/* The tables are large enough; the text's `failed` is checked by the caller. */
static int32_t intern_symbol(hdl__bpe_codes *codes, const char *head, size_t n_head, const char *tail, size_t n_tail)
{
    size_t slot = find_symbol_slot(codes, head, n_head, tail, n_tail);
    if (codes->symbol_slots[slot] >= 0) return codes->symbol_slots[slot];
    codes->symbols[codes->n_symbols] = (hdl__bpe_symbol){codes->text.n, n_head + n_tail};
    codes->symbol_slots[slot] = codes->n_symbols;
    hdl__str_add(&codes->text, head, n_head);
    hdl__str_add(&codes->text, tail, n_tail);
    return codes->n_symbols++;
}

static size_t find_pair_slot(const hdl__bpe_codes *codes, int32_t left, int32_t right)
{
    size_t i = hash_pair(left, right) & codes->pair_mask;
    while (codes->pairs[i].left >= 0 && (codes->pairs[i].left != left || codes->pairs[i].right != right)) {
        i = (i + 1) & codes->pair_mask;
    }
    return i;
}

const hdl__bpe_pair *hdl__bpe_codes_pair(const hdl__bpe_codes *codes, int32_t left, int32_t right)
{
    if (left < 0 || right < 0) return NULL;
    const hdl__bpe_pair *pair = &codes->pairs[find_pair_slot(codes, left, right)];
    return pair->left < 0 ? NULL : pair;
}

static hdl_status add_merge(hdl__bpe_codes *codes, const char *line, size_t n, int32_t rank, size_t line_number)
{
    hdl_status status = HDL_OK;
    const char *space = memchr(line, ' ', n);
    size_t n_left = space == NULL ? 0 : (size_t)(space - line);
    size_t n_right = space == NULL ? 0 : n - n_left - 1;
    HDL_CHECK(n_left > 0 && n_right > 0 && memchr(space + 1, ' ', n_right) == NULL, HDL_EFORMAT,
              "line %zu of the BPE codes is not two symbols separated by one space", line_number);
    int32_t left = intern_symbol(codes, line, n_left, "", 0);
    int32_t right = intern_symbol(codes, space + 1, n_right, "", 0);
    int32_t product = intern_symbol(codes, line, n_left, space + 1, n_right);
    HDL_CHECK(!codes->text.failed, HDL_ENOMEM, "no memory for BPE codes");
    hdl__bpe_pair *pair = &codes->pairs[find_pair_slot(codes, left, right)];
    if (pair->left < 0) *pair = (hdl__bpe_pair){left, right, rank, product};    /* the first of equal lines counts */
done:
    return status;
}

static hdl_status reserve_tables(hdl__bpe_codes *codes, size_t n_lines)
{
    hdl_status status = HDL_OK;
    const size_t symbols_a_line = 3, limit = INT32_MAX / 3;
    HDL_CHECK(n_lines <= limit, HDL_EFORMAT, "the BPE codes have %zu lines, allowed are %zu", n_lines, limit);
    size_t n_symbols = n_lines * symbols_a_line, slots = hdl__hash_slots(n_symbols), pairs = hdl__hash_slots(n_lines);
    codes->symbols = hdl__calloc(n_symbols, sizeof *codes->symbols);
    codes->symbol_slots = hdl__calloc(slots, sizeof *codes->symbol_slots);
    codes->pairs = hdl__calloc(pairs, sizeof *codes->pairs);
    HDL_CHECK(codes->symbols != NULL && codes->symbol_slots != NULL && codes->pairs != NULL, HDL_ENOMEM,
              "no memory for BPE codes");
    codes->symbol_mask = slots - 1;
    codes->pair_mask = pairs - 1;
    for (size_t i = 0; i < slots; i++) codes->symbol_slots[i] = -1;
    for (size_t i = 0; i < pairs; i++) codes->pairs[i].left = -1;
done:
    return status;
}

/* "#version: 0.2" on the first line; without it the version is 0.1. */
static hdl_status read_version(const char *line, size_t n, bool *end_is_symbol)
{
    const char *digits = line + sizeof VERSION_MARK - 1;
    n -= sizeof VERSION_MARK - 1;
    while (n > 0 && *digits == ' ') digits++, n--;
    bool first = n >= 3 && memcmp(digits, "0.1", 3) == 0, second = n >= 3 && memcmp(digits, "0.2", 3) == 0;
    for (size_t i = 3; i < n; i++) {
        if (digits[i] != '.' && digits[i] != '0') first = second = false;    /* 0.2.0 is 0.2 */
    }
    if (!first && !second) {
        return hdl__fail(HDL_EFORMAT, "BPE codes have version %.*s, allowed are 0.1 and 0.2", (int)(n < 20 ? n : 20),
                         digits);
    }
    *end_is_symbol = first;
    return HDL_OK;
}

static size_t count_lines(const char *data, size_t n)
{
    size_t lines = 1;
    for (const char *p = data; (p = memchr(p, '\n', n - (size_t)(p - data))) != NULL; p++) lines++;
    return lines;
}

hdl_status hdl__bpe_codes_read(const char *data, size_t n, hdl__bpe_codes *out)
{
    hdl_status status = HDL_OK;
    hdl__bpe_codes codes = {.end_is_symbol = true};
    int32_t rank = 0;
    HDL_CHECK(n > 0, HDL_EFORMAT, "the BPE codes are empty");
    HDL_CHECK(hdl__utf8_valid(data, n), HDL_EFORMAT, "the BPE codes are not valid UTF-8");
    HDL_TRY(reserve_tables(&codes, count_lines(data, n)));
    size_t line_number = 0;
    for (size_t begin = 0; begin < n;) {
        const char *line = data + begin, *feed = memchr(line, '\n', n - begin);
        size_t length = feed == NULL ? n - begin : (size_t)(feed - line);
        begin += length + 1;
        line_number++;
        while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == ' ')) length--;
        if (line_number == 1 && length >= sizeof VERSION_MARK - 1 &&
            memcmp(line, VERSION_MARK, sizeof VERSION_MARK - 1) == 0) {
            HDL_TRY(read_version(line, length, &codes.end_is_symbol));
            continue;
        }
        while (length > 0 && *line == ' ') line++, length--;
        HDL_TRY(add_merge(&codes, line, length, rank++, line_number));
    }
    *out = codes;
    codes = (hdl__bpe_codes){0};
done:
    hdl__bpe_codes_free(&codes);
    return status;
}

void hdl__bpe_codes_free(hdl__bpe_codes *codes)
{
    hdl__free(codes->pairs);
    hdl__free(codes->symbol_slots);
    hdl__free(codes->symbols);
    hdl__str_free(&codes->text);
    *codes = (hdl__bpe_codes){0};
}
