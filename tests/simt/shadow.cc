// shadow.cc - every access against the marks of its granules: the rules of races and first reads.
#include "shadow.h"
#include "shadow_bounds.h"
#include "shadow_cells.h"
#include "shadow_pages.h"
#include "shadow_release.h"
#include "shadow_report.h"
#include "shadow_reserve.h"
#include "shadow_works.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace simt::shadow {

Watch watch = {};

namespace {

constexpr uintptr_t kGranule = 4;     // bytes of memory that share a pair of marks

struct Region {
    uintptr_t begin = 0;
    size_t bytes    = 0;
    bool shared     = false; // marks count for the block that set them, and only what it wrote is initialised
    Mark *writes = nullptr, *reads = nullptr; // one a granule

    Mark *cells_of(Mark *marks, uintptr_t address) const { return marks + (address - begin) / kGranule; }
};

Region device_region, shared_region;
bool instrumented = false;

void reserve_region(Region &region, const void *base, size_t bytes, bool shared)
{
    const size_t granules = bytes / kGranule + 1;
    region.begin  = reinterpret_cast<uintptr_t>(base);
    region.bytes  = bytes;
    region.shared = shared;
    region.writes = static_cast<Mark *>(reserve_zeroed(granules * sizeof(Mark)));
    region.reads  = static_cast<Mark *>(reserve_zeroed(granules * sizeof(Mark)));
    if (!region.reads || !region.writes)
        fprintf(stderr, "simt: no address space for the shadow of %zu bytes: they are not watched\n", bytes);
}

bool wanted()
{
    static const char *setting = getenv("SIMT_SHADOW");
    return instrumented && !(setting && strcmp(setting, "0") == 0);
}

size_t watched_bytes(const Region &region)
{
    return wanted() && region.reads && region.writes ? region.bytes : 0;
}

void refresh_watch()
{
    watch = {device_region.begin, valid_bytes ? watched_bytes(device_region) : 0,
             shared_region.begin, watched_bytes(shared_region)};
}

// ---- one granule ------------------------------------------------------------------------------------

struct Access {
    const Region &region;
    const Here &here;
    unsigned flags;
    Site site;
    Mark now;         // with this granule's bytes
    uint32_t settled; // accesses with a serial below come before this one
};

// Marks of an earlier block's shared memory are none.
bool counts(const Mark &mark, const Access &access)
{
    return mark.block() != 0 && (!access.region.shared || mark.block() == access.now.block());
}

// The usual ways of coming before, told from the words at hand; false when the order must be looked up.
// A mark that does not count comes before.
inline bool plainly_before(const Mark &mark, const Access &access)
{
    if (mark.block() != access.now.block()) return access.region.shared || mark.block() < access.settled;
    return mark.barrier() < access.now.barrier() ||
           (mark.thread() == access.now.thread() && mark.scope() == kOneThread);
}

bool in_order(const Mark &mark, bool mark_is_read, const Access &access, uintptr_t granule)
{
    if (!(mark.mask() & access.now.mask()) || (mark.sync() && access.now.sync())) return true;
    if (mark_is_read ? readers_ordered(mark, access.here) : ordered(mark, access.here)) return true;
    return mark.sync() && took_part(granule, access.here);
}

// Bytes that this block has written into the granule.
inline uint32_t written_of(const Mark &write, const Access &access)
{
    return write.block() == access.now.block() ? write.written() : 0;
}

// False after a report.
bool check_write_mark(const Mark &write, const Access &access, uintptr_t granule)
{
    if (counts(write, access)) {
        if (write.flying() && (write.mask() & access.now.mask())) return report_flying(access.site, write);
        if (!in_order(write, false, access, granule))
            return report_race(access.site, write, false, access.here);
    }
    if (!access.region.shared || ((access.flags & kWrite) && !(access.flags & kAtomic))) return true;
    if (!(access.now.mask() & ~written_of(write, access))) return true;
    return report_unwritten(access.site, access.here);
}

inline void note_write(Mark &write, const Access &access)
{
    const bool again = write.same_time(access.now) && write.sync() == access.now.sync();
    const uint32_t written = written_of(write, access) | access.now.mask();
    uint64_t who           = access.now.who | Mark::written_bits(written);
    if (again) who |= Mark::mask_bits(write.mask());
    if (access.flags & kFlying) who |= Mark::kFlying;
    write = {access.now.when, who};
}

Scope scope_of_two(const Mark &old, const Mark &now)
{
    if (old.block() != now.block()) return kGrid;
    const bool one_warp =
        old.thread() / kLanes == now.thread() / kLanes && old.barrier() == now.barrier();
    return std::max(old.scope(), one_warp ? kWarp : kBlock);
}

// The mark keeps one reader, the latest, and how far the others are spread. Readers of different bytes
// cannot both be kept, nor may they be mixed up: the later takes the place.
void note_read(Mark &read, const Access &access)
{
    const Mark &now     = access.now;
    const uint32_t both = read.mask() & now.mask();
    if (!counts(read, access) || both == 0 || readers_ordered(read, access.here)) {
        read = now;
        return;
    }
    const Scope scope      = scope_of_two(read, now);
    const uint64_t neither = Mark::mask_bits(Mark::kAllBytes);
    read.who  = (now.who & ~neither) | Mark::mask_bits(both) | Mark::scope_bits(scope) | (read.who & Mark::kSync);
    read.when = now.when;
}

inline void note_read_fast(Mark &read, const Access &access)
{
    const Mark &now = access.now;
    if (read.same_time(now) && read.scope() == kOneThread && read.sync() == now.sync())
        read.who |= now.who & Mark::mask_bits(Mark::kAllBytes);
    else if (plainly_before(read, access))
        read = now;
    else
        note_read(read, access);
}

// False after a report.
inline bool visit(Mark &write, Mark &read, const Access &access, uintptr_t granule)
{
    const bool writes  = access.flags & kWrite;
    const bool written = !access.region.shared || (writes && !(access.flags & kAtomic)) ||
                         !(access.now.mask() & ~written_of(write, access));
    if (!plainly_before(write, access) || write.flying() || !written)
        if (!check_write_mark(write, access, granule)) return false;
    if (!writes) {
        note_read_fast(read, access);
        return true;
    }
    if (!plainly_before(read, access) && counts(read, access) && !in_order(read, true, access, granule))
        return report_race(access.site, read, true, access.here);
    note_write(write, access);
    return true;
}

// The bytes of the granule at `granule` that lie in [begin, end).
inline uint32_t mask_in(uintptr_t granule, uintptr_t begin, uintptr_t end)
{
    uint32_t mask = Mark::kAllBytes;
    if (begin > granule) mask &= Mark::kAllBytes << (begin - granule);
    if (end < granule + kGranule) mask &= Mark::kAllBytes >> (granule + kGranule - end);
    return mask;
}

void visit_all(const Region &region, const Here &here, uintptr_t address, size_t bytes, unsigned flags,
               const void *pc)
{
    const Mark now = mark_of(here, intern_pc(pc), flags & kSync);
    Access access  = {region, here, flags, {address, bytes, flags, pc, region.shared}, now,
                      settled_serial()};
    uintptr_t at   = address / kGranule * kGranule;
    Mark *write    = region.cells_of(region.writes, at);
    Mark *read     = region.cells_of(region.reads, at);
    for (; at < address + bytes; at += kGranule, write++, read++) {
        access.now.who = now.who | Mark::mask_bits(mask_in(at, address, address + bytes));
        if (!visit(*write, *read, access, at)) return;
    }
}

bool misaligned(uintptr_t address, size_t bytes, unsigned flags)
{
    return (flags & kTyped) && address % bytes != 0;
}

// ---- whole accesses ---------------------------------------------------------------------------------

void check_shared(const Here &here, uintptr_t address, size_t bytes, unsigned flags, const void *pc)
{
    const Site site = {address, bytes, flags, pc, true};
    if (address < here.block->smem_begin || address + bytes > here.block->smem_end)
        report_outside_shared(site, here);
    else if (misaligned(address, bytes, flags))
        report_misaligned(site, here);
    else
        visit_all(shared_region, here, address, bytes, flags, pc);
}

void check_device(const Here &here, uintptr_t address, size_t bytes, unsigned flags, const void *pc)
{
    const Site site = {address, bytes, flags, pc, false};
    if (bytes > watch.device_bytes - (address - watch.device_begin) || !may_touch(address, bytes)) {
        report_outside(site);
        return;
    }
    if (misaligned(address, bytes, flags)) {
        report_misaligned(site, here);
        return;
    }
    const uint32_t unordered = page_conflict(address, bytes, flags & kWrite);
    if (unordered)
        report_work_race(site, unordered);
    else
        visit_all(device_region, here, address, bytes, flags, pc);
}

} // namespace

