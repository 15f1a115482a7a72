// simt_core_check_device.cc - atomics, bit functions and arithmetic, against loops over the bits.
#include "simt_core_check.h"

#include <cmath>

namespace core_check {
namespace {

// ---- atomics ----------------------------------------------------------------------------------------

struct Totals {
    unsigned long long sum64, min64, max64, cas64, exchange64;
    int sum, difference, low, high, bits_and, bits_or, bits_xor, exchange, cas;
    unsigned usum, udifference, ulow, uhigh, uand, uor, uxor, uexchange, ucas, up, down;
    float fsum, fexchange;
};

// `tickets` counts how often each old value of a counter was seen.
__global__ void add_up(Totals *t, unsigned *tickets)
{
    const int i      = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    const unsigned u = static_cast<unsigned>(i);
    atomicAdd(&tickets[atomicAdd(&t->usum, 1u)], 1u);
    atomicAdd(&t->sum, -i);
    atomicAdd(&t->sum64, static_cast<unsigned long long>(u) << 20);
    atomicAdd(&t->fsum, 0.5f);
    atomicSub(&t->difference, i);
    atomicSub(&t->udifference, 1u);
    atomicMin(&t->low, 7 - i);
    atomicMax(&t->high, i - 7);
    atomicMin(&t->ulow, u + 3);
    atomicMax(&t->uhigh, u);
    atomicMin(&t->min64, (1ull << 40) + u);
    atomicMax(&t->max64, (1ull << 40) + u);
    atomicAnd(&t->bits_and, ~(1 << i % 20));
    atomicOr(&t->bits_or, 1 << i % 20);
    atomicXor(&t->bits_xor, 1 << i % 20);
    atomicAnd(&t->uand, ~(1u << u % 31));
    atomicOr(&t->uor, 1u << u % 31);
    atomicXor(&t->uxor, 1u << u % 31);
    atomicExch(&t->exchange, 5);
    atomicExch(&t->uexchange, 6u);
    atomicExch(&t->exchange64, 7ull);
    atomicExch(&t->fexchange, 8.0f);
    atomicInc(&t->up, 9u);
    atomicDec(&t->down, 9u);
    for (int old = atomicCAS(&t->cas, 0, 0), seen; (seen = atomicCAS(&t->cas, old, old + 1)) != old;) old = seen;
    for (unsigned old = 0, seen; (seen = atomicCAS(&t->ucas, old, old + 2)) != old;) old = seen;
    for (unsigned long long old = 0, seen; (seen = atomicCAS(&t->cas64, old, old + 3)) != old;) old = seen;
}

void check_atomics()
{
    constexpr unsigned kBlocks = 6, kThreads = 50, kAllThreads = kBlocks * kThreads;
    Array<Totals> totals(1);
    Array<unsigned> tickets(kAllThreads);
    Totals &t  = totals.host[0];
    t          = Totals();
    t.bits_and = -1, t.uand = UINT32_MAX, t.ulow = UINT32_MAX, t.min64 = UINT64_MAX;
    totals.upload();
    launch(kBlocks, kThreads, 0, add_up, totals.device, tickets.device);
    totals.download(), tickets.download();
    const int n = kAllThreads, sum = n * (n - 1) / 2;
    unsigned xor31 = 0;
    int xor20      = 0;
    for (unsigned i = 0; i < kAllThreads; ++i) xor31 ^= 1u << i % 31, xor20 ^= 1 << i % 20;
    bool once = true;
    for (const unsigned count : tickets.host) once = once && count == 1;
    check(once && t.usum == kAllThreads, "atomicAdd gives each ticket once");
    check(t.sum == -sum && t.sum64 == static_cast<unsigned long long>(sum) << 20 &&
              t.fsum == 0.5f * static_cast<float>(n), "atomicAdd on int, 64 bits and float");
    check(t.difference == -sum && t.udifference == 0u - kAllThreads, "atomicSub");
    check(t.low == 7 - (n - 1) && t.ulow == 3 && t.min64 == 1ull << 40, "atomicMin");
    check(t.high == n - 1 - 7 && t.uhigh == kAllThreads - 1 && t.max64 == (1ull << 40) + kAllThreads - 1,
          "atomicMax");
    check(t.bits_and == ~0xfffff && t.uand == 0x80000000u, "atomicAnd");
    check(t.bits_or == 0xfffff && t.uor == 0x7fffffffu, "atomicOr");
    check(t.bits_xor == xor20 && t.uxor == xor31, "atomicXor");
    check(t.exchange == 5 && t.uexchange == 6 && t.exchange64 == 7 && t.fexchange == 8.0f, "atomicExch");
    check(t.up == kAllThreads % 10 && t.down == (10 - kAllThreads % 10) % 10, "atomicInc and atomicDec");
    check(t.cas == n && t.ucas == 2 * kAllThreads && t.cas64 == 3ull * kAllThreads, "atomicCAS");
}

// ---- bits and arithmetic ----------------------------------------------------------------------------

constexpr int kBitResults = 12;

__global__ void bits(const uint32_t *in, uint32_t *out)
{
    const uint32_t x = in[3 * threadIdx.x], y = in[3 * threadIdx.x + 1], z = in[3 * threadIdx.x + 2];
    const unsigned long long xy = static_cast<unsigned long long>(y) << 32 | x;
    uint32_t *o      = out + kBitResults * threadIdx.x;
    o[0]             = static_cast<uint32_t>(__popc(x) + 100 * __popcll(xy));
    o[1]             = static_cast<uint32_t>(__clz(static_cast<int>(x)) + 100 * __clzll(static_cast<long long>(xy)));
    o[2]             = static_cast<uint32_t>(__ffs(static_cast<int>(x)) + 100 * __ffsll(static_cast<long long>(xy)));
    o[3]             = __brev(x);
    o[4]             = __byte_perm(x, y, z & 0xffffu);
    o[5]             = __funnelshift_l(x, y, z % 32);
    o[6]             = __funnelshift_r(x, y, z % 32);
    o[7]             = __umulhi(x, y);
    o[8]             = static_cast<uint32_t>(__mulhi(static_cast<int>(x), static_cast<int>(y)));
    o[9]             = static_cast<uint32_t>(__dp4a(static_cast<int>(x), static_cast<int>(y), static_cast<int>(z)));
    o[10]            = min(x, y) ^ max(x, z);
    o[11]            = static_cast<uint32_t>(min(static_cast<int>(x), static_cast<int>(y)));
}

void expect_bits(uint32_t x, uint32_t y, uint32_t z, uint32_t (&want)[kBitResults])
{
    for (uint32_t &w : want) w = 0;
    const auto bit = [&](int i) { return i < 32 ? x >> i & 1u : y >> (i - 32) & 1u; };
    uint32_t ones[2] = {}, zeros_above[2] = {32, 64}, first[2] = {};
    for (int i = 63; i >= 0; --i) {
        if (!bit(i)) continue;
        ones[1]++, first[1] = static_cast<uint32_t>(i + 1);
        if (zeros_above[1] == 64) zeros_above[1] = static_cast<uint32_t>(63 - i);
        if (i >= 32) continue;
        ones[0]++, first[0] = static_cast<uint32_t>(i + 1);
        if (zeros_above[0] == 32) zeros_above[0] = static_cast<uint32_t>(31 - i);
        want[3] |= 1u << (31 - i);
    }
    want[0] = ones[0] + 100 * ones[1];
    want[1] = zeros_above[0] + 100 * zeros_above[1];
    want[2] = first[0] + 100 * first[1];
    for (int i = 0; i < 4; ++i) {
        const int pick = static_cast<int>(z >> (4 * i) & 15u);
        for (int b = 0; b < 8; ++b)                // bit 3 of the selector spreads the byte's sign
            want[4] |= bit(pick % 8 * 8 + (pick & 8 ? 7 : b)) << (8 * i + b);
    }
    const int shift = static_cast<int>(z % 32);
    for (int i = 0; i < 32; ++i) {
        want[5] |= bit(i + 32 - shift) << i;
        want[6] |= bit(i + shift) << i;
    }
    want[7] = static_cast<uint32_t>(static_cast<uint64_t>(x) * y >> 32);
    want[8] = static_cast<uint32_t>(static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(x)) *
                                                          static_cast<int32_t>(y)) >> 32);
    int64_t dot = static_cast<int32_t>(z);
    for (int i = 0; i < 4; ++i) {
        const int a = static_cast<int>(x >> (8 * i) & 255u), b = static_cast<int>(y >> (8 * i) & 255u);
        dot += (a > 127 ? a - 256 : a) * (b > 127 ? b - 256 : b);
    }
    want[9]  = static_cast<uint32_t>(dot);
    want[10] = (x < y ? x : y) ^ (x > z ? x : z);
    want[11] = static_cast<int32_t>(x) < static_cast<int32_t>(y) ? x : y;
}

