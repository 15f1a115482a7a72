// shadow_pages.cc - the last copy into and out of every page of device memory.
#include "shadow_pages.h"
#include "shadow_reserve.h"
#include "shadow_works.h"

namespace simt::shadow {
namespace {

constexpr uintptr_t kPage = 4096; // bytes that share a mark

struct PageMark {
    uint32_t write, read; // serials
};

PageMark *marks  = nullptr;
uintptr_t origin = 0;

PageMark *mark_at(uintptr_t address) { return marks + (address - origin) / kPage; }

bool conflicts(uint32_t serial) { return serial >= settled_serial() && !work_ordered(serial); }

} // namespace

void reserve_pages(uintptr_t begin, size_t bytes)
{
    origin = begin;
    marks  = static_cast<PageMark *>(reserve_zeroed((bytes / kPage + 1) * sizeof(PageMark)));
}

PageSpan whole_pages(uintptr_t begin, size_t bytes)
{
    const uintptr_t first = (begin + kPage - 1) / kPage * kPage, end = (begin + bytes) / kPage * kPage;
    return {first, end > first ? end - first : 0};
}

void note_pages(const PageSpan &pages, uint32_t serial, bool is_write)
{
    PageMark *const end = mark_at(pages.begin + pages.bytes);
    for (PageMark *mark = mark_at(pages.begin); marks && mark < end; mark++)
        (is_write ? mark->write : mark->read) = serial;
}

uint32_t page_conflict(uintptr_t begin, size_t bytes, bool is_write)
{
    if (!marks) return 0;
    const PageMark *const last = mark_at(begin + bytes - 1);
    for (const PageMark *mark = mark_at(begin); mark <= last; mark++) {
        if (conflicts(mark->write)) return mark->write;
        if (is_write && conflicts(mark->read)) return mark->read;
    }
    return 0;
}

void forget_pages(uintptr_t begin, size_t bytes)
{
    const PageSpan whole = whole_pages(begin, bytes);
    if (marks && whole.bytes)
        zero_reserved(mark_at(whole.begin), whole.bytes / kPage * sizeof(PageMark));
}

} // namespace simt::shadow
