/* picture_svg.c - attention matrices as a heat-map in an SVG file. */
#include "picture.h"
#include "utf8_clean.h"

#include <math.h>
#include <string.h>

/* Sizes in pixels of the file's own scale. */
#define CELL 28.0
#define GAP 2.0                 /* between cells */
#define MARGIN 28.0             /* around a picture */
#define BETWEEN 20.0            /* pictures */
#define TITLE_HEIGHT 78.0
#define LABEL_SIZE 14.0
#define LABEL_UNIT 8.0          /* width of one terminal column of a label at this size, on the safe side */
#define TITLE_UNIT 9.6          /* the same for the title's size */
#define SLANT 0.82              /* sine of the angle that column labels are turned by */
#define LEAN 0.58               /* cosine of it */
#define LEGEND_HEIGHT 56.0
#define LEGEND_WIDTH 140.0
#define LEAST_WIDTH 420.0
#define MOST_TITLE 110          /* characters; the tooltip has the rest */
#define FAINTEST 0.004f         /* cells below this are left as background */
#define MARKED 0.6f             /* cells of this weight and more get a light number */

static void put_escaped(hdl__cli_text *out, const char *bytes, size_t n)
{
    hdl__cli_text clean = { 0 };
    hdl__utf8_add_clean(&clean, bytes, n);
    for (size_t i = 0; i < clean.n; ++i) {
        char c = clean.data[i];
        if (c == '&') hdl__cli_text_puts(out, "&amp;");
        else if (c == '<') hdl__cli_text_puts(out, "&lt;");
        else if (c == '>') hdl__cli_text_puts(out, "&gt;");
        else if (c == '"') hdl__cli_text_puts(out, "&quot;");
        else if ((unsigned char)c < ' ') hdl__cli_text_puts(out, " ");      /* XML forbids most controls */
        else hdl__cli_text_add(out, &c, 1);
    }
    out->failed = out->failed || clean.failed;
    hdl__cli_text_free(&clean);
}

static void put_string(hdl__cli_text *out, const char *string)
{
    put_escaped(out, string, strlen(string));
}

/* A token; the mark that SentencePiece puts for a space is drawn faintly. */
static void put_token(hdl__cli_text *out, const char *token)
{
    static const char mark[] = "\xe2\x96\x81";
    for (const char *found; (found = strstr(token, mark)) != NULL; token = found + sizeof mark - 1) {
        put_escaped(out, token, (size_t)(found - token));
        hdl__cli_text_printf(out, "<tspan class=\"space\">%s</tspan>", mark);
    }
    put_string(out, token);
}

static size_t widest(const char *const *labels, size_t n)
{
    size_t most = 1;
    for (size_t i = 0; i < n; ++i) {
        size_t columns = hdl__picture_columns(labels[i]);
        most = columns > most ? columns : most;
    }
    return most;
}

/* Where things stand, from the corner of the picture. */
typedef struct layout {
    double left, top, grid_width, grid_height, width, height;
} layout;

static double larger(double a, double b) { return a > b ? a : b; }

static layout lay_out(const hdl__picture *picture)
{
    layout l;
    double column_label = (double)widest(picture->columns, picture->n_columns) * LABEL_UNIT;
    l.left = MARGIN + (double)widest(picture->rows, picture->n_rows) * LABEL_UNIT + 14;
    l.top = MARGIN + TITLE_HEIGHT + column_label * SLANT + 16;
    l.grid_width = (double)picture->n_columns * CELL;
    l.grid_height = (double)picture->n_rows * CELL;
    /* Slanted labels lean over the right edge of the grid. */
    l.width = larger(l.left + l.grid_width + column_label * LEAN + MARGIN, LEAST_WIDTH);
    size_t title = hdl__picture_columns(picture->source), below = hdl__picture_columns(picture->target);
    title = title > below ? title : below;
    l.width = larger(l.width, 2 * MARGIN + (double)(title < MOST_TITLE ? title : MOST_TITLE) * TITLE_UNIT);
    l.height = l.top + l.grid_height + LEGEND_HEIGHT + MARGIN;
    return l;
}

