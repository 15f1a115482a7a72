/* result.c - outcomes of a ticket's pieces to the hypotheses a user sees. */
#include "runtime/translator_state.h"

#include <math.h>
#include <string.h>

/* Takes from the ticket's memory; a NULL anywhere ends the result with HDL_ENOMEM. */
typedef struct maker { hdl_ticket *ticket; const hdl_model *model; } maker;

static void *take(maker *m, size_t n, size_t size) { return hdl__bump_take(&m->ticket->memory, n, size); }

/* What a hypothesis shows of one piece. */
typedef struct part {
    const hdl__ticket_piece *piece;
    const hdl__outcome      *outcome;
    int32_t first, n_tokens;        /* shown tokens: outcome->ids[first, first + n_tokens) */
    bool    ended;
} part;

static part part_of(const hdl_ticket *ticket, int32_t piece, int32_t rank)
{
    const hdl__ticket_piece *p = &ticket->pieces[piece];
    const hdl__sentence *s = &p->sentence;
    const hdl__outcome *out = &s->outcomes[rank < s->n_outcomes ? rank : s->n_outcomes - 1];
    part q = {p, out, s->n_hidden, out->n - s->n_hidden, !out->by_length};
    if (q.ended && !ticket->search.with_end) q.n_tokens--;
    if (q.n_tokens < 0) q.n_tokens = 0;
    return q;
}

/* The source token that row t attends to most; lowest index on a tie. -1: no source token. */
static int32_t most_attended(const part *p, int32_t t)
{
    const hdl__ticket_piece *piece = p->piece;
    const float *row = p->outcome->align + (size_t)t * (size_t)piece->sentence.S + (size_t)piece->first_column;
    int32_t best = piece->n_columns > 0 ? 0 : -1;
    for (int32_t j = 1; j < piece->n_columns; j++)
        if (row[j] > row[best]) best = j;
    return best;
}

/* Text of the shown tokens of one piece, into `out`. */
static hdl_status add_text(maker *m, const part *p, const char *const *tokens, hdl__str *out)
{
    hdl_status status = HDL_OK;
    char *text = NULL;
    size_t n = 0;
    if (!m->ticket->text) {
        for (int32_t i = 0; i < p->n_tokens; i++) {
            if (out->n > 0) hdl__str_puts(out, " ");
            hdl__str_puts(out, tokens[i]);
        }
        return HDL_OK;
    }
    if (m->ticket->search.replace_unknowns) return hdl__tokenizer_decode_tokens(m->model->target, tokens, (size_t)p->n_tokens, out);
    const int32_t *ids = p->outcome->ids + p->first;
    HDL_TRY(hdl_tokenizer_decode(m->model->target, ids, (size_t)p->n_tokens, NULL, 0, &n));
    text = hdl__calloc(n + 1, 1);
    HDL_CHECK(text != NULL, HDL_ENOMEM, "no memory for %zu bytes of text", n);
    HDL_TRY(hdl_tokenizer_decode(m->model->target, ids, (size_t)p->n_tokens, text, n + 1, &n));
    hdl__str_add(out, text, n);
done:
    hdl__free(text);
    return status;
}

/* Shown rows by real source columns, into the block-diagonal matrix of the whole line. */
static void add_alignment(const part *p, float *rows, size_t n_columns, size_t column)
{
    const int32_t S = p->piece->sentence.S;
    for (int32_t t = 0; t < p->n_tokens; t++)
        memcpy(rows + (size_t)t * n_columns + column,
               p->outcome->align + (size_t)(p->first + t) * (size_t)S + (size_t)p->piece->first_column,
               (size_t)p->piece->n_columns * sizeof(float));
}

static size_t columns_of(const hdl__ticket_piece *p) { return (size_t)(p->n_columns + p->n_padded_columns); }

typedef struct totals { size_t tokens, logprobs, columns; int32_t length; bool ended; } totals;

static totals measure(const hdl_ticket *ticket, int32_t rank)
{
    totals sum = {0};
    sum.ended = true;
    for (int32_t i = 0; i < ticket->n_pieces; i++) {
        const part p = part_of(ticket, i, rank);
        sum.tokens += (size_t)p.n_tokens;
        sum.logprobs += (size_t)(p.outcome->n - p.first);
        sum.columns += columns_of(p.piece);
        sum.length += p.outcome->n;
        sum.ended = sum.ended && p.ended;
    }
    return sum;
}

