/*
 * history.h - where the parts of a slot's history lie, in bytes from its start.
 *
 *   finished  hdl_finished [n_pool]
 *   logprob   f32 [T, K]      log-probability of the token chosen at a step, per live beam
 *   tok       i32 [T, K]      written once, never moved
 *   align     f32 [T, K, S]   only with HDL_SLOT_ALIGN: row of (step, beam that predicts it); beams as they stood before the step
 *   parent    u8  [T, K]      beam at the step before
 *   ancestor  u8  [2, K, T]   by parity of the number of standing tokens: the beam that wrote position p of beam b's path
 */
#ifndef HEDDLE_DETAIL_HISTORY_H
#define HEDDLE_DETAIL_HISTORY_H

#include <heddle/detail/portable.h>
#include <heddle/search.h>

typedef struct hdl_history_layout {
    uint64_t finished, logprob, tok, align, parent, ancestor, bytes;
} hdl_history_layout;

#define HDL_HISTORY_ALIGN 64u   /* a history starts on a cache line */

HDL_FN hdl_history_layout hdl_history_layout_of(const hdl_slot_options *o)
{
    hdl_history_layout at;
    const uint64_t K = (uint64_t)o->K, T = (uint64_t)o->T, S = (uint64_t)o->S;
    at.finished = 0;
    at.logprob = at.finished + (uint64_t)o->n_pool * sizeof(hdl_finished);
    at.tok = at.logprob + 4 * T * K;
    at.align = at.tok + 4 * T * K;
    at.parent = at.align + ((o->flags & HDL_SLOT_ALIGN) != 0 ? 4 * T * K * S : 0);
    at.ancestor = at.parent + T * K;
    at.bytes = (at.ancestor + 2 * K * T + HDL_HISTORY_ALIGN - 1) / HDL_HISTORY_ALIGN * HDL_HISTORY_ALIGN;
    return at;
}

/* Row [T] of the ancestor table that a step at position `pos` reads for `beam`: entries 0..pos-1 count. */
HDL_FN const uint8_t *hdl_ancestor_row(const uint8_t *history, const hdl_history_layout *at,
                                       const hdl_slot_options *o, int32_t pos, int32_t beam)
{
    return history + at->ancestor + ((uint64_t)(pos & 1) * (uint64_t)o->K + (uint64_t)beam) * (uint64_t)o->T;
}

#endif /* HEDDLE_DETAIL_HISTORY_H */
