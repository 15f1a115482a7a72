/* request.h - what request.c keeps while it turns one request into a ticket. */
#ifndef HEDDLE_HOST_REQUEST_H
#define HEDDLE_HOST_REQUEST_H

#include "runtime/translator_state.h"

typedef struct hdl__request_work {
    hdl_translator    *translator;
    const hdl_request *request;
    hdl_ticket        *ticket;
    hdl__bump          scratch;         /* gone when the ticket is made */
    hdl__str           clean_target;
    int32_t           *target;          /* forced tokens of the current piece, in the ticket's memory */
    int32_t            n_target, n_hidden;
    const char       **names;           /* of source tokens, over all pieces */
    size_t             n_names, n_source_bytes;
} hdl__request_work;

/* Fills work->ticket: source, pieces, sentences. Problems of the text are failures too; ticket.c decides what becomes of them. */
hdl_status hdl__request_take(hdl__request_work *work);
/* Completes piece->sentence; its source and the work's target are there. */
hdl_status hdl__request_sentence(hdl__request_work *work, hdl__ticket_piece *piece);

#endif