/* At most MOST_TITLE characters of a sentence, the whole as a tooltip. */
static void put_title(hdl__cli_text *out, const char *class_name, double y, const char *sentence)
{
    size_t n = 0, characters = 0, length, left = strlen(sentence);
    uint32_t code;
    while (n < left && characters < MOST_TITLE) {
        length = hdl__utf8_length(sentence + n, left - n, &code);
        n += length ? length : 1;
        ++characters;
    }
    hdl__cli_text_printf(out, "<text class=\"%s\" x=\"%.0f\" y=\"%.0f\">", class_name, MARGIN, y);
    put_escaped(out, sentence, n);
    hdl__cli_text_puts(out, n < left ? "\xe2\x80\xa6<title>" : "<title>");
    put_string(out, sentence);
    hdl__cli_text_puts(out, "</title></text>\n");
}

static void put_labels(hdl__cli_text *out, const hdl__picture *picture, const layout *l)
{
    for (size_t c = 0; c < picture->n_columns; ++c) {
        double x = l->left + ((double)c + 0.5) * CELL + 4, y = l->top - 10;
        hdl__cli_text_printf(out, "<text class=\"label\" transform=\"translate(%.1f %.1f) rotate(-55)\">", x, y);
        put_token(out, picture->columns[c]);
        hdl__cli_text_puts(out, "</text>\n");
    }
    for (size_t r = 0; r < picture->n_rows; ++r) {
        double y = l->top + ((double)r + 0.5) * CELL + LABEL_SIZE * 0.35;
        hdl__cli_text_printf(out, "<text class=\"label row\" x=\"%.1f\" y=\"%.1f\">", l->left - 10, y);
        put_token(out, picture->rows[r]);
        hdl__cli_text_puts(out, "</text>\n");
    }
}

static void put_cell(hdl__cli_text *out, const hdl__picture *picture, const layout *l, size_t r, size_t c)
{
    enum { PERCENT = 100 };
    float value = picture->values[r * picture->n_columns + c];
    double x = l->left + (double)c * CELL + GAP / 2, y = l->top + (double)r * CELL + GAP / 2;
    double opacity = value < FAINTEST || !isfinite(value) ? 0 : value > 1 ? 1 : (double)value;
    hdl__cli_text_printf(out, "<g><rect class=\"cell\" x=\"%.1f\" y=\"%.1f\" width=\"%.0f\" height=\"%.0f\" "
                         "rx=\"4\" fill-opacity=\"%.3g\"/>", x, y, CELL - GAP, CELL - GAP, opacity);
    int percent = (int)(opacity * PERCENT + 0.5);
    if (percent >= 10)
        hdl__cli_text_printf(out, "<text class=\"number%s\" x=\"%.1f\" y=\"%.1f\">%d</text>",
                             value >= MARKED ? " strong" : "", x + (CELL - GAP) / 2, y + CELL / 2 + 3, percent);
    hdl__cli_text_puts(out, "<title>");
    put_string(out, picture->rows[r]);
    hdl__cli_text_puts(out, " \xe2\x86\x90 ");
    put_string(out, picture->columns[c]);
    hdl__cli_text_printf(out, ": %.3f</title></g>\n", isfinite(value) ? (double)value : 0);
}

static void put_legend(hdl__cli_text *out, const hdl__picture *picture, const layout *l)
{
    double y = l->top + l->grid_height + 22;
    hdl__cli_text_printf(out, "<text class=\"small\" x=\"%.0f\" y=\"%.0f\">0</text>"
                         "<rect class=\"track\" x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"10\" rx=\"5\"/>"
                         "<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"10\" rx=\"5\" fill=\"url(#ramp)\"/>"
                         "<text class=\"small\" x=\"%.0f\" y=\"%.0f\">1</text>\n",
                         MARGIN, y + 9, MARGIN + 14, y, LEGEND_WIDTH, MARGIN + 14, y, LEGEND_WIDTH,
                         MARGIN + LEGEND_WIDTH + 20, y + 9);
    hdl__cli_text_printf(out, "<text class=\"small\" x=\"%.0f\" y=\"%.0f\">", MARGIN, y + 32);
    put_string(out, picture->about);
    hdl__cli_text_puts(out, "; numbers in percent</text>\n");
}

