/*
 * cli_commands.h - the commands: names, how they are called, what they do.
 */
#ifndef HEDDLE_CLI_COMMANDS_H
#define HEDDLE_CLI_COMMANDS_H

#include "cli_options.h"
#include "output_file.h"

#define HDL__PROGRAM_DATE "January 15, 2025"    /* of the manual pages */

typedef struct hdl__cli_command {
    const char *name;
    unsigned    bit;
    size_t      min_words, max_words;
    const char *words;          /* how the arguments are shown: "[MODEL]" */
    const char *summary;        /* half a line, no full stop */
    const char *text;           /* paragraphs, separated by empty lines */
    const char *examples;       /* lines "command\tmeaning"; NULL: none */
    int       (*run)(const hdl__cli_options *options);      /* returns the exit code */
} hdl__cli_command;

extern const hdl__cli_command hdl__cli_command_table[];
extern const size_t hdl__cli_command_count;

const hdl__cli_command *hdl__cli_command_find(const char *name);
/* The command nearest to a mistyped name, or NULL. */
const char *hdl__cli_nearest_command(const char *name);

int hdl__cmd_translate(const hdl__cli_options *options);
int hdl__cmd_score(const hdl__cli_options *options);
int hdl__cmd_inspect(const hdl__cli_options *options);
int hdl__cmd_align(const hdl__cli_options *options);
int hdl__cmd_convert(const hdl__cli_options *options);
int hdl__cmd_devices(const hdl__cli_options *options);
int hdl__cmd_version(const hdl__cli_options *options);
int hdl__cmd_help(const hdl__cli_options *options);

/* Help of the program, or of one command. */
void hdl__cli_help_program(hdl__cli_text *text);
void hdl__cli_help_command(const hdl__cli_command *command, hdl__cli_text *text);
/* The manual pages, mdoc source. */
void hdl__cli_man_program(hdl__cli_text *text);
void hdl__cli_man_command(const hdl__cli_command *command, hdl__cli_text *text);

/* Title of a group of options: "Search". */
const char *hdl__cli_group_title(hdl__cli_group group);
/* Long aliases worth showing and short letters, as "-b, --beam, --beam-size". */
void hdl__cli_option_names(const hdl__cli_option *option, bool with_aliases, hdl__cli_text *text);

#endif
