/*
 * cli.h - what every file of the program shares: exit codes, messages, growing text.
 *
 * The program sits above the library and uses its public headers only.
 */
#ifndef HEDDLE_CLI_H
#define HEDDLE_CLI_H

#include <heddle/base.h>

#include <stdbool.h>

enum {
    HDL__EXIT_DONE = 0,
    HDL__EXIT_FAILED = 1,
    HDL__EXIT_USAGE = 2,
    HDL__EXIT_MISSING = 3,          /* something that is not installed is needed */
    HDL__EXIT_SIGNAL = 128          /* plus the signal's number, as shells count */
};

/* One line "heddle: ..." on stderr, whatever bytes the arguments hold. Returns HDL__EXIT_FAILED. */
int hdl__cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, returning HDL__EXIT_USAGE. */
int hdl__cli_misuse(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A library call failed: the detail line of this thread, or the status's text. Returns the exit code. */
int hdl__cli_failed(hdl_status status);
/* "heddle: warning: ..."; silent after hdl__cli_hush. */
void hdl__cli_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));
void hdl__cli_hush(void);

/* Text that grows. `failed` sticks after memory ran out; data is NUL-terminated once anything was added. */
typedef struct hdl__cli_text {
    char  *data;
    size_t n, capacity;
    bool   failed;
} hdl__cli_text;

void hdl__cli_text_add(hdl__cli_text *text, const char *bytes, size_t n);
void hdl__cli_text_puts(hdl__cli_text *text, const char *string);
void hdl__cli_text_printf(hdl__cli_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void hdl__cli_text_clear(hdl__cli_text *text);      /* keeps the capacity */
void hdl__cli_text_free(hdl__cli_text *text);

/* The shortest decimal text that reads back as the same float; "nan", "inf", "-inf" otherwise. */
#define HDL__CLI_FLOAT_BYTES 32
const char *hdl__cli_float(char buffer[HDL__CLI_FLOAT_BYTES], float value);

/* Seconds of a clock that only goes forward. */
double hdl__cli_now(void);

#endif
