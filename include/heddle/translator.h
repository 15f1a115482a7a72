/*
 * translator.h - the call most users make: text or tokens in, hypotheses out.
 *
 * A translator owns all that changes while translating (lanes, slots, key/value pages, queue) on one or more devices. It is safe
 * to call from many threads. Sentences of all requests share one road and are batched continuously; a sentence's result
 * has the same bits whatever else is translated beside it.
 */
#ifndef HEDDLE_TRANSLATOR_H
#define HEDDLE_TRANSLATOR_H

#include <heddle/base.h>
#include <heddle/device.h>
#include <heddle/gemm.h>
#include <heddle/model.h>
#include <heddle/search.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hdl_translator hdl_translator;
typedef struct hdl_ticket hdl_ticket;

/* In options, 0 means the default; where 0 itself is a useful value (length_penalty, min_length, temperature) HDL_OFF asks for it. */
#define HDL_OFF (-1)

typedef struct hdl_translator_options {
    size_t                    struct_bytes;
    const char               *device;           /* NULL: "auto"; a name as in hdl_device_open, or several devices: see below */
    const hdl_device_options *device_options;   /* NULL: defaults; read during open only */
    hdl_compute               compute;
    int32_t                   threads;          /* CPU lanes, 1 to 256; 0: the cores this process may use */
    int32_t                   max_rows;         /* decode rows of one step of one lane, 1 to 4096; 0: 64 on the CPU; on a GPU 1024, halved down to 128 until a lane fits a quarter of its memory; max_beam if that is more */
    int32_t                   batch_tokens;     /* source tokens of one encoder pass, 1 to 1048576; 0: 4096 */
    int32_t                   max_beam;         /* largest beam, n_best or samples of a request, 1 to 64; 0: 16 */
    int32_t                   max_positions;    /* longest source or target, for models without a limit of their own; 0: 1024 */
    int32_t                   max_queue;        /* sentences that may wait before submit refuses or waits; 0: 1024, or the rows of all lanes if they are more */
    int32_t                   max_delay_us;     /* a waiting sentence is admitted at the latest after this; 0: 2000 */
    uint64_t                  pool_bytes;       /* pages of one lane; 0: max_rows rows of 128 target and source positions, or one full sentence */
    const char               *trace;            /* file for a Chrome trace of all that the translator does (docs/trace.md); NULL: none; read during open only */
} hdl_translator_options;

#define HDL_TRANSLATOR_OPTIONS_INIT \
    { sizeof(hdl_translator_options), NULL, NULL, HDL_COMPUTE_AUTO, 0, 0, 0, 0, 0, 0, 0, 0, NULL }

/*
 * Several devices of one kind, one translator: "cuda:0,1", "cuda:0,cuda:1", or "cuda:all" for all that work ("auto" stays the first). Each has
 * a copy of the weights, which are read and packed once, and takes sentences from the one queue; max_rows, batch_tokens and pool_bytes are of
 * each. Which device took a sentence does not change its bits. A device that fails ends the sentences it holds with its error; the others go on.
 */

/* How a sentence is searched and scored; docs/numerics.md defines every word. */
typedef struct hdl_search_options {
    size_t          struct_bytes;
    int32_t         beam;               /* K, 1 to 64; 0: the model's default, else 4 */
    int32_t         n_best;             /* N <= round(K * patience) unless alternatives or sample; 0: 1 */
    float           length_penalty;     /* a >= 0; 0: the model's default, else 1; HDL_OFF: 0 */
    hdl_length_norm length_norm;
    float           coverage_penalty;   /* beta >= 0 */
    float           repetition_penalty; /* r > 0; 0: 1 */
    int32_t         no_repeat_ngram;    /* 0: off */
    float           patience;           /* > 0; 0: 1 */
    hdl_stop_rule   stop;
    int32_t         min_length;         /* 0: 1; HDL_OFF: 0 */
    int32_t         max_length;         /* 0: the model's default, else min(positions, 3 S + 32); never above positions */
    float           prefix_bias;        /* in (0, 1): biased prefix; 0: hard prefix */
    int32_t         alternatives;       /* 1: the n_best most probable next tokens, each continued */
    float           min_alternative_prob;
    int32_t         sample;             /* 1: n_best independent draws */
    int32_t         top_k;              /* 0: all */
    float           top_p;              /* (0, 1]; 0: 1 */
    float           temperature;        /* > 0; 0: 1; HDL_OFF: 0, which is greedy */
    uint64_t        seed;               /* a request's draws use seed + request.line */
    int32_t         no_unknown;         /* 1: the unknown token is never generated */
    int32_t         use_vocab_map;      /* 1: only target ids that the model's vocabulary map allows */
    const char *const *end_tokens;      /* [n_end_tokens]; replaces the model's end token */
    size_t          n_end_tokens;
    const char *const *suppress;        /* [n_suppress] sequences, each tokens joined by one space; never generated */
    size_t          n_suppress;
    int32_t         with_end_token;     /* 1: tokens, text and alignment hold the end token */
    int32_t         replace_unknowns;   /* 1: unknown tokens become the source token they attend to most */
    int32_t         alignment;          /* 1: hypotheses carry alignment rows */
    int32_t         reserved;           /* 0 */
} hdl_search_options;

