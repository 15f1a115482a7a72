/* progress_bar.c - lines, rate and time left, on standard error. */
#include "progress_bar.h"

#include <unistd.h>

#define TERMINAL_SECONDS 0.2    /* between two states: often enough to look alive */
#define PIPE_SECONDS 5.0        /* a log wants fewer */
static const char clear_line[] = "\r\x1b[K";

void hdl__progress_text(hdl__cli_text *text, uint64_t n_lines, uint64_t n_bytes, uint64_t total_bytes, double seconds)
{
    enum { MINUTE = 60, HOUR = 3600, PERCENT = 100 };
    double rate = seconds > 0 ? (double)n_lines / seconds : 0;
    hdl__cli_text_printf(text, "%llu lines, %.0f lines/s", (unsigned long long)n_lines, rate);
    if (total_bytes == 0 || n_bytes == 0) return;
    double share = (double)n_bytes / (double)total_bytes;
    if (share > 1) share = 1;       /* the file has grown since it was opened */
    unsigned long left = (unsigned long)(seconds * (1 - share) / share + 0.5);
    hdl__cli_text_printf(text, ", %.0f %%", PERCENT * share);
    if (left >= HOUR)
        hdl__cli_text_printf(text, ", %lu:%02lu:%02lu left", left / HOUR, left / MINUTE % MINUTE, left % MINUTE);
    else
        hdl__cli_text_printf(text, ", %lu:%02lu left", left / MINUTE, left % MINUTE);
}

void hdl__progress_open(hdl__progress *progress, bool shown, uint64_t total_bytes)
{
    double now = hdl__cli_now();
    *progress = (hdl__progress){ shown, isatty(STDERR_FILENO) == 1, total_bytes, now, now };
}

static void put(const hdl__progress *progress, uint64_t n_lines, uint64_t n_bytes, double seconds)
{
    hdl__cli_text text = { 0 };
    hdl__cli_text_puts(&text, progress->terminal ? clear_line : "heddle: ");
    hdl__progress_text(&text, n_lines, n_bytes, progress->total_bytes, seconds);
    if (!progress->terminal) hdl__cli_text_puts(&text, "\n");
    /* Progress that cannot be shown is no reason to fail. */
    if (text.data && write(STDERR_FILENO, text.data, text.n) < 0) hdl__cli_text_clear(&text);
    hdl__cli_text_free(&text);
}

void hdl__progress_show(hdl__progress *progress, uint64_t n_lines, uint64_t n_bytes)
{
    if (!progress->shown) return;
    double now = hdl__cli_now();
    if (now - progress->last < (progress->terminal ? TERMINAL_SECONDS : PIPE_SECONDS)) return;
    progress->last = now;
    put(progress, n_lines, n_bytes, now - progress->began);
}

void hdl__progress_close(hdl__progress *progress, uint64_t n_lines, uint64_t n_bytes)
{
    if (!progress->shown) return;
    if (!progress->terminal) put(progress, n_lines, n_bytes, hdl__cli_now() - progress->began);
    else if (write(STDERR_FILENO, clear_line, sizeof clear_line - 1) < 0) progress->shown = false;
    progress->shown = false;
}
