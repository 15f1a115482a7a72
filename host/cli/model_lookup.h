/*
 * model_lookup.h - from what the user typed to the path of a model.
 */
#ifndef HEDDLE_MODEL_LOOKUP_H
#define HEDDLE_MODEL_LOOKUP_H

#include "cli_options.h"

#define HDL__DEFAULT_MODEL "en-de"

/* Path of the model that `options` name, or of the default one, into `path`.
 * 0, or the exit code after saying why not. */
int hdl__model_lookup(const hdl__cli_options *options, hdl__cli_text *path);
/* The same for a name given directly; NULL: the default. `program`: its path; its neighbours are searched. */
int hdl__model_lookup_name(const char *name, const char *program, hdl__cli_text *path);

#endif
