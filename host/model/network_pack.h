/* network_pack.h - packing of single tensors, for network.c. */
#ifndef HEDDLE_HOST_NETWORK_PACK_H
#define HEDDLE_HOST_NETWORK_PACK_H

#include "model/network.h"

#define HDL__NAME_BYTES 96      /* the longest canonical name is far below */
#define HDL__MAX_PARTS 3        /* query, key and value */

typedef struct hdl__packer {
    hdl__network          *network;
    const hdl__checkpoint *checkpoint;
    hdl_stream            *stream;
    hdl_pack_use           use;
    float                  gain;        /* multiplies the weights, not the biases; 1 but for scaled outputs */
} hdl__packer;

/* printf into a name; every canonical name is far shorter than the buffer. */
void hdl__format_name(char name[HDL__NAME_BYTES], const char *format, ...) __attribute__((format(printf, 2, 3)));
/* gamma and beta below `prefix`; both stay NULL when the checkpoint has none. */
hdl_status hdl__pack_norm(hdl__packer *p, const char *prefix, hdl__norm_weights *out);
/* One product from the stacked `<prefix>.weight` tensors, with their biases. */
hdl_status hdl__pack_linear(hdl__packer *p, const char *const *prefixes, int n_parts, hdl__linear *out);
/* The position table of a stack, generated or stored. */
hdl_status hdl__pack_positions(hdl__packer *p, const char *side, hdl__stack *stack);
hdl_pack_part hdl__pack_part_of(const hdl__param *param);

#endif
