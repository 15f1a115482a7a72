// simt_core_check.cc - the core of the stand-in: fragments, collectives, schedules, faults. Closes with
// "N passed, N failed".
#include "simt_core_check.h"

#include <cstdarg>

#include "simt_fault.h"
#include "simt_grid.h"

namespace core_check {
namespace {

int passed, failed;

} // namespace

void check(bool holds, const char *format, ...)
{
    ++(holds ? passed : failed);
    if (holds) return;
    va_list list;
    va_start(list, format);
    printf("FAILED: ");
    vprintf(format, list);
    printf(" [%s]\n", simt::schedule_text());
    va_end(list);
}

} // namespace core_check

int main()
{
    using namespace core_check;
    using simt::Policy;
    constexpr uint64_t kSeeds = 3;
    for (const Policy policy : {Policy::forward, Policy::reverse, Policy::random, Policy::ahead, Policy::starved})
        for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
            simt::set_schedule(seed, policy);
            check_fragments();
            check_warp();
            check_device();
            check_async();
            check_grid();
            check(simt::fault_count() == 0, "correct kernels, and a fault: %s", simt::first_fault().c_str());
        }
    check_every_value();
    check_schedules();
    check(simt::fault_count() == 0, "correct kernels, and a fault: %s", simt::first_fault().c_str());
    check_faults();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