void check_bits()
{
    constexpr unsigned kCases = 512;
    Array<uint32_t> in(3 * kCases), out(kBitResults * kCases);
    Random random(31);
    for (uint32_t &x : in.host) x = random.next() >> random.next() % 32;
    in.host[0] = in.host[1] = 0;
    in.upload();
    launch(1, kCases, 0, bits, in.device, out.device);
    out.download();
    int wrong[kBitResults] = {};
    for (unsigned i = 0; i < kCases; ++i) {
        uint32_t want[kBitResults];
        expect_bits(in.host[3 * i], in.host[3 * i + 1], in.host[3 * i + 2], want);
        for (unsigned k = 0; k < kBitResults; ++k) wrong[k] += out.host[i * kBitResults + k] != want[k];
    }
    const char *const names[kBitResults] = {"__popc", "__clz", "__ffs", "__brev", "__byte_perm",
                                            "__funnelshift_l", "__funnelshift_r", "__umulhi", "__mulhi",
                                            "__dp4a", "min and max of unsigned", "min of int"};
    for (int k = 0; k < kBitResults; ++k) check(wrong[k] == 0, "%s: %d results are wrong", names[k], wrong[k]);
}

constexpr int kFloatResults = 14;

__global__ void arithmetic(const float *in, float *out)
{
    const float x = in[threadIdx.x], y = in[threadIdx.x + 1];
    float *o      = out + kFloatResults * threadIdx.x;
    o[0]          = fmaf(x, y, -x);
    o[1]          = __fmaf_rn(x, y, y);
    o[2]          = rsqrtf(fabsf(x) + 1.0f);
    o[3]          = __frcp_rn(x);
    o[4]          = __fdividef(x, y);
    o[5]          = exp2f(x);
    o[6]          = __expf(x);
    o[7]          = __saturatef(x);
    o[8]          = __int_as_float(__float_as_int(x)) - __uint_as_float(__float_as_uint(y));
    o[9]          = static_cast<float>(__float2int_rn(x * 8) + 1000 * __float2int_rz(x * 8));
    o[10]         = static_cast<float>(__float2int_rd(x * 8) + 1000 * __float2int_ru(x * 8));
    o[11]         = min(x, y) + static_cast<float>(100 * max(x, 1.0));
    o[12]         = tanhf(x) + erff(y);
    o[13]         = min(nanf(""), x) - max(y, nanf(""));
}

