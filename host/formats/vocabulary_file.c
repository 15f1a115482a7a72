/* vocabulary_file.c - token lists from JSON and plain lines, and the block they end in. */
#include "formats/vocabulary_file.h"

#include "formats/json_file.h"
#include "text/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void hdl__token_list_add(hdl__token_list *list, const char *token, size_t n)
{
    hdl__str_add(&list->text, token, n);
    hdl__str_add(&list->text, "", 1);
    list->n++;
}

hdl_status hdl__token_list_finish(hdl__token_list *list, const char *file, hdl__vocabulary *out)
{
    hdl_status status = HDL_OK;
    size_t pointers = (size_t)list->n * sizeof(char *);
    HDL_CHECK(list->n > 0, HDL_EFORMAT, "%s: holds no token", file);
    HDL_CHECK(!list->text.failed, HDL_ENOMEM, "%s: no memory for %d tokens", file, list->n);
    char **tokens = hdl__calloc(1, pointers + list->text.n);
    HDL_CHECK(tokens != NULL, HDL_ENOMEM, "%s: no memory for %d tokens", file, list->n);
    char *text = (char *)tokens + pointers;
    memcpy(text, list->text.data, list->text.n);
    for (int32_t i = 0; i < list->n; i++) {
        tokens[i] = text;
        text += strlen(text) + 1;
    }
    *out = (hdl__vocabulary){.tokens = tokens, .n = list->n};
done:
    return status;
}

static int compare_pairs(const void *a, const void *b)
{
    const hdl__token_pair *first = a, *second = b;
    return (first->id > second->id) - (first->id < second->id);
}

hdl_status hdl__token_list_order(const char *text, hdl__token_pair *pairs, size_t n, const char *name,
                                 hdl__token_list *list)
{
    hdl_status status = HDL_OK;
    if (n > 1) qsort(pairs, n, sizeof *pairs, compare_pairs);
    for (size_t i = 0; i < n; i++) {
        HDL_CHECK(i == 0 || pairs[i].id != pairs[i - 1].id, HDL_EFORMAT, "%s: two tokens have id %" PRId64, name,
                  pairs[i].id);
        HDL_CHECK(pairs[i].id == (int64_t)i, HDL_EFORMAT, "%s: id %zu has no token, the next is %" PRId64, name, i,
                  pairs[i].id);
        const char *token = text + pairs[i].offset;
        hdl__token_list_add(list, token, strlen(token));
    }
done:
    return status;
}

static hdl_status read_json_map(const json_t *root, const char *name, hdl__token_list *list)
{
    hdl_status status = HDL_OK;
    const char *key;
    json_t *value;
    size_t n = 0;
    hdl__str text = {0};
    hdl__token_pair *pairs = hdl__calloc(json_object_size(root), sizeof *pairs);
    HDL_CHECK(pairs != NULL, HDL_ENOMEM, "%s: no memory for %zu tokens", name, json_object_size(root));
    json_object_foreach((json_t *)(uintptr_t)root, key, value) {
        HDL_CHECK(json_is_integer(value), HDL_EFORMAT, "%s: the id of token \"%s\" is not an integer", name, key);
        pairs[n++] = (hdl__token_pair){.id = (int64_t)json_integer_value(value), .offset = text.n};
        hdl__str_add(&text, key, strlen(key) + 1);
    }
    HDL_CHECK(!text.failed, HDL_ENOMEM, "%s: no memory for %zu tokens", name, n);
    HDL_TRY(hdl__token_list_order(text.data, pairs, n, name, list));
done:
    hdl__str_free(&text);
    hdl__free(pairs);
    return status;
}

hdl_status hdl__vocabulary_read_json(const hdl__file *bytes, const char *name, hdl__token_list *list)
{
    hdl_status status = HDL_OK;
    json_t *root = NULL;
    HDL_TRY(hdl__json_parse(bytes->data, bytes->n, name, &root));
    HDL_CHECK(json_is_array(root) || json_is_object(root), HDL_EFORMAT,
              "%s: expected an array of tokens or a map of token to id", name);
    if (json_is_object(root)) {
        HDL_TRY(read_json_map(root, name, list));
        goto done;
    }
    for (size_t i = 0; i < json_array_size(root); i++) {
        const json_t *token = json_array_get(root, i);
        HDL_CHECK(json_is_string(token), HDL_EFORMAT, "%s: entry %zu is not a string", name, i);
        hdl__token_list_add(list, json_string_value(token), json_string_length(token));
    }
done:
    json_decref(root);
    return status;
}

