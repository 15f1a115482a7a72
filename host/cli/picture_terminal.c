/* picture_terminal.c - an attention matrix as coloured cells, or as plain characters. */
#include "picture.h"
#include "utf8_clean.h"

#include <string.h>

enum { CELL_COLUMNS = 2, TALLEST_LABEL = 14, WIDEST_LABEL = 24, MARGIN = 2 };

/* From nothing to everything: dark blue over green to yellow, of the 256-colour cube; seen on light and dark alike. */
static const unsigned char shades[] = { 17, 18, 24, 30, 36, 35, 71, 107, 143, 185, 226 };
static const char marks[] = " .:-=+*#%@@";
enum { SHADES = sizeof shades };

static size_t shade_of(float value)
{
    float scaled = value * (float)(SHADES - 1) + 0.5f;
    if (!(scaled > 0)) return 0;
    return scaled >= SHADES ? SHADES - 1 : (size_t)scaled;
}

/* The next character of a label with the marks that stand on it; its columns, 0 at the end. */
static int next_character(const char *label, size_t *at, size_t *n)
{
    size_t left = strlen(label + *at), length;
    uint32_t code = 0;
    int columns = 0;
    *n = 0;
    while (*n < left && (length = hdl__utf8_length(label + *at + *n, left - *n, &code)) > 0) {
        int more = hdl__utf8_columns(code);
        if (*n > 0 && more > 0) break;
        *n += length;
        columns = more > columns ? more : columns;
    }
    return columns;
}

size_t hdl__picture_columns(const char *label)
{
    size_t columns = 0, at = 0, n;
    for (int one; (one = next_character(label, &at, &n)) > 0; at += n) columns += (size_t)one;
    return columns;
}

static size_t count_characters(const char *label)
{
    size_t characters = 0, at = 0, n;
    for (; next_character(label, &at, &n) > 0; at += n) ++characters;
    return characters;
}

static void pad(hdl__cli_text *out, size_t n)
{
    for (size_t i = 0; i < n; ++i) hdl__cli_text_add(out, " ", 1);
}

/* Character number `wanted` of a label in a cell of two columns. */
static void put_upright(hdl__cli_text *out, const char *label, size_t wanted)
{
    size_t at = 0, n;
    int columns;
    for (size_t i = 0; (columns = next_character(label, &at, &n)) > 0; at += n, ++i) {
        if (i != wanted) continue;
        hdl__cli_text_add(out, label + at, n);
        pad(out, (size_t)(CELL_COLUMNS - columns));
        return;
    }
    pad(out, CELL_COLUMNS);
}

/* Labels of the columns, read downwards, standing on the matrix. */
static void put_column_labels(const hdl__picture *picture, size_t left, hdl__cli_text *out)
{
    size_t tallest = 0;
    for (size_t c = 0; c < picture->n_columns; ++c) {
        size_t tall = count_characters(picture->columns[c]);
        if (tall > tallest) tallest = tall;
    }
    if (tallest > TALLEST_LABEL) tallest = TALLEST_LABEL;
    for (size_t line = 0; line < tallest; ++line) {
        pad(out, left);
        for (size_t c = 0; c < picture->n_columns; ++c) {
            size_t tall = count_characters(picture->columns[c]);
            size_t shown = tall > tallest ? tallest : tall, empty = tallest - shown;
            if (line < empty) pad(out, CELL_COLUMNS);
            else put_upright(out, picture->columns[c], line - empty);
        }
        while (out->n > 0 && out->data[out->n - 1] == ' ') out->n -= 1;
        hdl__cli_text_puts(out, "\n");
    }
}

/* A row's label at the right of its field, cut when it is too long. */
static void put_row_label(const char *label, size_t width, hdl__cli_text *out)
{
    size_t columns = hdl__picture_columns(label), at = 0, n, used = 0;
    if (columns < width) pad(out, width - columns);
    for (int one; (one = next_character(label, &at, &n)) > 0 && used + (size_t)one <= width; at += n) {
        hdl__cli_text_add(out, label + at, n);
        used += (size_t)one;
    }
}

static void put_cells(const float *values, size_t n, bool color, hdl__cli_text *out)
{
    size_t last = SHADES;
    for (size_t c = 0; c < n; ++c) {
        size_t shade = shade_of(values[c]);
        if (!color) {
            hdl__cli_text_add(out, &marks[shade], 1);
            if (c + 1 < n) hdl__cli_text_add(out, " ", 1);
            continue;
        }
        if (shade != last) hdl__cli_text_printf(out, "\x1b[48;5;%dm", shades[shade]);
        last = shade;
        pad(out, CELL_COLUMNS);
    }
    if (color) hdl__cli_text_puts(out, "\x1b[0m");
    while (!color && out->n > 0 && out->data[out->n - 1] == ' ') out->n -= 1;
}

static void put_legend(size_t left, bool color, hdl__cli_text *out)
{
    pad(out, left);
    hdl__cli_text_puts(out, "0 ");
    for (size_t i = 0; i < SHADES; ++i) {
        if (color) hdl__cli_text_printf(out, "\x1b[48;5;%dm ", shades[i]);
        else if (i + 1 < SHADES) hdl__cli_text_add(out, &marks[i], 1);
    }
    hdl__cli_text_puts(out, color ? "\x1b[0m 1\n" : " 1\n");
}

void hdl__picture_terminal(const hdl__picture *picture, bool color, int columns, hdl__cli_text *out)
{
    size_t width = 0;
    for (size_t r = 0; r < picture->n_rows; ++r) {
        size_t one = hdl__picture_columns(picture->rows[r]);
        width = one > width ? one : width;
    }
    if (width > WIDEST_LABEL) width = WIDEST_LABEL;
    size_t left = MARGIN + width + 1;
    if (picture->n_rows == 0 || picture->n_columns == 0) return;
    if (left + CELL_COLUMNS * picture->n_columns > (size_t)columns) {
        hdl__cli_text_printf(out, "  (%zu by %zu tokens: too wide for %d columns)\n", picture->n_rows,
                             picture->n_columns, columns);
        return;
    }
    put_column_labels(picture, left, out);
    for (size_t r = 0; r < picture->n_rows; ++r) {
        pad(out, MARGIN);
        put_row_label(picture->rows[r], width, out);
        hdl__cli_text_puts(out, " ");
        put_cells(picture->values + r * picture->n_columns, picture->n_columns, color, out);
        hdl__cli_text_puts(out, "\n");
    }
    put_legend(left, color, out);
}
