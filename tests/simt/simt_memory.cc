// simt_memory.cc - reserves one range for all devices, hands out blocks of it, opens it while queued work runs.
#include "simt_memory.h"
#include "shadow.h"
#include "simt_config.h"
#include "simt_hooks.h"
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <sys/mman.h>
#include <unistd.h>

namespace simt {
namespace {

constexpr std::size_t kPage = 4096;
// CUDA promises 256 bytes and no more: a block starts that far into its first page, so a guess of 512 is found.
constexpr std::size_t kAlignment = 256;
// Address space is dealt round and round, so a freed address comes back late.
constexpr std::size_t kSpareFactor = 4;
constexpr unsigned char kPoison = 0xff; // a NaN in every float type, -1 as an integer
// Blocks from here on are mapped from one poisoned file, copy on write: untouched memory costs nothing.
constexpr std::size_t kPoisonFileBytes = std::size_t(1) << 22;

struct Block {
    std::size_t bytes;      // asked for
    std::size_t span_bytes; // whole pages, from the page that holds its start
};

struct Device {
    unsigned char *base = nullptr;
    std::size_t bytes = 0, used = 0;
    std::size_t cursor = 0;  // where the next search begins
    std::size_t touched = 0; // offsets from here on were never handed out
    std::map<std::size_t, std::size_t> holes; // offset -> bytes
};

struct Memory {
    Range range{};
    std::size_t device_bytes = 0;
    Device device[kMaxDevices];
    std::map<const unsigned char *, Block> live, freed;
    unsigned admitted = 0;
    int poison_file = -1;
};

int make_poison_file()
{
    int file = memfd_create("simt-poison", MFD_CLOEXEC);
    if (file < 0) return -1;
    unsigned char page[kPage];
    std::memset(page, kPoison, sizeof page);
    for (std::size_t left = kPoisonFileBytes; left; left -= kPage)
        if (write(file, page, kPage) != ssize_t(kPage)) return close(file), -1;
    return file;
}

Memory *make_memory()
{
    auto *m = new Memory;
    m->device_bytes = (config().memory_bytes * kSpareFactor + kPage - 1) / kPage * kPage;
    m->range.bytes = m->device_bytes * kMaxDevices;
    void *base = mmap(nullptr, m->range.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        std::fprintf(stderr, "simt: cannot reserve %zu bytes of address space: %s\n", m->range.bytes, std::strerror(errno));
        std::abort();
    }
    m->range.base = static_cast<unsigned char *>(base);
    for (int i = 0; i < kMaxDevices; ++i) {
        m->device[i].base = m->range.base + std::size_t(i) * m->device_bytes;
        m->device[i].bytes = m->device_bytes;
        m->device[i].holes[0] = m->device_bytes;
    }
    m->poison_file = make_poison_file();
    shadow::set_device_window(m->range.base, m->range.bytes);
    install_guard();
    return m;
}

Memory &memory()
{
    static Memory *const m = make_memory();
    return *m;
}

int protection(const Memory &m, int device) { return (m.admitted >> device) & 1u ? PROT_READ | PROT_WRITE : PROT_NONE; }

// First hole at or behind the cursor that is large enough, then from the start; npos when none is.
constexpr std::size_t kNowhere = ~std::size_t(0);
std::size_t take_hole(Device &d, std::size_t span)
{
    for (int round = 0; round < 2; ++round) {
        auto hole = d.holes.lower_bound(round ? 0 : d.cursor);
        if (!round && hole != d.holes.begin() && std::prev(hole)->first + std::prev(hole)->second > d.cursor) --hole;
        for (; hole != d.holes.end(); ++hole) {
            std::size_t from = round ? hole->first : std::max(hole->first, d.cursor);
            std::size_t end = hole->first + hole->second;
            if (end - from < span) continue;
            std::size_t first = hole->first;
            d.holes.erase(hole);
            if (from > first) d.holes[first] = from - first;
            if (end > from + span) d.holes[from + span] = end - from - span;
            d.cursor = from + span;
            return from;
        }
    }
    return kNowhere;
}

void return_hole(Device &d, std::size_t offset, std::size_t span)
{
    auto next = d.holes.lower_bound(offset);
    if (next != d.holes.end() && next->first == offset + span) {
        span += next->second;
        next = d.holes.erase(next);
    }
    if (next != d.holes.begin() && std::prev(next)->first + std::prev(next)->second == offset)
        std::prev(next)->second += span;
    else
        d.holes[offset] = span;
}

void poison(Memory &m, int device, unsigned char *base, std::size_t span)
{
    if (span < kPoisonFileBytes || m.poison_file < 0) {
        mprotect(base, span, PROT_READ | PROT_WRITE);
        std::memset(base, kPoison, span);
        mprotect(base, span, protection(m, device));
        return;
    }
    for (std::size_t at = 0; at < span; at += kPoisonFileBytes)
        mmap(base + at, std::min(kPoisonFileBytes, span - at), protection(m, device),
             MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, m.poison_file, 0);
}

template <class Blocks> auto block_around(Blocks &blocks, const void *p)
{
    auto *address = static_cast<const unsigned char *>(p);
    auto it = blocks.upper_bound(address);
    if (it == blocks.begin()) return blocks.end();
    --it;
    return address < it->first + it->second.bytes ? it : blocks.end();
}

template <class Blocks> bool holds(const Blocks &blocks, const void *p, std::size_t bytes)
{
    auto it = block_around(blocks, p);
    return it != blocks.end() && static_cast<const unsigned char *>(p) + bytes <= it->first + it->second.bytes;
}

} // namespace

std::uint64_t allocations = 0;

Range device_range() { return memory().range; }

bool is_device(const void *p)
{
    const Range &r = memory().range;
    return std::uintptr_t(p) - std::uintptr_t(r.base) < r.bytes;
}

int device_of(const void *p)
{
    return is_device(p) ? int((std::uintptr_t(p) - std::uintptr_t(memory().range.base)) / memory().device_bytes) : -1;
}

bool inside_one_block(const void *p, std::size_t bytes) { return holds(memory().live, p, bytes); }

std::size_t device_bytes(const void *p)
{
    auto it = memory().live.find(static_cast<const unsigned char *>(p));
    return it == memory().live.end() ? 0 : it->second.bytes;
}

bool describe_address(const void *p, char *line, std::size_t line_bytes)
{
    Memory &m = memory();
    for (bool alive : {true, false}) {
        auto &blocks = alive ? m.live : m.freed;
        auto it = block_around(blocks, p);
        if (it == blocks.end()) continue;
        std::snprintf(line, line_bytes, "byte %zu of %zu %s", std::size_t(static_cast<const unsigned char *>(p) - it->first),
                      it->second.bytes, alive ? "allocated" : "freed");
        return true;
    }
    return false;
}

cudaError_t device_alloc(int device, std::size_t bytes, void **block)
{
    Memory &m = memory();
    Device &d = m.device[device];
    if (bytes == 0) return *block = nullptr, cudaSuccess;
    if (bytes > config().memory_bytes - d.used) return cudaErrorMemoryAllocation;
    // At least one alignment unit behind the block stays unused, so that neighbours never touch.
    std::size_t span = (kAlignment + bytes + kAlignment + kPage - 1) / kPage * kPage;
    std::size_t offset = take_hole(d, span);
    if (offset == kNowhere) return cudaErrorMemoryAllocation;
    d.touched = std::max(d.touched, offset + span);
    poison(m, device, d.base + offset, span);
    unsigned char *base = d.base + offset + kAlignment;
    auto again = m.freed.lower_bound(d.base + offset);
    while (again != m.freed.end() && again->first < d.base + offset + span) again = m.freed.erase(again);
    m.live[base] = {bytes, span};
    d.used += bytes;
    ++allocations;
    shadow::alloc(base, bytes);
    return *block = base, cudaSuccess;
}

cudaError_t device_release(void *block)
{
    Memory &m = memory();
    if (!block) return cudaSuccess;
    auto it = m.live.find(static_cast<unsigned char *>(block));
    if (it == m.live.end()) return cudaErrorInvalidValue;
    int device = device_of(block);
    Device &d = m.device[device];
    Block b = it->second;
    unsigned char *page = const_cast<unsigned char *>(it->first) - kAlignment;
    m.freed[it->first] = b;
    m.live.erase(it);
    d.used -= b.bytes;
    shadow::release(block, b.bytes);
    mmap(page, b.span_bytes, protection(m, device), MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    return_hole(d, std::size_t(page - d.base), b.span_bytes);
    return cudaSuccess;
}

std::size_t device_used_bytes(int device) { return memory().device[device].used; }

void DeviceWindow::admit(unsigned device_mask)
{
    Memory &m = memory();
    unsigned changed = m.admitted ^ device_mask;
    m.admitted = device_mask;
    for (int i = 0; i < kMaxDevices; ++i)
        if ((changed >> i) & 1u && m.device[i].touched)
            mprotect(m.device[i].base, m.device[i].touched, protection(m, i));
}

unsigned admitted_devices() { return memory().admitted; }

} // namespace simt

extern "C" size_t simt_used_bytes(int device)
{
    return device < 0 || device >= simt::kMaxDevices ? 0 : simt::device_used_bytes(device);
}
extern "C" uint64_t simt_allocations(void) { return simt::allocations; }
