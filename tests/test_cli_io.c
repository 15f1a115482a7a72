/* test_cli_io.c - what the program reads, and the files it writes: lines, requests, windows, outputs. */
#include "cli/cli_options.h"
#include "cli/line_reader.h"
#include "cli/line_window.h"
#include "cli/line_work.h"
#include "cli/output_file.h"

#include <criterion/criterion.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct piece { const char *bytes; size_t n; } piece;
#define MOST_LINES 6
#define P(text) { text, sizeof text - 1 }

/* A pipe whose writer gives `n` bytes in parts of `part`. */
typedef struct trickle { int fd; const char *bytes; size_t n, part; } trickle;

static void *run_trickle(void *argument)
{
    trickle *t = argument;
    for (size_t i = 0; i < t->n; i += t->part) {
        size_t n = t->n - i < t->part ? t->n - i : t->part;
        if (write(t->fd, t->bytes + i, n) != (ssize_t)n) break;
        if (t->n < 100) usleep(200);    /* so that the reader sees the parts */
    }
    close(t->fd);
    return NULL;
}

static void read_back(const piece *input, size_t part, const piece *lines, size_t n_lines)
{
    int ends[2];
    pthread_t thread;
    hdl__reader reader;
    const char *line;
    size_t n, i = 0;
    cr_assert_eq(pipe(ends), 0);
    trickle t = { ends[1], input->bytes, input->n, part };
    cr_assert_eq(pthread_create(&thread, NULL, run_trickle, &t), 0);
    cr_assert(hdl__reader_open(&reader, NULL));
    reader.fd = ends[0];
    hdl__line got;
    for (; (got = hdl__reader_next(&reader, &line, &n)) == HDL__LINE_OK; ++i) {
        cr_assert_lt(i, n_lines, "too many lines from %.20s in parts of %zu", input->bytes, part);
        bool same = n == lines[i].n && (n == 0 || memcmp(line, lines[i].bytes, n) == 0);
        cr_expect(same, "line %zu: '%.*s' (%zu bytes)", i, (int)n, line, n);
    }
    cr_expect_eq(got, HDL__LINE_END);
    cr_expect_eq(i, n_lines, "%zu lines, not %zu, in parts of %zu", i, n_lines, part);
    cr_expect_eq(reader.n_bytes, input->n);
    hdl__reader_close(&reader);
    pthread_join(thread, NULL);
    close(ends[0]);
}

Test(cli_io, lines_end_with_line_feeds_only)
{
    static const struct { piece input; size_t n; piece lines[MOST_LINES]; } rows[] = {
        { P(""), 0, { { 0 } } },
        { P("\n"), 1, { P("") } },
        { P("a"), 1, { P("a") } },
        { P("a\nb"), 2, { P("a"), P("b") } },
        { P("a\n\nb\n"), 3, { P("a"), P(""), P("b") } },
        { P("a\r\nb\r\r\n\r"), 3, { P("a"), P("b\r"), P("") } },
        { P("a\rb\n"), 1, { P("a\rb") } },
        { P("\xef\xbb\xbf" "a\n\xef\xbb\xbf" "b\n"), 2, { P("a"), P("\xef\xbb\xbf" "b") } },
        { P("\xef\xbb\xbf"), 0, { { 0 } } },
        { P("\xef\xbb\xbf\n"), 1, { P("") } },
        { P("\xef\xbb"), 1, { P("\xef\xbb") } },
        { P("\xef\xbb\nx"), 2, { P("\xef\xbb"), P("x") } },
        { P("a\0b\0\n\0"), 2, { P("a\0b\0"), P("\0") } },
        { P("a\xe2\x80\xa8" "b\xc2\x85\x0b\x0c\x1c\n"), 1, { P("a\xe2\x80\xa8" "b\xc2\x85\x0b\x0c\x1c") } },
        { P("\xff\xfe\n"), 1, { P("\xff\xfe") } },
        { P("\n\n\n"), 3, { P(""), P(""), P("") } },
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; ++r)
        for (size_t part = 1; part <= 3; ++part) read_back(&rows[r].input, part, rows[r].lines, rows[r].n);
}

Test(cli_io, long_lines_cross_chunks)
{
    enum { LONG = 300000 };
    char *bytes = malloc(LONG + 3);
    cr_assert_not_null(bytes);
    memset(bytes, 'x', LONG);
    memcpy(bytes + LONG, "\ny\n", 3);
    const piece input = { bytes, LONG + 3 }, lines[] = { { bytes, LONG }, P("y") };
    read_back(&input, 4096, lines, 2);
    free(bytes);
}

Test(cli_io, endless_line_is_refused)
{
    hdl__reader reader;
    const char *line;
    size_t n;
    cr_assert(hdl__reader_open(&reader, "/dev/zero"));
    cr_expect_eq(hdl__reader_next(&reader, &line, &n), HDL__LINE_ERROR);
    cr_expect(strstr(reader.error, "/dev/zero: line 1 "), "%s", reader.error);
    hdl__reader_close(&reader);
}

Test(cli_io, unreadable_inputs)
{
    hdl__reader reader;
    const char *line;
    size_t n;
    cr_expect_not(hdl__reader_open(&reader, "/no/such/file"));
    cr_assert(hdl__reader_open(&reader, "/"));
    cr_expect_eq(hdl__reader_next(&reader, &line, &n), HDL__LINE_ERROR);
    cr_expect(strstr(reader.error, "Is a directory"), "%s", reader.error);
    hdl__reader_close(&reader);
}

