/*
 * utf8_clean.h - valid UTF-8 out of any bytes, and how wide a character stands in a terminal.
 */
#ifndef HEDDLE_UTF8_CLEAN_H
#define HEDDLE_UTF8_CLEAN_H

#include "cli.h"

/* Length of the valid UTF-8 character at bytes[0..n), n > 0; 0 when there is none. *code gets its number. */
size_t hdl__utf8_length(const char *bytes, size_t n, uint32_t *code);
/* Adds bytes[0..n) to `text`; NUL and every invalid byte become U+FFFD. Returns how many did. */
size_t hdl__utf8_add_clean(hdl__cli_text *text, const char *bytes, size_t n);
/* Columns of a terminal: 0 for combining marks and controls, 2 for East Asian wide characters and emoji, else 1. */
int hdl__utf8_columns(uint32_t code);

#endif
