/* request_sentence.c - a piece becomes a sentence: its limits, allowed words, and room for its outcomes. */
#include "runtime/request.h"

#include <string.h>

#define DEFAULT_LENGTH_FACTOR 3     /* max-length is 3 S + 32 when nothing says otherwise (docs/numerics.md) */
#define DEFAULT_LENGTH_EXTRA 32

static int32_t longest_target(const hdl__request_work *w, const hdl__sentence *s)
{
    const int32_t positions = w->translator->network->decoder.n_positions;
    const hdl__search *search = s->search;
    if (search->max_length > 0) return search->max_length;
    const int64_t by_source = (int64_t)DEFAULT_LENGTH_FACTOR * s->S + DEFAULT_LENGTH_EXTRA;
    int32_t longest = by_source < positions ? (int32_t)by_source : positions;
    return longest < search->slot.min_length ? search->slot.min_length : longest;
}

/* Room for the outcomes; one more than is wanted serves as scratch while the best are chosen. */
static hdl_status make_outcomes(hdl__request_work *w, hdl__sentence *s)
{
    hdl_status status = HDL_OK;
    hdl__bump *memory = &w->ticket->memory;
    /* one beam finishes one hypothesis, so there is nothing to choose from */
    const bool single = s->search->slot.K == 1 && s->phase != HDL__PHASE_ALTERNATIVES;
    const size_t T = (size_t)s->max_length, n = (size_t)s->search->n_best + (single ? 0 : 1);
    const bool align = (s->search->slot.flags & HDL_SLOT_ALIGN) != 0;
    s->capacity = (int32_t)n;
    s->outcomes = hdl__bump_take(memory, n, sizeof *s->outcomes);
    s->alternative = hdl__bump_take(memory, n, sizeof *s->alternative);
    s->alternative_logprob = hdl__bump_take(memory, n, sizeof *s->alternative_logprob);
    HDL_CHECK(s->outcomes != NULL && s->alternative != NULL && s->alternative_logprob != NULL, HDL_ENOMEM,
              "no memory for %zu hypotheses", n);
    for (size_t i = 0; i < n; i++) {
        hdl__outcome *out = &s->outcomes[i];
        out->ids = hdl__bump_take(memory, T, sizeof *out->ids);
        out->logprobs = hdl__bump_take(memory, T, sizeof *out->logprobs);
        out->align = align ? hdl__bump_take(memory, T * (size_t)s->S, sizeof *out->align) : NULL;
        HDL_CHECK(out->ids != NULL && out->logprobs != NULL && (out->align != NULL || !align), HDL_ENOMEM,
                  "no memory for a hypothesis of %zu tokens", T);
    }
done:
    return status;
}

static hdl_status allow_words(hdl__request_work *w, hdl__sentence *s, const hdl__ticket_piece *piece)
{
    hdl_status status = HDL_OK;
    const hdl_model *model = w->translator->model;
    int32_t *allowed = NULL, *always = NULL;
    size_t n_allowed, n_always = 0;
    const size_t n = (size_t)piece->n_columns;
    const char **tokens = hdl__bump_take(&w->scratch, n, sizeof *tokens);
    always = hdl__bump_take(&w->scratch, (size_t)(s->n_prefix + s->search->slot.n_end) + 2, sizeof *always);
    HDL_CHECK(tokens != NULL && always != NULL, HDL_ENOMEM, "no memory for the vocabulary map's lookup");
    for (size_t i = 0; i < n; i++)
        tokens[i] = hdl_tokenizer_token(model->source, s->source[piece->first_column + (int32_t)i]);
    if (model->checkpoint.config.unknown_id >= 0) always[n_always++] = model->checkpoint.config.unknown_id;
    if (model->checkpoint.config.bos_id >= 0) always[n_always++] = model->checkpoint.config.bos_id;
    for (int32_t i = 0; i < s->search->slot.n_end; i++) always[n_always++] = s->search->ends[i];
    for (int32_t i = 0; i < s->n_prefix; i++) always[n_always++] = s->prefix[i];
    HDL_TRY(hdl__vocab_map_lookup(model->vocab_map, tokens, n, always, n_always, &allowed, &n_allowed));
    int32_t *kept = hdl__bump_take(&w->ticket->memory, n_allowed, sizeof *kept);
    HDL_CHECK(kept != NULL, HDL_ENOMEM, "no memory for %zu allowed words", n_allowed);
    memcpy(kept, allowed, n_allowed * sizeof *kept);
    s->allow = kept;
    s->n_allow = (int32_t)n_allowed;
done:
    hdl__free(allowed);
    return status;
}

