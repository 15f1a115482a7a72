/*
 * format_lines.h - results as text lines and as JSON objects, one a line.
 */
#ifndef HEDDLE_FORMAT_LINES_H
#define HEDDLE_FORMAT_LINES_H

#include "cli.h"

#include <heddle/translator.h>

/* The best text, then LF; with alignment (HDL__ALIGNMENT_...) " ||| " and the alignment before it. */
void hdl__format_text(const hdl_result *result, int alignment, hdl__cli_text *out);
/* "LINE ||| text ||| score" of every hypothesis. */
void hdl__format_moses(uint64_t line, const hdl_result *result, int alignment, hdl__cli_text *out);
/* The object of a translated line, every hypothesis with its alignment unless that is HDL__ALIGNMENT_NONE; of a scored
 * one (end_token: its name, or NULL). False: out of memory. */
bool hdl__format_json(uint64_t line, const hdl_result *result, int alignment, hdl__cli_text *out);
bool hdl__format_score_json(uint64_t line, const hdl_result *result, const char *end_token, hdl__cli_text *out);

#endif