Test(cli_io, waiting_for_input_can_be_ended)
{
    int input[2], wake[2];
    hdl__reader reader;
    const char *line;
    size_t n;
    cr_assert(pipe(input) == 0 && pipe(wake) == 0);
    cr_assert(hdl__reader_open(&reader, NULL));
    reader.fd = input[0];
    reader.wake = wake[0];
    cr_assert_eq(write(input[1], "one\ntw", 6), 6);
    cr_expect_eq(hdl__reader_next(&reader, &line, &n), HDL__LINE_OK);
    close(wake[1]);
    cr_expect_eq(hdl__reader_next(&reader, &line, &n), HDL__LINE_STOPPED);
    hdl__reader_close(&reader);
}

Test(cli_io, output_reports_a_full_disk_once_and_a_closed_pipe_never)
{
    hdl__output output;
    int ends[2];
    cr_assert(hdl__output_open(&output, "/dev/full"));
    hdl__output_add(&output, "x", 1);
    cr_expect(hdl__output_ok(&output), "still in the buffer");
    hdl__output_flush(&output);
    cr_expect_not(hdl__output_ok(&output));
    cr_expect_eq(hdl__output_close(&output), HDL__EXIT_FAILED);
    cr_expect_eq(hdl__output_close(&output), HDL__EXIT_DONE, "closed already");
    cr_expect_not(hdl__output_open(&output, "/no/such/directory/file"));

    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    cr_assert(hdl__output_open(&output, NULL));
    output.fd = ends[1];
    hdl__output_add(&output, "x", 1);
    cr_expect_eq(hdl__output_close(&output), HDL__EXIT_FAILED);
    close(ends[1]);
}

Test(cli_io, output_keeps_a_file_until_it_begins)
{
    char path[] = P_tmpdir "/heddle-test-XXXXXX", back[16] = "";
    int fd = mkstemp(path);
    hdl__output output;
    cr_assert(fd >= 0 && write(fd, "old text", 8) == 8);
    cr_assert(hdl__output_open(&output, path));
    cr_expect_eq(lseek(fd, 0, SEEK_END), 8);
    hdl__output_begin(&output);
    cr_expect_eq(lseek(fd, 0, SEEK_END), 0);
    hdl__output_add(&output, "new", 3);
    cr_expect_eq(hdl__output_close(&output), HDL__EXIT_DONE);
    cr_expect_eq(pread(fd, back, sizeof back - 1, 0), 3);
    cr_expect_str_eq(back, "new");
    close(fd);
    unlink(path);
}

Test(cli_io, requests_of_lines)
{
    hdl__cli_options options = { .tokens = 1 };
    const char *suffixes[] = { ">>de<<  x", "y" };
    options.source_suffix = (hdl__cli_list){ suffixes, 2 };
    hdl_search_options search = HDL_SEARCH_OPTIONS_INIT;
    hdl__line_work work;
    hdl_request request;
    size_t n_replaced;
    cr_assert(hdl__line_work_open(&work, HDL__LINES_EITHER, &options, &search));
    cr_expect_null(hdl__line_work_request(&work, "  a  b\0 c ", 10, NULL, 0, &request, &n_replaced));
    cr_expect(request.kind == HDL_REQUEST_TRANSLATE && request.text == NULL && request.n_tokens == 3);
    cr_expect_str_eq(request.tokens[1], "b\xef\xbf\xbd");
    cr_expect_eq(n_replaced, 1);
    cr_assert_eq(request.n_source_suffix, 3);
    cr_expect_str_eq(request.source_suffix[2], "y");
    cr_expect_null(hdl__line_work_request(&work, "a\tb c", 5, NULL, 0, &request, &n_replaced));
    cr_expect(request.kind == HDL_REQUEST_SCORE && request.n_tokens == 1 && request.n_target_tokens == 2);
    work.kind = HDL__LINES_SCORE;
    cr_expect_not_null(hdl__line_work_request(&work, "a b c", 5, NULL, 0, &request, &n_replaced));
    work.kind = HDL__LINES_TRANSLATE;
    work.tokens = false;
    cr_expect_null(hdl__line_work_request(&work, "a\tb", 3, "p", 1, &request, &n_replaced));
    cr_expect(request.kind == HDL_REQUEST_TRANSLATE && request.n_bytes == 3 && request.n_target_bytes == 1);
    cr_expect_null(hdl__line_work_request(&work, "", 0, "", 0, &request, &n_replaced));
    cr_expect(request.text != NULL && request.n_bytes == 0 && request.target == NULL);
    hdl__line_work_close(&work);
}

/* The window lets one line in whatever it costs, then waits for room, and a stop frees who waits. */
static void *put_two(void *argument)
{
    hdl__window *window = argument;
    hdl__line_job large = { .line = 1, .cost = (size_t)1 << 40 }, last = { .line = 2, .cost = 1 };
    bool first = hdl__window_put(window, &large), second = hdl__window_put(window, &last);
    return first && !second ? window : NULL;
}

Test(cli_io, window_bounds_and_order)
{
    hdl__window window;
    hdl__line_job job;
    pthread_t thread;
    void *answer;
    cr_assert(hdl__window_open(&window, 8));
    cr_expect_eq(hdl__window_first(&window, 0, &job), 0);
    cr_expect_eq(hdl__window_first(&window, 20, &job), 0);
    cr_assert_eq(pthread_create(&thread, NULL, put_two, &window), 0);
    while (hdl__window_first(&window, 1000, &job) != 1) continue;
    cr_expect_eq(job.line, 1);
    cr_expect_eq(window.n, 1, "the second has to wait");
    usleep(20000);
    hdl__window_stop(&window);
    pthread_join(thread, &answer);
    cr_expect_eq(answer, &window);
    hdl__window_end(&window);
    cr_expect_eq(hdl__window_first(&window, 0, &job), -1);
    hdl__window_close(&window);
}
