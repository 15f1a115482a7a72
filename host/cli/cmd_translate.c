/* cmd_translate.c - heddle translate: lines of text in, translated lines out. */
#include "cli_commands.h"
#include "format_lines.h"
#include "line_command.h"

static int emit(void *user, uint64_t line, const hdl_result *result, hdl__cli_text *out)
{
    const hdl__line_command *command = user;
    const hdl__cli_options *options = &command->options;
    if (options->json) {
        if (!hdl__format_json(line, result, options->alignment, out)) return hdl__cli_error("out of memory");
    } else if (options->n_best > 1 || options->alternatives || options->sample) {
        hdl__format_moses(line, result, options->alignment, out);
    } else {
        hdl__format_text(result, options->alignment, out);
    }
    return HDL__EXIT_DONE;
}

/* Options that only mean something beside another one: saying so beats ignoring them. */
static int check(const hdl__cli_options *options)
{
    static const char *const needs[][2] = {
        { "min-alternative-prob", "alternatives" }, { "top-k", "sample" },  { "top-p", "sample" },
        { "temperature", "sample" },                { "seed", "sample" },   { "prefix-bias", "prefix" },
    };
    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; ++i)
        if (hdl__cli_given(options, needs[i][0]) && !hdl__cli_given(options, needs[i][1]))
            return hdl__cli_misuse("option --%s needs --%s", needs[i][0], needs[i][1]);
    if (options->sample && options->beam > 1)
        return hdl__cli_misuse("options --sample and --beam %d exclude each other: samples are drawn, not searched",
                               options->beam);
    if (options->sample && options->alternatives)
        return hdl__cli_misuse("options --sample and --alternatives exclude each other");
    return HDL__EXIT_DONE;
}

int hdl__cmd_translate(const hdl__cli_options *options)
{
    hdl__line_command command = { .options = *options, .kind = HDL__LINES_TRANSLATE, .emit = emit };
    int code = check(options);
    if (code == HDL__EXIT_DONE) code = hdl__engine_model_word(&command.options);
    /* JSON is for programs, which look for what they need; text is for reading. */
    if (options->json && !hdl__cli_given(options, "alignment")) command.options.alignment = HDL__ALIGNMENT_SOFT;
    /* A draw follows one hypothesis, whatever beam the model's files ask for. */
    if (options->sample) command.options.beam = 1;
    return code == HDL__EXIT_DONE ? hdl__line_command_run(&command) : code;
}
