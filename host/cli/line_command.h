/*
 * line_command.h - the life of a command that works on lines: files, engine, stream, statistics, closing.
 */
#ifndef HEDDLE_LINE_COMMAND_H
#define HEDDLE_LINE_COMMAND_H

#include "engine_setup.h"
#include "line_stream.h"

typedef struct hdl__line_command {
    hdl__cli_options options;       /* a copy; its lists are the caller's */
    int              kind;          /* HDL__LINES_... */
    hdl__line_emit   emit;          /* called with this struct as user */
    int            (*finish)(void *user);   /* NULL, or called with this struct when all lines are written */
    bool             words_are_lines;
    void            *user;          /* the command's own */
    /* open while lines run */
    hdl__engine      engine;
    hdl__output      output;
} hdl__line_command;

/* Runs the command; returns the exit code. */
int hdl__line_command_run(hdl__line_command *command);

#endif
