/* cmd_align.c - heddle align: translations with pictures of which word came from which. */
#include "align_map.h"
#include "cli_commands.h"
#include "json_text.h"
#include "line_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_SVG "heddle-alignment.svg"
#define PIPE_COLUMNS 240        /* who reads a pipe scrolls sideways */

typedef struct align {
    hdl__svg svg;
    bool     color;
    int      columns;           /* of the terminal */
    char     path[sizeof P_tmpdir + 64];        /* of a default picture that had to go elsewhere */
} align;

static int terminal_columns(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return PIPE_COLUMNS;
}

static void look_at_output(align *a, const hdl__line_command *command)
{
    static const bool forced[] = { [HDL__COLOR_ALWAYS] = true, [HDL__COLOR_NEVER] = false };
    bool automatic = command->options.color == HDL__COLOR_AUTO;
    a->color = automatic ? isatty(command->output.fd) == 1 : forced[command->options.color];
    a->columns = terminal_columns(command->output.fd);
}

static bool put_json(uint64_t line, const hdl__picture *picture, hdl__cli_text *out)
{
    json_t *object = json_object();
    json_object_set_new(object, "line", json_integer((json_int_t)line));
    json_object_set_new(object, "source", hdl__json_string(picture->source));
    json_object_set_new(object, "text", hdl__json_string(picture->target));
    json_object_set_new(object, "map", hdl__json_string(picture->about));
    json_object_set_new(object, "rows", hdl__json_strings(picture->rows, picture->n_rows));
    json_object_set_new(object, "columns", hdl__json_strings(picture->columns, picture->n_columns));
    json_object_set_new(object, "values", hdl__json_matrix(picture->values, picture->n_rows, picture->n_columns));
    return hdl__json_put(object, true, out);
}

static int emit(void *user, uint64_t line, const hdl_result *result, hdl__cli_text *out)
{
    hdl__line_command *command = user;
    align *a = command->user;
    hdl__align_map made;
    if (a->columns == 0) look_at_output(a, command);
    int code = hdl__align_map_make(&made, &command->engine, &command->options, result);
    if (code == HDL__EXIT_DONE && command->options.json) {
        if (!put_json(line, &made.picture, out)) code = hdl__cli_error("out of memory");
    } else if (code == HDL__EXIT_DONE) {
        hdl__cli_text_printf(out, "%s%s\n%s\n", line ? "\n" : "", made.picture.source, made.picture.target);
        hdl__picture_terminal(&made.picture, a->color, a->columns, out);
    }
    if (code == HDL__EXIT_DONE && !command->options.no_svg) hdl__svg_add(&a->svg, &made.picture);
    hdl__align_map_free(&made);
    return code;
}

/* The file asked for; else the default name here; else, where nothing may be written, a new temporary file. */
static bool open_svg(align *a, const char *wanted, hdl__output *file)
{
    if (hdl__output_open(file, wanted ? wanted : DEFAULT_SVG) || wanted) return file->fd >= 0;
    snprintf(a->path, sizeof a->path, "%s/heddle-alignment-XXXXXX.svg", P_tmpdir);
    int fd = mkstemps(a->path, (int)strlen(".svg"));
    if (fd < 0) return false;
    close(fd);
    return hdl__output_open(file, a->path);
}

static int finish(void *user)
{
    hdl__line_command *command = user;
    align *a = command->user;
    hdl__output file;
    hdl__cli_text text = { 0 };
    if (command->options.no_svg || a->svg.n_pictures == 0) return HDL__EXIT_DONE;
    if (!open_svg(a, command->options.svg, &file))
        return hdl__cli_error("cannot open %s: %s", file.name, strerror(errno));
    hdl__svg_finish(&a->svg, &text);
    hdl__output_begin(&file);
    if (text.n && !text.failed) hdl__output_add(&file, text.data, text.n);
    int code = hdl__output_close(&file);
    if (code == HDL__EXIT_DONE && text.failed) code = hdl__cli_error("out of memory");
    hdl__cli_text_clear(&text);
    hdl__cli_text_printf(&text, "\nHeat-map: %s\n", file.name);
    if (code == HDL__EXIT_DONE && !command->options.json) hdl__output_add(&command->output, text.data, text.n);
    hdl__cli_text_free(&text);
    if (a->svg.n_dropped)
        hdl__cli_warn("%zu pictures are too many or too large for one file; it holds %zu", a->svg.n_dropped,
                      a->svg.n_pictures);
    return code;
}

/* The picture may not replace what is read or written. */
static int check_svg(const hdl__cli_options *options)
{
    const char *const others[] = { options->input, options->output, options->suppress };
    struct stat svg, other;
    if (!options->svg || stat(options->svg, &svg) != 0 || !S_ISREG(svg.st_mode)) return HDL__EXIT_DONE;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; ++i)
        if (others[i] && stat(others[i], &other) == 0 && svg.st_dev == other.st_dev && svg.st_ino == other.st_ino)
            return hdl__cli_misuse("the heat-map would overwrite %s", others[i]);
    return HDL__EXIT_DONE;
}

int hdl__cmd_align(const hdl__cli_options *options)
{
    align a = { 0 };
    hdl__line_command command = { .options = *options, .kind = HDL__LINES_EITHER, .emit = emit, .finish = finish,
                                  .words_are_lines = true, .user = &a };
    if (options->svg && options->no_svg) return hdl__cli_misuse("options --svg and --no-svg exclude each other");
    int code = check_svg(options);
    if (code != HDL__EXIT_DONE) return code;
    command.options.alignment = HDL__ALIGNMENT_SOFT;
    if (hdl__align_map_wanted(options)) command.options.split = HDL__SPLIT_NEVER;      /* a map shows one piece */
    /* JSON is for programs: they name the picture if they want one. */
    command.options.no_svg = options->no_svg || (options->json && !options->svg);
    code = hdl__line_command_run(&command);
    hdl__svg_free(&a.svg);
    return code;
}
