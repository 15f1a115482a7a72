// shadow_pages.h - copies and fills of whole pages, marked a page at a time.
#ifndef HEDDLE_SIMT_SHADOW_PAGES_H
#define HEDDLE_SIMT_SHADOW_PAGES_H

#include <cstddef>
#include <cstdint>

namespace simt::shadow {

struct PageSpan {
    uintptr_t begin;
    size_t bytes;
};

void reserve_pages(uintptr_t begin, size_t bytes);
void forget_pages(uintptr_t begin, size_t bytes);

// The whole pages inside the bytes.
PageSpan whole_pages(uintptr_t begin, size_t bytes);
// The work `serial` wrote, or read, all of these pages.
void note_pages(const PageSpan &pages, uint32_t serial, bool is_write);
// Serial of a copy of one of the pages that nothing places before the running work; 0: none.
uint32_t page_conflict(uintptr_t begin, size_t bytes, bool is_write);

} // namespace simt::shadow

#endif
