// simt_atomic.cc - atomic functions: plain operations, since one thread runs at a time, told to the shadow.
#include "include/simt_device.h"

#include "shadow.h"
#include "simt_block.h"

namespace simt {

namespace {

// Applies `change` to what lies at `address`; gives what lay there. `site` is the call in the kernel.
template <class T, class Change> T update(T *address, const void *site, Change change)
{
    may_yield(site);
    if (reinterpret_cast<uintptr_t>(address) % sizeof(T) != 0)
        fault_and_stop(site, "an atomic on %zu bytes is not aligned to them", sizeof(T));
    shadow::atomic(address, sizeof(T), site);
    const T before = *address;
    *address       = change(before);
    return before;
}

// Integer sums wrap around.
int wrapped_sum(int a, int b) { return static_cast<int>(static_cast<unsigned>(a) + static_cast<unsigned>(b)); }

} // namespace

} // namespace simt

using simt::update;
using simt::wrapped_sum;

#define SITE __builtin_return_address(0)

int atomicAdd(int *p, int v) { return update(p, SITE, [v](int x) { return wrapped_sum(x, v); }); }
unsigned atomicAdd(unsigned *p, unsigned v) { return update(p, SITE, [v](unsigned x) { return x + v; }); }
unsigned long long atomicAdd(unsigned long long *p, unsigned long long v)
{
    return update(p, SITE, [v](unsigned long long x) { return x + v; });
}
float atomicAdd(float *p, float v) { return update(p, SITE, [v](float x) { return x + v; }); }

int atomicSub(int *p, int v)
{
    return update(p, SITE, [v](int x) { return wrapped_sum(x, wrapped_sum(~v, 1)); });
}
unsigned atomicSub(unsigned *p, unsigned v) { return update(p, SITE, [v](unsigned x) { return x - v; }); }

int atomicExch(int *p, int v) { return update(p, SITE, [v](int) { return v; }); }
unsigned atomicExch(unsigned *p, unsigned v) { return update(p, SITE, [v](unsigned) { return v; }); }
unsigned long long atomicExch(unsigned long long *p, unsigned long long v)
{
    return update(p, SITE, [v](unsigned long long) { return v; });
}
float atomicExch(float *p, float v) { return update(p, SITE, [v](float) { return v; }); }

int atomicMin(int *p, int v) { return update(p, SITE, [v](int x) { return x < v ? x : v; }); }
unsigned atomicMin(unsigned *p, unsigned v) { return update(p, SITE, [v](unsigned x) { return x < v ? x : v; }); }
unsigned long long atomicMin(unsigned long long *p, unsigned long long v)
{
    return update(p, SITE, [v](unsigned long long x) { return x < v ? x : v; });
}

int atomicMax(int *p, int v) { return update(p, SITE, [v](int x) { return x > v ? x : v; }); }
unsigned atomicMax(unsigned *p, unsigned v) { return update(p, SITE, [v](unsigned x) { return x > v ? x : v; }); }
unsigned long long atomicMax(unsigned long long *p, unsigned long long v)
{
    return update(p, SITE, [v](unsigned long long x) { return x > v ? x : v; });
}

int atomicAnd(int *p, int v) { return update(p, SITE, [v](int x) { return x & v; }); }
unsigned atomicAnd(unsigned *p, unsigned v) { return update(p, SITE, [v](unsigned x) { return x & v; }); }
int atomicOr(int *p, int v) { return update(p, SITE, [v](int x) { return x | v; }); }
unsigned atomicOr(unsigned *p, unsigned v) { return update(p, SITE, [v](unsigned x) { return x | v; }); }
int atomicXor(int *p, int v) { return update(p, SITE, [v](int x) { return x ^ v; }); }
unsigned atomicXor(unsigned *p, unsigned v) { return update(p, SITE, [v](unsigned x) { return x ^ v; }); }

unsigned atomicInc(unsigned *p, unsigned limit)
{
    return update(p, SITE, [limit](unsigned x) { return x >= limit ? 0 : x + 1; });
}
unsigned atomicDec(unsigned *p, unsigned limit)
{
    return update(p, SITE, [limit](unsigned x) { return x == 0 || x > limit ? limit : x - 1; });
}

int atomicCAS(int *p, int compare, int v)
{
    return update(p, SITE, [=](int x) { return x == compare ? v : x; });
}
unsigned atomicCAS(unsigned *p, unsigned compare, unsigned v)
{
    return update(p, SITE, [=](unsigned x) { return x == compare ? v : x; });
}
unsigned long long atomicCAS(unsigned long long *p, unsigned long long compare, unsigned long long v)
{
    return update(p, SITE, [=](unsigned long long x) { return x == compare ? v : x; });
}
