// simt_copy.h - copies and fills: when they read and write host memory, and what the host must not do meanwhile.
#pragma once
#include "simt_queue.h"

namespace simt {

struct Copy {
    void *to;
    const void *from;
    std::size_t bytes;
    cudaMemcpyKind kind;
    const char *function;   // that the host called
    const void *call_site;  // where, as a return address
};

// cudaMemcpyAsync.
cudaError_t copy_async(Stream *stream, Copy copy);
// cudaMemcpy, on the legacy stream: returns when CUDA promises it, not later.
cudaError_t copy_now(Stream *stream, Copy copy);
// cudaMemsetAsync.
cudaError_t fill(Stream *stream, void *to, int value, std::size_t bytes, const char *function, const void *call_site);
} // namespace simt