void check_arithmetic()
{
    constexpr unsigned kCases = 256;
    constexpr double kBound   = 0x1p-20;           // the device's fast functions are a few units off
    Array<float> in(kCases + 1), out(kFloatResults * kCases);
    Random random(32);
    for (float &x : in.host) x = static_cast<float>(static_cast<int>(random.next() % 20001) - 10000) / 1999.0f;
    in.upload();
    launch(1, kCases, 0, arithmetic, in.device, out.device);
    out.download();
    int wrong[kFloatResults] = {};
    for (unsigned i = 0; i < kCases; ++i) {
        const double x = static_cast<double>(in.host[i]), y = static_cast<double>(in.host[i + 1]);
        const double eight = static_cast<double>(in.host[i] * 8);
        const double want[kFloatResults] = {
            x * y - x, x * y + y, 1 / std::sqrt(std::fabs(x) + 1), 1 / x, x / y, std::exp2(x), std::exp(x),
            x < 0 ? 0 : x > 1 ? 1 : x, x - y, std::nearbyint(eight) + 1000 * std::trunc(eight),
            std::floor(eight) + 1000 * std::ceil(eight), (x < y ? x : y) + 100 * (x > 1 ? x : 1),
            std::tanh(x) + std::erf(y), x - y};
        for (unsigned k = 0; k < kFloatResults; ++k) {
            const double got = static_cast<double>(out.host[i * kFloatResults + k]);
            wrong[k] += !(std::fabs(got - want[k]) <= kBound * (std::fabs(want[k]) + std::fabs(x) + std::fabs(y)));
        }
    }
    const char *const names[kFloatResults] = {
        "fmaf", "__fmaf_rn", "rsqrtf", "__frcp_rn", "__fdividef", "exp2f", "__expf", "__saturatef",
        "__float_as_int and back", "__float2int_rn, _rz", "__float2int_rd, _ru", "min and max of mixed types",
        "tanhf and erff", "min and max of NaN"};
    for (int k = 0; k < kFloatResults; ++k)
        check(wrong[k] == 0, "%s: %d results are wrong", names[k], wrong[k]);
}

} // namespace

void check_device()
{
    check_atomics();
    check_bits();
    check_arithmetic();
}

} // namespace core_check
