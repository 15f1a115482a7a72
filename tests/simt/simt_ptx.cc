// simt_ptx.cc - mma and ldmatrix: 32 lanes' fragments gathered, one product, the sums handed back.
//
// The layouts are written out here from the PTX manual, not shared with the kernels: lane l has group
// g = l / 4 and place t = l % 4.
#include "include/simt_ptx.h"

#include <chrono>
#include <cstring>

#include "shadow.h"
#include "simt_warp.h"

namespace simt {

namespace {

constexpr uint32_t kWholeWarp = 0xffffffffu;
constexpr unsigned kM     = 16, kN = 8;
constexpr unsigned kWords = 8;                     // registers' worth of elements along K: 16 halves, 32 bytes

// A row of eight at once; the compiler splits what the CPU has no registers for.
typedef float FloatRow __attribute__((vector_size(kN * sizeof(float))));
typedef int32_t IntRow __attribute__((vector_size(kN * sizeof(int32_t))));
typedef uint32_t WordRow __attribute__((vector_size(kN * sizeof(uint32_t))));

// The kinds of operands: how many are in a word, and part `i` of eight words as f32, which holds all of
// them exactly.
struct Bf16 {
    static constexpr unsigned kParts = 2;
    static HDL_SIMT_INLINE void split(const WordRow &word, unsigned i, FloatRow &out)
    {
        out = reinterpret_cast<FloatRow>(i ? word & 0xffff0000u : word << 16);
    }
};

struct F16 {
    static constexpr unsigned kParts = 2;
    // Exponent and fraction moved to their places of f32 and scaled by 2^(127 - 15): right for subnormals
    // too. An exponent of all ones stays one.
    static HDL_SIMT_INLINE void split(const WordRow &word, unsigned i, FloatRow &out)
    {
        const WordRow half     = i ? word >> 16 : word & 0xffffu;
        const WordRow moved    = (half & 0x7fffu) << 13;
        const FloatRow scaled  = reinterpret_cast<FloatRow>(moved) * 0x1p112f;
        const WordRow special  = reinterpret_cast<WordRow>((half & 0x7c00u) == 0x7c00u) & 0x7f800000u;
        out = reinterpret_cast<FloatRow>(reinterpret_cast<WordRow>(scaled) | special | (half & 0x8000u) << 16);
    }
};

struct Byte {
    static constexpr unsigned kParts = 4;
    static HDL_SIMT_INLINE void split(const WordRow &word, unsigned i, FloatRow &out)
    {
        out = __builtin_convertvector(reinterpret_cast<IntRow>(word << (24 - 8 * i)) >> 24, FloatRow);
    }
};

// sum[m] += row m of A times B, the columns of A ascending. Register r of lane l holds elements of row
// g + 8 * (r % 2) of A and its word t + 4 * (r / 2); of B, column g and word t + 4 * r.
template <class Kind> HDL_SIMT_INLINE void multiply(const Warp &warp, FloatRow (&sum)[kM])
{
    WordRow a_words[kM], b_words[kWords];
    for (unsigned l = 0; l < kWarpSize; ++l) {
        const unsigned g = l / 4, t = l % 4;
        const uint4 &a     = warp.lane[l].mma.a;
        const uint2 &b     = warp.lane[l].mma.b;
        a_words[g][t]         = a.x;
        a_words[g + 8][t]     = a.y;
        a_words[g][t + 4]     = a.z;
        a_words[g + 8][t + 4] = a.w;
        b_words[t][g]         = b.x;
        b_words[t + 4][g]     = b.y;
    }
    FloatRow a[Kind::kParts][kM], b[Kind::kParts][kWords];
    for (unsigned i = 0; i < Kind::kParts; ++i) {
        for (unsigned m = 0; m < kM; ++m) Kind::split(a_words[m], i, a[i][m]);
        for (unsigned w = 0; w < kWords; ++w) Kind::split(b_words[w], i, b[i][w]);
    }
    for (unsigned m = 0; m < kM; ++m)
        for (unsigned w = 0; w < kWords; ++w)
            for (unsigned i = 0; i < Kind::kParts; ++i) sum[m] += a[i][m][w] * b[i][w];
}

// D in f32: lane l holds two neighbours of row g from column 2t on, and of row g + 8.
template <class Kind> HDL_SIMT_INLINE void compute_float(Warp &warp)
{
    FloatRow sum[kM];
    for (unsigned l = 0; l < kWarpSize; ++l) {
        const unsigned g = l / 4, t = l % 4;
        const float4 &d = warp.lane[l].mma.d.f;
        sum[g][2 * t] = d.x, sum[g][2 * t + 1] = d.y, sum[g + 8][2 * t] = d.z, sum[g + 8][2 * t + 1] = d.w;
    }
    multiply<Kind>(warp, sum);
    for (unsigned l = 0; l < kWarpSize; ++l) {
        const unsigned g = l / 4, t = l % 4;
        warp.lane[l].mma.d.f = {sum[g][2 * t], sum[g][2 * t + 1], sum[g + 8][2 * t], sum[g + 8][2 * t + 1]};
    }
}

// D in int32. Sums of 32 products of int8 are exact in f32 too, and only D itself may overflow: the
// device wraps around, and unsigned addition does so without a word from the sanitizer.
HDL_SIMT_INLINE void compute_int(Warp &warp)
{
    FloatRow sum[kM] = {};
    multiply<Byte>(warp, sum);
    const auto add = [](int x, float y) {
        return static_cast<int>(static_cast<unsigned>(x) + static_cast<unsigned>(static_cast<int>(y)));
    };
    for (unsigned l = 0; l < kWarpSize; ++l) {
        const unsigned g = l / 4, t = l % 4;
        const int4 d = warp.lane[l].mma.d.i;
        warp.lane[l].mma.d.i = {add(d.x, sum[g][2 * t]), add(d.y, sum[g][2 * t + 1]),
                                add(d.z, sum[g + 8][2 * t]), add(d.w, sum[g + 8][2 * t + 1])};
    }
}

// A version for each instruction set; without fused multiply-add they give the same bits.
void compute_bf16(Warp &warp, uint32_t, unsigned) { compute_float<Bf16>(warp); }
void compute_f16(Warp &warp, uint32_t, unsigned) { compute_float<F16>(warp); }
void compute_s8(Warp &warp, uint32_t, unsigned) { compute_int(warp); }

#ifdef __x86_64__
__attribute__((target("avx2"))) void compute_bf16_avx2(Warp &warp, uint32_t, unsigned) { compute_float<Bf16>(warp); }
__attribute__((target("avx2"))) void compute_f16_avx2(Warp &warp, uint32_t, unsigned) { compute_float<F16>(warp); }
__attribute__((target("avx2"))) void compute_s8_avx2(Warp &warp, uint32_t, unsigned) { compute_int(warp); }

const bool has_avx2            = __builtin_cpu_supports("avx2");
const Compute best_bf16 = has_avx2 ? compute_bf16_avx2 : compute_bf16;
const Compute best_f16  = has_avx2 ? compute_f16_avx2 : compute_f16;
const Compute best_s8   = has_avx2 ? compute_s8_avx2 : compute_s8;
#else
constexpr Compute best_bf16 = compute_bf16, best_f16 = compute_f16, best_s8 = compute_s8;
#endif

constexpr unsigned kMatrixRows  = 8;
constexpr unsigned kMatrixBytes = 16;              // of a row: eight elements of 16 bits

// operation: matrices, and whether they are transposed.
constexpr unsigned kTransposed = 8;

void compute_ldmatrix(Warp &warp, uint32_t, unsigned operation)
{
    const unsigned matrices = operation & ~kTransposed;
    const bool transposed   = (operation & kTransposed) != 0;
    uint16_t element[4][kMatrixRows][kMatrixRows];
    for (unsigned l = 0; l < matrices * kMatrixRows; ++l)
        memcpy(element[l / kMatrixRows][l % kMatrixRows], warp.lane[l].row, kMatrixBytes);
    for (unsigned l = 0; l < kWarpSize; ++l) {
        const unsigned g = l / 4, t = l % 4;
        uint32_t word[4] = {};
        for (unsigned m = 0; m < matrices; ++m) {
            const uint32_t lo = transposed ? element[m][2 * t][g] : element[m][g][2 * t];
            const uint32_t hi = transposed ? element[m][2 * t + 1][g] : element[m][g][2 * t + 1];
            word[m]           = lo | hi << 16;
        }
        warp.lane[l].words = {word[0], word[1], word[2], word[3]};
    }
}

uint4 ldmatrix(const void *site, const char *name, const void *row, unsigned operation)
{
    const unsigned matrices = operation & ~kTransposed;
    if (running->lane < matrices * kMatrixRows) {
        if (reinterpret_cast<uintptr_t>(row) % kMatrixBytes != 0)
            fault_and_stop(site, "%s: the row of lane %u is not aligned to 16 bytes", name, running->lane);
        if (!in_shared(row, kMatrixBytes))
            fault_and_stop(site, "%s: the row of lane %u is not in the block's shared memory", name,
                           running->lane);
        shadow::access(row, kMatrixBytes, false, site);
    }
    lane_data().row = row;
    return gather(site, name, kWholeWarp, operation, compute_ldmatrix).words;
}

LaneData &bring(const uint4 &a, const uint2 &b)
{
    LaneData &data = lane_data();
    data.mma.a     = a;
    data.mma.b     = b;
    return data;
}

} // namespace

float4 mma_m16n8k16_bf16(float4 d, uint4 a, uint2 b)
{
    bring(a, b).mma.d.f = d;
    return gather(__builtin_return_address(0), "mma.m16n8k16.bf16", kWholeWarp, 0, best_bf16).mma.d.f;
}

float4 mma_m16n8k16_f16(float4 d, uint4 a, uint2 b)
{
    bring(a, b).mma.d.f = d;
    return gather(__builtin_return_address(0), "mma.m16n8k16.f16", kWholeWarp, 0, best_f16).mma.d.f;
}

int4 mma_m16n8k32_s8(int4 d, uint4 a, uint2 b)
{
    bring(a, b).mma.d.i = d;
    return gather(__builtin_return_address(0), "mma.m16n8k32.s8", kWholeWarp, 0, best_s8).mma.d.i;
}

uint4 ldmatrix_x4(const void *row)
{
    return ldmatrix(__builtin_return_address(0), "ldmatrix.x4", row, 4);
}

uint4 ldmatrix_x4_trans(const void *row)
{
    return ldmatrix(__builtin_return_address(0), "ldmatrix.x4.trans", row, 4 | kTransposed);
}

uint2 ldmatrix_x2(const void *row)
{
    const uint4 got = ldmatrix(__builtin_return_address(0), "ldmatrix.x2", row, 2);
    return {got.x, got.y};
}

uint2 ldmatrix_x2_trans(const void *row)
{
    const uint4 got = ldmatrix(__builtin_return_address(0), "ldmatrix.x2.trans", row, 2 | kTransposed);
    return {got.x, got.y};
}

uint64_t global_timer()
{
    return uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(
                        std::chrono::steady_clock::now().time_since_epoch()).count());
}

} // namespace simt
