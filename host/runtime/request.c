/* request.c - a request becomes a ticket: clean text, pieces, ids, room for results. */
#include "runtime/request.h"

#include <stdio.h>
#include <string.h>

/* Ids of a list of token names; unknown names become the unknown id (`strict`: an error that names them). */
static hdl_status find_ids(const hdl_tokenizer *tokenizer, int32_t unknown_id, const char *const *tokens, size_t n,
                           const char *strict, int32_t *ids)
{
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < n; i++) {
        HDL_CHECK(tokens[i] != NULL, HDL_EINVAL, "token %zu is NULL", i);
        ids[i] = hdl_tokenizer_id(tokenizer, tokens[i]);
        HDL_CHECK(ids[i] >= 0 || strict == NULL, HDL_EINVAL, "%s \"%s\" is not in the vocabulary", strict, tokens[i]);
        if (ids[i] < 0) ids[i] = unknown_id;
        HDL_CHECK(ids[i] >= 0, HDL_EINVAL, "token \"%s\" is not in the vocabulary, which has no unknown token", tokens[i]);
    }
done:
    return status;
}

static int32_t source_unknown(const hdl_model *model)
{
    const int32_t id = model->checkpoint.config.unknown_id;
    return id < 0 ? -1 : hdl_tokenizer_id(model->source, model->checkpoint.target_vocabulary.tokens[id]);
}

/* Special tokens around a piece's own, as ids in the source vocabulary. */
typedef struct frame { int32_t *before, *after; int32_t n_before, n_after; } frame;

static hdl_status make_frame(hdl__request_work *w, frame *f)
{
    hdl_status status = HDL_OK;
    const hdl_request *r = w->request;
    const hdl_model *model = w->translator->model;
    const hdl__config *c = &model->checkpoint.config;
    const hdl__vocabulary *names = &model->checkpoint.target_vocabulary;
    const int32_t bos = c->source_bos && c->bos_id >= 0 ? hdl_tokenizer_id(model->source, names->tokens[c->bos_id]) : -1;
    const bool wants_end = w->ticket->text ? c->text_source_eos : c->source_eos;
    const int32_t eos = wants_end && c->end_id >= 0 ? hdl_tokenizer_id(model->source, names->tokens[c->end_id]) : -1;
    f->before = hdl__bump_take(&w->ticket->memory, r->n_source_prefix + 1, sizeof(int32_t));
    f->after = hdl__bump_take(&w->ticket->memory, r->n_source_suffix + 1, sizeof(int32_t));
    HDL_CHECK(f->before != NULL && f->after != NULL, HDL_ENOMEM, "no memory for special tokens");
    if (bos >= 0) f->before[f->n_before++] = bos;
    HDL_TRY(find_ids(model->source, -1, r->source_prefix, r->n_source_prefix, "source prefix token",
                     f->before + f->n_before));
    f->n_before += (int32_t)r->n_source_prefix;
    HDL_TRY(find_ids(model->source, -1, r->source_suffix, r->n_source_suffix, "source suffix token", f->after));
    f->n_after = (int32_t)r->n_source_suffix;
    bool has_end = false;
    for (int32_t i = 0; i < f->n_after; i++) has_end = has_end || f->after[i] == eos;
    if (eos >= 0 && !has_end) f->after[f->n_after++] = eos;
done:
    return status;
}

/* Longest source the encoder takes, special tokens counted. */
static int32_t source_limit(const hdl__request_work *w)
{
    const hdl__config *c = &w->translator->model->checkpoint.config;
    int32_t limit = w->translator->network->encoder.n_positions;
    const int32_t asked = w->request->max_source_length > 0 ? w->request->max_source_length
                          : w->ticket->text && w->request->split != HDL_SPLIT_NEVER ? c->max_source_length : 0;
    return asked > 0 && asked < limit ? asked : limit;
}

