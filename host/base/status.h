/*
 * status.h - the one way errors travel inside the library.
 *
 * A function that can fail holds `hdl_status status = HDL_OK;` and ends with one label `done:` that releases what it
 * owns, in reverse order, and returns `status`. HDL_CHECK records one line of detail; HDL_TRY forwards a failure.
 */
#ifndef HEDDLE_HOST_STATUS_H
#define HEDDLE_HOST_STATUS_H

#include <heddle/base.h>

#define HDL__DETAIL_BYTES 512

/* Records the detail line of this thread (truncated at 511 bytes on a UTF-8 boundary) and returns `status`. */
hdl_status hdl__fail(hdl_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the recorded detail, for callers that know the file or line. Returns `status`. */
hdl_status hdl__fail_prefix(hdl_status status, const char *prefix);

#define HDL_CHECK(cond, code, ...)                       \
    do {                                                 \
        if (!(cond)) {                                   \
            status = hdl__fail((code), __VA_ARGS__);     \
            goto done;                                   \
        }                                                \
    } while (0)

#define HDL_TRY(expr)                                    \
    do {                                                 \
        status = (expr);                                 \
        if (status != HDL_OK) goto done;                 \
    } while (0)

void hdl__log(hdl_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
