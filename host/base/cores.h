/* cores.h - how many cores this process may use. */
#ifndef HEDDLE_HOST_CORES_H
#define HEDDLE_HOST_CORES_H

/* The smaller of the affinity mask and the cgroup's CPU quota (v2, then v1), rounded up; at least 1. */
int hdl__cores_available(void);

#endif
