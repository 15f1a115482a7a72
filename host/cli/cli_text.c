/* cli_text.c - growing text, shortest floats, the clock. */
#include "cli.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FIRST_CAPACITY 256

static bool reserve(hdl__cli_text *text, size_t more)
{
    if (text->failed || more >= SIZE_MAX / 2 - text->n) {
        text->failed = true;
        return false;
    }
    size_t needed = text->n + more + 1;
    if (needed <= text->capacity) return true;
    size_t capacity = text->capacity ? text->capacity : FIRST_CAPACITY;
    while (capacity < needed) capacity *= 2;
    char *data = realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void hdl__cli_text_add(hdl__cli_text *text, const char *bytes, size_t n)
{
    if (!reserve(text, n)) return;
    if (n) memcpy(text->data + text->n, bytes, n);
    text->n += n;
    text->data[text->n] = '\0';
}

void hdl__cli_text_puts(hdl__cli_text *text, const char *string)
{
    hdl__cli_text_add(text, string, strlen(string));
}

void hdl__cli_text_printf(hdl__cli_text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (n < 0) {
        text->failed = true;
    } else if (reserve(text, (size_t)n)) {
        vsnprintf(text->data + text->n, (size_t)n + 1, format, again);
        text->n += (size_t)n;
    }
    va_end(again);
}

void hdl__cli_text_clear(hdl__cli_text *text)
{
    text->n = 0;
    if (text->data) text->data[0] = '\0';
}

void hdl__cli_text_free(hdl__cli_text *text)
{
    free(text->data);
    *text = (hdl__cli_text){ 0 };
}

const char *hdl__cli_float(char buffer[HDL__CLI_FLOAT_BYTES], float value)
{
    enum { FEWEST_DIGITS = 6, ENOUGH_DIGITS = 9 };      /* 9 digits tell any two floats apart */
    if (value == 0) value = 0;                          /* no "-0" */
    for (int digits = FEWEST_DIGITS; digits <= ENOUGH_DIGITS; ++digits) {
        snprintf(buffer, HDL__CLI_FLOAT_BYTES, "%.*g", digits, (double)value);
        if (!isfinite(value) || strtof(buffer, NULL) == value) break;
    }
    return buffer;
}

double hdl__cli_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}