void check_access(uintptr_t address, size_t bytes, unsigned flags, const void *pc)
{
    const Here *here = here_of_running();
    if (bytes == 0 || !here) return;
    if (address - watch.shared_begin < watch.shared_bytes)
        check_shared(*here, address, bytes, flags, pc);
    else
        check_device(*here, address, bytes, flags, pc);
}

void volatile_access(const void *address, size_t bytes, bool is_write, const void *pc)
{
    const auto at = reinterpret_cast<uintptr_t>(address);
    const Here *here = here_of_running();
    if (!here) return;
    sync_access(at / kGranule * kGranule, *here, !is_write, is_write);
    check_access(at, bytes, kSync | kTyped | (is_write ? unsigned(kWrite) : 0u), pc);
}

void found_instrumented_code()
{
    instrumented = true;
    refresh_watch();
}

void forget_cells(uintptr_t begin, size_t bytes)
{
    if (!watch.device_bytes || bytes == 0) return;
    const size_t first = (begin - device_region.begin) / kGranule;
    const size_t count = (begin + bytes - 1 - device_region.begin) / kGranule + 1 - first;
    zero_reserved(device_region.writes + first, count * sizeof(Mark));
    zero_reserved(device_region.reads + first, count * sizeof(Mark));
    forget_pages(begin, bytes);
}

