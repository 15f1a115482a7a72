// shadow_report.h - the words for what the shadow finds.
#ifndef HEDDLE_SIMT_SHADOW_REPORT_H
#define HEDDLE_SIMT_SHADOW_REPORT_H

#include "shadow_order.h"

namespace simt::shadow {

// The access that is at fault.
struct Site {
    uintptr_t address;
    size_t bytes;
    unsigned flags;
    const void *pc; // null for a copy
    bool shared;
};

// A fault of a thread ends its grid and does not return; that of a copy returns false.
bool report_race(const Site &site, const Mark &other, bool other_is_read, const Here &here);
bool report_work_race(const Site &site, uint32_t other_serial);
bool report_flying(const Site &site, const Mark &copy);
bool report_unwritten(const Site &site, const Here &here);
bool report_outside(const Site &site);
bool report_outside_shared(const Site &site, const Here &here);
bool report_misaligned(const Site &site, const Here &here);

} // namespace simt::shadow

#endif
