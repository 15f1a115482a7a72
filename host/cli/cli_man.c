/* cli_man.c - the manual pages as mdoc source, from the tables. */
#include "cli_commands.h"

#include <ctype.h>
#include <string.h>

/* One word; a line may not begin with what mdoc takes for a macro, and a minus should be one that can be copied. */
static void put_word(hdl__cli_text *text, const char *word, size_t n, bool line_start)
{
    if (line_start && (word[0] == '.' || word[0] == '\'')) hdl__cli_text_puts(text, "\\&");
    for (size_t i = 0; i < n; ++i) {
        if (word[i] == '\\') hdl__cli_text_puts(text, "\\e");
        else if (word[i] == '-') hdl__cli_text_puts(text, "\\-");
        else hdl__cli_text_add(text, word + i, 1);
    }
}

/* Prose as mdoc text lines: each sentence begins one, none is longer than WIDTH. */
static void put_prose(hdl__cli_text *text, const char *prose, size_t n)
{
    enum { WIDTH = 72 };    /* escapes make some lines longer, but not above 80 */
    size_t column = 0;
    for (size_t i = 0; i < n;) {
        size_t length = 0;
        while (i + length < n && prose[i + length] != ' ' && prose[i + length] != '\n') ++length;
        if (column > 0 && column + length >= WIDTH) {
            hdl__cli_text_puts(text, "\n");
            column = 0;
        }
        if (column > 0) hdl__cli_text_puts(text, " ");
        put_word(text, prose + i, length, column == 0);
        column += length + 1;
        bool sentence = length > 0 && prose[i + length - 1] == '.';
        bool paragraph = i + length + 1 < n && prose[i + length] == '\n';
        i += length + (paragraph ? 2 : 1);
        if (!sentence && !paragraph) continue;
        hdl__cli_text_puts(text, paragraph ? "\n.Pp\n" : i < n ? "\n" : "");
        column = 0;
    }
    hdl__cli_text_puts(text, "\n");
}

/* An argument of a macro, quoted; - as a minus that can be copied. */
static void put_argument(hdl__cli_text *text, const char *bytes, size_t n)
{
    hdl__cli_text_puts(text, "\"");
    for (size_t i = 0; i < n; ++i) {
        if (bytes[i] == '"') hdl__cli_text_puts(text, "\"\"");
        else if (bytes[i] == '-') hdl__cli_text_puts(text, "\\-");
        else if (bytes[i] == '\\') hdl__cli_text_puts(text, "\\e");
        else hdl__cli_text_add(text, bytes + i, 1);
    }
    hdl__cli_text_puts(text, "\"");
}

static void put_option(hdl__cli_text *text, const hdl__cli_option *option)
{
    hdl__cli_text names = { 0 }, prose = { 0 };
    hdl__cli_option_names(option, true, &names);
    hdl__cli_text_puts(text, ".It Xo\n.Sy ");
    if (names.data) put_argument(text, names.data, names.n);
    if (option->kind != HDL__OPTION_FLAG) {
        hdl__cli_text_puts(text, "\n.Ar ");
        hdl__cli_text_clear(&names);
        hdl__cli_metavar(option, &names);
        if (names.data) put_argument(text, names.data, names.n);
    }
    hdl__cli_text_puts(text, "\n.Xc\n");
    hdl__cli_text_puts(&prose, option->help);
    if (option->initial) hdl__cli_text_printf(&prose, " Default: %s.", option->initial);
    if (prose.data) put_prose(text, prose.data, prose.n);
    text->failed = text->failed || names.failed || prose.failed;
    hdl__cli_text_free(&names);
    hdl__cli_text_free(&prose);
}

static void put_head(hdl__cli_text *text, const char *title, const char *name, const char *summary)
{
    hdl__cli_text_puts(text, ".Dd " HDL__PROGRAM_DATE "\n.Dt ");
    for (const char *c = title; *c != '\0'; ++c) {
        char upper = (char)toupper((unsigned char)*c);
        hdl__cli_text_add(text, &upper, 1);
    }
    hdl__cli_text_printf(text, " 1\n.Os\n.Sh NAME\n.Nm %s\n.Nd %s\n", name, summary);
}

static void put_exit_status(hdl__cli_text *text)
{
    hdl__cli_text_puts(text,
        ".Sh EXIT STATUS\n.Bl -tag -width 4n -compact\n.It 0\ndone\n"
        ".It 1\nfailed; standard error has one line that says why\n"
        ".It 2\nwrong usage\n.It 3\nsomething that is not installed is needed\n"
        ".It 130 , 143\nended by an interrupt or by a request to terminate; finished lines are written\n.El\n");
}

