/* simt_calls.h - the hooks of the CUDA stand-in (simt/simt_hooks.h), found in the library that a
 * test has opened. */
#ifndef HEDDLE_TESTS_SIMT_CALLS_H
#define HEDDLE_TESTS_SIMT_CALLS_H

#include "op_fixture.h"

#include <string.h>

/* Errors of the CUDA runtime, whose numbers never change (driver_types.h). */
enum {
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    INSUFFICIENT_DRIVER = 35,
    NO_DEVICE = 100,
    LAUNCH_FAILURE = 719
};

/* The call number `after` (0: the next) of a function of the runtime fails with `error`. */
static inline void fail_next(const char *function, int error, int after)
{
    void *symbol = op_symbol("simt", "simt_fail_next");
    void (*hook)(const char *, int, int) = NULL;
    memcpy(&hook, &symbol, sizeof hook);
    hook(function, error, after);
}

/* 0: a driver without a device; -1: no driver. */
static inline void set_devices(int count)
{
    void *symbol = op_symbol("simt", "simt_set_devices");
    void (*hook)(int) = NULL;
    memcpy(&hook, &symbol, sizeof hook);
    hook(count);
}

/* What a device says of its compute capability. */
static inline void set_capability(int device, int major, int minor)
{
    void *symbol = op_symbol("simt", "simt_set_capability");
    void (*hook)(int, int, int) = NULL;
    memcpy(&hook, &symbol, sizeof hook);
    hook(device, major, minor);
}

/* The shared memory that a block may ask for; 0: as much as on 9.0. */
static inline void set_shared_limit(size_t bytes)
{
    void *symbol = op_symbol("simt", "simt_set_shared_limit");
    void (*hook)(size_t) = NULL;
    memcpy(&hook, &symbol, sizeof hook);
    hook(bytes);
}

/* Device memory in use on the first device. */
static inline size_t used_bytes(void)
{
    void *symbol = op_symbol("simt", "simt_used_bytes");
    size_t (*hook)(int) = NULL;
    memcpy(&hook, &symbol, sizeof hook);
    return hook(0);
}

#endif
