/*
 * replica_backend.h - the CPU's ops as several devices called simt:0, simt:1 and so on, in the host's memory and in order: for what the runtime
 * does with replicas, also under sanitizers that the stand-in for CUDA cannot meet.
 */
#ifndef HEDDLE_TESTS_REPLICA_BACKEND_H
#define HEDDLE_TESTS_REPLICA_BACKEND_H

#include <heddle/backend.h>

#define REPLICA_MOST 4

/* The table with that many devices; hdl__plugin_provide("simt", ...) puts it behind a name. */
const hdl_backend *replica_backend(int32_t n_devices);

/* The n-th step from now that this device replays fails, and all after it; 0: none. */
void     replica_fail(int32_t device, uint64_t n);
/* Steps that it has replayed. */
uint64_t replica_steps(int32_t device);
/* While on, no device goes on with a step: a load is dealt out while nothing ends. */
void     replica_hold(int on);

/* Devices, weights, copies and groups that are open: 0 when all was given back. */
int      replica_open_things(void);

#endif
