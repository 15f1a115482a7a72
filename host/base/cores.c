/* cores.c - cores from the affinity mask and the cgroup quota. */
#define _GNU_SOURCE
#include "base/cores.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

static bool read_two(const char *path, long *first, long *second)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) return false;
    int n = fscanf(f, "%ld %ld", first, second);
    fclose(f);
    return n == 2;    /* "max 100000" gives 0: no quota */
}

static bool read_one(const char *path, long *value)
{
    FILE *f = fopen(path, "re");
    if (f == NULL) return false;
    int n = fscanf(f, "%ld", value);
    fclose(f);
    return n == 1;
}

static long quota_cores(void)
{
    long quota = 0, period = 0;
    if (!read_two("/sys/fs/cgroup/cpu.max", &quota, &period)
        && !(read_one("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", &quota)
             && read_one("/sys/fs/cgroup/cpu/cpu.cfs_period_us", &period)))
        return 0;
    return quota > 0 && period > 0 ? (quota + period - 1) / period : 0;
}

int hdl__cores_available(void)
{
    cpu_set_t set;
    int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    long quota = quota_cores();
    if (quota > 0 && quota < cores) cores = (int)quota;
    return cores < 1 ? 1 : cores;
}
