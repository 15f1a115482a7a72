// shadow_report.cc - fault lines of the shadow, each the end of the grid that runs. They are made in fixed
// buffers: the thread at fault is left for good, and nothing on its stack is given back.
#include "shadow_report.h"
#include "shadow_bounds.h"
#include "shadow_cells.h"
#include "shadow_works.h"
#include "simt_fault.h"
#include "simt_device.h"
#include "simt_grid.h"
#include "simt_symbol.h"

#include <cstdio>
#include <cstring>

namespace simt::shadow {
namespace {

constexpr size_t kTextBytes = 256; // of one part of a line

const char *verb(const Site &site)
{
    if (site.flags & kAtomic) return "atomic";
    if (site.flags & kFlying) return "cp.async write";
    return site.flags & kWrite ? "write" : "read";
}

// "cudaMemcpyAsync at file.c:7 on stream 1: " of a copy; a kernel's thread is named by the fault itself.
const char *copy_name(const Site &site)
{
    static char text[kTextBytes];
    if (site.pc) return "";
    describe_work(here_of_work().block->serial, text, sizeof text - strlen(": "));
    return strcat(text, ": ");
}

void describe(const Site &site, const Here *here, char (&text)[kTextBytes])
{
    if (site.shared)
        snprintf(text, sizeof text, "shared memory + %zd",
                 ssize_t(site.address - (here ? here->block->smem_begin : 0)));
    else
        describe_place(site.address, text, sizeof text);
}

// "(x,y,z)".
struct Triple {
    char text[48];

    explicit Triple(uint3 at) { snprintf(text, sizeof text, "(%u,%u,%u)", at.x, at.y, at.z); }
};

Triple thread_index(unsigned linear)
{
    const dim3 size = blockDim;
    return Triple({linear % size.x, linear / size.x % size.y, linear / (size.x * size.y)});
}

// "a read by thread (37,0,0)", "reads by several threads of the warp, last thread (37,0,0)", "a write by other work".
void describe_other(const Mark &other, bool is_read, const Here &here, char (&text)[kTextBytes])
{
    static const char *const readers[] = {"a read by ", "reads by several threads of the warp, last ",
                                          "reads by several warps, last ",
                                          "reads by several blocks, last "};
    const char *what = is_read ? readers[other.scope()] : "a write by ";
    if (other.sync()) what = is_read ? "a volatile read by " : "an atomic or volatile write by ";
    const int n = snprintf(text, sizeof text, "%s", what);
    const Triple thread = thread_index(other.thread());
    if (other.block() == here.block->serial)
        snprintf(text + n, sizeof text - size_t(n), "thread %s", thread.text);
    else if (other.block() >= grid_first_serial())
        snprintf(text + n, sizeof text - size_t(n), "block %s thread %s",
                 Triple(block_index(other.block())).text, thread.text);
    else
        describe_work(other.block(), text + n, sizeof text - size_t(n));
}

const char *advice(const Mark &other, const Here &here)
{
    if (other.block() < grid_first_serial() && other.block() != here.block->serial)
        return "no event or wait orders the two streams";
    if (other.block() != here.block->serial || other.scope() == kGrid)
        return "nothing orders two blocks of a grid";
    const bool one_warp = other.thread() / kLanes == here.thread / kLanes && other.scope() < kBlock;
    return one_warp ? "no barrier or __syncwarp between them" : "no barrier between them";
}

// The access at fault does not take place.
bool leave()
{
    if (running) stop_grid();
    return false;
}

} // namespace

bool report_race(const Site &site, const Mark &other, bool other_is_read, const Here &here)
{
    static char place[kTextBytes], who[kTextBytes];
    describe(site, &here, place);
    describe_other(other, other_is_read, here, who);
    const void *other_pc = interned_pc(other.pc());
    fault_at(site.pc, "%srace: %s of %zu bytes and %s%s%s: %s (%s)", copy_name(site), verb(site), site.bytes, who,
             other_pc ? " at " : "", other_pc ? source_line(other_pc).c_str() : "", advice(other, here),
             place);
    return leave();
}

bool report_work_race(const Site &site, uint32_t other_serial)
{
    static char place[kTextBytes], who[kTextBytes];
    describe(site, nullptr, place);
    describe_work(other_serial, who, sizeof who);
    fault_at(site.pc, "%srace: %s of %zu bytes and %s: no event or wait orders the two streams (%s)",
             copy_name(site), verb(site), site.bytes, who, place);
    return leave();
}

bool report_flying(const Site &site, const Mark &copy)
{
    fault_at(site.pc, "%s of %zu bytes under a cp.async of thread %s at %s that was not waited for",
             verb(site), site.bytes, thread_index(copy.thread()).text,
             source_line(interned_pc(copy.pc())).c_str());
    return leave();
}

bool report_unwritten(const Site &site, const Here &here)
{
    static char place[kTextBytes];
    describe(site, &here, place);
    fault_at(site.pc, "uninitialised: %s of %zu bytes that nothing has written (%s)", verb(site),
             site.bytes, place);
    return leave();
}

bool report_outside(const Site &site)
{
    static char place[kTextBytes];
    uintptr_t first = site.address; // the first byte that may not be touched says more than the access
    while (first + 1 < site.address + site.bytes && may_touch(first, 1)) first++;
    describe_place(first, place, sizeof place);
    fault_at(site.pc, "%sout of bounds: %s of %zu bytes touches %s", copy_name(site), verb(site), site.bytes,
             place);
    return leave();
}

bool report_outside_shared(const Site &site, const Here &here)
{
    fault_at(site.pc, "out of bounds: %s of %zu bytes at shared memory + %zd of %zu bytes", verb(site),
             site.bytes, ssize_t(site.address - here.block->smem_begin),
             size_t(here.block->smem_end - here.block->smem_begin));
    return leave();
}

bool report_misaligned(const Site &site, const Here &here)
{
    static char place[kTextBytes];
    describe(site, &here, place);
    fault_at(site.pc, "misaligned: %s of %zu bytes at an address that is %zu past a multiple of them (%s)",
             verb(site), site.bytes, size_t(site.address % site.bytes), place);
    return leave();
}

} // namespace simt::shadow
