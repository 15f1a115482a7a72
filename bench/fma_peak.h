/*
 * fma_peak.h - multiply-adds a second of one core, from loops over registers alone.
 *
 * Nothing here is shared with the kernels under test: a peak taken with a kernel would sink with it, and a bad
 * kernel would look perfect. Twelve independent sums hide the latency of two units.
 */
#ifndef HEDDLE_BENCH_FMA_PEAK_H
#define HEDDLE_BENCH_FMA_PEAK_H

#include <heddle/device.h>
#include <heddle/gemm.h>

#include <stdbool.h>
#include <time.h>

enum { PEAK_SUMS = 12, PEAK_STEPS = 20000, PEAK_TRIES = 40 };

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx512f"))) static float peak_f32_avx512(float seed)
{
    __m512 sum[PEAK_SUMS], a = _mm512_set1_ps(seed);
    for (int i = 0; i < PEAK_SUMS; ++i) sum[i] = _mm512_set1_ps((float)i);
    for (int s = 0; s < PEAK_STEPS; ++s)
#pragma GCC unroll 12
        for (int i = 0; i < PEAK_SUMS; ++i) sum[i] = _mm512_fmadd_ps(sum[i], a, a);
    for (int i = 1; i < PEAK_SUMS; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return _mm512_cvtss_f32(sum[0]);
}

__attribute__((target("avx2,fma"))) static float peak_f32_avx2(float seed)
{
    __m256 sum[PEAK_SUMS], a = _mm256_set1_ps(seed);
    for (int i = 0; i < PEAK_SUMS; ++i) sum[i] = _mm256_set1_ps((float)i);
    for (int s = 0; s < PEAK_STEPS; ++s)
#pragma GCC unroll 12
        for (int i = 0; i < PEAK_SUMS; ++i) sum[i] = _mm256_fmadd_ps(sum[i], a, a);
    for (int i = 1; i < PEAK_SUMS; ++i) sum[0] = _mm256_add_ps(sum[0], sum[i]);
    return _mm256_cvtss_f32(sum[0]);
}

__attribute__((target("avx512f,avx512bf16"))) static float peak_bf16_avx512(float seed)
{
    typedef float lanes __attribute__((vector_size(64)));
    lanes sum[PEAK_SUMS];
    const __m512bh a = (__m512bh)_mm512_set1_ps(seed);
    for (int i = 0; i < PEAK_SUMS; ++i) sum[i] = (lanes)_mm512_set1_ps((float)i);
    for (int s = 0; s < PEAK_STEPS; ++s)
#pragma GCC unroll 12
        for (int i = 0; i < PEAK_SUMS; ++i) sum[i] = (lanes)_mm512_dpbf16_ps((__m512)sum[i], a, a);
    for (int i = 1; i < PEAK_SUMS; ++i) sum[0] += sum[i];
    return sum[0][0];
}

__attribute__((target("avx512f,avx512vnni"))) static float peak_int8_avx512(float seed)
{
    typedef int32_t lanes __attribute__((vector_size(64)));
    lanes sum[PEAK_SUMS];
    const __m512i a = _mm512_castps_si512(_mm512_set1_ps(seed));
    for (int i = 0; i < PEAK_SUMS; ++i) sum[i] = (lanes)_mm512_set1_epi32(i);
    for (int s = 0; s < PEAK_STEPS; ++s)
#pragma GCC unroll 12
        for (int i = 0; i < PEAK_SUMS; ++i) sum[i] = (lanes)_mm512_dpbusd_epi32((__m512i)sum[i], a, a);
    for (int i = 1; i < PEAK_SUMS; ++i) sum[0] ^= sum[i];
    return (float)sum[0][0];
}

/* AMX: four sums that are as many as the unit works on at once. The tiles are zero, which takes no less time. */
enum { PEAK_TILE_SUMS = 4 };

static const uint8_t peak_tiles[64] = {
    [0] = 1,
    [16] = 64, [18] = 64, [20] = 64, [22] = 64, [24] = 64, [26] = 64,
    [48] = 16, [49] = 16, [50] = 16, [51] = 16, [52] = 16, [53] = 16,
};

__attribute__((target("amx-tile,amx-int8"))) static float peak_int8_amx(float seed)
{
    _tile_loadconfig(peak_tiles);
    for (int s = 0; s < PEAK_STEPS / PEAK_TILE_SUMS; ++s) {
        _tile_dpbusd(0, 4, 5);
        _tile_dpbusd(1, 4, 5);
        _tile_dpbusd(2, 4, 5);
        _tile_dpbusd(3, 4, 5);
    }
    _tile_release();
    return seed;
}

__attribute__((target("amx-tile,amx-bf16"))) static float peak_bf16_amx(float seed)
{
    _tile_loadconfig(peak_tiles);
    for (int s = 0; s < PEAK_STEPS / PEAK_TILE_SUMS; ++s) {
        _tile_dpbf16ps(0, 4, 5);
        _tile_dpbf16ps(1, 4, 5);
        _tile_dpbf16ps(2, 4, 5);
        _tile_dpbf16ps(3, 4, 5);
    }
    _tile_release();
    return seed;
}

typedef struct peak_loop { hdl_isa isa; hdl_compute compute; int macs; float (*run)(float seed); } peak_loop;

static const peak_loop peak_loops[] = {
    {HDL_ISA_AVX512, HDL_COMPUTE_F32, 16, peak_f32_avx512}, {HDL_ISA_AVX512, HDL_COMPUTE_BF16, 32, peak_bf16_avx512},
    {HDL_ISA_AVX512, HDL_COMPUTE_INT8, 64, peak_int8_avx512}, {HDL_ISA_AVX2, HDL_COMPUTE_F32, 8, peak_f32_avx2},
};
enum { N_PEAK_LOOPS = sizeof peak_loops / sizeof peak_loops[0] };

static inline double time_peak_loop(float (*run)(float seed))
{
    double best = 1e9;
    volatile float seed = 0.5f, sink = 0.0f;
    for (int t = 0; t < PEAK_TRIES; ++t) {
        struct timespec a, b;
        clock_gettime(CLOCK_MONOTONIC, &a);
        sink = sink + run(seed);
        clock_gettime(CLOCK_MONOTONIC, &b);
        const double seconds = (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec);
        best = seconds < best ? seconds : best;
    }
    return best;
}

/* GFLOP/s, two a multiply-add; 0: there is no loop for this pair. `native`: the processor has the dot instruction. */
static inline double measure_fma_peak(hdl_isa isa, hdl_compute compute, bool native)
{
    for (int i = 0; i < N_PEAK_LOOPS; ++i) {
        const peak_loop *loop = &peak_loops[i];
        if (loop->isa != isa || loop->compute != compute || (compute != HDL_COMPUTE_F32 && !native)) continue;
        return 2e-9 * loop->macs * (double)PEAK_SUMS * (double)PEAK_STEPS / time_peak_loop(loop->run);
    }
    return 0.0;
}

/* The same of AMX, on a processor that has it and in a process that opened a device of ours, which asks the system for
 * tiles. f32: of weights that have halves (host/cpu/gemm_halves.h), which take five instructions of bf16; of others the peak is
 * that of multiply-adds. */
static inline double measure_tile_peak(hdl_compute compute)
{
    enum { INT8_MACS = 16 * 16 * 64, BF16_MACS = 16 * 16 * 32, F32_INSTRUCTIONS = 5 };
    if (compute == HDL_COMPUTE_INT8) return 2e-9 * INT8_MACS * (double)PEAK_STEPS / time_peak_loop(peak_int8_amx);
    const int instructions = compute == HDL_COMPUTE_F32 ? F32_INSTRUCTIONS : 1;
    return 2e-9 * BF16_MACS * (double)PEAK_STEPS / instructions / time_peak_loop(peak_bf16_amx);
}

#else

static inline double measure_fma_peak(hdl_isa isa, hdl_compute compute, bool native)
{
    (void)isa;
    (void)compute;
    (void)native;
    return 0.0;
}

static inline double measure_tile_peak(hdl_compute compute)
{
    (void)compute;
    return 0.0;
}

#endif
#endif