/* Framed ids of one piece; cuts or refuses what is too long. */
static hdl_status frame_source(hdl__request_work *w, const frame *f, const int32_t *ids, size_t n,
                               hdl__ticket_piece *piece)
{
    hdl_status status = HDL_OK;
    const int32_t limit = source_limit(w), specials = f->n_before + f->n_after;
    HDL_CHECK(limit > specials, HDL_EINVAL, "max_source_length = %d leaves no room beside %d special tokens", limit, specials);
    size_t kept = n;
    if (n > (size_t)(limit - specials)) {
        HDL_CHECK(w->request->overflow == HDL_OVERFLOW_CUT, HDL_EINVAL,
                  "source has %zu tokens with special ones, allowed %d", n + (size_t)specials, limit);
        kept = (size_t)(limit - specials);
        w->ticket->result.n_cut += n - kept;
    }
    int32_t *source = hdl__bump_take(&w->ticket->memory, kept + (size_t)specials, sizeof *source);
    HDL_CHECK(source != NULL, HDL_ENOMEM, "no memory for %zu source tokens", kept);
    memcpy(source, f->before, (size_t)f->n_before * sizeof *source);
    if (kept > 0) memcpy(source + f->n_before, ids, kept * sizeof *source);
    memcpy(source + f->n_before + (int32_t)kept, f->after, (size_t)f->n_after * sizeof *source);
    piece->sentence.source = source;
    piece->sentence.S = (int32_t)kept + specials;
    piece->first_column = f->n_before;
    piece->n_columns = (int32_t)kept;
    piece->n_padded_columns = (int32_t)(n - kept);
done:
    return status;
}

/* Ids of a piece of text. */
static hdl_status encode_text(hdl__request_work *w, const hdl_tokenizer *tokenizer, const char *text, size_t n,
                              int32_t **ids, size_t *n_ids)
{
    hdl_status status = HDL_OK;
    size_t capacity = n + 2;        /* a token has at least a byte, but for the mark of a word's start */
    for (;;) {
        *ids = hdl__bump_take(&w->scratch, capacity, sizeof **ids);
        HDL_CHECK(*ids != NULL, HDL_ENOMEM, "no memory for %zu tokens", capacity);
        HDL_TRY(hdl_tokenizer_encode(tokenizer, text, n, *ids, capacity, n_ids));
        if (*n_ids <= capacity) break;
        capacity = *n_ids;
    }
done:
    return status;
}

/* Unknown ids of a piece of text get the text they stand for, so that it can be copied to the target. */
static hdl_status name_unknown(hdl__request_work *w, const char *text, size_t n_bytes, const int32_t *ids, size_t n,
                               const char **names)
{
    hdl_status status = HDL_OK;
    hdl__str pieces = {0};
    const int32_t unknown = source_unknown(w->translator->model);
    bool any = false;
    for (size_t i = 0; i < n; i++) any = any || ids[i] == unknown;
    if (!any) return HDL_OK;
    HDL_TRY(hdl__tokenizer_pieces(w->translator->model->source, text, n_bytes, &pieces));
    const char *at = pieces.data;
    for (size_t i = 0; i < n; i++, at += strlen(at) + 1) {
        if (ids[i] != unknown) continue;
        names[i] = hdl__bump_copy(&w->ticket->memory, at, strlen(at));
        HDL_CHECK(names[i] != NULL, HDL_ENOMEM, "no memory for a token");
    }
done:
    hdl__str_free(&pieces);
    return status;
}

/* Names of the source tokens of one piece, appended to the result's list. `text` is NULL in token mode. */
static hdl_status name_source(hdl__request_work *w, const char *text, size_t n_bytes, const int32_t *ids, size_t n)
{
    hdl_status status = HDL_OK;
    const char **grown = hdl__regrow(w->names, w->n_names * sizeof *grown, (w->n_names + n) * sizeof *grown);
    HDL_CHECK(grown != NULL, HDL_ENOMEM, "no memory for the names of %zu source tokens", n);
    w->names = grown;
    const char **names = w->names + w->n_names;
    for (size_t i = 0; i < n; i++) {
        const char *name = text != NULL ? hdl_tokenizer_token(w->translator->model->source, ids[i]) : w->request->tokens[i];
        names[i] = hdl__bump_copy(&w->ticket->memory, name, strlen(name));
        HDL_CHECK(names[i] != NULL, HDL_ENOMEM, "no memory for a token");
    }
    if (text != NULL) HDL_TRY(name_unknown(w, text, n_bytes, ids, n, names));
    w->n_names += n;
done:
    return status;
}

