/* status.c - status names and texts, the per-thread detail line, the log callback. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>


static _Thread_local char detail[HDL__DETAIL_BYTES];

static struct { hdl_log_fn fn; hdl_log_level level; void *user; } log_sink;

const char *hdl_version(void) { return HDL_VERSION_STRING; }

const char *hdl_status_name(hdl_status status)
{
    switch (status) {
#define X(name, value, text) case HDL_##name: return "HDL_" #name;
        HDL_STATUS_MAP(X)
#undef X
    }
    return "HDL_UNKNOWN";
}

const char *hdl_status_text(hdl_status status)
{
    switch (status) {
#define X(name, value, text) case HDL_##name: return text;
        HDL_STATUS_MAP(X)
#undef X
    }
    return "unknown status number";
}

const char *hdl_error_detail(void) { return detail; }

/* A detail line may quote user text: cut it where a character starts, never inside one. */
static void cut_at_character(char *line, size_t wanted)
{
    if (wanted < HDL__DETAIL_BYTES) return;
    size_t end = HDL__DETAIL_BYTES - 1;
    while (end > 0 && ((unsigned char)line[end - 1] & 0xC0) == 0x80) end--;
    if (end > 0 && (unsigned char)line[end - 1] >= 0xC0) end--;
    line[end] = '\0';
}

hdl_status hdl__fail(hdl_status status, const char *format, ...)
{
    char line[HDL__DETAIL_BYTES];    /* an argument may be the old detail itself */
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    cut_at_character(line, wanted < 0 ? 0 : (size_t)wanted);
    memcpy(detail, line, sizeof line);
    return status;
}

hdl_status hdl__fail_prefix(hdl_status status, const char *prefix)
{
    return hdl__fail(status, "%s: %s", prefix, detail);
}

void hdl_log_set(hdl_log_fn fn, hdl_log_level level, void *user)
{
    log_sink.fn = fn;
    log_sink.level = level;
    log_sink.user = user;
}

void hdl__log(hdl_log_level level, const char *format, ...)
{
    if (log_sink.fn == NULL || level > log_sink.level) return;
    char line[HDL__DETAIL_BYTES];
    va_list args;
    va_start(args, format);
    int wanted = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    cut_at_character(line, wanted < 0 ? 0 : (size_t)wanted);
    log_sink.fn(level, line, log_sink.user);
}
