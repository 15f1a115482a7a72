/* op_slots.c - slots, histories, page tables and row lists for tests of ops. */
#include "op_fixture.h"

#include <stdlib.h>
#include <string.h>

hdl_slot_options op_options(int32_t K, int32_t T, int32_t S)
{
    hdl_slot_options o;
    memset(&o, 0, sizeof o);
    o.K = K;
    o.n_best = 1;
    o.n_enough = K;
    o.n_pool = 2 * K;
    o.length_penalty = 1.0f;
    o.repetition_penalty = 1.0f;
    o.temperature = 1.0f;
    o.top_p = 1.0f;
    o.max_length = T;
    o.T = T;
    o.S = S;
    o.unknown_id = o.pad_id = -1;
    return o;
}

int32_t op_slots_make(op_world *w, op_slots *s, int32_t V)
{
    s->history_bytes = 0;
    for (int32_t i = 0; i < s->n; i++) {
        s->history_off[i] = s->history_bytes;
        s->history_bytes += hdl_history_layout_of(&s->options[i]).bytes;
        const int32_t self = (s->options[i].K * s->options[i].T + HDL_PAGE_ROWS - 1) / HDL_PAGE_ROWS;
        const int32_t source = (s->options[i].S + HDL_PAGE_ROWS - 1) / HDL_PAGE_ROWS;
        if (self > s->self_stride) s->self_stride = self;
        if (source > s->source_stride) s->source_stride = source;
    }
    s->history = op_host(w, s->history_bytes);
    const int32_t n_self = s->n * s->self_stride, n_source = s->n * s->source_stride, n_pages = 1 + n_self + n_source;
    s->self_pages = op_host(w, (size_t)n_self * sizeof(int32_t));
    s->source_pages = op_host(w, (size_t)n_source * sizeof(int32_t));
    int32_t *page = op_host(w, (size_t)n_pages * sizeof(int32_t));
    for (int32_t i = 0; i < n_pages - 1; i++) page[i] = i + 1;
    for (int32_t i = n_pages - 2; i > 0; i--) {
        const int32_t j = op_below(w, i + 1), keep = page[i];
        page[i] = page[j];
        page[j] = keep;
    }
    memcpy(s->self_pages, page, (size_t)n_self * sizeof(int32_t));
    memcpy(s->source_pages, page + n_self, (size_t)n_source * sizeof(int32_t));
    s->at = (hdl_slots){
        .n_slots = s->n, .V = V,
        .options = op_device(w, NULL, sizeof s->options), .state = op_device(w, NULL, sizeof s->state),
        .token = op_device(w, NULL, sizeof s->token), .sum = op_device(w, NULL, sizeof s->sum),
        .history = op_device(w, NULL, s->history_bytes), .history_off = op_device(w, NULL, sizeof s->history_off),
        .side = op_device(w, NULL, sizeof s->side),
        .self_pages = op_device(w, NULL, (size_t)n_self * sizeof(int32_t)),
        .source_pages = op_device(w, NULL, (size_t)n_source * sizeof(int32_t)),
        .self_stride = s->self_stride, .source_stride = s->source_stride,
    };
    return n_pages;
}

void op_slots_send(op_world *w, op_slots *s)
{
    const size_t n = (size_t)s->n;
    op_send(w, (void *)s->at.options, s->options, sizeof s->options);
    op_send(w, s->at.state, s->state, sizeof s->state);
    op_send(w, s->at.token, s->token, sizeof s->token);
    op_send(w, s->at.sum, s->sum, sizeof s->sum);
    op_send(w, s->at.history, s->history, s->history_bytes);
    op_send(w, (void *)s->at.history_off, s->history_off, sizeof s->history_off);
    op_send(w, (void *)s->at.side, s->side, sizeof s->side);
    op_send(w, (void *)s->at.self_pages, s->self_pages, n * (size_t)s->self_stride * sizeof(int32_t));
    op_send(w, (void *)s->at.source_pages, s->source_pages, n * (size_t)s->source_stride * sizeof(int32_t));
}

void op_slots_fetch(op_world *w, op_slots *s)
{
    op_fetch(w, s->state, s->at.state, sizeof s->state);
    op_fetch(w, s->token, s->at.token, sizeof s->token);
    op_fetch(w, s->sum, s->at.sum, sizeof s->sum);
    op_fetch(w, s->history, s->at.history, s->history_bytes);
}

int32_t op_side(op_slots *s, const int32_t *values, int32_t n)
{
    const int32_t offset = s->n_side;
    if (offset + n > OP_MAX_SIDE) abort();
    memcpy(s->side + offset, values, (size_t)n * sizeof *values);
    s->n_side += n;
    return offset;
}

op_rows op_rows_make(op_world *w, int32_t capacity)
{
    const size_t bytes = ((size_t)capacity + 1) * sizeof(int32_t);
    op_rows r = {.capacity = capacity};
    r.slot = op_host(w, bytes);
    r.beam = op_host(w, bytes);
    r.pos = op_host(w, bytes);
    r.group = op_host(w, bytes);
    r.at = (hdl_rows){
        .count = op_device(w, NULL, sizeof(int32_t)), .slot = op_device(w, NULL, bytes), .beam = op_device(w, NULL, bytes),
        .pos = op_device(w, NULL, bytes), .n_groups = op_device(w, NULL, sizeof(int32_t)), .group = op_device(w, NULL, bytes),
    };
    return r;
}

void op_row_add(op_rows *r, int32_t slot, int32_t beam, int32_t pos)
{
    if (r->n == r->capacity) abort();
    if (r->n == 0 || r->slot[r->n - 1] != slot) r->group[r->n_groups++] = r->n;
    r->slot[r->n] = slot;
    r->beam[r->n] = beam;
    r->pos[r->n++] = pos;
    r->group[r->n_groups] = r->n;
}

void op_rows_send(op_world *w, op_rows *r)
{
    const size_t bytes = ((size_t)r->capacity + 1) * sizeof(int32_t);
    op_send(w, (void *)r->at.count, &r->n, sizeof r->n);
    op_send(w, (void *)r->at.n_groups, &r->n_groups, sizeof r->n_groups);
    op_send(w, (void *)r->at.slot, r->slot, bytes);
    op_send(w, (void *)r->at.beam, r->beam, bytes);
    op_send(w, (void *)r->at.pos, r->pos, bytes);
    op_send(w, (void *)r->at.group, r->group, bytes);
}