#define HDL_SEARCH_OPTIONS_INIT \
    { sizeof(hdl_search_options), 0, 0, 0, HDL_LENGTH_POWER, 0, 0, 0, 0, HDL_STOP_COUNT, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, NULL, 0, 0, 0, 0, 0 }

typedef enum hdl_request_kind { HDL_REQUEST_TRANSLATE = 0, HDL_REQUEST_SCORE = 1 } hdl_request_kind;
typedef enum hdl_split { HDL_SPLIT_LONG = 0, HDL_SPLIT_SENTENCES = 1, HDL_SPLIT_NEVER = 2 } hdl_split;
typedef enum hdl_overflow { HDL_OVERFLOW_ERROR = 0, HDL_OVERFLOW_CUT = 1 } hdl_overflow;

typedef void (*hdl_done_fn)(hdl_ticket *ticket, void *user);

/*
 * One line of work. Either text (UTF-8; NUL and invalid bytes count as U+FFFD) or tokens. Everything is copied by submit.
 */
typedef struct hdl_request {
    size_t                    struct_bytes;
    hdl_request_kind          kind;
    const char               *text;             /* [n_bytes]; NULL: tokens */
    size_t                    n_bytes;
    const char *const        *tokens;           /* [n_tokens]; one piece, never split */
    size_t                    n_tokens;
    const char               *target;           /* score: the target text; translate: prefix text; NULL: target_tokens */
    size_t                    n_target_bytes;
    const char *const        *target_tokens;    /* score: the target; translate: prefix */
    size_t                    n_target_tokens;
    const char *const        *source_prefix, *const *source_suffix;   /* language tokens put before and after every piece's source */
    size_t                    n_source_prefix, n_source_suffix;
    const char               *target_language;  /* token forced as the first target token of every piece; NULL: none. Not part of `tokens` */
    hdl_split                 split;            /* text only */
    int32_t                   max_source_length; /* tokens of a piece, special tokens counted; 0: the model's */
    hdl_overflow              overflow;         /* a piece that is still too long */
    const hdl_search_options *search;           /* NULL: defaults */
    uint64_t                  line;             /* added to the seed; a file's line number */
    int32_t                   priority;         /* larger goes first; equal: in order of arrival */
    int64_t                   deadline_us;      /* from submit; 0: none. Passed: HDL_ETIMEOUT */
    int32_t                   wait;             /* 1: submit waits while the queue is full; 0: HDL_EAGAIN */
    hdl_done_fn               on_done;          /* called on the delivery thread, holding no lock; may submit and cancel, may not close */
    void                     *user;
} hdl_request;

#define HDL_REQUEST_INIT \
    { sizeof(hdl_request), HDL_REQUEST_TRANSLATE, NULL, 0, NULL, 0, NULL, 0, NULL, 0, NULL, NULL, 0, 0, NULL, HDL_SPLIT_LONG, 0, HDL_OVERFLOW_ERROR, NULL, 0, 0, 0, 0, NULL, NULL }

typedef enum hdl_finish { HDL_FINISH_END = 0, HDL_FINISH_LENGTH = 1 } hdl_finish;

