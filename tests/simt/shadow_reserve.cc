// shadow_reserve.cc - address space from mmap, which the kernel fills with zeros page by page.
#include "shadow_reserve.h"

#include <cstdint>
#include <cstring>
#include <sys/mman.h>

namespace simt::shadow {

constexpr uintptr_t kHostPage = 4096; // the smallest that x86-64 and most others have

void *reserve_zeroed(size_t bytes)
{
    void *got = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (got == MAP_FAILED) return nullptr;
    madvise(got, bytes, MADV_DONTDUMP);
    return got;
}

void zero_reserved(void *begin, size_t bytes)
{
    const auto first = reinterpret_cast<uintptr_t>(begin), end = first + bytes;
    const uintptr_t page = (first + kHostPage - 1) / kHostPage * kHostPage;
    const uintptr_t last = end / kHostPage * kHostPage;
    if (page >= last || madvise(reinterpret_cast<void *>(page), last - page, MADV_DONTNEED) != 0) {
        memset(begin, 0, bytes);
        return;
    }
    memset(begin, 0, page - first);
    memset(reinterpret_cast<void *>(last), 0, end - last);
}

} // namespace simt::shadow