/* A slot's history and lists must fit the lane's pool when it is empty, or the sentence would wait for ever. */
static hdl_status check_room(const hdl__request_work *w, const hdl__sentence *s)
{
    hdl_status status = HDL_OK;
    hdl_slot_options o = s->search->slot;
    o.S = s->S;
    o.T = s->max_length;
    const int32_t wide = s->phase == HDL__PHASE_ALTERNATIVES ? hdl__alternatives_beam(s->search, w->translator->options.max_beam) : 0;
    if (o.K < wide) o.K = wide;
    if (o.n_pool < 2 * o.K) o.n_pool = 2 * o.K;
    const uint64_t lists = (uint64_t)(o.n_end + s->n_prefix + 1 + s->search->n_suppress_ids + s->n_allow);
    const uint64_t needed = hdl_history_layout_of(&o).bytes + lists * sizeof(int32_t) + 2 * HDL_HISTORY_ALIGN;
    const uint64_t room = w->translator->lanes[0].plan.history_bytes;
    HDL_CHECK(needed <= room, HDL_EINVAL,
              "beam %d, %d target and %d source tokens and %llu listed tokens need %llu bytes of history, a lane has %llu", o.K,
              o.T, o.S, (unsigned long long)lists, (unsigned long long)needed, (unsigned long long)room);
done:
    return status;
}

/* The decoder's first input. A model without a start token of its own (multilingual ones) starts from the first forced token. */
static hdl_status choose_start(const hdl__request_work *w, hdl__sentence *s)
{
    hdl_status status = HDL_OK;
    const hdl__config *c = &w->translator->model->checkpoint.config;
    s->start_id = c->start_is_zero ? -1 : c->start_id;
    if (c->start_is_zero || c->start_id >= 0) return HDL_OK;
    HDL_CHECK(s->n_prefix > 0, HDL_EINVAL,
              "the model has no start token: name the target language, or give it as the first prefix token");
    s->start_id = s->prefix[0];
    s->prefix++;
    s->n_prefix--;
    if (s->n_hidden > 0) s->n_hidden--;
done:
    return status;
}

hdl_status hdl__request_sentence(hdl__request_work *w, hdl__ticket_piece *piece)
{
    hdl_status status = HDL_OK;
    hdl__sentence *s = &piece->sentence;
    hdl_ticket *ticket = w->ticket;
    const int32_t positions = w->translator->network->decoder.n_positions;
    s->ticket = ticket;
    s->search = &ticket->search;
    s->prefix = w->target;
    s->n_prefix = w->n_target;
    s->n_hidden = w->n_hidden;
    HDL_TRY(choose_start(w, s));
    s->priority = w->request->priority;
    s->piece = ticket->n_pieces;
    s->n_children = 1;
    if (ticket->kind == HDL_REQUEST_SCORE) {
        s->phase = HDL__PHASE_SCORE;
        s->max_length = s->n_prefix + 1;
        HDL_CHECK(s->max_length <= positions, HDL_EINVAL, "target has %d tokens with the end token, allowed %d",
                  s->max_length, positions);
    } else {
        s->max_length = longest_target(w, s);
        /* a prefix as long as max_length leaves no next token to choose */
        const bool free_token = s->n_prefix < s->max_length;
        s->phase = ticket->search.alternatives && free_token ? HDL__PHASE_ALTERNATIVES : HDL__PHASE_SEARCH;
        if (ticket->search.sample) s->n_children = ticket->search.n_best;
    }
    if (ticket->search.use_vocab_map && ticket->kind == HDL_REQUEST_TRANSLATE) HDL_TRY(allow_words(w, s, piece));
    HDL_TRY(check_room(w, s));
    HDL_TRY(make_outcomes(w, s));
done:
    return status;
}
