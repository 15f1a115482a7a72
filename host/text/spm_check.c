/* spm_check.c - checks a SentencePiece model's wire format and pieces before the library sees it. */
#include "text/charsmap_check.h"
#include "text/segmenter.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIELD_PIECES = 1, FIELD_NORMALIZER = 3, FIELD_SELF_TEST = 4, FIELD_DENORMALIZER = 5,
    PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3,
    TYPE_USER_DEFINED = 4,
    NORMALIZER_CHARSMAP = 2,
    WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5,
    MAX_PIECE_BYTES = 8000,     /* newer SentencePiece refuses longer ones; older ones recurse over them */
    MAX_NESTED_SYMBOLS = 64     /* its prefix matcher keeps that many matches on the stack and reads what it counts */
};

typedef struct wire_reader { const uint8_t *data; size_t n, at; } wire_reader;

typedef struct wire_field {
    uint32_t       number, wire;
    const uint8_t *bytes;       /* WIRE_BYTES and the fixed ones */
    size_t         n, begin;    /* begin: where the field's tag stands */
    uint64_t       value;       /* WIRE_VARINT */
} wire_field;

typedef struct symbol { const uint8_t *text; size_t n; } symbol;
typedef struct symbol_list { symbol *items; size_t n, capacity; } symbol_list;

static bool read_varint(wire_reader *r, uint64_t *value)
{
    *value = 0;
    for (unsigned shift = 0; shift < 64 && r->at < r->n; shift += 7) {
        uint8_t byte = r->data[r->at++];
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) return true;
    }
    return false;
}

static bool read_field(wire_reader *r, wire_field *field)
{
    uint64_t tag;
    *field = (wire_field){.begin = r->at};
    if (!read_varint(r, &tag) || tag >> 3 == 0 || tag > UINT32_MAX) return false;
    field->number = (uint32_t)(tag >> 3);
    field->wire = (uint32_t)(tag & 7);
    uint64_t n = field->wire == WIRE_FIXED64 ? 8 : 4;
    if (field->wire == WIRE_VARINT) return read_varint(r, &field->value);
    if (field->wire != WIRE_FIXED64 && field->wire != WIRE_FIXED32 && field->wire != WIRE_BYTES) return false;
    if (field->wire == WIRE_BYTES && !read_varint(r, &n)) return false;
    if (n > r->n - r->at) return false;
    field->bytes = r->data + r->at;
    field->n = (size_t)n;
    r->at += (size_t)n;
    return true;
}

static hdl_status keep_symbol(symbol_list *list, symbol item)
{
    if (list->n == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        symbol *grown = hdl__regrow(list->items, list->n * sizeof *grown, capacity * sizeof *grown);
        if (grown == NULL) return hdl__fail(HDL_ENOMEM, "no memory for user-defined symbols");
        list->items = grown;
        list->capacity = capacity;
    }
    list->items[list->n++] = item;
    return HDL_OK;
}

static hdl_status check_piece(const wire_field *message, symbol_list *symbols)
{
    hdl_status status = HDL_OK;
    wire_reader r = {message->bytes, message->n, 0};
    symbol text = {NULL, 0};
    uint64_t type = 1;
    while (r.at < r.n) {
        wire_field field;
        HDL_CHECK(read_field(&r, &field), HDL_EFORMAT, "malformed piece at offset %zu", message->begin);
        if (field.number == PIECE_TEXT && field.wire == WIRE_BYTES) text = (symbol){field.bytes, field.n};
        if (field.number == PIECE_TYPE && field.wire == WIRE_VARINT) type = field.value;
        if (field.number == PIECE_SCORE && field.wire == WIRE_FIXED32) {
            float score;
            memcpy(&score, field.bytes, sizeof score);
            HDL_CHECK(isfinite(score), HDL_EFORMAT, "score of the piece at offset %zu is not finite", message->begin);
        }
    }
    HDL_CHECK(text.n > 0 && text.n <= MAX_PIECE_BYTES, HDL_EFORMAT,
              "piece at offset %zu has %zu bytes, allowed are 1 to %d", message->begin, text.n, MAX_PIECE_BYTES);
    HDL_CHECK(memchr(text.text, 0, text.n) == NULL, HDL_EFORMAT, "piece at offset %zu holds a NUL", message->begin);
    if (type == TYPE_USER_DEFINED) HDL_TRY(keep_symbol(symbols, text));
done:
    return status;
}

