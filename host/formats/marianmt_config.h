/* marianmt_config.h - what config.json of a Hugging Face MarianMT directory says. Internal to that loader. */
#ifndef HEDDLE_HOST_MARIANMT_CONFIG_H
#define HEDDLE_HOST_MARIANMT_CONFIG_H

#include "formats/checkpoint_build.h"

/* Which stored tensors serve as embeddings and output. */
typedef struct hdl__marianmt_sharing { bool one_embedding, tied_output; } hdl__marianmt_sharing;

hdl_status hdl__marianmt_read_config(const hdl__source *source, hdl__config *config, hdl__marianmt_sharing *sharing);
/* Decoding defaults: generation_config.json, or config.json where older files keep them. */
hdl_status hdl__marianmt_read_defaults(const hdl__source *source, hdl__checkpoint *out);

/* The activation of a Hugging Face name; HDL_ENOSUPPORT names it. */
hdl_status hdl__marianmt_activation(const char *file, const char *name, hdl_activation *out);

#endif
