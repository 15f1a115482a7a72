/* cmd_help.c - heddle help: the program's help, a command's, or a manual page. */
#include "cli_commands.h"

int hdl__cmd_help(const hdl__cli_options *options)
{
    hdl__cli_text text = { 0 };
    if (options->words.n == 0) {
        if (options->man) hdl__cli_man_program(&text);
        else hdl__cli_help_program(&text);
        return hdl__output_print(&text);
    }
    const char *name = options->words.items[0];
    const hdl__cli_command *command = hdl__cli_command_find(name);
    if (!command) {
        const char *nearest = hdl__cli_nearest_command(name);
        return nearest ? hdl__cli_misuse("unknown command '%s'; did you mean '%s'?", name, nearest)
                       : hdl__cli_misuse("unknown command '%s'", name);
    }
    if (options->man) hdl__cli_man_command(command, &text);
    else hdl__cli_help_command(command, &text);
    return hdl__output_print(&text);
}
