/* thread_team.c - the checks of test_team.c without Criterion, which cannot start under the thread sanitizer. */
#include "team_check.h"

#include <stdio.h>

int main(void)
{
    static const struct { const char *name; int (*check)(void); } checks[] = {
        {"every item runs once", check_every_item_runs_once},
        {"products have the same bits with help", check_bits_with_help},
        {"idle help sleeps", check_idle_help_sleeps},
    };
    int passed = 0, failed = 0;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        const int faults = checks[i].check();
        printf("%s %s\n", faults == 0 ? "ok" : "FAILED", checks[i].name);
        passed += faults == 0;
        failed += faults != 0;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
