/*
 * model_state.h - inside of hdl_model: the checkpoint, its tokenizers, and the networks packed from it.
 */
#ifndef HEDDLE_HOST_MODEL_H
#define HEDDLE_HOST_MODEL_H

#include "formats/checkpoint.h"
#include "text/text.h"

#include <heddle/device.h>
#include <heddle/model.h>

#include <pthread.h>

typedef struct hdl__network hdl__network;      /* network.h */

struct hdl_model {
    hdl__checkpoint checkpoint;
    hdl_tokenizer  *source, *target;            /* may be the same object */
    hdl__token_map *target_map;                 /* owned; for the vocabulary map */
    hdl__vocab_map *vocab_map;                  /* NULL: none */
    char           *weights_dtype;
    uint64_t        n_parameters, weight_bytes;
    pthread_mutex_t mutex;                      /* guards networks */
    hdl__network   *networks;                   /* linked list, one per (device kind and index, compute) in use */
    int             users;                      /* open translators */
};

#endif
