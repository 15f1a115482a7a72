// simt_core_check_fragments.cc - which lane holds which element, for mma and ldmatrix.
//
// The layouts are written as the formulas of the PTX manual, element by element, and not as the twins
// and the kernels write them. A matrix with a single one picks each element of the other in turn.
#include "simt_core_check.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "ptx.cuh"

namespace core_check {
namespace {

constexpr int kM = 16, kN = 8;

// "Matrix Fragments for mma.m16n8k16 with floating point type", i = 0..7 of A, 0..3 of B and of C.
__host__ __device__ int half_a_row(int lane, int i) { return lane / 4 + ((i < 2 || (i >= 4 && i < 6)) ? 0 : 8); }
__host__ __device__ int half_a_col(int lane, int i) { return lane % 4 * 2 + (i & 1) + (i >= 4 ? 8 : 0); }
__host__ __device__ int half_b_row(int lane, int i) { return lane % 4 * 2 + (i & 1) + (i >= 2 ? 8 : 0); }
// "Matrix Fragments for mma.m16n8k32", i = 0..15 of A, 0..7 of B.
__host__ __device__ int byte_a_row(int lane, int i) { return lane / 4 + ((i < 4 || (i >= 8 && i < 12)) ? 0 : 8); }
__host__ __device__ int byte_a_col(int lane, int i) { return lane % 4 * 4 + (i & 3) + (i >= 8 ? 16 : 0); }
__host__ __device__ int byte_b_row(int lane, int i) { return lane % 4 * 4 + (i & 3) + (i >= 4 ? 16 : 0); }
// The same in both.
__host__ __device__ int b_col(int lane) { return lane / 4; }
__host__ __device__ int c_row(int lane, int i) { return lane / 4 + (i < 2 ? 0 : 8); }
__host__ __device__ int c_col(int lane, int i) { return lane % 4 * 2 + (i & 1); }

__device__ uint32_t half_word(const uint16_t *from, int lo, int hi)
{
    return static_cast<uint32_t>(from[lo]) | static_cast<uint32_t>(from[hi]) << 16;
}

// d = a * b + c for each block's own matrices. a [16, 16], b [16, 8], c and d [16, 8], row by row.
template <bool kBf16>
__global__ void multiply_halves(const uint16_t *a, const uint16_t *b, const float *c, float *d)
{
    const int lane = static_cast<int>(threadIdx.x);
    a += blockIdx.x * kM * 16, b += blockIdx.x * 16 * kN;
    c += blockIdx.x * kM * kN, d += blockIdx.x * kM * kN;
    uint32_t ra[4], rb[2];
    float sum[4];
    for (int r = 0; r < 4; ++r)
        ra[r] = half_word(a, half_a_row(lane, 2 * r) * 16 + half_a_col(lane, 2 * r),
                          half_a_row(lane, 2 * r + 1) * 16 + half_a_col(lane, 2 * r + 1));
    for (int r = 0; r < 2; ++r)
        rb[r] = half_word(b, half_b_row(lane, 2 * r) * kN + b_col(lane),
                          half_b_row(lane, 2 * r + 1) * kN + b_col(lane));
    for (int i = 0; i < 4; ++i) sum[i] = c[c_row(lane, i) * kN + c_col(lane, i)];
    if (kBf16) hdl::mma_m16n8k16_bf16(sum, ra, rb);
    else hdl::mma_m16n8k16_f16(sum, ra, rb);
    for (int i = 0; i < 4; ++i) d[c_row(lane, i) * kN + c_col(lane, i)] = sum[i];
}

// The same for int8: a [16, 32], b [32, 8].
__global__ void multiply_bytes(const int8_t *a, const int8_t *b, const int32_t *c, int32_t *d)
{
    const int lane = static_cast<int>(threadIdx.x);
    a += blockIdx.x * kM * 32, b += blockIdx.x * 32 * kN;
    c += blockIdx.x * kM * kN, d += blockIdx.x * kM * kN;
    uint32_t ra[4] = {}, rb[2] = {};
    int32_t sum[4];
    for (int i = 0; i < 16; ++i)
        ra[i / 4] |= static_cast<uint32_t>(static_cast<uint8_t>(a[byte_a_row(lane, i) * 32 + byte_a_col(lane, i)]))
                     << (i % 4 * 8);
    for (int i = 0; i < 8; ++i)
        rb[i / 4] |= static_cast<uint32_t>(static_cast<uint8_t>(b[byte_b_row(lane, i) * kN + b_col(lane)]))
                     << (i % 4 * 8);
    for (int i = 0; i < 4; ++i) sum[i] = c[c_row(lane, i) * kN + c_col(lane, i)];
    hdl::mma_m16n8k32_s8(sum, ra, rb);
    for (int i = 0; i < 4; ++i) d[c_row(lane, i) * kN + c_col(lane, i)] = sum[i];
}

// A one at (row, k) alone turns row `row` of the product into row k of B. Every (row, k) is a block.
template <bool kBf16> void check_halves(const char *name)
{
    constexpr unsigned kCases = kM * 16;
    Array<uint16_t> a(kCases * kM * 16), b(kCases * 16 * kN);
    Array<float> c(kCases * kM * kN), d(kCases * kM * kN);
    const uint16_t one = kBf16 ? 0x3f80 : 0x3c00;
    for (unsigned n = 0; n < kCases; ++n) {
        a.host[n * kM * 16 + n] = one;
        for (int i = 0; i < 16 * kN; ++i) {        // whole numbers up to 128 are exact in both types
            const float code = static_cast<float>(i + 1);
            b.host[n * 16 * kN + i] = kBf16 ? __bfloat16_as_ushort(__float2bfloat16_rn(code))
                                            : __half_as_ushort(__float2half_rn(code));
        }
        for (int i = 0; i < kM * kN; ++i) c.host[n * kM * kN + i] = static_cast<float>(1000 * (i + 1));
    }
    a.upload(), b.upload(), c.upload();
    launch(kCases, kWarp, 0, multiply_halves<kBf16>, a.device, b.device, c.device, d.device);
    d.download();
    int wrong = 0;
    for (unsigned n = 0; n < kCases; ++n)
        for (int m = 0; m < kM; ++m)
            for (int i = 0; i < kN; ++i) {
                const int row = static_cast<int>(n) / 16, k = static_cast<int>(n) % 16;
                const float want = static_cast<float>(1000 * (m * kN + i + 1) + (m == row ? k * kN + i + 1 : 0));
                wrong += d.host[n * kM * kN + static_cast<unsigned>(m * kN + i)] != want;
            }
    check(wrong == 0, "mma %s: %d elements of index-coded products are wrong", name, wrong);
}

void check_bytes()
{
    constexpr unsigned kCases = kM * 32;
    Array<int8_t> a(kCases * kM * 32), b(kCases * 32 * kN);
    Array<int32_t> c(kCases * kM * kN), d(kCases * kM * kN);
    for (unsigned n = 0; n < kCases; ++n) {
        a.host[n * kM * 32 + n] = -1;
        for (int i = 0; i < 32 * kN; ++i) b.host[n * 32 * kN + i] = static_cast<int8_t>(i - 128);
        for (int i = 0; i < kM * kN; ++i) c.host[n * kM * kN + i] = 1000 * (i + 1);
    }
    a.upload(), b.upload(), c.upload();
    launch(kCases, kWarp, 0, multiply_bytes, a.device, b.device, c.device, d.device);
    d.download();
    int wrong = 0;
    for (unsigned n = 0; n < kCases; ++n)
        for (int m = 0; m < kM; ++m)
            for (int i = 0; i < kN; ++i) {
                const int row = static_cast<int>(n) / 32, k = static_cast<int>(n) % 32;
                const int want = 1000 * (m * kN + i + 1) - (m == row ? k * kN + i - 128 : 0);
                wrong += d.host[n * kM * kN + static_cast<unsigned>(m * kN + i)] != want;
            }
    check(wrong == 0, "mma s8: %d elements of index-coded products are wrong", wrong);
}

// Random operands against a product in double. The units of a GPU may cut a sum's last bits.
template <bool kBf16> void check_sums(const char *name)
{
    constexpr unsigned kCases = 64;
    constexpr double kBound   = 16 * 0x1p-22;      // relative to the sum of the magnitudes
    Array<uint16_t> a(kCases * kM * 16), b(kCases * 16 * kN);
    Array<float> c(kCases * kM * kN), d(kCases * kM * kN);
    Random random(11);
    const auto draw = [&] { return static_cast<float>(static_cast<int>(random.next() % 2001) - 1000) / 256.0f; };
    const auto pack = [](float x) {
        return kBf16 ? __bfloat16_as_ushort(__float2bfloat16_rn(x)) : __half_as_ushort(__float2half_rn(x));
    };
    const auto value = [](uint16_t bits) {
        return kBf16 ? __bfloat162float(__ushort_as_bfloat16(bits)) : __half2float(__ushort_as_half(bits));
    };
    for (uint16_t &x : a.host) x = pack(draw());
    for (uint16_t &x : b.host) x = pack(draw());
    for (float &x : c.host) x = draw();
    a.upload(), b.upload(), c.upload();
    launch(kCases, kWarp, 0, multiply_halves<kBf16>, a.device, b.device, c.device, d.device);
    d.download();
    int wrong = 0;
    for (unsigned n = 0; n < kCases; ++n)
        for (unsigned m = 0; m < kM; ++m)
            for (unsigned i = 0; i < kN; ++i) {
                const size_t at = n * kM * kN + m * kN + i;
                double want = static_cast<double>(c.host[at]), size = want < 0 ? -want : want;
                for (unsigned k = 0; k < 16; ++k) {
                    const double product = static_cast<double>(value(a.host[n * kM * 16 + m * 16 + k])) *
                                           static_cast<double>(value(b.host[n * 16 * kN + k * kN + i]));
                    want += product;
                    size += product < 0 ? -product : product;
                }
                const double error = static_cast<double>(d.host[at]) - want;
                wrong += !((error < 0 ? -error : error) <= kBound * size);
            }
    check(wrong == 0, "mma %s: %d sums of random products are off", name, wrong);
}

// Every value of the type, eight to a block, times one. NaN is a NaN; the rest keeps its bits.
template <bool kBf16> void check_values(const char *name)
{
    constexpr unsigned kCases = 65536 / kN;
    Array<uint16_t> a(kCases * kM * 16), b(kCases * 16 * kN);
    Array<float> c(kCases * kM * kN), d(kCases * kM * kN);
    for (unsigned n = 0; n < kCases; ++n) {
        a.host[n * kM * 16] = kBf16 ? 0x3f80 : 0x3c00;
        for (unsigned i = 0; i < kN; ++i) b.host[n * 16 * kN + i] = static_cast<uint16_t>(n * kN + i);
    }
    a.upload(), b.upload(), c.upload();
    launch(kCases, kWarp, 0, multiply_halves<kBf16>, a.device, b.device, c.device, d.device);
    d.download();
    int wrong = 0;
    for (unsigned n = 0; n < kCases; ++n)
        for (unsigned i = 0; i < kN; ++i) {
            const uint16_t bits = static_cast<uint16_t>(n * kN + i);
            const float want    = kBf16 ? __bfloat162float(__ushort_as_bfloat16(bits))
                                        : __half2float(__ushort_as_half(bits));
            const float got = d.host[n * kM * kN + i];
            wrong += want != want ? got == got : got != want;
        }
    check(wrong == 0, "mma %s: %d values of the type are wrong", name, wrong);
}

// ldmatrix on matrices that count their elements: element (r, c) of matrix m is 64 m + 8 r + c.
// "Warp-level matrix load instruction: ldmatrix": address of row r of matrix m from lane 8 m + r; lane l
// gets row l / 4, elements 2 (l % 4) and the next.
__global__ void load_matrices(uint32_t *out)
{
    uint16_t *tile  = reinterpret_cast<uint16_t *>(hdl::shared_memory());
    const int lane  = static_cast<int>(threadIdx.x);
    for (int i = lane; i < 256; i += 32) tile[i] = static_cast<uint16_t>(i);
    __syncwarp();
    uint32_t r[4];
    hdl::ldmatrix_x4(r, tile + lane * 8);
    for (int i = 0; i < 4; ++i) out[lane * 12 + i] = r[i];
    hdl::ldmatrix_x4_trans(r, tile + lane * 8);
    for (int i = 0; i < 4; ++i) out[lane * 12 + 4 + i] = r[i];
    uint32_t s[2];
    hdl::ldmatrix_x2(s, tile + lane % 16 * 8);
    for (int i = 0; i < 2; ++i) out[lane * 12 + 8 + i] = s[i];
    hdl::ldmatrix_x2_trans(s, tile + lane % 16 * 8);
    for (int i = 0; i < 2; ++i) out[lane * 12 + 10 + i] = s[i];
}

void check_ldmatrix()
{
    Array<uint32_t> out(kWarp * 12);
    launch(1, kWarp, 256 * sizeof(uint16_t), load_matrices, out.device);
    out.download();
    int wrong[2] = {};
    for (unsigned lane = 0; lane < kWarp; ++lane)
        for (unsigned word = 0; word < 12; ++word) {
            const unsigned m  = word < 8 ? word % 4 : word % 2;
            const bool turned = (word >= 4 && word < 8) || word >= 10;
            const unsigned line = lane / 4, place = lane % 4 * 2;
            const unsigned lo = turned ? 64 * m + 8 * place + line : 64 * m + 8 * line + place;
            const unsigned hi = turned ? lo + 8 : lo + 1;
            wrong[turned] += out.host[lane * 12 + word] != (lo | hi << 16);
        }
    check(wrong[0] == 0, "ldmatrix: %d words are wrong", wrong[0]);
    check(wrong[1] == 0, "ldmatrix.trans: %d words are wrong", wrong[1]);
}

} // namespace

void check_fragments()
{
    check_halves<true>("bf16");
    check_halves<false>("f16");
    check_bytes();
    check_sums<true>("bf16");
    check_sums<false>("f16");
    check_ldmatrix();
}

void check_every_value()
{
    check_values<true>("bf16");
    check_values<false>("f16");
}

} // namespace core_check