/* Whether every line ends with a carriage return: only then are they line ends and not part of tokens. */
static bool every_line_has_cr(const char *text, size_t n)
{
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        size_t length = end == NULL ? n - at : (size_t)(end - (text + at));
        if (length == 0 || text[at + length - 1] != '\r') return false;
        at += length + 1;
    }
    return true;
}

hdl_status hdl__vocabulary_read_lines(const hdl__file *bytes, const char *name, hdl__token_list *list)
{
    hdl_status status = HDL_OK;
    const char *text = (const char *)bytes->data;
    size_t drop = every_line_has_cr(text, bytes->n) ? 1 : 0;
    for (size_t at = 0; at < bytes->n;) {
        const char *end = memchr(text + at, '\n', bytes->n - at);
        size_t length = end == NULL ? bytes->n - at : (size_t)(end - (text + at));
        HDL_CHECK(memchr(text + at, '\0', length) == NULL, HDL_EFORMAT, "%s: line %d holds a NUL byte", name,
                  list->n + 1);
        HDL_CHECK(hdl__utf8_valid(text + at, length), HDL_EFORMAT, "%s: line %d is not valid UTF-8", name,
                  list->n + 1);
        HDL_CHECK(list->n < HDL__MAX_VOCABULARY, HDL_EFORMAT, "%s: more than %d tokens", name, HDL__MAX_VOCABULARY);
        hdl__token_list_add(list, text + at, length - drop);
        at += length + 1;
    }
done:
    return status;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

static bool list_holds(const hdl__token_list *list, const char *token)
{
    const char *at = list->text.data;
    for (int32_t i = 0; i < list->n; i++, at += strlen(at) + 1)
        if (strcmp(at, token) == 0) return true;
    return false;
}

hdl_status hdl__vocabulary_parse(const hdl__file *bytes, const char *name, const char *unknown, hdl__vocabulary *out)
{
    hdl_status status = HDL_OK;
    hdl__token_list list = {0};
    if (ends_with(name, ".json")) HDL_TRY(hdl__vocabulary_read_json(bytes, name, &list));
    else if (ends_with(name, ".spm")) HDL_TRY(hdl__vocabulary_read_spm(bytes, name, &list));
    else if (ends_with(name, ".yml") || ends_with(name, ".yaml"))
        HDL_TRY(hdl__vocabulary_read_yaml(bytes, name, &list));
    else HDL_TRY(hdl__vocabulary_read_lines(bytes, name, &list));
    HDL_CHECK(!list.text.failed, HDL_ENOMEM, "%s: no memory for %d tokens", name, list.n);
    if (unknown != NULL && !list_holds(&list, unknown)) hdl__token_list_add(&list, unknown, strlen(unknown));
    HDL_TRY(hdl__token_list_finish(&list, name, out));
done:
    hdl__str_free(&list.text);
    return status;
}

hdl_status hdl__vocabulary_open(const hdl__source *source, const char *name, const char *unknown,
                                hdl__vocabulary *out)
{
    hdl_status status = HDL_OK;
    hdl__file file = {0};
    HDL_TRY(hdl__source_open(source, name, &file));
    HDL_TRY(hdl__vocabulary_parse(&file, name, unknown, out));
done:
    hdl__file_close(&file);
    return status;
}

hdl_status hdl__vocabulary_copy(const hdl__vocabulary *vocabulary, hdl__vocabulary *out)
{
    hdl__token_list list = {0};
    for (int32_t i = 0; i < vocabulary->n; i++)
        hdl__token_list_add(&list, vocabulary->tokens[i], strlen(vocabulary->tokens[i]));
    hdl_status status = hdl__token_list_finish(&list, "vocabulary", out);
    hdl__str_free(&list.text);
    return status;
}

int32_t hdl__vocabulary_find(const hdl__vocabulary *vocabulary, const char *token)
{
    for (int32_t i = 0; i < vocabulary->n; i++)
        if (strcmp(vocabulary->tokens[i], token) == 0) return i;
    return -1;
}

void hdl__vocabulary_close(hdl__vocabulary *vocabulary)
{
    hdl__free(vocabulary->tokens);
    *vocabulary = (hdl__vocabulary){0};
}