/* The formula over the whole line when it was cut into pieces; a single piece keeps the engine's score. */
static float joint_score(const hdl_ticket *ticket, int32_t rank, int32_t length, float sum)
{
    const hdl_slot_options *o = &ticket->search.slot;
    float coverage = 0.0f;
    if (ticket->n_pieces == 1) return part_of(ticket, 0, rank).outcome->score;
    for (int32_t i = 0; i < ticket->n_pieces && o->coverage_penalty != 0.0f; i++) {
        const hdl__outcome *out = part_of(ticket, i, rank).outcome;
        coverage += out->score - out->sum / hdl_length_divisor(out->n, o->length_penalty, (hdl_length_norm)o->length_norm);
    }
    return sum / hdl_length_divisor(length, o->length_penalty, (hdl_length_norm)o->length_norm) + coverage;
}

/* A name of the result's own: the model may go before the ticket. */
static const char *own_token(maker *m, int32_t id)
{
    const char *token = hdl_tokenizer_token(m->model->target, id);
    return hdl__bump_copy(&m->ticket->memory, token, strlen(token));
}

static hdl_status add_tokens(maker *m, const part *p, const char **tokens, int32_t *ids, size_t first_source)
{
    hdl_status status = HDL_OK;
    for (int32_t i = 0; i < p->n_tokens; i++) {
        ids[i] = p->outcome->ids[p->first + i];
        tokens[i] = own_token(m, ids[i]);
        HDL_CHECK(tokens[i] != NULL, HDL_ENOMEM, "no memory for %d tokens", p->n_tokens);
        if (!m->ticket->search.replace_unknowns || ids[i] != m->model->checkpoint.config.unknown_id) continue;
        const int32_t source = most_attended(p, p->first + i);
        if (source >= 0) tokens[i] = m->ticket->result.source_tokens[first_source + (size_t)source];
    }
done:
    return status;
}

static hdl_status build_hypothesis(maker *m, int32_t rank, hdl_hypothesis *out)
{
    hdl_status status = HDL_OK;
    const hdl_ticket *ticket = m->ticket;
    hdl__str text = {0};
    const totals sum = measure(ticket, rank);
    const char **tokens = take(m, sum.tokens, sizeof *tokens);
    int32_t *ids = take(m, sum.tokens, sizeof *ids);
    float *logprobs = take(m, sum.logprobs, sizeof *logprobs), *alignment = NULL, total = 0.0f;
    size_t at = 0, column = 0, logprob_at = 0;
    if (ticket->search.alignment) alignment = take(m, sum.tokens * sum.columns, sizeof *alignment);
    HDL_CHECK(tokens != NULL && ids != NULL && logprobs != NULL && (alignment != NULL || !ticket->search.alignment),
              HDL_ENOMEM, "no memory for a hypothesis of %zu tokens", sum.tokens);
    for (int32_t i = 0; i < ticket->n_pieces; i++) {
        const part p = part_of(ticket, i, rank);
        const size_t n_logprobs = (size_t)(p.outcome->n - p.first);
        HDL_TRY(add_tokens(m, &p, tokens + at, ids + at, column));
        memcpy(logprobs + logprob_at, p.outcome->logprobs + p.first, n_logprobs * sizeof *logprobs);
        if (alignment != NULL) add_alignment(&p, alignment + at * sum.columns, sum.columns, column);
        if (ticket->text && text.n > 0 && !hdl__text_ends_in_cjk(text.data, text.n)) hdl__str_puts(&text, " ");
        HDL_TRY(add_text(m, &p, tokens + at, &text));
        at += (size_t)p.n_tokens;
        logprob_at += n_logprobs;
        column += columns_of(p.piece);
        total += p.outcome->sum;
    }
    out->text = hdl__bump_copy(&m->ticket->memory, text.data != NULL ? text.data : "", text.n);
    HDL_CHECK(out->text != NULL && !text.failed, HDL_ENOMEM, "no memory for %zu bytes of text", text.n);
    out->tokens = tokens;
    out->ids = ids;
    out->n_tokens = sum.tokens;
    out->logprobs = logprobs;
    out->n_logprobs = sum.logprobs;
    out->sum = total;
    out->score = joint_score(ticket, rank, sum.length, total);
    out->finish = sum.ended ? HDL_FINISH_END : HDL_FINISH_LENGTH;
    out->alignment = alignment;
    out->n_rows = alignment != NULL ? sum.tokens : 0;
    out->n_columns = alignment != NULL ? sum.columns : 0;
done:
    hdl__str_free(&text);
    return status;
}

