/* heddle_config.h - config.json of our own directories, both ways from one table. Internal to saving and loading them. */
#ifndef HEDDLE_HOST_HEDDLE_CONFIG_H
#define HEDDLE_HOST_HEDDLE_CONFIG_H

#include "formats/checkpoint_build.h"

#include <jansson.h>

/* A new object with every field of the configuration and "model_type"; HDL_ENOMEM. */
hdl_status hdl__heddle_config_write(const hdl__config *config, json_t **root);
/* Fills *config from config.json's root; every field is required, so that no reader guesses. */
hdl_status hdl__heddle_config_read(const json_t *root, hdl__config *config);

#endif
