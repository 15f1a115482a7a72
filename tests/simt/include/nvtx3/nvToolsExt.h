// nvToolsExt.h - the header of this name for the stand-in: a profiler that only counts (simt_ranges.cc).
#ifndef HEDDLE_SIMT_NVTX_H
#define HEDDLE_SIMT_NVTX_H

extern "C" {

// The level of the new range, from 0.
int nvtxRangePushA(const char *message);
// The level of the range that has ended; negative: none was open on this thread.
int nvtxRangePop(void);
}

#endif
