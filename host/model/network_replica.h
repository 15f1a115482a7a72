/*
 * network_replica.h - copies of a network on other devices, and what packing and copying share.
 */
#ifndef HEDDLE_HOST_NETWORK_REPLICA_H
#define HEDDLE_HOST_NETWORK_REPLICA_H

#include "model/network.h"

/* A network without weights on an open device: what the options say of it. */
hdl_status hdl__network_begin(hdl_model *model, const hdl__network_options *options, hdl__network **out);
void       hdl__network_free(hdl__network *network);       /* NULL is fine */

/* Networks on the named devices with the bytes of `from`: out [n], all or none. options->device is not looked at. */
hdl_status hdl__network_copy(hdl__network *from, const hdl__network_options *options, const char *const *names, int32_t n,
                             hdl__network **out);

#endif