/* The target: a score's text or tokens, or a prefix; only the first piece has one. */
static hdl_status take_target(hdl__request_work *w, bool first)
{
    hdl_status status = HDL_OK;
    const hdl_request *r = w->request;
    const hdl_model *model = w->translator->model;
    const int32_t unknown = model->checkpoint.config.unknown_id;
    int32_t *ids = NULL;
    size_t n = 0;
    w->n_target = 0;
    w->target = hdl__bump_take(&w->ticket->memory, r->n_target_bytes + r->n_target_tokens + 4, sizeof(int32_t));
    HDL_CHECK(w->target != NULL, HDL_ENOMEM, "no memory for target tokens");
    if (r->target_language != NULL) {
        HDL_TRY(find_ids(model->target, -1, &r->target_language, 1, "target language token", w->target));
        w->n_target = w->n_hidden = 1;
    }
    if (!first) return HDL_OK;
    if (r->target != NULL) {
        size_t n_replaced;
        HDL_TRY(hdl__utf8_clean(r->target, r->n_target_bytes, &w->clean_target, &n_replaced));
        w->ticket->result.n_replaced += n_replaced;
        HDL_TRY(encode_text(w, model->target, w->clean_target.data, w->clean_target.n, &ids, &n));
        w->target = hdl__bump_take(&w->ticket->memory, n + 4, sizeof(int32_t));
        HDL_CHECK(w->target != NULL, HDL_ENOMEM, "no memory for %zu target tokens", n);
        if (w->n_hidden > 0) HDL_TRY(find_ids(model->target, -1, &r->target_language, 1, "target language token", w->target));
        memcpy(w->target + w->n_target, ids, n * sizeof *ids);
    } else {
        n = r->n_target_tokens;
        HDL_TRY(find_ids(model->target, unknown, r->target_tokens, n, NULL, w->target + w->n_target));
    }
    w->n_target += (int32_t)n;
done:
    return status;
}

/* Nothing but special tokens, which a caller in token mode may bring along: an empty source. */
static bool is_empty(const hdl__request_work *w, const int32_t *ids, size_t n)
{
    const hdl_model *model = w->translator->model;
    const hdl__config *c = &model->checkpoint.config;
    const int32_t special[] = {c->end_id, c->bos_id, c->pad_id};
    for (size_t i = 0; i < n; i++) {
        const char *token = hdl_tokenizer_token(model->source, ids[i]);
        bool found = false;
        for (size_t j = 0; j < sizeof special / sizeof special[0]; j++)
            found = found || (special[j] >= 0 && strcmp(token, hdl_tokenizer_token(model->target, special[j])) == 0);
        if (!found) return false;
    }
    return true;
}

static hdl_status make_pieces(hdl__request_work *w, const hdl__pieces *cuts, const frame *f)
{
    hdl_status status = HDL_OK;
    hdl_ticket *ticket = w->ticket;
    const hdl_model *model = w->translator->model;
    const int32_t n = ticket->text ? (int32_t)cuts->n : w->request->n_tokens > 0 ? 1 : 0;
    ticket->pieces = hdl__bump_take(&ticket->memory, (size_t)n, sizeof *ticket->pieces);
    HDL_CHECK(ticket->pieces != NULL, HDL_ENOMEM, "no memory for %d pieces", n);
    for (int32_t i = 0; i < n; i++) {
        hdl__ticket_piece *piece = &ticket->pieces[ticket->n_pieces];
        int32_t *ids = NULL;
        size_t n_ids = w->request->n_tokens, n_bytes = 0;
        const char *text = NULL;
        if (ticket->text) {
            const hdl__piece *cut = &cuts->items[i];
            text = ticket->result.source + cut->begin;
            n_bytes = cut->end - cut->begin;
            HDL_TRY(encode_text(w, model->source, text, n_bytes, &ids, &n_ids));
        } else {
            ids = hdl__bump_take(&w->scratch, n_ids, sizeof *ids);
            HDL_CHECK(ids != NULL, HDL_ENOMEM, "no memory for %zu tokens", n_ids);
            HDL_TRY(find_ids(model->source, source_unknown(model), w->request->tokens, n_ids, NULL, ids));
        }
        if (is_empty(w, ids, n_ids)) continue;
        HDL_TRY(frame_source(w, f, ids, n_ids, piece));
        HDL_TRY(name_source(w, text, n_bytes, ids, n_ids));
        HDL_TRY(take_target(w, ticket->n_pieces == 0));
        HDL_TRY(hdl__request_sentence(w, piece));
        ticket->n_pieces++;
    }
done:
    return status;
}

