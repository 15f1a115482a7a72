/* heddle_main.c - the program: finds the command, reads its options, runs it. */
#include "cli_commands.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* Files that we open must never become standard input, output or error. A closed one stays unusable. */
static void keep_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static int run_command(const hdl__cli_command *command, int n, char **argv)
{
    hdl__cli_options options;
    char error[HDL__CLI_ERROR_BYTES];
    int code;
    bool parsed = hdl__cli_parse(command->bit, n, argv, &options, error);
    if (options.quiet) hdl__cli_hush();
    if (parsed && options.help) {
        hdl__cli_text text = { 0 };
        hdl__cli_help_command(command, &text);
        code = hdl__output_print(&text);
    } else if (parsed && options.version) {
        code = hdl__cmd_version(&options);
    } else if (!parsed) {
        code = hdl__cli_misuse("%s (heddle %s --help lists the options)", error, command->name);
    } else if (options.words.n < command->min_words) {
        code = hdl__cli_misuse("%s needs %s", command->name, command->words);
    } else if (options.words.n > command->max_words) {
        code = hdl__cli_misuse("%s takes %s%s; '%s' is too many", command->name,
                               command->max_words ? "only " : "no argument", command->words,
                               options.words.items[command->max_words]);
    } else {
        code = command->run(&options);
    }
    hdl__cli_options_free(&options);
    return code;
}

static int unknown(const char *name)
{
    if (name[0] == '-')
        return hdl__cli_misuse("the command comes first, as in: heddle translate %s", name);
    const char *nearest = hdl__cli_nearest_command(name);
    if (nearest) return hdl__cli_misuse("unknown command '%s'; did you mean '%s'?", name, nearest);
    return hdl__cli_misuse("unknown command '%s'; heddle help lists them", name);
}

int main(int argc, char **argv)
{
    keep_standard_files();
    signal(SIGPIPE, SIG_IGN);       /* a closed pipe is an error of write, to be reported by the exit code */
    if (argc < 2) return hdl__cli_misuse("a command is missing; heddle help lists them");
    const char *name = argv[1];
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0) name = "help";
    if (strcmp(name, "-V") == 0 || strcmp(name, "--version") == 0) name = "version";
    const hdl__cli_command *command = hdl__cli_command_find(name);
    return command ? run_command(command, argc - 2, argv + 2) : unknown(argv[1]);
}