void hdl__svg_add(hdl__svg *svg, const hdl__picture *picture)
{
    bool large = picture->n_columns && picture->n_rows > HDL__SVG_MOST_CELLS / picture->n_columns;
    if (picture->n_rows == 0 || picture->n_columns == 0) return;
    if (large || svg->n_pictures == HDL__SVG_MOST_PICTURES) {
        svg->n_dropped += 1;
        return;
    }
    layout l = lay_out(picture);
    hdl__cli_text *out = &svg->body;
    double top = svg->n_pictures ? svg->height + BETWEEN : 0;
    hdl__cli_text_printf(out, "<g transform=\"translate(0 %.1f)\">\n", top);
    put_title(out, "source", MARGIN + 14, picture->source);
    put_title(out, "target", MARGIN + 42, picture->target);
    put_labels(out, picture, &l);
    for (size_t r = 0; r < picture->n_rows; ++r)
        for (size_t c = 0; c < picture->n_columns; ++c) put_cell(out, picture, &l, r, c);
    put_legend(out, picture, &l);
    hdl__cli_text_puts(out, "</g>\n");
    svg->height = top + l.height;
    svg->width = larger(svg->width, l.width);
    svg->n_pictures += 1;
}

void hdl__svg_finish(hdl__svg *svg, hdl__cli_text *out)
{
    double width = larger(svg->width, LEAST_WIDTH), height = larger(svg->height, 2 * MARGIN);
    hdl__cli_text_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
                         "viewBox=\"0 0 %.0f %.0f\" role=\"img\">\n<title>Attention of a translation</title>\n",
                         width, height, width, height);
    /* Cells are one colour with their weight as opacity, so they fit the background, light or dark. */
    hdl__cli_text_puts(out,
        "<defs><linearGradient id=\"ramp\"><stop class=\"stop\" offset=\"0\" stop-opacity=\"0\"/>"
        "<stop class=\"stop\" offset=\"1\" stop-opacity=\"1\"/></linearGradient></defs>\n"
        "<style>\n"
        "text { font-family: 'Noto Sans', 'DejaVu Sans', 'Segoe UI', Helvetica, Arial, sans-serif; fill: #1c2733; }\n"
        ".paper { fill: #ffffff; }\n.cell { fill: #1f5fa8; stroke: #d8dee6; stroke-width: 1; }\n"
        ".track { fill: none; stroke: #d8dee6; }\n.stop { stop-color: #1f5fa8; }\n"
        ".source { font-size: 17px; font-weight: 600; }\n.target { font-size: 17px; fill: #1f5fa8; }\n"
        ".label { font-size: 14px; }\n.space { fill-opacity: 0.3; }\n.row { text-anchor: end; }\n"
        ".number { font-size: 10px; text-anchor: middle; fill: #41505f; }\n.strong { fill: #ffffff; }\n"
        ".small { font-size: 12px; fill: #5c6b7a; }\n"
        "@media (prefers-color-scheme: dark) {\n"
        "text { fill: #e6ebf0; }\n.paper { fill: #14191f; }\n.cell { fill: #6db3ff; stroke: #2b343e; }\n"
        ".track { stroke: #2b343e; }\n.stop { stop-color: #6db3ff; }\n.target { fill: #8ec5ff; }\n"
        ".number { fill: #b9c4cf; }\n.strong { fill: #0b1016; }\n.small { fill: #98a5b3; }\n}\n</style>\n");
    hdl__cli_text_printf(out, "<rect class=\"paper\" width=\"%.0f\" height=\"%.0f\" rx=\"10\"/>\n", width, height);
    if (svg->body.n) hdl__cli_text_add(out, svg->body.data, svg->body.n);
    hdl__cli_text_puts(out, "</svg>\n");
    out->failed = out->failed || svg->body.failed;
}

void hdl__svg_free(hdl__svg *svg)
{
    hdl__cli_text_free(&svg->body);
    *svg = (hdl__svg){ 0 };
}