/* The clean line, or the tokens joined by spaces. */
static hdl_status take_source(hdl__request_work *w)
{
    hdl_status status = HDL_OK;
    const hdl_request *r = w->request;
    hdl__str clean = {0};
    if (w->ticket->text) {
        size_t n_replaced;
        HDL_TRY(hdl__utf8_clean(r->text, r->n_bytes, &clean, &n_replaced));
        w->ticket->result.n_replaced = n_replaced;
    } else {
        for (size_t i = 0; i < r->n_tokens; i++) {
            HDL_CHECK(r->tokens[i] != NULL, HDL_EINVAL, "tokens[%zu] is NULL", i);
            if (i > 0) hdl__str_puts(&clean, " ");
            hdl__str_puts(&clean, r->tokens[i]);
        }
        HDL_CHECK(!clean.failed, HDL_ENOMEM, "no memory for %zu tokens", r->n_tokens);
    }
    w->ticket->result.source = hdl__bump_copy(&w->ticket->memory, clean.data != NULL ? clean.data : "", clean.n);
    HDL_CHECK(w->ticket->result.source != NULL, HDL_ENOMEM, "no memory for a line of %zu bytes", clean.n);
    w->n_source_bytes = clean.n;
done:
    hdl__str_free(&clean);
    return status;
}

/* An empty source still needs a piece to score a target against. */
static hdl_status add_empty_piece(hdl__request_work *w, const frame *f)
{
    hdl_status status = HDL_OK;
    hdl_ticket *ticket = w->ticket;
    HDL_TRY(take_target(w, true));
    if (ticket->kind != HDL_REQUEST_SCORE || w->n_target == 0) return HDL_OK;
    ticket->pieces = hdl__bump_take(&ticket->memory, 1, sizeof *ticket->pieces);
    HDL_CHECK(ticket->pieces != NULL, HDL_ENOMEM, "no memory for a piece");
    HDL_TRY(frame_source(w, f, NULL, 0, ticket->pieces));
    HDL_TRY(hdl__request_sentence(w, ticket->pieces));
    ticket->n_pieces = 1;
done:
    return status;
}

hdl_status hdl__request_take(hdl__request_work *w)
{
    hdl_status status = HDL_OK;
    hdl__pieces cuts = {0};
    frame f = {0};
    hdl_ticket *ticket = w->ticket;
    HDL_TRY(take_source(w));
    HDL_TRY(make_frame(w, &f));
    if (ticket->text) {
        const hdl__split how = ticket->kind == HDL_REQUEST_SCORE ? HDL__SPLIT_NEVER : (hdl__split)w->request->split;
        const int32_t room = source_limit(w) - f.n_before - f.n_after;
        HDL_TRY(hdl__split_line(w->translator->model->source, ticket->result.source, w->n_source_bytes, how,
                                room > 0 ? room : 1, &cuts));
    }
    HDL_TRY(make_pieces(w, &cuts, &f));
    if (ticket->n_pieces == 0) HDL_TRY(add_empty_piece(w, &f));
    ticket->result.source_tokens = hdl__bump_take(&ticket->memory, w->n_names, sizeof *w->names);
    HDL_CHECK(ticket->result.source_tokens != NULL, HDL_ENOMEM, "no memory for %zu source tokens", w->n_names);
    if (w->n_names > 0) memcpy((void *)(uintptr_t)ticket->result.source_tokens, w->names, w->n_names * sizeof *w->names);
    ticket->result.n_source_tokens = w->n_names;
    ticket->empty_prefix = w->target;
    ticket->n_empty_prefix = ticket->n_pieces == 0 ? w->n_target : 0;
    ticket->n_empty_hidden = w->n_hidden;
done:
    hdl__pieces_free(&cuts);
    return status;
}
