/* line_command.c - the life of a command that works on lines. */
#include "line_command.h"
#include "model_files.h"
#include "run_stats.h"
#include "signal_watch.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

typedef struct files {
    hdl__reader input, prefix;
    hdl__output stats;
} files;

/* Two descriptors of one regular file: writing to one would destroy what the other reads. */
static bool same_file(int a, int b)
{
    struct stat about_a, about_b;
    if (a < 0 || b < 0 || fstat(a, &about_a) != 0 || fstat(b, &about_b) != 0) return false;
    return S_ISREG(about_a.st_mode) && about_a.st_dev == about_b.st_dev && about_a.st_ino == about_b.st_ino;
}

static bool is_file_of(const char *path, const struct stat *about)
{
    struct stat other;
    return path && stat(path, &other) == 0 && other.st_dev == about->st_dev && other.st_ino == about->st_ino;
}

static bool is_open_file(int fd, const struct stat *about)
{
    struct stat other;
    return fd >= 0 && fstat(fd, &other) == 0 && other.st_dev == about->st_dev && other.st_ino == about->st_ino;
}

static bool is_null_device(const struct stat *about)
{
    return S_ISCHR(about->st_mode) && about->st_rdev == makedev(1, 3);      /* /dev/null, null(4) */
}

/* The trace is emptied when the engine opens: it may not be a file that anything else is about. */
static int refuse_trace(const hdl__cli_options *options, const files *open, const hdl__output *output)
{
    struct stat about;
    if (!options->trace) return HDL__EXIT_DONE;
    if (strcmp(options->trace, "-") == 0)
        return hdl__cli_misuse("option --trace: a trace goes to a file, not to standard output");
    if (stat(options->trace, &about) != 0 || is_null_device(&about)) return HDL__EXIT_DONE;
    const int fds[] = { open->input.fd, open->prefix.fd, open->stats.fd, output->fd };
    const char *const paths[] = { options->suppress, options->vocab_map, options->source_spm, options->target_spm, options->spm };
    bool same = false;
    for (size_t i = 0; i < sizeof fds / sizeof *fds; ++i) same = same || is_open_file(fds[i], &about);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; ++i) same = same || is_file_of(paths[i], &about);
    return same ? hdl__cli_misuse("the trace would overwrite %s", options->trace) : HDL__EXIT_DONE;
}

static int refuse_same(const files *open, const hdl__output *output)
{
    if (same_file(open->input.fd, output->fd))
        return hdl__cli_misuse("input and output are the same file, %s", output->name);
    if (same_file(open->prefix.fd, output->fd))
        return hdl__cli_misuse("prefixes and output are the same file, %s", output->name);
    if (same_file(open->stats.fd, output->fd) || same_file(open->stats.fd, open->input.fd) ||
        same_file(open->stats.fd, open->prefix.fd))
        return hdl__cli_misuse("statistics would overwrite %s", open->stats.name);
    return HDL__EXIT_DONE;
}

/* After the model has been found, before anything is written. */
static int refuse_model_files(const hdl__line_command *command, const files *open)
{
    const char *model = command->engine.path.data, *trace = command->options.trace;
    struct stat about;
    if (fstat(command->output.fd, &about) == 0 && hdl__is_model_file(model, &about))
        return hdl__cli_misuse("the output would overwrite %s, a file of the model", command->output.name);
    if (open->stats.fd >= 0 && fstat(open->stats.fd, &about) == 0 && hdl__is_model_file(model, &about))
        return hdl__cli_misuse("statistics would overwrite %s, a file of the model", open->stats.name);
    if (trace && stat(trace, &about) == 0 && hdl__is_model_file(model, &about))
        return hdl__cli_misuse("the trace would overwrite %s, a file of the model", trace);
    return HDL__EXIT_DONE;
}

static int cannot_open(const char *path)
{
    return hdl__cli_error("cannot open %s: %s", path, strerror(errno));
}

