/* line_work.c - turns one line of the input into a request. */
#include "line_work.h"
#include "utf8_clean.h"

#include <stdlib.h>
#include <string.h>

static const char out_of_memory[] = "out of memory";

static bool reserve_items(hdl__tokens *tokens, size_t n)
{
    if (n <= tokens->capacity) return true;
    const char **items = realloc((void *)tokens->items, n * sizeof *items);
    if (!items) return false;
    tokens->items = items;
    tokens->capacity = n;
    return true;
}

bool hdl__tokens_cut(hdl__tokens *tokens, const char *bytes, size_t n, size_t *n_replaced)
{
    hdl__cli_text_clear(&tokens->text);
    tokens->n = 0;
    *n_replaced += hdl__utf8_add_clean(&tokens->text, bytes, n);
    if (tokens->text.failed) return false;
    size_t n_fields = 1;
    for (size_t i = 0; i < tokens->text.n; ++i) n_fields += tokens->text.data[i] == ' ';
    if (!reserve_items(tokens, n_fields)) return false;
    char *end = tokens->text.data + tokens->text.n;
    for (char *at = tokens->text.data; at < end;) {
        char *space = memchr(at, ' ', (size_t)(end - at));
        char *stop = space ? space : end;
        *stop = '\0';
        if (stop > at) tokens->items[tokens->n++] = at;
        at = stop + 1;
    }
    return true;
}

void hdl__tokens_free(hdl__tokens *tokens)
{
    hdl__cli_text_free(&tokens->text);
    free((void *)tokens->items);
    *tokens = (hdl__tokens){ 0 };
}

/* The words of all items of a list: --source-prefix "a b" --source-prefix c gives a b c. */
static bool join_list(hdl__tokens *tokens, const hdl__cli_list *list)
{
    hdl__cli_text joined = { 0 };
    size_t n_replaced = 0;
    for (size_t i = 0; i < list->n; ++i) {
        hdl__cli_text_puts(&joined, list->items[i]);
        hdl__cli_text_puts(&joined, " ");
    }
    bool ok = !joined.failed && hdl__tokens_cut(tokens, joined.data ? joined.data : "", joined.n, &n_replaced);
    hdl__cli_text_free(&joined);
    return ok;
}

bool hdl__line_work_open(hdl__line_work *work, int kind, const hdl__cli_options *options,
                         const hdl_search_options *search)
{
    static const hdl_split splits[] = { HDL_SPLIT_LONG, HDL_SPLIT_SENTENCES, HDL_SPLIT_NEVER };
    *work = (hdl__line_work){ .kind = kind, .tokens = options->tokens != 0, .search = search };
    hdl_request *request = &work->request;
    *request = (hdl_request)HDL_REQUEST_INIT;
    if (!join_list(&work->source_prefix, &options->source_prefix)) return false;
    if (!join_list(&work->source_suffix, &options->source_suffix)) return false;
    request->source_prefix = work->source_prefix.items;
    request->n_source_prefix = work->source_prefix.n;
    request->source_suffix = work->source_suffix.items;
    request->n_source_suffix = work->source_suffix.n;
    request->target_language = options->to;
    request->split = splits[options->split];
    request->max_source_length = options->max_source_length;
    bool refuse = options->strict || options->overflow == HDL__OVERFLOW_ERROR;
    request->overflow = refuse ? HDL_OVERFLOW_ERROR : HDL_OVERFLOW_CUT;
    request->search = search;
    request->wait = 1;
    return true;
}

void hdl__line_work_close(hdl__line_work *work)
{
    hdl__tokens_free(&work->source_prefix);
    hdl__tokens_free(&work->source_suffix);
    hdl__tokens_free(&work->source);
    hdl__tokens_free(&work->target);
}

static const char *set_target(hdl__line_work *work, const char *target, size_t n, hdl_request *request,
                              size_t *n_replaced)
{
    if (!work->tokens) {
        request->target = target;
        request->n_target_bytes = n;
        return NULL;
    }
    if (!hdl__tokens_cut(&work->target, target, n, n_replaced)) return out_of_memory;
    request->target_tokens = work->target.items;
    request->n_target_tokens = work->target.n;
    return NULL;
}

const char *hdl__line_work_request(hdl__line_work *work, const char *line, size_t n, const char *prefix,
                                   size_t n_prefix, hdl_request *request, size_t *n_replaced)
{
    const char *why = NULL;
    *request = work->request;
    *n_replaced = 0;
    const char *tab = work->kind != HDL__LINES_TRANSLATE && n > 0 ? memchr(line, '\t', n) : NULL;
    if (tab) {
        request->kind = HDL_REQUEST_SCORE;
        why = set_target(work, tab + 1, n - (size_t)(tab - line) - 1, request, n_replaced);
        n = (size_t)(tab - line);
    } else if (work->kind == HDL__LINES_SCORE) {
        return "has no tab between source and translation";
    } else if (prefix && n_prefix > 0) {
        why = set_target(work, prefix, n_prefix, request, n_replaced);
    }
    if (why) return why;
    if (!work->tokens) {
        request->text = line;
        request->n_bytes = n;
        return NULL;
    }
    if (!hdl__tokens_cut(&work->source, line, n, n_replaced)) return out_of_memory;
    request->tokens = work->source.items;
    request->n_tokens = work->source.n;
    return NULL;
}
