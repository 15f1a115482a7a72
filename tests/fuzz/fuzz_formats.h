/* fuzz_formats.h - loads a model from memory and reads every byte of what came out, for the targets of the formats. */
#ifndef HEDDLE_FUZZ_FORMATS_H
#define HEDDLE_FUZZ_FORMATS_H

#include "formats/checkpoint.h"

#include <stdlib.h>
#include <string.h>

/* A result that could not happen in a sound program: the sum is only there so that reading is not optimised away. */
static inline void load_and_read(const hdl_memory_file *files, size_t n_files)
{
    hdl__checkpoint c = {0};
    const hdl__checkpoint zero = {0};
    unsigned sum = 0;
    if (hdl__checkpoint_load_memory(files, n_files, NULL, &c) != HDL_OK) {
        if (memcmp(&c, &zero, sizeof c) != 0 || hdl_error_detail()[0] == '\0') abort();
        return;
    }
    for (int32_t i = 0; i < c.n_params; i++) {
        const hdl__param *p = &c.params[i];
        size_t n = hdl_dtype_bytes(p->dtype);
        for (int32_t k = 0; k < p->rank; k++) n *= (size_t)p->shape[k];
        for (size_t k = 0; k < n; k++) sum += ((const uint8_t *)p->data)[k];
        if (hdl__checkpoint_find(&c, "%s", p->name) != p) abort();
    }
    if (c.source_vocabulary.n != c.config.encoder.V || c.target_vocabulary.n != c.config.decoder.V) abort();
    for (int32_t i = 0; i < c.target_vocabulary.n; i++) sum += (unsigned)strlen(c.target_vocabulary.tokens[i]);
    if (sum == 1 && c.n_params == 0) abort();
    hdl__checkpoint_close(&c);
}

static inline hdl_memory_file text_file(const char *name, const char *text)
{
    return (hdl_memory_file){.name = name, .data = text, .n_bytes = strlen(text)};
}

#endif
