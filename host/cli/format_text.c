/* format_text.c - results as plain and Moses lines. */
#include "cli_options.h"
#include "format_lines.h"

#include <string.h>

static const char separator[] = " ||| ";

/* A line is a line: what a model makes may hold line feeds, the output may not. */
static void put_text(hdl__cli_text *out, const char *text)
{
    for (;;) {
        size_t n = strcspn(text, "\n");
        hdl__cli_text_add(out, text, n);
        if (text[n] == '\0') return;
        hdl__cli_text_add(out, " ", 1);
        text += n + 1;
    }
}

static void put_hard(hdl__cli_text *out, const hdl_hypothesis *hypothesis)
{
    size_t n_pairs = 0;
    /* The end token's row, where there is one, links no word. */
    size_t n_rows = hypothesis->n_rows < hypothesis->n_tokens ? hypothesis->n_rows : hypothesis->n_tokens;
    if (hypothesis->n_columns == 0) return;
    for (size_t row = 0; row < n_rows; ++row) {
        const float *weights = hypothesis->alignment + row * hypothesis->n_columns;
        size_t best = 0;
        for (size_t column = 1; column < hypothesis->n_columns; ++column)
            if (weights[column] > weights[best]) best = column;
        hdl__cli_text_printf(out, "%s%zu-%zu", n_pairs++ ? " " : "", best, row);
    }
}

static void put_soft(hdl__cli_text *out, const hdl_hypothesis *hypothesis)
{
    char number[HDL__CLI_FLOAT_BYTES];
    const float *weights = hypothesis->alignment;
    for (size_t row = 0; row < hypothesis->n_rows; ++row) {
        if (row > 0) hdl__cli_text_add(out, " ", 1);
        for (size_t column = 0; column < hypothesis->n_columns; ++column) {
            if (column > 0) hdl__cli_text_add(out, ",", 1);
            hdl__cli_text_puts(out, hdl__cli_float(number, weights[row * hypothesis->n_columns + column]));
        }
    }
}

static void put_alignment(hdl__cli_text *out, const hdl_hypothesis *hypothesis, int alignment)
{
    if (alignment == HDL__ALIGNMENT_NONE) return;
    hdl__cli_text_puts(out, separator);
    if (!hypothesis || !hypothesis->alignment) return;
    if (alignment == HDL__ALIGNMENT_HARD) put_hard(out, hypothesis);
    else put_soft(out, hypothesis);
}

void hdl__format_text(const hdl_result *result, int alignment, hdl__cli_text *out)
{
    const hdl_hypothesis *best = result->n_hypotheses ? &result->hypotheses[0] : NULL;
    if (best) put_text(out, best->text);
    put_alignment(out, best, alignment);
    hdl__cli_text_add(out, "\n", 1);
}

void hdl__format_moses(uint64_t line, const hdl_result *result, int alignment, hdl__cli_text *out)
{
    char score[HDL__CLI_FLOAT_BYTES];
    for (size_t i = 0; i < result->n_hypotheses; ++i) {
        const hdl_hypothesis *hypothesis = &result->hypotheses[i];
        hdl__cli_text_printf(out, "%llu%s", (unsigned long long)line, separator);
        put_text(out, hypothesis->text);
        hdl__cli_text_printf(out, "%s%s", separator, hdl__cli_float(score, hypothesis->score));
        put_alignment(out, hypothesis, alignment);
        hdl__cli_text_add(out, "\n", 1);
    }
}
