/*
 * line_work.h - turns one line of the input into a request.
 */
#ifndef HEDDLE_LINE_WORK_H
#define HEDDLE_LINE_WORK_H

#include "cli_options.h"

#include <heddle/translator.h>

/* Tokens cut out of one line; they live until the next line. */
typedef struct hdl__tokens {
    hdl__cli_text text;
    const char  **items;
    size_t        n, capacity;
} hdl__tokens;

/* Cuts bytes at spaces; empty fields are ignored; NUL and invalid UTF-8 become U+FFFD, counted.
 * False: out of memory. */
bool hdl__tokens_cut(hdl__tokens *tokens, const char *bytes, size_t n, size_t *n_replaced);
void hdl__tokens_free(hdl__tokens *tokens);

enum { HDL__LINES_TRANSLATE, HDL__LINES_SCORE, HDL__LINES_EITHER };     /* either: score when the line has a tab */

typedef struct hdl__line_work {
    int                       kind;
    bool                      tokens;
    hdl_request               request;      /* what all lines share */
    const hdl_search_options *search;
    hdl__tokens               source_prefix, source_suffix, source, target;
} hdl__line_work;

/* `options` and `search` must outlive the work. False: out of memory. */
bool hdl__line_work_open(hdl__line_work *work, int kind, const hdl__cli_options *options,
                         const hdl_search_options *search);
void hdl__line_work_close(hdl__line_work *work);

/*
 * The request of a line; prefix NULL: none. It points into the line, the prefix and the work. *n_replaced: bytes that
 * were replaced here, not by the library. NULL, or what is wrong with the line (a constant).
 */
const char *hdl__line_work_request(hdl__line_work *work, const char *line, size_t n, const char *prefix,
                                   size_t n_prefix, hdl_request *request, size_t *n_replaced);

#endif
