/* cmd_score.c - heddle score: the scores of given translations. */
#include "cli_commands.h"
#include "format_lines.h"
#include "line_command.h"

static int emit(void *user, uint64_t line, const hdl_result *result, hdl__cli_text *out)
{
    const hdl__line_command *command = user;
    if (command->options.json) {
        hdl_model_info info = HDL_MODEL_INFO_INIT;
        const char *end = NULL;
        if (hdl_model_describe(command->engine.model, &info) == HDL_OK && info.end_id >= 0)
            end = hdl_tokenizer_token(hdl_model_tokenizer(command->engine.model, 1), info.end_id);
        return hdl__format_score_json(line, result, end, out) ? HDL__EXIT_DONE : hdl__cli_error("out of memory");
    }
    char number[HDL__CLI_FLOAT_BYTES];
    float score = result->n_hypotheses ? result->hypotheses[0].score : 0;
    hdl__cli_text_printf(out, "%s\n", hdl__cli_float(number, score));
    return HDL__EXIT_DONE;
}

int hdl__cmd_score(const hdl__cli_options *options)
{
    hdl__line_command command = { .options = *options, .kind = HDL__LINES_SCORE, .emit = emit };
    int code = hdl__engine_model_word(&command.options);
    return code == HDL__EXIT_DONE ? hdl__line_command_run(&command) : code;
}
