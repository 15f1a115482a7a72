/* fake_backend.h - a backend that computes nothing, notes every call and answers as it is told. */
#ifndef HEDDLE_TESTS_FAKE_BACKEND_H
#define HEDDLE_TESTS_FAKE_BACKEND_H

#include "device/device_state.h"

#define FAKE_MOST_CALLS 256
#define FAKE_MOST_ARGS 512
#define FAKE_LAUNCHES 7         /* kernels that a recording is said to start */

/* One object plays the device and all of its streams, events and graphs. */
typedef struct fake {
    hdl_backend table;      /* every entry offered; a test takes away what it likes */
    const char *calls[FAKE_MOST_CALLS];
    int         n_calls;
    hdl_status  answer;     /* of the next calls of ops, copies, waits */
    /* of the latest op, pack, pool or reserve: a copy of its arguments, as long as backend.h says they are */
    unsigned char args[FAKE_MOST_ARGS];
    size_t        args_bytes;
    int         n_open;     /* streams, events, graphs, weights, tables, pools, blocks that are open */
    hdl_device  device;     /* as hdl_device_open would have made it */
} fake;

/* A fresh one; rows are f32, unified as asked. */
void fake_open(fake *f, int unified);

/* A stream on the fake's device, through the door. */
hdl_stream *fake_stream(fake *f);

#endif