/* Everything belongs to the result. Scores are natural logarithms. */
typedef struct hdl_hypothesis {
    const char        *text;            /* detokenised, NUL-terminated; tokens joined by spaces in token mode */
    const char *const *tokens;          /* [n_tokens]; without start and end unless with_end_token */
    const int32_t     *ids;             /* [n_tokens] */
    size_t             n_tokens;
    const float       *logprobs;        /* [n_logprobs]; one more than tokens, the end token's, when finish is END and the end is not in tokens */
    size_t             n_logprobs;
    float              sum;             /* of the log-probabilities */
    float              score;           /* SEARCH: sum / L^a + coverage */
    hdl_finish         finish;
    const float       *alignment;       /* f32 [n_rows, n_columns], rows: tokens, columns: source_tokens; NULL: not asked for */
    size_t             n_rows, n_columns;
} hdl_hypothesis;

typedef struct hdl_result {
    hdl_status            status;           /* HDL_OK, or why there are no hypotheses */
    const char           *detail;           /* one line when status is not HDL_OK, else "" */
    const char           *source;           /* the clean text; tokens joined by spaces in token mode */
    const char *const    *source_tokens;    /* [n_source_tokens] of all pieces, without added special tokens */
    size_t                n_source_tokens;
    const hdl_hypothesis *hypotheses;       /* [n_hypotheses], best first */
    size_t                n_hypotheses;
    size_t                n_pieces;
    size_t                n_replaced;       /* invalid bytes and NULs that became U+FFFD */
    size_t                n_cut;            /* source tokens dropped by HDL_OVERFLOW_CUT */
    float                 perplexity;       /* score: exp(-mean log-probability, end included) */
} hdl_result;

/* Bytes that hdl_translator_open will ask for, packed weights included, before it is called. */
HDL_API hdl_status hdl_translator_bytes(hdl_model *model, const hdl_translator_options *options, uint64_t *bytes);

/*
 * Packs the weights (once for all translators that ask for the same device, compute type and positions), makes lanes and their pools, records the steps.
 * The model must outlive the translator. HDL_EINVAL, HDL_ENOMEM (needed and free bytes), HDL_ENOSUPPORT, HDL_EBACKEND, HDL_EDEVICE; HDL_EIO: the trace cannot be written.
 */
HDL_API hdl_status hdl_translator_open(hdl_model *model, const hdl_translator_options *options, hdl_translator **translator);

/* Ends the translator; waits for its threads. drain 1: all accepted work is finished first; 0: it is cancelled. Tickets stay valid
 * until released. NULL is fine. Not from a callback: that is HDL_ESTATE and nothing happens. HDL_EIO: the trace could not be written; the
 * translator has ended all the same. */
HDL_API hdl_status hdl_translator_close(hdl_translator *translator, int drain);

/*
 * Queues a request. HDL_EINVAL (the option, found, allowed), HDL_EAGAIN (queue full and request.wait is 0), HDL_ESTATE (closing, or
 * after fork), HDL_ENOMEM. A refused request has queued nothing. Problems of the text itself are in the result's status.
 */
HDL_API hdl_status hdl_translator_submit(hdl_translator *translator, const hdl_request *request, hdl_ticket **ticket);

/* Checks search options against the model and the translator without queueing: the same HDL_EINVAL as submit. */
HDL_API hdl_status hdl_translator_check(hdl_translator *translator, const hdl_search_options *search);

/* Waits until the request has ended, at most timeout_us (negative: without limit; 0: poll). HDL_ETIMEOUT: not yet. HDL_OK: *result is
 * valid until the ticket is released; its own status tells whether the request succeeded. */
HDL_API hdl_status hdl_ticket_wait(hdl_ticket *ticket, int64_t timeout_us, const hdl_result **result);

/* Asks that the request be dropped at the next step; it then ends with HDL_ECANCELLED unless it had already ended. */
HDL_API void hdl_ticket_cancel(hdl_ticket *ticket);

/* Gives the ticket back; an unfinished request is cancelled. NULL is fine. */
HDL_API void hdl_ticket_release(hdl_ticket *ticket);

