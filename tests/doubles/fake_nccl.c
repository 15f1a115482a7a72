/*
 * fake_nccl.c - a libnccl.so.2 for the stand-in: the calls that copying weights makes, checked as NCCL would, done as copies on the streams.
 *
 * Variants by definition: FAKE_INIT_FAILS, FAKE_BROADCAST_FAILS, FAKE_NO_BROADCAST (the function is missing), FAKE_OLD (version 2.8),
 * FAKE_NO_VERSION (it does not say), FAKE_STALLS (a broadcast that ends with the communicators, having copied nothing), FAKE_ASYNC_ERROR (such
 * a broadcast, and an error for who asks), FAKE_GOES_ON (one that does not end with them either).
 */
#include "simt_hooks.h"

#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))
#define MOST 64

/* ncclResult_t */
enum { SUCCESS = 0, SYSTEM_ERROR = 2, INVALID_ARGUMENT = 4, INVALID_USAGE = 5, REMOTE_ERROR = 6 };

typedef struct comm { int rank, n; } comm;
typedef struct call { const void *from; void *to, *stream; size_t bytes; int root; } call;

#if defined FAKE_STALLS || defined FAKE_ASYNC_ERROR || defined FAKE_GOES_ON
#define HAS_STALL 1
#else
#define HAS_STALL 0
#endif
enum { GOOD_BEFORE = 3 };       /* some blocks are there before one fails */

static struct {
    int  open, destroyed, aborted, broadcasts;
    int  in_group, n_calls;
    call calls[MOST];           /* by rank, of the broadcast that is being gathered */
    int  n_held;
    void *held[MOST];           /* streams of the broadcast that stalls */
} fake;

/* "open": communicators that were made and not ended; "destroyed", "aborted", "broadcasts". */
EXPORT int fake_nccl_count(int what)
{
    const int counts[] = {fake.open, fake.destroyed, fake.aborted, fake.broadcasts};
    return counts[what];
}

EXPORT int ncclGetVersion(int *version)
{
#if defined FAKE_NO_VERSION
    *version = 1;
    return SYSTEM_ERROR;
#elif defined FAKE_OLD
    *version = 2804;
    return SUCCESS;
#else
    *version = 22809;
    return SUCCESS;
#endif
}

EXPORT const char *ncclGetErrorString(int result)
{
    return result == SYSTEM_ERROR ? "unhandled system error" : result == REMOTE_ERROR ? "remote process exited or there was a network error"
           : result == SUCCESS ? "no error" : "invalid usage";
}

EXPORT int ncclCommInitAll(void **comms, int n, const int *devices)
{
#ifdef FAKE_INIT_FAILS
    (void)comms, (void)n, (void)devices;
    return SYSTEM_ERROR;
#else
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (devices[i] == devices[j]) return INVALID_USAGE;
    for (int i = 0; i < n; i++) {
        comm *made = malloc(sizeof *made);
        if (made == NULL) abort();
        *made = (comm){i, n};
        comms[i] = made;
        fake.open++;
    }
    return SUCCESS;
#endif
}

EXPORT int ncclCommGetAsyncError(void *c, int *error)
{
    (void)c;
#ifdef FAKE_ASYNC_ERROR
    *error = fake.n_held > 0 ? REMOTE_ERROR : SUCCESS;
#else
    *error = SUCCESS;
#endif
    return SUCCESS;
}

/* The kernel of each rank waits for the others, and moves nothing: the block stays as it is. */
static int stall(void)
{
    for (int i = 0; i < fake.n_calls; i++) {
        const call *k = &fake.calls[i];
        simt_hold(k->stream, 1);
        if (simt_queue_copy(k->to, k->to, k->bytes, k->stream) != 0) return SYSTEM_ERROR;
        fake.held[fake.n_held++] = k->stream;
    }
    return SUCCESS;
}

#ifndef FAKE_GOES_ON
static void release(void)
{
    while (fake.n_held > 0) simt_hold(fake.held[--fake.n_held], 0);
}
#endif

static int end(void *c, int *counter)
{
#ifndef FAKE_GOES_ON
    release();
#endif
    free(c);
    fake.open--;
    ++*counter;
    return SUCCESS;
}

EXPORT int ncclCommDestroy(void *c) { return end(c, &fake.destroyed); }
EXPORT int ncclCommAbort(void *c) { return end(c, &fake.aborted); }

EXPORT int ncclGroupStart(void)
{
    fake.in_group++;
    fake.n_calls = 0;
    return SUCCESS;
}

#ifndef FAKE_NO_BROADCAST
/* Only the root's source counts; every rank has to take part, in one group, or a thread that drives several would wait for itself. */
EXPORT int ncclBroadcast(const void *from, void *to, size_t count, int type, int root, void *c, void *stream)
{
    const comm *of = c;
    if (fake.in_group != 1 || type != 0 || of->rank != fake.n_calls) return INVALID_USAGE;
    fake.calls[fake.n_calls++] = (call){from, to, stream, count, root};
    if (fake.n_calls > 1 && (count != fake.calls[0].bytes || root != fake.calls[0].root)) return INVALID_ARGUMENT;
    return SUCCESS;
}
#endif

EXPORT int ncclGroupEnd(void)
{
    fake.in_group--;
#ifdef FAKE_BROADCAST_FAILS
    if (fake.broadcasts == GOOD_BEFORE) return REMOTE_ERROR;
#endif
    if (HAS_STALL && fake.broadcasts == GOOD_BEFORE) return stall();
    const call *root = &fake.calls[fake.calls[0].root];
    for (int i = 0; i < fake.n_calls; i++) {
        const call *k = &fake.calls[i];
        if (k == root && k->to == root->from) continue;
        if (simt_queue_copy(k->to, root->from, k->bytes, k->stream) != 0) return SYSTEM_ERROR;
    }
    fake.broadcasts++;
    return SUCCESS;
}
