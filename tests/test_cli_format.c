/* test_cli_format.c - what the program writes: numbers, clean text, lines, JSON, progress, pictures. */
#include "cli/cli_options.h"
#include "cli/format_lines.h"
#include "cli/json_text.h"
#include "cli/picture.h"
#include "cli/progress_bar.h"
#include "cli/utf8_clean.h"

#include <criterion/criterion.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct piece { const char *bytes; size_t n; } piece;
#define P(text) { text, sizeof text - 1 }

Test(cli_format, floats_are_shortest_and_come_back)
{
    static const struct { float value; const char *text; } rows[] = {
        { 0.1f, "0.1" }, { -0.17f, "-0.17" }, { 0, "0" }, { -0.0f, "0" }, { 1, "1" }, { 16777216, "16777216" },
        { 1.0f / 3, "0.33333334" }, { FLT_MAX, "3.4028235e+38" }, { FLT_TRUE_MIN, "1.4013e-45" }, { 1e-5f, "1e-05" },
    };
    char text[HDL__CLI_FLOAT_BYTES];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i)
        cr_expect_str_eq(hdl__cli_float(text, rows[i].value), rows[i].text, "%s", text);
    unsigned seed = 12345;
    for (int i = 0; i < 20000; ++i) {
        seed = seed * 1664525u + 1013904223u;
        float value;
        memcpy(&value, &seed, sizeof value);
        if (!isfinite(value)) continue;
        cr_assert_eq(strtof(hdl__cli_float(text, value), NULL), value, "seed 12345, value %d: %s", i, text);
        json_t *number = hdl__json_float(value);
        cr_assert_eq((float)json_real_value(number), value);
        json_decref(number);
    }
    cr_expect(json_is_null(hdl__json_float(NAN)) && json_is_null(hdl__json_float(-INFINITY)));
}

