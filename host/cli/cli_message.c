/* cli_message.c - the program's lines on stderr. */
#include "cli.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MESSAGE_BYTES 2048

/* Set once, while options are read; worker threads only read it. */
static atomic_bool hushed;

/* One write per message, so that lines of several threads never mix. Control bytes would break "one line". */
static void print_line(const char *prefix, const char *format, va_list arguments)
{
    char line[MESSAGE_BYTES];
    int n_prefix = snprintf(line, sizeof line, "heddle: %s", prefix);
    size_t start = (size_t)n_prefix;
    int n = vsnprintf(line + start, sizeof line - start - 1, format, arguments);
    if (n < 0) return;
    size_t length = strlen(line);
    for (size_t i = 0; i < length; ++i)
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) line[i] = ' ';
    line[length++] = '\n';
    for (size_t done = 0; done < length;) {
        ssize_t written = write(STDERR_FILENO, line + done, length - done);
        if (written <= 0) return;   /* nobody is left to be told */
        done += (size_t)written;
    }
}

int hdl__cli_error(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line("", format, arguments);
    va_end(arguments);
    return HDL__EXIT_FAILED;
}

int hdl__cli_misuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line("", format, arguments);
    va_end(arguments);
    return HDL__EXIT_USAGE;
}

int hdl__cli_failed(hdl_status status)
{
    const char *detail = hdl_error_detail();
    hdl__cli_error("%s", detail[0] != '\0' ? detail : hdl_status_text(status));
    return status == HDL_EBACKEND || status == HDL_EDEVICE ? HDL__EXIT_MISSING : HDL__EXIT_FAILED;
}

void hdl__cli_warn(const char *format, ...)
{
    if (atomic_load(&hushed)) return;
    va_list arguments;
    va_start(arguments, format);
    print_line("warning: ", format, arguments);
    va_end(arguments);
}

void hdl__cli_hush(void)
{
    atomic_store(&hushed, true);
}
