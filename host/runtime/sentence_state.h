/*
 * sentence_state.h - the unit of scheduling: one piece of one request, with room for its results.
 *
 * Everything a lane writes is made at submit, so that nothing is allocated while decoding.
 */
#ifndef HEDDLE_HOST_SENTENCE_H
#define HEDDLE_HOST_SENTENCE_H

#include "base/bump.h"

#include <heddle/translator.h>

#include <stdatomic.h>

/* Search options resolved against the model: complete but for what depends on the sentence (S, T, max_length, offsets). */
typedef struct hdl__search {
    hdl_slot_options slot;
    int32_t          n_best;
    int32_t          max_length;        /* 0: min(positions, 3 S + 32) */
    bool             sample, alternatives, alignment, with_end, replace_unknowns, use_vocab_map;
    float            min_alternative_prob;
    int32_t         *ends;              /* [slot.n_end] */
    int32_t         *suppress;          /* [n_suppress_ids] sequences as the side pool holds them: length, tokens */
    int32_t          n_suppress_ids;
} hdl__search;

/* One hypothesis as a lane leaves it. */
typedef struct hdl__outcome {
    int32_t *ids;                       /* [T] forced prefix, generated tokens, the end token when by_length is false */
    float   *logprobs;                  /* [T] */
    float   *align;                     /* f32 [T, S] or NULL */
    int32_t  n;
    float    sum, score;
    int32_t  order;
    bool     by_length;
} hdl__outcome;

/*
 * Width of the slot that looks for alternatives: as many as are wanted, and more when end tokens, which do not count, might take places
 * among its 2K candidates.
 */
static inline int32_t hdl__alternatives_beam(const hdl__search *search, int32_t max_beam)
{
    const int32_t wanted = (search->n_best + search->slot.n_end + 1) / 2;
    const int32_t K = wanted > search->n_best ? wanted : search->n_best;
    return K < max_beam ? K : max_beam;
}

typedef enum hdl__phase {
    HDL__PHASE_SEARCH = 0,              /* children are whole searches: one, or n_best draws */
    HDL__PHASE_ALTERNATIVES,            /* the one child looks for the best next tokens */
    HDL__PHASE_CONTINUE,                /* children continue one alternative each */
    HDL__PHASE_SCORE
} hdl__phase;

typedef struct hdl__sentence {
    hdl_ticket        *ticket;
    const hdl__search *search;
    const int32_t     *source;          /* [S] special tokens included */
    const int32_t     *prefix;          /* [n_prefix] forced tokens; score: the target without end token */
    const int32_t     *allow;           /* [n_allow] sorted ids of the vocabulary map; n_allow 0: all */
    int32_t            S, n_prefix, n_allow;
    int32_t            start_id;        /* first input of the decoder; -1: the zero vector */
    int32_t            n_hidden;        /* leading forced tokens that the caller does not see (target language) */
    int32_t            max_length;      /* T of the history; score: n_prefix + 1 */
    hdl__phase         phase;
    int32_t            piece;           /* place in the line: pieces draw random numbers of their own */
    int32_t            n_children, next_child, n_done;
    int32_t           *alternative;     /* [n_best] first tokens */
    float             *alternative_logprob;
    hdl__outcome      *outcomes;        /* [capacity] */
    int32_t            n_outcomes, capacity;
    hdl_status         status;          /* of this piece */
    char               detail[160];
    int32_t            priority;
    uint64_t           arrival;         /* order in the queue; a restarted sentence keeps it */
    int64_t            queued_us;       /* monotonic time of submit */
    int64_t            deadline_us;     /* monotonic; 0: none */
} hdl__sentence;

/* The token given at a position: of the sentence's prefix, then (alternatives) the chosen one. */
static inline int32_t hdl__given_token(const hdl__sentence *s, int32_t child, int32_t i)
{
    return i < s->n_prefix ? s->prefix[i] : s->alternative[child];
}

/* Microseconds of the monotonic clock. */
int64_t hdl__now_us(void);

#endif
