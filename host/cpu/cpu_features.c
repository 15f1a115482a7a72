/* cpu_features.c - which instruction sets this processor and operating system offer, and the kernels of each. */
#include "cpu/cpu_device.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Bits of the CPUID leaves (Intel SDM vol. 2A, table 3-8) and of XCR0 (vol. 1, 13.3). */
enum {
    LEAF1_ECX_FMA = 1 << 12, LEAF1_ECX_OSXSAVE = 1 << 27, LEAF1_ECX_F16C = 1 << 29,
    LEAF7_EBX_AVX2 = 1 << 5, LEAF7_EBX_AVX512F = 1 << 16, LEAF7_EBX_AVX512DQ = 1 << 17, LEAF7_EBX_AVX512BW = 1 << 30,
    LEAF7_ECX_VNNI = 1 << 11,
    LEAF7_EDX_AMX_BF16 = 1 << 22, LEAF7_EDX_AMX_TILE = 1 << 24, LEAF7_EDX_AMX_INT8 = 1 << 25,
    LEAF7_1_EAX_AVX512_BF16 = 1 << 5,
    XCR0_AVX = 0x6, XCR0_AVX512 = 0xe6, XCR0_AMX = 0x60000,
};
#define LEAF7_EBX_AVX512VL 0x80000000u

__attribute__((target("xsave"))) static uint64_t read_xcr0(void) { return (uint64_t)_xgetbv(0); }

static bool has_all(uint64_t word, uint64_t bits) { return (word & bits) == bits; }

/*
 * Linux hands out the 8 KiB of tiles to processes that ask (arch_prctl(2), since 5.16); for all threads, once for all.
 * Refused on older systems, in sandboxes, and where a signal stack is too small to save them: no tiles then.
 */
static bool permit_tiles(void)
{
#if defined(__linux__)
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}

hdl__cpu_features hdl__cpu_features_detect(void)
{
    hdl__cpu_features f = {0};
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !has_all(ecx, LEAF1_ECX_OSXSAVE)) return f;
    const uint64_t kept = read_xcr0();
    if (!has_all(kept, XCR0_AVX)) return f;
    f.fma = has_all(ecx, LEAF1_ECX_FMA);
    f.f16c = has_all(ecx, LEAF1_ECX_F16C);
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return f;
    const unsigned n_subleaves = eax;
    f.avx2 = has_all(ebx, LEAF7_EBX_AVX2);
    f.avx512 = has_all(kept, XCR0_AVX512) && f.avx2 && f.fma && f.f16c
            && has_all(ebx, LEAF7_EBX_AVX512F | LEAF7_EBX_AVX512DQ | LEAF7_EBX_AVX512BW | LEAF7_EBX_AVX512VL);
    f.vnni = f.avx512 && has_all(ecx, LEAF7_ECX_VNNI);
    const bool tiles = f.avx512 && has_all(kept, XCR0_AMX) && has_all(edx, LEAF7_EDX_AMX_TILE) && permit_tiles();
    f.amx_int8 = tiles && has_all(edx, LEAF7_EDX_AMX_INT8);
    const bool tiles_bf16 = tiles && has_all(edx, LEAF7_EDX_AMX_BF16);
    if (n_subleaves >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx))
        f.avx512_bf16 = f.avx512 && has_all(eax, LEAF7_1_EAX_AVX512_BF16);
    f.amx_bf16 = tiles_bf16 && f.avx512_bf16;       /* whose instructions round the inputs */
    return f;
}

/* Leaves 0x80000002 to 0x80000004 hold 16 bytes each, padded with spaces on either side. */
void hdl__cpu_brand(char brand[HDL__BRAND_BYTES])
{
    const unsigned first = 0x80000002u, n_leaves = 3;
    unsigned words[4 * 3] = {0};
    for (unsigned i = 0; i < n_leaves; ++i) {
        unsigned *w = words + 4 * i;
        if (!__get_cpuid(first + i, &w[0], &w[1], &w[2], &w[3])) break;
    }
    char text[HDL__BRAND_BYTES] = {0};
    memcpy(text, words, sizeof words);
    const char *start = text + strspn(text, " ");
    size_t n = strlen(start);
    while (n > 0 && start[n - 1] == ' ') --n;
    snprintf(brand, HDL__BRAND_BYTES, "%.*s", (int)n, n > 0 ? start : "");
    if (n == 0) snprintf(brand, HDL__BRAND_BYTES, "x86-64");
}

bool hdl__isa_offered(const hdl__cpu_features *f, hdl_isa isa)
{
    switch (isa) {
    case HDL_ISA_AVX512: return f->avx512;
    case HDL_ISA_AVX2:   return f->avx2 && f->fma && f->f16c;
    case HDL_ISA_PLAIN:
    case HDL_ISA_AUTO:   return true;
    }
    return false;
}

hdl__cpu_kernels hdl__isa_kernels(hdl_isa isa)
{
    if (isa == HDL_ISA_AVX512) return (hdl__cpu_kernels){hdl__gemm_kernels_avx512, hdl__op_kernels_avx512};
    if (isa == HDL_ISA_AVX2) return (hdl__cpu_kernels){hdl__gemm_kernels_avx2, hdl__op_kernels_avx2};
    return (hdl__cpu_kernels){hdl__gemm_kernels_plain, hdl__op_kernels_plain};
}

#else

hdl__cpu_features hdl__cpu_features_detect(void) { return (hdl__cpu_features){0}; }

void hdl__cpu_brand(char brand[HDL__BRAND_BYTES]) { snprintf(brand, HDL__BRAND_BYTES, "processor"); }

bool hdl__isa_offered(const hdl__cpu_features *f, hdl_isa isa)
{
    (void)f;
    return isa == HDL_ISA_PLAIN || isa == HDL_ISA_AUTO;
}

hdl__cpu_kernels hdl__isa_kernels(hdl_isa isa)
{
    (void)isa;
    return (hdl__cpu_kernels){hdl__gemm_kernels_plain, hdl__op_kernels_plain};
}

#endif

hdl_isa hdl__isa_best(const hdl__cpu_features *f)
{
    if (hdl__isa_offered(f, HDL_ISA_AVX512)) return HDL_ISA_AVX512;
    return hdl__isa_offered(f, HDL_ISA_AVX2) ? HDL_ISA_AVX2 : HDL_ISA_PLAIN;
}

const char *hdl__isa_name(hdl_isa isa)
{
    switch (isa) {
    case HDL_ISA_AUTO:   return "auto";
    case HDL_ISA_PLAIN:  return "plain C";
    case HDL_ISA_AVX2:   return "AVX2";
    case HDL_ISA_AVX512: return "AVX-512";
    }
    return "?";
}
