/*
 * engine_setup.h - from the options of the command line to a loaded model and an open translator.
 */
#ifndef HEDDLE_ENGINE_SETUP_H
#define HEDDLE_ENGINE_SETUP_H

#include "cli_options.h"

#include <heddle/model.h>
#include <heddle/translator.h>

typedef struct hdl__engine {
    hdl_model         *model;
    hdl_translator    *translator;      /* NULL after hdl__engine_load alone */
    hdl_search_options search;
    hdl__cli_text      path;            /* of the model */
    hdl__cli_text      suppress;        /* what search.suppress points into */
    const char       **suppress_items;
    hdl_device_options places;          /* what the translator's options point to */
} hdl__engine;

/* The model; then search options and translator. 0, or the exit code after saying what failed. Close in either case. */
int  hdl__engine_load(hdl__engine *engine, const hdl__cli_options *options);
int  hdl__engine_open(hdl__engine *engine, const hdl__cli_options *options);
/* 0, or the exit code after saying what closing has brought to light: a trace that could not be written. */
int  hdl__engine_close(hdl__engine *engine);

/* The engine's options as the command line has them; also what hdl_translator_bytes is asked about. */
void hdl__engine_translator_options(hdl__engine *engine, const hdl__cli_options *options,
                                    hdl_translator_options *translator);
/* Why the translator does not open, or cannot be asked for its size: the exit code, after saying it. */
int hdl__engine_refused(const hdl__engine *engine, const hdl__cli_options *options, hdl_status status);
/* The search's options, files aside. */
void hdl__engine_search_options(const hdl__cli_options *options, hdl_search_options *search);

/* MODEL may stand as the first word or after --model, not both. 0, or the exit code after saying so. */
int hdl__engine_model_word(hdl__cli_options *options);

#endif