static hdl_status check_normalizer(const wire_field *message)
{
    hdl_status status = HDL_OK;
    wire_reader r = {message->bytes, message->n, 0};
    while (r.at < r.n) {
        wire_field field;
        HDL_CHECK(read_field(&r, &field), HDL_EFORMAT, "malformed normaliser at offset %zu", message->begin);
        if (field.number == NORMALIZER_CHARSMAP && field.wire == WIRE_BYTES && field.n > 0) {
            HDL_TRY(hdl__charsmap_check(field.bytes, field.n));
        }
    }
done:
    return status;
}

static int compare_symbols(const void *left, const void *right)
{
    const symbol *a = left, *b = right;
    int order = memcmp(a->text, b->text, a->n < b->n ? a->n : b->n);
    return order != 0 ? order : (a->n > b->n) - (a->n < b->n);
}

/* Sorted, the prefixes of a symbol stand before it: a stack of them shows how many one text can match. */
static hdl_status check_nesting(symbol_list *symbols)
{
    hdl_status status = HDL_OK;
    size_t stack[MAX_NESTED_SYMBOLS], depth = 0;
    if (symbols->n == 0) return HDL_OK;
    qsort(symbols->items, symbols->n, sizeof symbols->items[0], compare_symbols);
    for (size_t i = 0; i < symbols->n; i++) {
        const symbol *s = &symbols->items[i];
        while (depth > 0) {
            const symbol *top = &symbols->items[stack[depth - 1]];
            if (top->n <= s->n && memcmp(top->text, s->text, top->n) == 0) break;
            depth--;
        }
        HDL_CHECK(depth < MAX_NESTED_SYMBOLS, HDL_EFORMAT, "more than %d user-defined symbols begin one another",
                  MAX_NESTED_SYMBOLS);
        stack[depth++] = i;
    }
done:
    return status;
}

static hdl_status check_fields(const uint8_t *data, size_t n, symbol_list *symbols, bool *has_self_test)
{
    hdl_status status = HDL_OK;
    wire_reader r = {data, n, 0};
    while (r.at < r.n) {
        wire_field field;
        HDL_CHECK(read_field(&r, &field), HDL_EFORMAT, "not a SentencePiece model: malformed field at offset %zu",
                  field.begin);
        if (field.wire != WIRE_BYTES) continue;
        if (field.number == FIELD_PIECES) HDL_TRY(check_piece(&field, symbols));
        if (field.number == FIELD_NORMALIZER || field.number == FIELD_DENORMALIZER) HDL_TRY(check_normalizer(&field));
        if (field.number == FIELD_SELF_TEST) *has_self_test = true;
    }
done:
    return status;
}

static hdl_status trim_self_test(const uint8_t *data, size_t n, hdl__str *trimmed)
{
    wire_reader r = {data, n, 0};
    wire_field field;
    while (r.at < r.n && read_field(&r, &field)) {
        if (field.number == FIELD_SELF_TEST) continue;
        hdl__str_add(trimmed, (const char *)data + field.begin, r.at - field.begin);
    }
    return trimmed->failed ? hdl__fail(HDL_ENOMEM, "no memory for a model of %zu bytes", n) : HDL_OK;
}

hdl_status hdl__spm_check(const uint8_t *data, size_t n, const char *file_name, hdl__str *trimmed)
{
    hdl_status status = HDL_OK;
    symbol_list symbols = {NULL, 0, 0};
    bool has_self_test = false;
    HDL_CHECK(n > 0 && n <= INT32_MAX, HDL_EFORMAT, "a SentencePiece model has 1 to %d bytes, this one %zu", INT32_MAX,
              n);
    HDL_TRY(check_fields(data, n, &symbols, &has_self_test));
    HDL_TRY(check_nesting(&symbols));
    if (has_self_test) HDL_TRY(trim_self_test(data, n, trimmed));
done:
    hdl__free(symbols.items);
    return status == HDL_OK ? HDL_OK : hdl__fail_prefix(status, file_name);
}
