/*
 * vocabulary_yaml.c - Marian's vocabulary .yml: one `token: id` a line, keys plain, quoted or complex (`? key`, `: id`).
 *
 * Read by lines and not by a YAML parser: parsers refuse or merge keys that real vocabularies hold (control characters,
 * a lone "~", "<<", numbers).
 */
#include "formats/vocabulary_file.h"

#include "text/text.h"

#include <string.h>

#define MAX_ID_DIGITS 9

typedef struct entries {
    hdl__token_pair *pairs;
    size_t           n, capacity;
    hdl__str         text;
} entries;

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static void add_code_point(hdl__str *out, uint32_t code)
{
    char bytes[4];
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0x00, 0xC0, 0xE0, 0xF0};
    for (size_t i = n - 1; i > 0; i--, code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3F));
    bytes[0] = (char)(lead[n] | code);
    hdl__str_add(out, bytes, n);
}

/* A \x, \u or \U escape: `digits` hex digits at text[*at]. */
static bool add_hex(hdl__str *out, const char *text, size_t n, size_t *at, int digits)
{
    uint32_t code = 0;
    for (int i = 0; i < digits; i++, (*at)++) {
        int digit = *at < n ? hex_digit(text[*at]) : -1;
        if (digit < 0) return false;
        code = code << 4 | (uint32_t)digit;
    }
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    add_code_point(out, code);
    return true;
}

/* The inside of a double-quoted key. */
static bool add_double_quoted(hdl__str *out, const char *text, size_t n)
{
    static const char names[] = "abtnvfre \"/\\_NLP";
    static const uint32_t codes[] = {7, 8, 9, 10, 11, 12, 13, 27, ' ', '"', '/', '\\', 0xA0, 0x85, 0x2028, 0x2029};
    for (size_t at = 0; at < n;) {
        if (text[at] == '"') return false;
        if (text[at] != '\\') {
            hdl__str_add(out, &text[at++], 1);
            continue;
        }
        if (++at == n) return false;
        char kind = text[at++];
        if (kind == 'x' || kind == 'u' || kind == 'U') {
            if (!add_hex(out, text, n, &at, kind == 'x' ? 2 : kind == 'u' ? 4 : 8)) return false;
            continue;
        }
        const char *found = memchr(names, kind, sizeof names - 1);
        if (found == NULL) return false;
        add_code_point(out, codes[found - names]);
    }
    return true;
}

/* The inside of a single-quoted key: '' stands for one quote. */
static bool add_single_quoted(hdl__str *out, const char *text, size_t n)
{
    for (size_t at = 0; at < n; at++) {
        if (text[at] == '\'' && (++at == n || text[at] != '\'')) return false;
        hdl__str_add(out, &text[at], 1);
    }
    return true;
}

static void trim(const char **text, size_t *n)
{
    while (*n > 0 && (**text == ' ' || **text == '\t')) {
        (*text)++;
        (*n)--;
    }
    while (*n > 0 && ((*text)[*n - 1] == ' ' || (*text)[*n - 1] == '\t')) (*n)--;
}

static bool add_key(hdl__str *out, const char *text, size_t n)
{
    bool fits = true;
    trim(&text, &n);
    if (n >= 2 && text[0] == '"' && text[n - 1] == '"') fits = add_double_quoted(out, text + 1, n - 2);
    else if (n >= 2 && text[0] == '\'' && text[n - 1] == '\'') fits = add_single_quoted(out, text + 1, n - 2);
    else hdl__str_add(out, text, n);
    hdl__str_add(out, "", 1);
    return fits;
}

static bool read_id(const char *text, size_t n, int64_t *out)
{
    trim(&text, &n);
    if (n == 0 || n > MAX_ID_DIGITS) return false;
    int64_t value = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        value = value * 10 + (text[i] - '0');
    }
    *out = value;
    return true;
}

static hdl_status add_entry(entries *e, size_t offset, int64_t id, const char *name)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(!e->text.failed, HDL_ENOMEM, "%s: no memory for %zu tokens", name, e->n);
    HDL_CHECK(e->n < HDL__MAX_VOCABULARY, HDL_EFORMAT, "%s: more than %d tokens", name, HDL__MAX_VOCABULARY);
    if (e->n == e->capacity) {
        size_t capacity = e->capacity == 0 ? 1024 : e->capacity * 2;
        hdl__token_pair *grown = hdl__regrow(e->pairs, e->n * sizeof *grown, capacity * sizeof *grown);
        HDL_CHECK(grown != NULL, HDL_ENOMEM, "%s: no memory for %zu tokens", name, capacity);
        e->pairs = grown;
        e->capacity = capacity;
    }
    e->pairs[e->n++] = (hdl__token_pair){.id = id, .offset = offset};
done:
    return status;
}

/* One line. A complex key waits in *key (its offset + 1; 0: none) for the line that has its id. */
static hdl_status read_line(entries *e, const char *text, size_t n, size_t line, const char *name, size_t *key)
{
    hdl_status status = HDL_OK;
    int64_t id = 0;
    size_t offset = e->text.n;
    if (n == 0 || text[0] == '#' || (n == 3 && (memcmp(text, "---", 3) == 0 || memcmp(text, "...", 3) == 0)))
        goto done;
    HDL_CHECK(memchr(text, '\0', n) == NULL && hdl__utf8_valid(text, n), HDL_EFORMAT,
              "%s: line %zu is not UTF-8 without NUL", name, line);
    if (*key == 0 && n >= 2 && memcmp(text, "? ", 2) == 0) {
        HDL_CHECK(add_key(&e->text, text + 2, n - 2), HDL_EFORMAT, "%s: line %zu: key is not quoted well", name, line);
        *key = offset + 1;
        goto done;
    }
    size_t colon = n;
    while (colon > 0 && text[colon - 1] != ':') colon--;
    HDL_CHECK(colon > 0 && read_id(text + colon, n - colon, &id), HDL_EFORMAT,
              "%s: line %zu: expected `token: id`", name, line);
    if (*key != 0) {
        HDL_CHECK(colon == 1, HDL_EFORMAT, "%s: line %zu: expected `: id`", name, line);
        offset = *key - 1;
        *key = 0;
    } else {
        HDL_CHECK(add_key(&e->text, text, colon - 1), HDL_EFORMAT, "%s: line %zu: key is not quoted well", name,
                  line);
    }
    HDL_TRY(add_entry(e, offset, id, name));
done:
    return status;
}

hdl_status hdl__vocabulary_read_yaml(const hdl__file *bytes, const char *name, hdl__token_list *list)
{
    hdl_status status = HDL_OK;
    const char *text = (const char *)bytes->data;
    entries e = {0};
    size_t key = 0, line = 1;
    for (size_t at = 0; at < bytes->n; line++) {
        const char *end = memchr(text + at, '\n', bytes->n - at);
        size_t n = end == NULL ? bytes->n - at : (size_t)(end - (text + at));
        size_t kept = n > 0 && text[at + n - 1] == '\r' ? n - 1 : n;
        HDL_TRY(read_line(&e, text + at, kept, line, name, &key));
        at += n + 1;
    }
    HDL_CHECK(key == 0, HDL_EFORMAT, "%s: the last key has no id", name);
    HDL_CHECK(!e.text.failed, HDL_ENOMEM, "%s: no memory for %zu tokens", name, e.n);
    HDL_TRY(hdl__token_list_order(e.text.data, e.pairs, e.n, name, list));
done:
    hdl__str_free(&e.text);
    hdl__free(e.pairs);
    return status;
}
