/*
 * translator_state.h - inside of hdl_translator and hdl_ticket.
 *
 * Locks: the hub's mutex guards queue, counters and ticket completion; lanes hold it only to take and give sentences. Callbacks run without it.
 */
#ifndef HEDDLE_HOST_TRANSLATOR_H
#define HEDDLE_HOST_TRANSLATOR_H

#include "device/counting.h"
#include "runtime/lane.h"
#include "runtime/queue.h"
#include "text/text.h"

#include <pthread.h>
#include <sys/types.h>

/* What tickets need after the translator has gone: counted by the translator and by every ticket. */
typedef struct hdl__ticket_hub {
    pthread_mutex_t mutex;
    pthread_cond_t  finished;           /* a ticket is done; monotonic clock */
    hdl_translator *translator;         /* NULL: closed; guarded by the mutex */
    atomic_int      refs;
    pid_t           pid;                /* of the process that opened the translator */
} hdl__ticket_hub;

/* One piece of a ticket: a sentence, and where it stands in the line. */
typedef struct hdl__ticket_piece {
    hdl__sentence sentence;
    int32_t       first_column, n_columns;      /* real source tokens within sentence.source */
    int32_t       n_padded_columns;     /* columns of source tokens that overflow cut away: always zero */
} hdl__ticket_piece;

struct hdl_ticket {
    hdl_translator    *translator;      /* for lanes and delivery; users go through the hub */
    hdl__ticket_hub   *hub;
    atomic_int         refs;            /* the user's, and the engine's until delivered */
    atomic_bool        cancelled;
    hdl_request_kind   kind;
    bool               text;            /* text mode: results are detokenised */
    hdl__search        search;
    hdl__request_times times;           /* for the trace; guarded by the mutex until delivery */
    hdl__ticket_piece *pieces;
    int32_t            n_pieces, n_open;        /* pieces that have not completed; guarded by the mutex */
    bool               done;            /* guarded by the mutex */
    const int32_t     *empty_prefix;    /* forced tokens when there is nothing to translate: they are the result */
    int32_t            n_empty_prefix, n_empty_hidden;
    hdl_done_fn        on_done;
    void              *user;
    hdl__bump          memory;          /* request copies, outcomes, result */
    hdl_result         result;
    hdl_ticket        *next;            /* delivery list */
};

/* A device of a translator: the model's weights on it, which translators may share. */
typedef struct hdl__translator_device {
    hdl__network *network;
    hdl__counts   counted_at_open;
} hdl__translator_device;

struct hdl_translator {
    hdl_model             *model;
    hdl__network          *network;     /* of the first device; its sizes are those of all */
    hdl__translator_device *devices;    /* [n_devices] */
    int32_t                n_devices;
    hdl_translator_options options;     /* resolved */
    hdl__ticket_hub       *hub;
    hdl__trace            *trace;       /* NULL: none */
    pthread_cond_t         work, room, delivery;    /* with the hub's mutex */
    hdl__queue             queue;
    uint64_t               arrivals;
    int32_t                n_urgent;    /* above 0: waiting sentences have deadlines or were cancelled, the queue is to be swept */
    bool                   closing, drain, stop_delivery;
    int32_t                n_open;      /* tickets not yet delivered */
    int32_t                n_inside;    /* threads in a call of the public interface */
    hdl_ticket            *deliver_first, *deliver_last;
    hdl__lane             *lanes;
    pthread_t             *lane_threads, delivery_thread;
    int32_t                n_lanes, n_started, n_idle;
    bool                   delivery_started;
    atomic_bool            warned_of_words;     /* text came to a model without a tokenizer: said once */
    pid_t                  pid;
};

/* translator_entry.c: HDL_ESTATE after fork and while closing; an entered call leaves. `call` is for the words. */
hdl_status hdl__check_process(pid_t pid, const char *call);
hdl_status hdl__translator_enter(hdl_translator *translator, const char *call);
void       hdl__translator_leave(hdl_translator *translator);

/* request.c: text to pieces, sentences and room for results; checks everything. */
hdl_status hdl__ticket_make(hdl_translator *translator, const hdl_request *request, hdl_ticket **out);
void       hdl__ticket_unref(hdl_ticket *ticket);
void       hdl__hub_unref(hdl__ticket_hub *hub);

/* search_options.c */
hdl_status hdl__search_resolve(hdl_translator *translator, const hdl_search_options *options, hdl__bump *memory,
                               hdl__search *out);

/* Called by lanes, without the mutex: the sentence has its outcomes or its failure. */
void hdl__sentence_complete(hdl_translator *translator, hdl__sentence *sentence, hdl__lane *lane);
/* Sets a failure; the first one of a sentence stays. */
void hdl__sentence_fail(hdl__sentence *sentence, hdl_status status, const char *line);
/* With the mutex held: idle lanes that joined another's ops (of `lane`; NULL: any) come back to look for work. */
void hdl__recall_assistants_locked(hdl_translator *translator, const hdl__lane *lane);
/* With the mutex held: takes cancelled and late sentences out of the queue and completes them. */
void hdl__queue_sweep_locked(hdl_translator *translator);

/* With the mutex held, for the trace: told once it has been let go. */
static inline hdl__queue_length hdl__queue_length_locked(const hdl_translator *translator)
{
    return (hdl__queue_length){hdl__trace_now(translator->trace), translator->queue.n};
}

/* result.c: outcomes to hypotheses, once all pieces have completed. Failures go into the result. */
void  hdl__result_build(hdl_ticket *ticket);
/* deliver.c */
void *hdl__delivery_main(void *translator);
void  hdl__deliver_locked(hdl_translator *translator, hdl_ticket *ticket);
bool  hdl__on_delivery_thread(const hdl_translator *translator);

#endif
