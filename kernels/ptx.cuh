/*
 * ptx.cuh - every raw instruction of the kernels, one small function each.
 *
 * Each function has two bodies: PTX for the device, and its twin in the CPU stand-in for CUDA
 * (docs/simt.md), which is built with HDL_SIMT. The titles in quotes are sections of NVIDIA's
 * "PTX ISA" manual; they say which lane holds which element. All of it runs on sm_80 and later.
 *
 * In the pictures below, lane l of a warp has group g = l / 4 and place t = l % 4.
 */
#pragma once
#include <cuda_runtime.h>
#include <stdint.h>

namespace hdl {

// The block's dynamic shared memory, dynamicSmemBytes long. Aligned to 16 bytes, never counted on
// for more. "State Spaces: .shared"; smem.cuh carves it.
__device__ __forceinline__ unsigned char *shared_memory()
{
#ifdef HDL_SIMT
    return simt::shared_memory();
#else
    extern __shared__ __align__(16) unsigned char dynamic_shared_memory[];
    return dynamic_shared_memory;
#endif
}

#ifndef HDL_SIMT
// A generic pointer to shared memory as the 32-bit address that .shared instructions take.
__device__ __forceinline__ uint32_t shared_address(const void *pointer)
{
    return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}
#endif

// d += a * b for a 16 x 16 tile of A (rows), a 16 x 8 tile of B (columns) and 16 x 8 sums in f32.
// "Matrix Fragments for mma.m16n8k16 with floating point type". Two elements a register, the
// lower column (A) or row (B) in the low half:
//   a[0] A[g][2t..]      a[1] A[g + 8][2t..]   a[2] A[g][2t + 8..]   a[3] A[g + 8][2t + 8..]
//   b[0] B[2t..][g]      b[1] B[2t + 8..][g]
//   d[0], d[1] D[g][2t], D[g][2t + 1]          d[2], d[3] D[g + 8][2t], D[g + 8][2t + 1]
__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4],
                                                  const uint32_t (&b)[2])
{
#ifdef HDL_SIMT
    const float4 sum =
        simt::mma_m16n8k16_bf16(make_float4(d[0], d[1], d[2], d[3]),
                                make_uint4(a[0], a[1], a[2], a[3]), make_uint2(b[0], b[1]));
    d[0] = sum.x, d[1] = sum.y, d[2] = sum.z, d[3] = sum.w;
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// The same for f16 operands.
__device__ __forceinline__ void mma_m16n8k16_f16(float (&d)[4], const uint32_t (&a)[4],
                                                 const uint32_t (&b)[2])
{
#ifdef HDL_SIMT
    const float4 sum =
        simt::mma_m16n8k16_f16(make_float4(d[0], d[1], d[2], d[3]),
                               make_uint4(a[0], a[1], a[2], a[3]), make_uint2(b[0], b[1]));
    d[0] = sum.x, d[1] = sum.y, d[2] = sum.z, d[3] = sum.w;
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// d += a * b for a 16 x 32 tile of A, a 32 x 8 tile of B, all int8, and 16 x 8 sums in int32.
// "Matrix Fragments for mma.m16n8k32". Four elements a register, the lowest in the low byte:
//   a[0] A[g][4t..]      a[1] A[g + 8][4t..]   a[2] A[g][4t + 16..]  a[3] A[g + 8][4t + 16..]
//   b[0] B[4t..][g]      b[1] B[4t + 16..][g]  d as above
__device__ __forceinline__ void mma_m16n8k32_s8(int32_t (&d)[4], const uint32_t (&a)[4],
                                                const uint32_t (&b)[2])
{
#ifdef HDL_SIMT
    const int4 sum =
        simt::mma_m16n8k32_s8(make_int4(d[0], d[1], d[2], d[3]),
                              make_uint4(a[0], a[1], a[2], a[3]), make_uint2(b[0], b[1]));
    d[0] = sum.x, d[1] = sum.y, d[2] = sum.z, d[3] = sum.w;
#else
    asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// Four 8 x 8 matrices of 16-bit elements from shared memory, matrix i into r[i]: lane l gets the
// elements 2t and 2t + 1 of row g. Lanes 8i .. 8i + 7 give the addresses of matrix i's eight
// rows, 16 bytes each, aligned to 16. "Warp-level matrix load instruction: ldmatrix".
__device__ __forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const void *row)
{
#ifdef HDL_SIMT
    const uint4 got = simt::ldmatrix_x4(row);
    r[0] = got.x, r[1] = got.y, r[2] = got.z, r[3] = got.w;
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
#endif
}

// The same with each matrix transposed on the way: lane l gets rows 2t and 2t + 1 of column g.
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&r)[4], const void *row)
{
#ifdef HDL_SIMT
    const uint4 got = simt::ldmatrix_x4_trans(row);
    r[0] = got.x, r[1] = got.y, r[2] = got.z, r[3] = got.w;
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row))
                 : "memory");
#endif
}

// Two matrices; the addresses of lanes 0 to 15 count, those of the others are not looked at.
__device__ __forceinline__ void ldmatrix_x2(uint32_t (&r)[2], const void *row)
{
#ifdef HDL_SIMT
    const uint2 got = simt::ldmatrix_x2(row);
    r[0] = got.x, r[1] = got.y;
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(shared_address(row))
                 : "memory");
#endif
}

__device__ __forceinline__ void ldmatrix_x2_trans(uint32_t (&r)[2], const void *row)
{
#ifdef HDL_SIMT
    const uint2 got = simt::ldmatrix_x2_trans(row);
    r[0] = got.x, r[1] = got.y;
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(r[0]), "=r"(r[1])
                 : "r"(shared_address(row))
                 : "memory");
#endif
}

// Starts a copy of 16 bytes from global to shared memory, both aligned to 16, past the first-level
// cache. Without `valid` nothing is read and the 16 bytes become zero. The bytes may be used after
// cp_async_wait by the thread that issued the copy, after a barrier too by the others.
// "Data Movement and Conversion Instructions: cp.async".
__device__ __forceinline__ void cp_async_16(void *smem, const void *global, bool valid = true)
{
#ifdef HDL_SIMT
    simt::cp_async(smem, global, 16, valid);
#else
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(smem)),
                 "l"(__cvta_generic_to_global(global)), "r"(valid ? 16 : 0)
                 : "memory");
#endif
}

// The same for 4 bytes, aligned to 4, through the first-level cache: for rows of odd length.
__device__ __forceinline__ void cp_async_4(void *smem, const void *global, bool valid = true)
{
#ifdef HDL_SIMT
    simt::cp_async(smem, global, 4, valid);
#else
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(smem)),
                 "l"(__cvta_generic_to_global(global)), "r"(valid ? 4 : 0)
                 : "memory");
#endif
}

// Closes this thread's group of copies issued since the last commit. "cp.async.commit_group".
__device__ __forceinline__ void cp_async_commit()
{
#ifdef HDL_SIMT
    simt::cp_async_commit();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most the kPending youngest groups of this thread are still under way.
// "cp.async.wait_group".
template <int kPending> __device__ __forceinline__ void cp_async_wait()
{
#ifdef HDL_SIMT
    simt::cp_async_wait(kPending);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#endif
}

// Nanoseconds of a clock that all of the device shares; how often it moves is the device's own. "Special Registers: %globaltimer".
__device__ __forceinline__ uint64_t global_timer()
{
#ifdef HDL_SIMT
    return simt::global_timer();
#else
    uint64_t ns;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns)::"memory");
    return ns;
#endif
}

}  // namespace hdl
