/* model_lookup.c - from what the user typed to the path of a model. */
#include "model_lookup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4096     /* Linux's own limit of a path */

/* Relative to the program's directory: the source tree, then an installed prefix. */
static const char *const places[] = { "../models", "../share/heddle/models" };

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

/* A file or directory exists under this name: is it something that may be a model? */
static int accept(const char *name, const struct stat *about, hdl__cli_text *path)
{
    bool model_file = ends_with(name, ".npz") || ends_with(name, ".bin");
    if (!S_ISDIR(about->st_mode) && !model_file)
        return hdl__cli_misuse("%s is not a model; to translate a file use -i %s", name, name);
    hdl__cli_text_puts(path, name);
    return HDL__EXIT_DONE;
}

static bool beside_program(const char *program, const char *place, const char *name, hdl__cli_text *path)
{
    struct stat about;
    const char *slash = strrchr(program, '/');
    int n_directory = slash ? (int)(slash - program) : 0;
    hdl__cli_text_clear(path);
    hdl__cli_text_printf(path, "%.*s/%s/%s", n_directory, program, place, name);
    return path->data && stat(path->data, &about) == 0 && S_ISDIR(about.st_mode);
}

int hdl__model_lookup_name(const char *name, const char *program, hdl__cli_text *path)
{
    struct stat about;
    if (name && stat(name, &about) == 0) return accept(name, &about, path);
    if (name && (errno == EACCES || strchr(name, '/')))
        return hdl__cli_error("cannot open model %s: %s", name, strerror(errno));
    const char *wanted = name ? name : HDL__DEFAULT_MODEL;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; ++i)
        if (beside_program(program, places[i], wanted, path)) return HDL__EXIT_DONE;
    const char *slash = strrchr(program, '/');
    int n_directory = slash ? (int)(slash - program) : 0;
    hdl__cli_text_clear(path);
    return hdl__cli_error("no model '%s' here, nor in %.*s/%s, nor in %.*s/%s", wanted, n_directory, program,
                          places[0], n_directory, program, places[1]);
}

int hdl__model_lookup(const hdl__cli_options *options, hdl__cli_text *path)
{
    char program[PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    return hdl__model_lookup_name(options->model, program, path);
}
