/*
 * random_model.h - a MarianMT model with random weights, in memory, for benches: the speed of a shape does not depend on
 * the values of its weights, but on how many bits they have. These are f32 of 24 bits, so that f32 products are
 * multiply-adds also where weights of 16 bits would be multiplied in tiles.
 */
#ifndef HEDDLE_BENCH_RANDOM_MODEL_H
#define HEDDLE_BENCH_RANDOM_MODEL_H

#include <heddle/model.h>

typedef struct model_shape { const char *name; int encoder_layers, decoder_layers, E, F, H, V; } model_shape;

/* Fixed seed. The bytes of the files must outlive the model: free them with random_model_free afterwards. 0: no memory. */
typedef struct random_model { hdl_memory_file files[3]; char *config, *vocabulary; unsigned char *weights; } random_model;
int  random_model_make(const model_shape *shape, random_model *out);
void random_model_free(random_model *model);

#endif