Test(cli_format, invalid_utf8_becomes_replacement_characters)
{
    static const struct { piece input; const char *clean; size_t n_replaced; } rows[] = {
        { P("abc"), "abc", 0 }, { P("a\0b"), "a\xef\xbf\xbd" "b", 1 }, { P("\xff"), "\xef\xbf\xbd", 1 },
        { P("\xc0\x80"), "\xef\xbf\xbd\xef\xbf\xbd", 2 },
        { P("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 3 },
        { P("\xf0\x9f\x98\x80"), "\xf0\x9f\x98\x80", 0 }, { P("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd", 2 },
        { P("\xf4\x90\x80\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", 4 }, { P(""), "", 0 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        hdl__cli_text text = { 0 };
        size_t n_replaced = hdl__utf8_add_clean(&text, rows[i].input.bytes, rows[i].input.n);
        cr_expect_eq(n_replaced, rows[i].n_replaced, "row %zu", i);
        cr_expect_str_eq(text.data, rows[i].clean, "row %zu", i);
        hdl__cli_text_free(&text);
    }
}

/* Two tokens from three, the last of them the end token's log-probability; a line feed and a byte that is no text. */
static const char *const source_tokens[] = { "a", "b\"", "c" }, *const target_tokens[] = { "x", "y\xff" };
static const float logprobs[] = { -0.1f, -0.25f, -INFINITY }, weights[] = { 0.25f, 0.25f, 0.5f, 0.125f, 0.75f, 0.125f };
static const hdl_hypothesis hypotheses[] = {
    { .text = "x\ny", .tokens = target_tokens, .n_tokens = 2, .logprobs = logprobs, .n_logprobs = 3, .sum = -0.35f,
      .score = -0.175f, .finish = HDL_FINISH_END, .alignment = weights, .n_rows = 2, .n_columns = 3 },
    { .text = "", .tokens = target_tokens, .finish = HDL_FINISH_LENGTH, .score = -2 },
};
static const hdl_result result = {
    .detail = "", .source = "a b\" c", .source_tokens = source_tokens, .n_source_tokens = 3,
    .hypotheses = hypotheses, .n_hypotheses = 2, .n_pieces = 1, .perplexity = 1.5f,
};

Test(cli_format, text_formats)
{
    hdl__cli_text out = { 0 };
    hdl__format_text(&result, HDL__ALIGNMENT_NONE, &out);
    hdl__format_text(&result, HDL__ALIGNMENT_HARD, &out);
    hdl__format_text(&result, HDL__ALIGNMENT_SOFT, &out);
    hdl__format_moses(7, &result, HDL__ALIGNMENT_HARD, &out);
    cr_expect_str_eq(out.data, "x y\nx y ||| 2-0 1-1\nx y ||| 0.25,0.25,0.5 0.125,0.75,0.125\n"
                               "7 ||| x y ||| -0.175 ||| 2-0 1-1\n7 |||  ||| -2 ||| \n");
    hdl__cli_text_clear(&out);
    hdl_result none = { .detail = "", .source = "" };
    hdl__format_text(&none, HDL__ALIGNMENT_NONE, &out);
    cr_expect_str_eq(out.data, "\n");
    hdl__cli_text_free(&out);
}

Test(cli_format, json_formats)
{
    hdl__cli_text out = { 0 };
    cr_assert(hdl__format_json(3, &result, HDL__ALIGNMENT_SOFT, &out));
    cr_expect_str_eq(out.data,
        "{\"line\":3,\"source\":\"a b\\\" c\",\"source_tokens\":[\"a\",\"b\\\"\",\"c\"],\"hypotheses\":["
        "{\"text\":\"x\\ny\",\"tokens\":[\"x\",\"y\xef\xbf\xbd\"],\"logprobs\":[-0.1,-0.25,null],\"score\":-0.175,"
        "\"finished\":\"end\",\"alignment\":[[0.25,0.25,0.5],[0.125,0.75,0.125]]},"
        "{\"text\":\"\",\"tokens\":[],\"logprobs\":[],\"score\":-2.0,\"finished\":\"length\",\"alignment\":[]}],"
        "\"pieces\":1}\n");
    hdl__cli_text_clear(&out);
    cr_assert(hdl__format_json(3, &result, HDL__ALIGNMENT_NONE, &out));
    cr_expect_null(strstr(out.data, "alignment"));
    hdl__cli_text_clear(&out);
    cr_assert(hdl__format_score_json(4, &result, "</s>", &out));
    cr_expect_str_eq(out.data,
        "{\"line\":4,\"tokens\":[\"x\",\"y\xef\xbf\xbd\",\"</s>\"],\"logprobs\":[-0.1,-0.25,null],"
        "\"sum\":-0.35,\"score\":-0.175,\"perplexity\":1.5}\n");
    hdl__cli_text_free(&out);
}

Test(cli_format, progress_text)
{
    static const struct { uint64_t lines, bytes, total; double seconds; const char *text; } rows[] = {
        { 0, 0, 0, 0, "0 lines, 0 lines/s" },
        { 100, 500, 0, 2, "100 lines, 50 lines/s" },
        { 100, 500, 1000, 2, "100 lines, 50 lines/s, 50 %, 0:02 left" },
        { 10, 10, 10000, 10, "10 lines, 1 lines/s, 0 %, 2:46:30 left" },
        { 10, 20, 10, 10, "10 lines, 1 lines/s, 100 %, 0:00 left" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        hdl__cli_text text = { 0 };
        hdl__progress_text(&text, rows[i].lines, rows[i].bytes, rows[i].total, rows[i].seconds);
        cr_expect_str_eq(text.data, rows[i].text);
        hdl__cli_text_free(&text);
    }
}

Test(cli_format, pictures)
{
    static const char *const rows[] = { "aa", "\xe6\xbc\xa2" }, *const columns[] = { "x", "yz" };
    static const float values[] = { 0, 1, 0.5f, NAN };
    const hdl__picture picture = { "s <1>", "t & \"2\"", "about", rows, columns, 2, 2, values };
    hdl__cli_text out = { 0 };
    hdl__picture_terminal(&picture, false, 80, &out);
    cr_expect_str_eq(out.data, "       y\n     x z\n  aa   @\n  \xe6\xbc\xa2 +\n     0  .:-=+*#%@ 1\n", "%s", out.data);
    hdl__cli_text_clear(&out);
    hdl__picture_terminal(&picture, true, 80, &out);
    cr_expect(strstr(out.data, "\x1b[48;5;17m  \x1b[48;5;226m  \x1b[0m\n"));
    hdl__cli_text_clear(&out);
    hdl__picture_terminal(&picture, true, 8, &out);
    cr_expect(strstr(out.data, "too wide"));
    hdl__cli_text_clear(&out);
    hdl__svg svg = { 0 };
    for (int i = 0; i < HDL__SVG_MOST_PICTURES + 2; ++i) hdl__svg_add(&svg, &picture);
    cr_expect_eq(svg.n_pictures, HDL__SVG_MOST_PICTURES);
    cr_expect_eq(svg.n_dropped, 2);
    hdl__svg_finish(&svg, &out);
    cr_expect(strstr(out.data, "s &lt;1&gt;") && strstr(out.data, "t &amp; &quot;2&quot;") && !strstr(out.data, "nan"));
    cr_expect_str_eq(out.data + out.n - 7, "</svg>\n");
    hdl__svg_free(&svg);
    hdl__cli_text_free(&out);
}

/* The real program: every line of JSON is read back by a strict parser, whatever the input holds. */
Test(cli_format, program_writes_valid_json)
{
    enum { LINES = 7 };
    char line[1 << 16], directory[] = P_tmpdir "/heddle-test-XXXXXX", command[1024];
    size_t n = 0;
    if (access(HEDDLE_PROGRAM, X_OK) != 0) {
        printf("skipped: the program is not built\n");
        return;
    }
    cr_assert_not_null(mkdtemp(directory));
    snprintf(command, sizeof command, "printf 'Hello.\\n\\n \\n\"\\\\\\0\\377\\n\\342\\200\\250\\n<b>\\t&\\nlast' | "
             "%s translate %s/models/en-de --json --quiet --stats %s/stats",
             HEDDLE_PROGRAM, HEDDLE_SOURCE_DIR, directory);
    FILE *program = popen(command, "r");
    cr_assert_not_null(program);
    for (; fgets(line, sizeof line, program); ++n) {
        json_error_t error;
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &error);
        cr_assert_not_null(object, "line %zu: %s: %s", n, error.text, line);
        cr_expect_eq(json_integer_value(json_object_get(object, "line")), (json_int_t)n);
        cr_expect_geq(json_array_size(json_object_get(object, "hypotheses")), 1, "%s", line);
        const json_t *best = json_array_get(json_object_get(object, "hypotheses"), 0);
        cr_expect_eq(json_array_size(json_object_get(best, "alignment")), json_array_size(json_object_get(best, "tokens")));
        cr_expect(json_is_array(json_object_get(best, "alignment")), "%s", line);
        json_decref(object);
    }
    cr_expect_eq(pclose(program), 0);
    cr_expect_eq(n, LINES);
    snprintf(line, sizeof line, "%s/stats", directory);
    json_t *stats = json_load_file(line, JSON_REJECT_DUPLICATES, NULL);
    cr_expect_eq(json_integer_value(json_object_get(stats, "lines")), LINES);
    cr_expect_gt(json_integer_value(json_object_get(stats, "peak_memory_bytes")), 0);
    cr_expect(json_is_integer(json_object_get(stats, "launches")));     /* of kernels: none on the CPU */
    cr_expect_eq(json_integer_value(json_object_get(stats, "launches")), 0);
    json_decref(stats);
    unlink(line);
    rmdir(directory);
}