// ---- told by others ---------------------------------------------------------------------------------

void set_device_window(const void *base, size_t bytes)
{
    const auto begin = reinterpret_cast<uintptr_t>(base);
    bounds_reserve(begin, bytes);
    reserve_pages(begin, bytes);
    reserve_region(device_region, base, bytes, false);
    refresh_watch();
}

void set_shared_window(const void *base, size_t bytes)
{
    reserve_region(shared_region, base, bytes, true);
    refresh_watch();
}

void access(const void *address, size_t bytes, bool is_write, const void *pc)
{
    const auto at = reinterpret_cast<uintptr_t>(address);
    if (watched(at)) check_access(at, bytes, is_write ? unsigned(kWrite) : 0u, pc);
}

void atomic(const void *address, size_t bytes, const void *pc)
{
    const auto at = reinterpret_cast<uintptr_t>(address);
    const Here *here = here_of_running();
    if (!watched(at) || !here) return;
    sync_access(at / kGranule * kGranule, *here, true, true);
    check_access(at, bytes, kWrite | kSync | kAtomic | kTyped, pc);
}

void async_write_issued(const void *destination, size_t bytes, const void *pc)
{
    const auto at = reinterpret_cast<uintptr_t>(destination);
    if (watched(at)) check_access(at, bytes, kWrite | kTyped | kFlying, pc);
}

void async_write_landed(const void *destination, size_t bytes)
{
    const auto at = reinterpret_cast<uintptr_t>(destination);
    const Here *here = here_of_running();
    if (at - watch.shared_begin >= watch.shared_bytes || !here) return;
    Mark *write = shared_region.cells_of(shared_region.writes, at);
    for (size_t i = 0; i < (bytes + kGranule - 1) / kGranule; i++) {
        const uint64_t kept = write[i].who & (Mark::mask_bits(Mark::kAllBytes) | Mark::written_bits(Mark::kAllBytes));
        const Mark now      = mark_of(*here, write[i].pc(), false);
        if (write[i].flying()) write[i] = {now.when, now.who | kept};
    }
}

// What comes before everything that could follow need not be looked at granule by granule.
void range_access(const void *address, size_t bytes, bool is_write)
{
    const auto begin = reinterpret_cast<uintptr_t>(address);
    if (!watch.device_bytes || bytes == 0) return;
    const Here here   = here_of_work();
    const Site site   = {begin, bytes, is_write ? unsigned(kWrite) : 0u, nullptr, false};
    const bool alone  = settled_serial() == here.block->serial;
    const PageSpan whole = whole_pages(begin, bytes);
    if (!may_touch(begin, bytes)) {
        report_outside(site);
        return;
    }
    const uint32_t unordered = alone ? 0 : page_conflict(begin, bytes, is_write);
    if (unordered) {
        report_work_race(site, unordered);
        return;
    }
    if (!alone || whole.bytes == 0) {
        visit_all(device_region, here, begin, bytes, site.flags, nullptr);
        return;
    }
    const uintptr_t whole_end = whole.begin + whole.bytes;
    if (whole.begin > begin)
        visit_all(device_region, here, begin, whole.begin - begin, site.flags, nullptr);
    note_pages(whole, here.block->serial, is_write);
    if (begin + bytes > whole_end)
        visit_all(device_region, here, whole_end, begin + bytes - whole_end, site.flags, nullptr);
}

} // namespace simt::shadow
