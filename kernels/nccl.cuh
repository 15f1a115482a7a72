/*
 * nccl.cuh - the few functions of NCCL that copying weights takes, found in the library when it is there.
 *
 * Declared here, so that building needs no nccl.h: names, parameters and numbers are those of NCCL's manual ("API"),
 * the same in every version 2.
 */
#pragma once
#include "library.cuh"

namespace hdl {

constexpr int kNcclChar  = 0;                        // ncclDataType_t of bytes
constexpr int kNcclLeast = 20900;                    // 2.9: from there on versions are numbered as we read them

struct Nccl {                                        // functions answer an ncclResult_t, 0 on success
    int (*comm_init_all)(void **comms, int n, const int *devices);
    int (*comm_destroy)(void *comm);
    int (*comm_abort)(void *comm);
    int (*comm_async_error)(void *comm, int *error);
    int (*group_start)(void);
    int (*group_end)(void);
    int (*broadcast)(const void *from, void *to, size_t count, int type, int root, void *comm, cudaStream_t stream);
    const char *(*error_string)(int result);
};

// The name of the first function that the library lacks, or nullptr when all are there.
inline const char *nccl_find(const Library &library, Nccl *nccl)
{
    if (!library_function(library, "ncclCommInitAll", &nccl->comm_init_all)) return "ncclCommInitAll";
    if (!library_function(library, "ncclCommDestroy", &nccl->comm_destroy)) return "ncclCommDestroy";
    if (!library_function(library, "ncclCommAbort", &nccl->comm_abort)) return "ncclCommAbort";
    if (!library_function(library, "ncclCommGetAsyncError", &nccl->comm_async_error)) return "ncclCommGetAsyncError";
    if (!library_function(library, "ncclGroupStart", &nccl->group_start)) return "ncclGroupStart";
    if (!library_function(library, "ncclGroupEnd", &nccl->group_end)) return "ncclGroupEnd";
    if (!library_function(library, "ncclBroadcast", &nccl->broadcast)) return "ncclBroadcast";
    if (!library_function(library, "ncclGetErrorString", &nccl->error_string)) return "ncclGetErrorString";
    return nullptr;
}

}  // namespace hdl
