/* cli_help.c - help in the terminal, from the tables. */
#include "cli_commands.h"

#include <string.h>

enum { WIDTH = 80, INDENT = 2, COLUMN = 28 };

const char *hdl__cli_group_title(hdl__cli_group group)
{
    static const char *const titles[HDL__GROUP_COUNT] = {
        [HDL__GROUP_FILES] = "Model and files", [HDL__GROUP_OUTPUT] = "Output",
        [HDL__GROUP_SEARCH] = "Search",         [HDL__GROUP_TEXT] = "Text",
        [HDL__GROUP_ENGINE] = "Engine",         [HDL__GROUP_PICTURE] = "Picture",
        [HDL__GROUP_GENERAL] = "General",
    };
    return titles[group];
}

void hdl__cli_option_names(const hdl__cli_option *option, bool with_aliases, hdl__cli_text *text)
{
    const char *alias;
    size_t n;
    for (size_t i = 0; hdl__cli_word(option->aliases, i, &alias, &n); ++i)
        if (n == 1) hdl__cli_text_printf(text, "-%c, ", alias[0]);
    hdl__cli_text_printf(text, "--%s", option->name);
    for (size_t i = 0; with_aliases && hdl__cli_word(option->aliases, i, &alias, &n); ++i)
        if (n > 1) hdl__cli_text_printf(text, ", --%.*s", (int)n, alias);
}

static void pad(hdl__cli_text *text, size_t n)
{
    for (size_t i = 0; i < n; ++i) hdl__cli_text_add(text, " ", 1);
}

/* Words of prose[0..n), wrapped; `at` is the column reached, lines go on at `indent`. */
static void wrap(hdl__cli_text *text, const char *prose, size_t n, size_t at, size_t indent)
{
    bool first = true;
    for (size_t i = 0; i < n;) {
        size_t length = 0;
        while (i + length < n && prose[i + length] != ' ') ++length;
        if (!first && at + 1 + length > WIDTH) {
            hdl__cli_text_puts(text, "\n");
            pad(text, indent);
            at = indent;
            first = true;
        }
        if (!first) hdl__cli_text_puts(text, " ");
        hdl__cli_text_add(text, prose + i, length);
        at += length + (first ? 0 : 1);
        first = false;
        i += length + 1;
    }
    hdl__cli_text_puts(text, "\n");
}

static void paragraphs(hdl__cli_text *text, const char *prose)
{
    while (*prose != '\0') {
        const char *end = strstr(prose, "\n\n");
        size_t n = end ? (size_t)(end - prose) : strlen(prose);
        wrap(text, prose, n, 0, 0);
        hdl__cli_text_puts(text, "\n");
        prose += n + (end ? 2 : 0);
    }
}

static void describe_option(hdl__cli_text *text, const hdl__cli_option *option)
{
    hdl__cli_text prose = { 0 };
    size_t start = text->n;
    pad(text, INDENT);
    hdl__cli_option_names(option, false, text);
    if (option->kind != HDL__OPTION_FLAG) {
        if (option->kind != HDL__OPTION_FLAG_TEXT) hdl__cli_text_puts(text, " ");
        hdl__cli_metavar(option, text);
    }
    size_t at = text->n - start;
    if (at + 2 > COLUMN) {
        hdl__cli_text_puts(text, "\n");
        at = 0;
    }
    pad(text, COLUMN - at);
    hdl__cli_text_puts(&prose, option->help);
    if (option->initial) hdl__cli_text_printf(&prose, " Default: %s.", option->initial);
    if (prose.data) wrap(text, prose.data, prose.n, COLUMN, COLUMN);
    text->failed = text->failed || prose.failed;
    hdl__cli_text_free(&prose);
}

static void describe_examples(hdl__cli_text *text, const char *examples)
{
    hdl__cli_text_puts(text, "Examples:\n");
    while (*examples != '\0') {
        size_t line = strcspn(examples, "\n"), call = strcspn(examples, "\t\n");
        hdl__cli_text_printf(text, "  %.*s\n", (int)call, examples);
        if (call < line)
            hdl__cli_text_printf(text, "      %.*s\n", (int)(line - call - 1), examples + call + 1);
        examples += line + (examples[line] == '\n');
    }
}

void hdl__cli_help_command(const hdl__cli_command *command, hdl__cli_text *text)
{
    hdl__cli_text_printf(text, "Usage: heddle %s [OPTION ...]%s%s\n\n", command->name,
                         command->words[0] ? " " : "", command->words);
    paragraphs(text, command->text);
    for (hdl__cli_group group = 0; group < HDL__GROUP_COUNT; ++group) {
        bool titled = false;
        for (size_t o = 0; o < hdl__cli_option_count; ++o) {
            const hdl__cli_option *option = &hdl__cli_option_table[o];
            if (option->group != group || !(option->commands & command->bit)) continue;
            if (!titled) hdl__cli_text_printf(text, "%s:\n", hdl__cli_group_title(group));
            titled = true;
            describe_option(text, option);
        }
        if (titled) hdl__cli_text_puts(text, "\n");
    }
    if (command->examples) describe_examples(text, command->examples);
}

void hdl__cli_help_program(hdl__cli_text *text)
{
    enum { NAME_COLUMN = 12 };
    hdl__cli_text_puts(text, "heddle translates text on this machine.\n\n"
                             "Usage: heddle COMMAND [OPTION ...] [ARGUMENT ...]\n\nCommands:\n");
    for (size_t i = 0; i < hdl__cli_command_count; ++i) {
        const hdl__cli_command *command = &hdl__cli_command_table[i];
        pad(text, INDENT);
        hdl__cli_text_puts(text, command->name);
        pad(text, NAME_COLUMN - strlen(command->name));
        hdl__cli_text_printf(text, "%s\n", command->summary);
    }
    hdl__cli_text_puts(text, "\nTry:\n  echo \"Good morning!\" | heddle translate\n"
                             "  heddle align \"Good morning!\"\n\n"
                             "heddle COMMAND --help shows the options of a command.\n");
}
