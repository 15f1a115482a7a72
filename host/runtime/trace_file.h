/*
 * trace_file.h - events of a trace on their way to a file: a Chrome trace, one JSON object that is whole after every
 * write.
 *
 * Events are gathered in a buffer of fixed size. Each write of a regular file ends with the closing words, which the
 * next one writes over: a process that is killed leaves valid JSON. Any thread may add events.
 */
#ifndef HEDDLE_HOST_TRACE_FILE_H
#define HEDDLE_HOST_TRACE_FILE_H

#include "base/status.h"

#include <stdint.h>
#include <time.h>

typedef struct hdl__trace_file hdl__trace_file;

/* Makes or empties the file. HDL_EIO names it and says why. */
hdl_status hdl__trace_file_open(const char *path, hdl__trace_file **out);
/* Writes what is left. HDL_EIO: some event could not be written; the first reason. NULL is fine. */
hdl_status hdl__trace_file_close(hdl__trace_file *file);

/* One event, an object of JSON. Nothing is allocated. After an error of the file events are dropped. */
void hdl__trace_add(hdl__trace_file *file, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Text from elsewhere as the inside of a JSON string: what would have to be escaped becomes '?'. Returns `out`. */
#define HDL__TRACE_WORDS 256
const char *hdl__trace_words(const char *text, char out[HDL__TRACE_WORDS]);

/* Nanoseconds of the monotonic clock. */
static inline int64_t hdl__now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/*
 * A time or a duration in the format's microseconds, with nanoseconds behind the point: made of integers, for
 * printf's point depends on the locale.
 */
typedef struct hdl__us { char text[32]; } hdl__us;
hdl__us hdl__us_of(int64_t ns);

#endif