static int open_files(hdl__line_command *command, files *open)
{
    const hdl__cli_options *options = &command->options;
    open->input.fd = open->prefix.fd = open->stats.fd = command->output.fd = -1;
    if (command->words_are_lines && options->words.n > 0) {
        if (options->input) return hdl__cli_misuse("sentences and -i %s are both given", options->input);
        hdl__reader_open_words(&open->input, &options->words);
    } else if (!hdl__reader_open(&open->input, options->input)) {
        return cannot_open(options->input);
    }
    if (options->prefix && !hdl__reader_open(&open->prefix, options->prefix)) return cannot_open(options->prefix);
    if (options->prefix && open->prefix.fd == open->input.fd)
        return hdl__cli_misuse("input and prefixes are both standard input");
    if (!hdl__output_open(&command->output, options->output)) return cannot_open(options->output);
    if (options->stats && !hdl__output_open(&open->stats, options->stats)) return cannot_open(options->stats);
    const int code = refuse_same(open, &command->output);
    return code == HDL__EXIT_DONE ? refuse_trace(options, open, &command->output) : code;
}

/* Standard error is shown progress only where it disturbs nothing that is typed or read there. */
static bool shows_progress(const hdl__line_command *command, const files *open)
{
    const hdl__cli_options *options = &command->options;
    if (options->quiet || command->words_are_lines) return false;
    if (options->progress) return true;
    return isatty(STDERR_FILENO) && !isatty(command->output.fd) && !isatty(open->input.fd);
}

static void greet(const hdl__line_command *command, const files *open)
{
    bool typed = open->input.fd == STDIN_FILENO && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
    static const char greeting[] = "Type lines to translate; Ctrl-D ends.\n";
    if (!typed || command->options.quiet) return;
    if (write(STDERR_FILENO, greeting, sizeof greeting - 1) < 0) return;
}

static int run_lines(hdl__line_command *command, files *open)
{
    const hdl__cli_options *options = &command->options;
    hdl__line_work work;
    hdl__progress progress;
    hdl__line_stream stream = {
        .translator = command->engine.translator, .input = &open->input, .work = &work,
        .prefix = options->prefix ? &open->prefix : NULL, .output = &command->output, .progress = &progress,
        .emit = command->emit, .user = command, .strict = options->strict != 0,
        .n_best = (size_t)options->n_best, .alignment = command->engine.search.alignment != 0,
    };
    bool ready = hdl__line_work_open(&work, command->kind, options, &command->engine.search);
    int code = ready ? HDL__EXIT_DONE : hdl__cli_error("out of memory");
    hdl__progress_open(&progress, shows_progress(command, open), hdl__reader_size(&open->input));
    double began = hdl__cli_now();
    if (ready) {
        hdl__output_begin(&command->output);
        greet(command, open);
        hdl__signals_note();
        code = hdl__line_stream_run(&stream);
        if (code == HDL__EXIT_DONE && command->finish) code = command->finish(command);
    }
    double seconds = hdl__cli_now() - began;
    hdl__line_work_close(&work);
    int closed = hdl__output_close(&command->output);
    if (code == HDL__EXIT_DONE) code = closed;
    if (code == HDL__EXIT_DONE) hdl__line_stream_warn(&stream);
    if (code == HDL__EXIT_DONE && options->stats)
        code = hdl__stats_write(&open->stats, command->engine.translator, stream.n_lines, seconds);
    return code;
}

int hdl__line_command_run(hdl__line_command *command)
{
    files open = { 0 };
    hdl__signals_start();
    int code = open_files(command, &open);
    if (code == HDL__EXIT_DONE) code = hdl__engine_load(&command->engine, &command->options);
    if (code == HDL__EXIT_DONE) code = refuse_model_files(command, &open);
    if (code == HDL__EXIT_DONE) code = hdl__engine_open(&command->engine, &command->options);
    if (code == HDL__EXIT_DONE) code = run_lines(command, &open);
    hdl__reader_close(&open.input);
    hdl__reader_close(&open.prefix);
    hdl__output_close(&command->output);
    hdl__output_close(&open.stats);
    const int closed = hdl__engine_close(&command->engine);
    hdl__signals_stop();
    return code == HDL__EXIT_DONE ? closed : code;
}
