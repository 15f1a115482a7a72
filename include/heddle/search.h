/*
 * search.h - slots, rows, history, and the four ops of search: logit_edits, logit_reduce, beam_step, token_logprobs; and scatter_words.
 *
 * A slot is one live sentence with K <= 64 hypotheses ("beams"); a row is one beam of one slot in one decode step. State never moves: the
 * host rewrites a row list. All that changes between steps is read from device memory, so a recorded step can be replayed.
 * Semantics: docs/numerics.md. The logic that every backend shares is in detail/beam_step.h.
 */
#ifndef HEDDLE_SEARCH_H
#define HEDDLE_SEARCH_H

#include <heddle/device.h>
#include <heddle/gemm.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HDL_MAX_BEAM 64
#define HDL_MAX_CANDIDATES (2 * HDL_MAX_BEAM)
#define HDL_PAGE_ROWS 16            /* key rows of one page of the key/value pool */

typedef enum hdl_stop_rule {
    HDL_STOP_COUNT = 0,     /* round(K * patience) hypotheses have finished */
    HDL_STOP_BOUND = 1,     /* no live hypothesis can still beat the worst kept one (transformers, early_stopping=False) */
    HDL_STOP_ALL = 2        /* a beam ends with its hypothesis; stop when none lives (Marian) */
} hdl_stop_rule;

typedef enum hdl_length_norm { HDL_LENGTH_POWER = 0, HDL_LENGTH_GNMT = 1 } hdl_length_norm;

enum {
    HDL_SLOT_NO_UNKNOWN  = 1,   /* the unknown token is never generated */
    HDL_SLOT_SAMPLE      = 2,   /* draw instead of search; K = 1 */
    HDL_SLOT_ALIGN       = 4,   /* keep alignment rows in the history */
    HDL_SLOT_ALTERNATIVES = 8,  /* the first free step returns the n_best best next tokens, end tokens excluded, and is done */
    HDL_SLOT_FREE_END    = 16   /* after a prefix an end token counts at any rank, not only at rank 1 */
};

/* Search options of one slot, in device memory. Offsets count i32 elements of hdl_slots.side. */
typedef struct hdl_slot_options {
    int32_t  K, n_best;
    int32_t  n_enough;          /* round(K * patience) */
    int32_t  n_pool;            /* capacity of the finished pool: n_enough + K */
    float    length_penalty, coverage_penalty, repetition_penalty;
    float    prefix_bias;       /* 0: the prefix is hard */
    int32_t  ngram;             /* 0: off */
    int32_t  min_length, max_length;
    uint8_t  stop_rule, length_norm;
    uint16_t flags;             /* HDL_SLOT_* */
    int32_t  top_k;             /* 0: all */
    float    top_p, temperature;
    int32_t  draw;              /* number of this independent draw */
    uint64_t seed;              /* request seed + line */
    int32_t  end_off, n_end;
    int32_t  prefix_off, n_prefix;
    int32_t  suppress_off, n_suppress;  /* n_suppress sequences, each: length, tokens */
    int32_t  allow_off, n_allow;        /* sorted ids that may be generated; n_allow 0: all */
    int32_t  unknown_id, pad_id;        /* -1: none */
    int32_t  S;                 /* source rows: keys of cross-attention, columns of an alignment row */
    int32_t  T;                 /* rows of the history: max_length */
    int32_t  reserved[2];
} hdl_slot_options;

/* What search writes about a slot. Zeroed at admission, then n_live = 1 and following = 1. */
typedef struct hdl_slot_state {
    int32_t  t;                 /* target tokens that stand, forced ones counted */
    int32_t  n_live;
    int32_t  n_finished;        /* entries of the finished pool */
    int32_t  done;              /* 1: the slot is a ghost; ops leave it alone */
    int32_t  top_ended;         /* a rank-1 candidate has ended, now or earlier */
    int32_t  failed;            /* 1: a logit was NaN or +infinity */
    uint64_t following;         /* bit b: beam b has followed the biased prefix so far */
} hdl_slot_state;