/*
 * Translates `n` lines of NUL-terminated text and waits. *results is [n], in order, to be given to hdl_results_free.
 * Returns the first failing request's status (its detail is in its result, and this thread's detail line), HDL_OK otherwise.
 */
typedef struct hdl_results hdl_results;
HDL_API hdl_status hdl_translate(hdl_translator *translator, const char *const *lines, size_t n,
                                 const hdl_search_options *search, hdl_results **results);
HDL_API const hdl_result *hdl_results_get(const hdl_results *results, size_t i);    /* NULL when i is out of range */
HDL_API void hdl_results_free(hdl_results *results);

/* Totals since open. */
typedef struct hdl_translator_stats {
    size_t      struct_bytes;
    uint64_t    sentences;              /* pieces that went through the model */
    uint64_t    source_tokens, target_tokens;   /* as the encoder saw them; of returned best hypotheses, end token counted once */
    uint64_t    steps, rows;            /* decode steps; rows in them */
    uint64_t    encoder_passes;
    uint64_t    padded_rows, copied_bytes, allocations;     /* while decoding; 0 on the CPU */
    uint64_t    restarts;               /* sentences sent back to the queue because the page pool was dry */
    uint64_t    weight_bytes, pool_bytes;       /* packed weights; pages in all lanes */
    int32_t     lanes;
    const char *compute;                /* "f32", "bf16", "f16", "int8" */
    const char *device;                 /* its description */
    uint64_t    launches;               /* kernels started by decode steps: those of the recorded step, and the one before it that brings
                                           what has changed of slots to the device; encoder passes and copies aside; 0 on the CPU */
    int32_t     n_devices, n_lost;      /* devices; those that failed and take no more work */
    int32_t     max_rows;               /* decode rows of one step of one lane, as asked for or by default */
    int32_t     reserved;               /* 0 */
} hdl_translator_stats;

#define HDL_TRANSLATOR_STATS_INIT { sizeof(hdl_translator_stats), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL, 0, 0, 0, 0, 0 }

HDL_API hdl_status hdl_translator_get_stats(hdl_translator *translator, hdl_translator_stats *stats);

/* The part of one device. */
typedef struct hdl_device_stats {
    size_t      struct_bytes;
    char        name[HDL_DEVICE_NAME_BYTES];    /* "cpu", "cuda:0" */
    const char *description;
    uint64_t    sentences, target_tokens, steps, rows;      /* as in hdl_translator_stats */
    int32_t     lost;                   /* 1: it has failed; the others go on */
    int32_t     library_weights, refused_weights;       /* as in hdl_device_info */
    int32_t     reserved;               /* 0 */
} hdl_device_stats;

#define HDL_DEVICE_STATS_INIT { sizeof(hdl_device_stats), "", NULL, 0, 0, 0, 0, 0, 0, 0, 0 }

/* Totals of device i, 0 to n_devices - 1, in the order in which they were asked for. */
HDL_API hdl_status hdl_translator_get_device_stats(hdl_translator *translator, int32_t i, hdl_device_stats *stats);

/* Which attention a map shows. */
typedef enum hdl_map_kind { HDL_MAP_CROSS = 0, HDL_MAP_ENCODER = 1, HDL_MAP_DECODER = 2 } hdl_map_kind;

typedef struct hdl_map {
    float        *values;               /* f32 [n_rows, n_columns]; each row sums to 1 */
    const char  **row_tokens, **column_tokens;  /* special tokens included; they belong to the model */
    size_t        n_rows, n_columns;
} hdl_map;

/*
 * Attention of one layer (0 .. layers-1, or -1: last) and head (0 .. H-1, or -1: mean over heads) for source tokens and forced target
 * tokens (ids without end token; the end token is added). Runs outside the queue. Free with hdl_map_free.
 */
HDL_API hdl_status hdl_translator_map(hdl_translator *translator, const int32_t *source_ids, size_t n_source,
                                      const int32_t *target_ids, size_t n_target, hdl_map_kind kind, int32_t layer,
                                      int32_t head, hdl_map *map);
HDL_API void hdl_map_free(hdl_map *map);

#ifdef __cplusplus
}
#endif
#endif /* HEDDLE_TRANSLATOR_H */
