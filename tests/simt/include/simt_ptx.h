// simt_ptx.h - twins of the instructions that kernels/ptx.cuh wraps.
//
// What the instructions do, lane by lane, is said in ptx.cuh. Matrix instructions want all 32 lanes of the
// warp at the same call. Operands and results go by value: an array whose address is taken would be watched
// like memory.
#ifndef HEDDLE_SIMT_PTX_H
#define HEDDLE_SIMT_PTX_H

#include <cstddef>
#include <cstdint>
#include <vector_types.h>

namespace simt {

// Constant for as long as the calling thread lives, so the compiler may ask once.
__attribute__((const)) unsigned char *shared_memory();

// Products are exact in f32; they are added to d one by one, the columns of A ascending.
float4 mma_m16n8k16_bf16(float4 d, uint4 a, uint2 b);
float4 mma_m16n8k16_f16(float4 d, uint4 a, uint2 b);
int4 mma_m16n8k32_s8(int4 d, uint4 a, uint2 b);

uint4 ldmatrix_x4(const void *row);
uint4 ldmatrix_x4_trans(const void *row);
uint2 ldmatrix_x2(const void *row);
uint2 ldmatrix_x2_trans(const void *row);

// The destination holds garbage from here on until the wait that covers the copy, at some moment before
// which the source is read.
void cp_async(void *shared, const void *global, size_t bytes, bool valid);
void cp_async_commit();
void cp_async_wait(int pending);

// The host's monotonic clock.
uint64_t global_timer();

} // namespace simt

#endif