/* Nothing to translate: the prefix, or nothing, n_best times; a score's one end token. */
static hdl_status build_empty(maker *m, hdl_hypothesis *out)
{
    hdl_status status = HDL_OK;
    hdl_ticket *t = m->ticket;
    const int32_t longest = t->search.max_length;
    const int32_t forced = longest > 0 && t->n_empty_prefix > longest ? longest : t->n_empty_prefix;
    const int32_t n = forced - t->n_empty_hidden;
    const bool score = t->kind == HDL_REQUEST_SCORE;
    hdl__str text = {0};
    const hdl__outcome outcome = {.ids = (int32_t *)(uintptr_t)(t->empty_prefix + t->n_empty_hidden), .n = n};
    const part p = {.outcome = &outcome, .n_tokens = n > 0 ? n : 0};
    const char **tokens = take(m, (size_t)p.n_tokens, sizeof *tokens);
    HDL_CHECK(tokens != NULL, HDL_ENOMEM, "no memory for an empty result");
    for (int32_t i = 0; i < p.n_tokens; i++) {
        tokens[i] = own_token(m, outcome.ids[i]);
        HDL_CHECK(tokens[i] != NULL, HDL_ENOMEM, "no memory for an empty result");
    }
    HDL_TRY(add_text(m, &p, tokens, &text));
    out->text = hdl__bump_copy(&t->memory, text.data != NULL ? text.data : "", text.n);
    out->n_logprobs = (size_t)p.n_tokens + (score ? 1 : 0);
    out->logprobs = take(m, out->n_logprobs, sizeof(float));
    HDL_CHECK(out->text != NULL && out->logprobs != NULL, HDL_ENOMEM, "no memory for an empty result");
    out->tokens = tokens;
    out->ids = outcome.ids;
    out->n_tokens = (size_t)p.n_tokens;
    out->finish = score || n <= 0 ? HDL_FINISH_END : HDL_FINISH_LENGTH;
done:
    hdl__str_free(&text);
    return status;
}

static hdl_status check_pieces(const hdl_ticket *ticket)
{
    for (int32_t i = 0; i < ticket->n_pieces; i++) {
        const hdl__sentence *s = &ticket->pieces[i].sentence;
        if (s->status == HDL_OK) continue;
        if (ticket->n_pieces == 1) return hdl__fail(s->status, "%s", s->detail);
        return hdl__fail(s->status, "piece %d of %d: %s", i + 1, ticket->n_pieces, s->detail);
    }
    return HDL_OK;
}

static int32_t count_hypotheses(const hdl_ticket *ticket)
{
    int32_t most = ticket->n_pieces == 0 && ticket->kind == HDL_REQUEST_TRANSLATE ? ticket->search.n_best : 0;
    for (int32_t i = 0; i < ticket->n_pieces; i++) {
        const int32_t n = ticket->pieces[i].sentence.n_outcomes;
        if (n == 0) return 0;       /* a piece without any alternative leaves the line without */
        if (n > most) most = n;
    }
    return ticket->n_pieces == 0 && ticket->kind == HDL_REQUEST_SCORE ? 1 : most;
}

static hdl_status build(hdl_ticket *ticket)
{
    hdl_status status = HDL_OK;
    maker m = {ticket, ticket->translator->model};
    HDL_TRY(check_pieces(ticket));
    const int32_t n = count_hypotheses(ticket);
    hdl_hypothesis *hypotheses = take(&m, (size_t)n, sizeof *hypotheses);
    HDL_CHECK(hypotheses != NULL, HDL_ENOMEM, "no memory for %d hypotheses", n);
    for (int32_t i = 0; i < n; i++)
        HDL_TRY(ticket->n_pieces == 0 ? build_empty(&m, &hypotheses[i]) : build_hypothesis(&m, i, &hypotheses[i]));
    ticket->result.hypotheses = hypotheses;
    ticket->result.n_hypotheses = (size_t)n;
    ticket->result.n_pieces = (size_t)ticket->n_pieces;
    ticket->result.perplexity = 1.0f;
    if (ticket->kind == HDL_REQUEST_SCORE && n > 0 && hypotheses[0].n_logprobs > 0)
        ticket->result.perplexity = expf(-hypotheses[0].sum / (float)hypotheses[0].n_logprobs);
done:
    return status;
}

void hdl__result_build(hdl_ticket *ticket)
{
    hdl_result *r = &ticket->result;
    if (r->status != HDL_OK) return;        /* the line itself was refused */
    r->status = build(ticket);
    if (r->status == HDL_OK) return;
    r->hypotheses = NULL;
    r->n_hypotheses = 0;
    r->detail = hdl__bump_copy(&ticket->memory, hdl_error_detail(), strlen(hdl_error_detail()));
    if (r->detail == NULL) r->detail = hdl_status_text(r->status);
}
