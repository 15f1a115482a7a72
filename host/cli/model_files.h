/*
 * model_files.h - whether a file belongs to a model: it is mapped while the model is open, and may not be written to.
 */
#ifndef HEDDLE_MODEL_FILES_H
#define HEDDLE_MODEL_FILES_H

#include <stdbool.h>
#include <sys/stat.h>

/* `model`: path of a directory, or of a file that others lie beside. An empty file belongs to nobody: nothing is lost with it. */
bool hdl__is_model_file(const char *model, const struct stat *about);

#endif
