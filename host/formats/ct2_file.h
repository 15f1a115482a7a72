/*
 * ct2_file.h - CTranslate2's model.bin: header, variables, aliases. Internal to the CTranslate2 loader.
 */
#ifndef HEDDLE_HOST_CT2_FILE_H
#define HEDDLE_HOST_CT2_FILE_H

#include "base/mapped_file.h"
#include "formats/checkpoint_build.h"

#include <jansson.h>

typedef struct hdl__ct2_file {
    const char     *name;           /* "model.bin" */
    uint32_t        version;
    char           *spec;           /* "" for version 1 */
    uint32_t        revision;
    hdl__tensor_set variables;      /* aliases are entries of their own that share data */
} hdl__ct2_file;

/* Reads the whole structure of `bytes`, which must outlive it. Names of revision 1 are brought up to date. */
hdl_status hdl__ct2_read(const hdl__file *bytes, const char *name, hdl__ct2_file *out);
void       hdl__ct2_close(hdl__ct2_file *file);

/* Today's name of a variable of specification revision 1. HDL_ENOMEM through name->failed. */
void hdl__ct2_modern_name(const char *old, size_t n, hdl__str *name);

/* Scalars. Absent: the fallback. Any stored dtype is accepted; several values, or one out of range, are HDL_EFORMAT. */
hdl_status hdl__ct2_number(const hdl__ct2_file *file, const char *variable, double fallback, double *out);
hdl_status hdl__ct2_int(const hdl__ct2_file *file, const char *variable, int32_t low, int32_t high, int32_t fallback,
                        int32_t *out);
/* A string variable (i8 bytes) as a copy, or a copy of the fallback. */
hdl_status hdl__ct2_text(const hdl__ct2_file *file, const char *variable, const char *fallback, char **out);

/* Vocabularies and special tokens, from config.json or, before version 6, from variables. */
hdl_status hdl__ct2_load_tokens(const hdl__source *source, const hdl__ct2_file *file, hdl__checkpoint *out);
/* The epsilon that config.json gives, or 0. */
hdl_status hdl__ct2_norm_eps(const hdl__source *source, float *out);

#endif
