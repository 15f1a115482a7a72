// simt_pinned.cc - host memory that copies may read and write at any time: allocated here, or registered by its owner.
#include "simt_memory.h"
#include <cstdlib>
#include <cstring>
#include <map>

namespace simt {
namespace {

constexpr std::size_t kPage = 4096;
constexpr unsigned char kPoison = 0xff; // fresh memory is nobody's zero

struct Pinned {
    std::size_t bytes;
    unsigned flags;
    bool ours; // not registered by the caller
};

std::map<const unsigned char *, Pinned> &blocks()
{
    static auto *const map = new std::map<const unsigned char *, Pinned>;
    return *map;
}

// The block that holds all of [p, p + bytes), or null.
const Pinned *block_around(const void *p, std::size_t bytes = 1)
{
    auto *address = static_cast<const unsigned char *>(p);
    auto it = blocks().upper_bound(address);
    if (it == blocks().begin()) return nullptr;
    --it;
    return address < it->first + it->second.bytes && address + bytes <= it->first + it->second.bytes ? &it->second : nullptr;
}

} // namespace

bool is_pinned(const void *p, std::size_t bytes) { return block_around(p, bytes) != nullptr; }

unsigned pinned_flags(const void *p)
{
    const Pinned *block = block_around(p);
    return block ? block->flags : 0;
}

std::size_t pinned_bytes(const void *p)
{
    auto it = blocks().find(static_cast<const unsigned char *>(p));
    return it == blocks().end() ? 0 : it->second.bytes;
}

cudaError_t pinned_alloc(std::size_t bytes, unsigned flags, void **block)
{
    if (bytes == 0) return *block = nullptr, cudaSuccess;
    // The exact size, from malloc's family, so that a host sanitizer sees what lies beyond it.
    void *base = nullptr;
    if (posix_memalign(&base, kPage, bytes) != 0) return cudaErrorMemoryAllocation;
    std::memset(base, kPoison, bytes);
    blocks()[static_cast<unsigned char *>(base)] = {bytes, flags, true};
    ++allocations;
    return *block = base, cudaSuccess;
}

cudaError_t pinned_release(void *block)
{
    if (!block) return cudaSuccess;
    auto it = blocks().find(static_cast<unsigned char *>(block));
    if (it == blocks().end() || !it->second.ours) return cudaErrorInvalidValue;
    blocks().erase(it);
    std::free(block);
    return cudaSuccess;
}

cudaError_t pinned_register(void *block, std::size_t bytes, unsigned flags)
{
    if (!block || bytes == 0) return cudaErrorInvalidValue;
    if (block_around(block)) return cudaErrorHostMemoryAlreadyRegistered;
    blocks()[static_cast<unsigned char *>(block)] = {bytes, flags, false};
    return cudaSuccess;
}

cudaError_t pinned_unregister(void *block)
{
    auto it = blocks().find(static_cast<unsigned char *>(block));
    if (it == blocks().end() || it->second.ours) return cudaErrorHostMemoryNotRegistered;
    blocks().erase(it);
    return cudaSuccess;
}

} // namespace simt