static void put_options(hdl__cli_text *text, unsigned command)
{
    for (hdl__cli_group group = 0; group < HDL__GROUP_COUNT; ++group) {
        bool titled = false;
        for (size_t o = 0; o < hdl__cli_option_count; ++o) {
            const hdl__cli_option *option = &hdl__cli_option_table[o];
            if (option->group != group || !(option->commands & command)) continue;
            if (!titled)
                hdl__cli_text_printf(text, ".Ss %s\n.Bl -tag -width 4n\n", hdl__cli_group_title(group));
            titled = true;
            put_option(text, option);
        }
        if (titled) hdl__cli_text_puts(text, ".El\n");
    }
}

static void put_examples(hdl__cli_text *text, const char *examples)
{
    hdl__cli_text_puts(text, ".Sh EXAMPLES\n.Bl -tag -width 4n\n");
    while (*examples != '\0') {
        size_t line = strcspn(examples, "\n"), call = strcspn(examples, "\t\n");
        hdl__cli_text_puts(text, ".It Li ");
        put_argument(text, examples, call);
        hdl__cli_text_puts(text, "\n");
        if (call < line) put_prose(text, examples + call + 1, line - call - 1);
        examples += line + (examples[line] == '\n');
    }
    hdl__cli_text_puts(text, ".El\n");
}

void hdl__cli_man_command(const hdl__cli_command *command, hdl__cli_text *text)
{
    hdl__cli_text title = { 0 };
    hdl__cli_text_printf(&title, "heddle-%s", command->name);
    const char *name = title.data ? title.data : "heddle";
    put_head(text, name, name, command->summary);
    hdl__cli_text_printf(text, ".Sh SYNOPSIS\n.Nm heddle %s\n.Op Ar OPTION ...\n", command->name);
    if (command->words[0] != '\0') {
        hdl__cli_text_puts(text, ".Ar ");
        put_argument(text, command->words, strlen(command->words));
        hdl__cli_text_puts(text, "\n");
    }
    hdl__cli_text_puts(text, ".Sh DESCRIPTION\n");
    put_prose(text, command->text, strlen(command->text));
    hdl__cli_text_puts(text, ".Pp\nOptions are written\n.Fl \\-option Ar value\nor\n.Fl \\-option Ns = Ns "
                             "Ar value ;\nunderscores in their names count as hyphens.\n");
    put_options(text, command->bit);
    put_exit_status(text);
    if (command->examples) put_examples(text, command->examples);
    hdl__cli_text_puts(text, ".Sh SEE ALSO\n.Xr heddle 1\n");
    text->failed = text->failed || title.failed;
    hdl__cli_text_free(&title);
}

/* References to the pages of all commands, by name. */
static void put_see_also(hdl__cli_text *text)
{
    const char *last = "";
    hdl__cli_text_puts(text, ".Sh SEE ALSO\n");
    for (size_t i = 0, n = hdl__cli_command_count; i < n; ++i) {
        const char *next = NULL;
        for (size_t c = 0; c < n; ++c) {
            const char *name = hdl__cli_command_table[c].name;
            if (strcmp(name, last) > 0 && (!next || strcmp(name, next) < 0)) next = name;
        }
        hdl__cli_text_printf(text, ".Xr heddle-%s 1%s\n", next, i + 1 < n ? " ," : "");
        last = next;
    }
}

void hdl__cli_man_program(hdl__cli_text *text)
{
    put_head(text, "heddle", "heddle", "translate text on this machine");
    hdl__cli_text_puts(text, ".Sh SYNOPSIS\n.Nm\n.Ar command\n.Op Ar option ...\n.Op Ar argument ...\n"
                             ".Sh DESCRIPTION\n.Nm\nruns translation models.\nThe commands are:\n"
                             ".Bl -tag -width translate\n");
    for (size_t i = 0; i < hdl__cli_command_count; ++i) {
        const hdl__cli_command *command = &hdl__cli_command_table[i];
        hdl__cli_text_printf(text, ".It Cm %s\n%s\n", command->name, command->summary);
    }
    hdl__cli_text_puts(text, ".El\n.Sh FILES\n.Bl -tag -width 4n\n"
                             ".It Pa ../models , ../share/heddle/models\n"
                             "beside the program's directory: where a model is looked for by name.\n.El\n");
    put_exit_status(text);
    put_see_also(text);
}
