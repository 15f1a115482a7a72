/*
 * replica_simt.h - networks on three devices of the stand-in for CUDA, for tests of replicas.
 */
#ifndef HEDDLE_TESTS_REPLICA_SIMT_H
#define HEDDLE_TESTS_REPLICA_SIMT_H

#include "model/network.h"

#include <stdbool.h>

enum { DEVICES = 3, POSITIONS = 64 };

#define TINY "tests/data/goldens/tiny-a"

/* What libheddle-simt.so exports for tests (tests/simt/simt_hooks.h). */
typedef struct replica_calls {
    size_t   (*used_bytes)(int device);
    uint64_t (*faults)(void);
    void     (*reset)(void);
    void     (*set_capability)(int device, int major, int minor);
} replica_calls;
extern replica_calls replica_hooks;

/* The newest line of the log at level INFO, from the first replica_acquire on. */
extern char replica_last_info[640];

/* Opens the library and sets three devices; false, with a line that says skipped, where it is not built. */
bool replica_have_simt(void);
/* No faults, and no memory in use on any device. */
void replica_expect_clean(void);

hdl_model *replica_load_tiny(void);
hdl_model *replica_load(const char *path);      /* relative to the repository */
/* Networks on all devices; `folder`: where NCCL is looked for. */
hdl_status replica_acquire(hdl_model *model, hdl_compute compute, const char *folder, hdl__network **networks);
/* Every weight, table and vector of the first network has the same values on the others. */
void       replica_compare(hdl__network *const *networks);

#endif