/* A finished hypothesis: the tokens before `step` are found by walking the parents from (step - 1, parent). */
typedef struct hdl_finished {
    int32_t step;               /* index of its last token */
    int32_t parent;             /* beam at step - 1 that it continues; 0 when step is 0 */
    int32_t token;              /* last token: an end token, or an ordinary one when cut at max_length */
    float   logprob;            /* of `token` */
    float   sum;                /* cumulative log-probability, `token` included */
    int32_t by_length;          /* 1: cut at max_length */
    int32_t order;              /* number of its finishing, for ties: finished earlier, then lower rank */
    float   score;              /* sum / divisor, without coverage; used by HDL_STOP_BOUND */
} hdl_finished;

/* All slots of one lane: pointers into device memory, constant while the lane lives. */
typedef struct hdl_slots {
    int32_t                 n_slots;
    int32_t                 V;
    const hdl_slot_options *options;        /* [n_slots] */
    hdl_slot_state         *state;          /* [n_slots] */
    int32_t                *token;          /* [n_slots, 64] input tokens of the next step */
    float                  *sum;            /* [n_slots, 64] cumulative log-probabilities */
    uint8_t                *history;        /* base of the history pool; a slot's part is laid out by detail/history.h */
    const uint64_t         *history_off;    /* [n_slots] bytes from `history` */
    const int32_t          *side;           /* side pool: end ids, prefixes, suppressed sequences, allowed ids */
    const int32_t          *self_pages;     /* [n_slots, self_stride] page numbers */
    const int32_t          *source_pages;   /* [n_slots, source_stride] */
    int32_t                 self_stride, source_stride;
} hdl_slots;

/* The rows of a step; pointers into device memory. Rows of one slot stand together, beams or positions ascending. */
typedef struct hdl_rows {
    const int32_t *count;       /* [1] live rows */
    const int32_t *slot;        /* [R]; rows past count name slot 0, and ops leave them alone */
    const int32_t *beam;        /* [R] */
    const int32_t *pos;         /* [R] target position of the row: its key's place, and the index of the token it predicts */
    const int32_t *n_groups;    /* [1] slots in this step */
    const int32_t *group;       /* [R + 1] first row of each slot; group[n_groups] = count */
} hdl_rows;

/* Per-row list of changes to logits, made by logit_edits, applied by logit_reduce. */
typedef struct hdl_edits {
    int32_t *entries;           /* [R, stride]: token * 4 + kind, ascending, one per token; kind 1 penalise, 2 remove */
    int32_t *n;                 /* [R] */
    int32_t  stride;            /* at least max T + suppressed sequences + end ids + 2 */
} hdl_edits;

enum { HDL_EDIT_PENALISE = 1, HDL_EDIT_REMOVE = 2 };

/* Best continuations of each row, made by logit_reduce: logprob descending, then id ascending. */
typedef struct hdl_candidates {
    int32_t *id;                /* [R, 128] */
    float   *logprob;           /* [R, 128] */
    int32_t *n;                 /* [R] how many there are, 1 to 2K (1 when sampling); -1: a logit was NaN or +infinity */
} hdl_candidates;

/*
 * From history: repetition penalty, n-grams, suppressed sequences, minimum length, unknown, pad. Hard-prefix steps give an empty list.
 * max_rows is the bucket R. Rows of done slots are left alone.
 */
typedef struct hdl_logit_edits_args {
    size_t           struct_bytes;
    const hdl_slots *slots;
    const hdl_rows  *rows;
    hdl_edits        edits;
    int32_t          R;
    int32_t          reserved;  /* 0 */
} hdl_logit_edits_args;

/*
 * z = x W^T + bias; edits; z = -inf outside the allowed ids; log-softmax over what is left; the best 2K of each
 * row, or one draw. Works in column panels whose borders depend on V alone; [R, V] is never stored. A biased prefix (detail/beam_step.h,
 * hdl_biased_logprob) is applied here while the row's beam follows it. Rows inside a hard prefix are skipped.
 * If nothing is left the first end token is the one candidate, with log-probability 0.
 */
