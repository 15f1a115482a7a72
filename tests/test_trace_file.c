/* test_trace_file.c - the file of a trace: whole after every write, whatever ends the process; pipes; what stood there before. */
#include "runtime/trace_file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <heddle/heddle.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[64];

static void make_file(void)
{
    snprintf(path, sizeof path, "/tmp/heddle-trace-XXXXXX");
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
}

static void drop_file(void) { unlink(path); }

TestSuite(trace_file, .init = make_file, .fini = drop_file, .timeout = 60);


static void expect_json(size_t events)
{
    json_error_t error;
    json_t *file = json_load_file(path, 0, &error);
    cr_assert_not_null(file, "line %d: %s", error.line, error.text);
    cr_expect_geq(json_array_size(json_object_get(file, "traceEvents")), events);
    json_decref(file);
}

/* A process that is killed leaves a file that is whole up to its last write, after few events and after many. */
Test(trace_file, killed)
{
    static const int amounts[] = {0, 1, 5000, 20000};
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        const pid_t child = fork();
        if (child == 0) {
            hdl__trace_file *file;
            if (hdl__trace_file_open(path, &file) != HDL_OK) _exit(1);
            for (int k = 0; k < amounts[i]; k++)
                hdl__trace_add(file, "{\"ph\":\"i\",\"name\":\"some name of an event\",\"pid\":1,\"ts\":%s}", hdl__us_of(k * 1001).text);
            raise(SIGKILL);
        }
        int how;
        cr_assert_eq(waitpid(child, &how, 0), child);
        cr_assert(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
        expect_json(amounts[i] >= 20000 ? 10000 : 1);
    }
}

/* What cannot be written over gets its closing words at the end. */
Test(trace_file, pipe)
{
    char name[80], bytes[512] = "";
    hdl__trace_file *file;
    snprintf(name, sizeof name, "%s.pipe", path);
    cr_assert_eq(mkfifo(name, 0600), 0);
    const pid_t child = fork();
    if (child == 0) {
        _exit(hdl__trace_file_open(name, &file) != HDL_OK || hdl__trace_file_close(file) != HDL_OK);
    }
    FILE *end = fopen(name, "r");
    cr_assert_not_null(end);
    const size_t n = fread(bytes, 1, sizeof bytes - 1, end);
    fclose(end);
    int how;
    cr_assert_eq(waitpid(child, &how, 0), child);
    cr_expect_eq(how, 0);
    json_error_t error;
    json_t *json = json_loadb(bytes, n, 0, &error);
    cr_expect_not_null(json, "%s: %s", error.text, bytes);
    json_decref(json);
    unlink(name);
}

static volatile sig_atomic_t n_signals;
static void count_signal(int number) { (void)number; n_signals++; }

/* A pipe's name, and its end for reading: with it, opening the other end does not wait. */
static int make_pipe(char name[80])
{
    snprintf(name, 80, "%s.pipe", path);
    cr_assert_eq(mkfifo(name, 0600), 0);
    const int end = open(name, O_RDONLY | O_NONBLOCK);
    cr_assert_geq(end, 0);
    return end;
}

/* The reader of a pipe goes: an error at the end, and no signal for the program, whose own SIGPIPE keeps pending. */
Test(trace_file, reader_gone)
{
    char name[80];
    sigset_t broken, mask, pending;
    hdl__trace_file *file;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    signal(SIGPIPE, count_signal);
    for (int own = 0; own < 2; own++) {
        const int end = make_pipe(name);
        cr_assert_eq(hdl__trace_file_open(name, &file), HDL_OK, "%s", hdl_error_detail());
        close(end);
        if (own) {
            pthread_sigmask(SIG_BLOCK, &broken, NULL);
            raise(SIGPIPE);
        }
        for (int k = 0; k < 20000; k++) hdl__trace_add(file, "{\"ph\":\"i\",\"name\":\"some name of an event\",\"pid\":1}");
        cr_expect_eq(hdl__trace_file_close(file), HDL_EIO);
        cr_expect_not_null(strstr(hdl_error_detail(), strerror(EPIPE)), "%s", hdl_error_detail());
        pthread_sigmask(SIG_BLOCK, NULL, &mask);
        sigpending(&pending);
        cr_expect_eq(sigismember(&mask, SIGPIPE), own);
        cr_expect_eq(sigismember(&pending, SIGPIPE), own);
        unlink(name);
    }
    cr_expect_eq(n_signals, 0);
}

/* The same of a program that knows nothing of pipes: it lives, and closing its translator says why the trace is cut. */
Test(trace_file, reader_of_a_translator_gone)
{
    char name[80];
    hdl_model *model;
    hdl_translator *translator;
    hdl_results *results;
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    const char *const line = "a b c";
    signal(SIGPIPE, SIG_DFL);
    const int end = make_pipe(name);
    o.device = "cpu";
    o.threads = 1;
    o.trace = name;
    cr_assert_eq(hdl_model_load(HEDDLE_SOURCE_DIR "/tests/data/goldens/tiny-a", NULL, &model), HDL_OK);
    cr_assert_eq(hdl_translator_open(model, &o, &translator), HDL_OK, "%s", hdl_error_detail());
    close(end);
    cr_expect_eq(hdl_translate(translator, &line, 1, NULL, &results), HDL_OK, "%s", hdl_error_detail());
    hdl_results_free(results);
    cr_expect_eq(hdl_translator_close(translator, 1), HDL_EIO);
    cr_expect_not_null(strstr(hdl_error_detail(), "cannot write the trace"), "%s", hdl_error_detail());
    hdl_model_close(model);
    unlink(name);
}

/* Times are whole nanoseconds. */
Test(trace_file, times)
{
    static const struct { int64_t ns; const char *text; } rows[] = {
        {-500, "-0.500"}, {-1234567, "-1234.567"}, {0, "0.000"}, {1, "0.001"}, {999, "0.999"}, {1000, "1.000"}, {1234567, "1234.567"}, {3600000000007, "3600000000.007"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) cr_expect_str_eq(hdl__us_of(rows[i].ns).text, rows[i].text);
}

/* An older, longer file is gone; an event without end is left out; text is made safe. */
Test(trace_file, contents)
{
    hdl__trace_file *file;
    char words[HDL__TRACE_WORDS], longer[4096];
    FILE *old = fopen(path, "w");
    for (int i = 0; i < 1000; i++) fputs("something that was here before\n", old);
    fclose(old);
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    cr_assert_eq(hdl__trace_file_open(path, &file), HDL_OK);
    hdl__trace_add(file, "{\"name\":\"%s\"}", longer);
    hdl__trace_add(file, "{\"name\":\"%s\"}", hdl__trace_words("a \"b\" \\ \n \xc3\xa9", words));
    cr_assert_eq(hdl__trace_file_close(file), HDL_OK);
    cr_expect_str_eq(words, "a ?b? ? ? ??");
    expect_json(2);
    cr_expect_eq(hdl__trace_file_close(NULL), HDL_OK);
}
