/* cmd_convert.c - heddle convert: any readable model to a directory of safetensors. */
#include "cli_commands.h"
#include "engine_setup.h"

int hdl__cmd_convert(const hdl__cli_options *options)
{
    hdl__cli_options wanted = *options;
    hdl__engine engine;
    wanted.model = options->words.items[0];
    const char *directory = options->words.items[1];
    int code = hdl__engine_load(&engine, &wanted);
    if (code == HDL__EXIT_DONE) {
        hdl_status status = hdl_model_save(engine.model, directory);
        if (status != HDL_OK) code = hdl__cli_failed(status);
    }
    hdl__engine_close(&engine);
    return code;
}
