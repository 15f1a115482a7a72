/* test_lines.c - odd lines of text through the engine: empty, broken, far too long; prefixes as text. */
#include "engine_fixture.h"

#include <string.h>

static engine text;

static void open_text(void) { text = open_engine("models/en-de", NULL); }
static void close_text(void) { close_engine(&text); }

static const hdl_result *run_line(const char *bytes, size_t n, hdl_request *r, hdl_ticket **ticket)
{
    r->text = bytes;
    r->n_bytes = n;
    return run_request(&text, r, ticket);
}

Test(lines, odd_ones, .init = open_text, .fini = close_text)
{
    static const struct { const char *bytes; size_t n, n_replaced, n_pieces; } cases[] = {
        {"", 0, 0, 0}, {"   \t  ", 6, 0, 0}, {"\xC2\xA0", 2, 0, 0}, {"\0", 1, 1, 0}, {"a\0b", 3, 1, 1}, {"\xff\xfe", 2, 2, 0},
        {"\xe2\x82", 2, 1, 0}, {"Hello\r", 6, 0, 1}, {"\xf0\x9f\x98\x80", 4, 0, 1}, {"Hello\nworld", 11, 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hdl_request r = HDL_REQUEST_INIT;
        hdl_ticket *ticket;
        const hdl_result *result = run_line(cases[i].bytes, cases[i].n, &r, &ticket);
        cr_expect_eq(result->status, HDL_OK, "case %zu: %s", i, result->detail);
        cr_expect_eq(result->n_hypotheses, 1u, "case %zu", i);
        cr_expect_eq(result->n_replaced, cases[i].n_replaced, "case %zu: %zu replaced", i, result->n_replaced);
        cr_expect_eq(result->n_pieces, cases[i].n_pieces, "case %zu: %zu pieces", i, result->n_pieces);
        cr_expect_not_null(result->hypotheses[0].text);
        if (cases[i].n_pieces == 0) cr_expect_str_eq(result->hypotheses[0].text, "");
        cr_expect_null(strchr(result->hypotheses[0].text, '\n'), "case %zu", i);
        hdl_ticket_release(ticket);
    }
}

/* Above the model's limits: pieces, an error, or a cut, as asked; nothing is lost silently. */
Test(lines, very_long, .init = open_text, .fini = close_text)
{
    static char line[20000];
    memset(line, 'x', sizeof line);
    hdl_request r = HDL_REQUEST_INIT;
    hdl_search_options brief = HDL_SEARCH_OPTIONS_INIT;
    hdl_ticket *ticket;
    brief.beam = 1;
    brief.max_length = 8;
    r.search = &brief;
    const hdl_result *result = run_line(line, 3000, &r, &ticket);
    cr_expect_eq(result->status, HDL_OK, "%s", result->detail);
    cr_expect_gt(result->n_pieces, 1u);
    cr_expect_eq(result->n_cut, 0u);
    hdl_ticket_release(ticket);
    r.split = HDL_SPLIT_NEVER;
    result = run_line(line, sizeof line, &r, &ticket);
    cr_expect_eq(result->status, HDL_EINVAL);
    cr_expect_not_null(strstr(result->detail, "allowed 512"), "%s", result->detail);
    cr_expect_eq(result->n_hypotheses, 0u);
    hdl_ticket_release(ticket);
    r.overflow = HDL_OVERFLOW_CUT;
    r.max_source_length = 20;
    result = run_line(line, 3000, &r, &ticket);
    cr_expect_eq(result->status, HDL_OK, "%s", result->detail);
    cr_expect_eq(result->n_pieces, 1u);
    cr_expect_gt(result->n_cut, 0u);
    hdl_ticket_release(ticket);
    r.max_source_length = 1;
    result = run_line(line, 100, &r, &ticket);
    cr_expect_eq(result->status, HDL_EINVAL);
    cr_expect_not_null(strstr(result->detail, "no room"), "%s", result->detail);
    hdl_ticket_release(ticket);
}

Test(lines, prefix_for_text, .init = open_text, .fini = close_text)
{
    hdl_request r = HDL_REQUEST_INIT;
    hdl_ticket *ticket;
    r.target = "Das alte";
    r.n_target_bytes = strlen(r.target);
    const hdl_result *result = run_line("The house is small. I like it.", 30, &r, &ticket);
    cr_expect_eq(result->status, HDL_OK, "%s", result->detail);
    cr_expect_eq(strncmp(result->hypotheses[0].text, "Das alte", 8), 0, "%s", result->hypotheses[0].text);
    hdl_ticket_release(ticket);
    r.split = HDL_SPLIT_SENTENCES;      /* the prefix applies to the first piece */
    result = run_line("The house is small. I like it.", 30, &r, &ticket);
    cr_expect_eq(result->n_pieces, 2u);
    cr_expect_eq(strncmp(result->hypotheses[0].text, "Das alte", 8), 0, "%s", result->hypotheses[0].text);
    cr_expect_null(strstr(result->hypotheses[0].text + 8, "Das alte"), "%s", result->hypotheses[0].text);
    hdl_ticket_release(ticket);
}