typedef struct hdl_logit_reduce_args {
    size_t            struct_bytes;
    const void       *x;        /* act [R, E], dense */
    const hdl_weight *w;        /* [V, E] */
    const float      *bias;     /* f32 [V] or NULL */
    const hdl_slots  *slots;
    const hdl_rows   *rows;
    hdl_edits         edits;
    hdl_candidates    out;
    int32_t           R, V, E;
    hdl_dtype         act_dtype;    /* of x */
} hdl_logit_reduce_args;

/* One step of search for every slot of the step (detail/beam_step.h). */
typedef struct hdl_beam_step_args {
    size_t           struct_bytes;
    const hdl_slots *slots;
    const hdl_rows  *rows;
    hdl_candidates   in;
    int32_t          R;
    int32_t          reserved;  /* 0 */
} hdl_beam_step_args;

/* Forced scoring: logprob[i] = log_softmax(x[i] W^T + bias)[ids[i]], pad removed; NaN when a logit is NaN or +infinity. */
typedef struct hdl_token_logprobs_args {
    size_t            struct_bytes;
    const void       *x;        /* act [M, E], dense */
    const hdl_weight *w;        /* [V, E] */
    const float      *bias;     /* f32 [V] or NULL */
    const int32_t    *ids;      /* i32 [M] */
    float            *logprob;  /* f32 [M] */
    int32_t           M, V, E;
    int32_t           pad_id;   /* -1: none */
    hdl_dtype         act_dtype;
    int32_t           reserved; /* 0 */
} hdl_token_logprobs_args;

/*
 * base[index[i]] = value[i] for i below n: how the host's changes to what slots hold (options, page numbers, first tokens) reach a device
 * whose memory it cannot write. The lists travel with the inputs of a step, in one copy. Indices are distinct.
 */
typedef struct hdl_scatter_words_args {
    size_t         struct_bytes;
    int32_t       *base;        /* i32 [*] device memory */
    const int32_t *index;       /* i32 [n] device memory */
    const int32_t *value;       /* i32 [n] device memory */
    int32_t        n;
    int32_t        reserved;    /* 0 */
} hdl_scatter_words_args;

#define HDL_LOGIT_EDITS_ARGS_INIT { sizeof(hdl_logit_edits_args), NULL, NULL, { NULL, NULL, 0 }, 0, 0 }
#define HDL_LOGIT_REDUCE_ARGS_INIT \
    { sizeof(hdl_logit_reduce_args), NULL, NULL, NULL, NULL, NULL, { NULL, NULL, 0 }, { NULL, NULL, NULL }, 0, 0, 0, \
      HDL_F32 }
#define HDL_BEAM_STEP_ARGS_INIT { sizeof(hdl_beam_step_args), NULL, NULL, { NULL, NULL, NULL }, 0, 0 }
#define HDL_TOKEN_LOGPROBS_ARGS_INIT { sizeof(hdl_token_logprobs_args), NULL, NULL, NULL, NULL, NULL, 0, 0, 0, -1, HDL_F32, 0 }
#define HDL_SCATTER_WORDS_ARGS_INIT { sizeof(hdl_scatter_words_args), NULL, NULL, NULL, 0, 0 }

/* All queue work on the stream. R = 0 (M = 0, n = 0) is fine. HDL_EINVAL and HDL_ESHAPE name the argument; nothing is queued. */
HDL_API hdl_status hdl_logit_edits(hdl_stream *stream, const hdl_logit_edits_args *args);
HDL_API hdl_status hdl_logit_reduce(hdl_stream *stream, const hdl_logit_reduce_args *args);
HDL_API hdl_status hdl_beam_step(hdl_stream *stream, const hdl_beam_step_args *args);
HDL_API hdl_status hdl_token_logprobs(hdl_stream *stream, const hdl_token_logprobs_args *args);
HDL_API hdl_status hdl_scatter_words(hdl_stream *stream, const hdl_scatter_words_args *args);

#ifdef __cplusplus
}
#endif
#endif /* HEDDLE_SEARCH_H */
