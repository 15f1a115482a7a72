// simt_fault.h - how the stand-in says that a kernel or launch code is wrong: one line a fault.
#ifndef HEDDLE_SIMT_FAULT_H
#define HEDDLE_SIMT_FAULT_H

#include <string>

namespace simt {

// Nothing is printed while this is set; faults are recorded all the same.
extern bool quiet;

// Records a fault of the running kernel, or of the host when none runs, as one line: "simt: KERNEL
// block (x,y,z) thread (x,y,z) FILE:LINE: WHAT". Only the first fault of a launch is printed: what
// follows is mostly its echo. `pc` is a return address in the code at fault; without it the line
// names no source line. The caller ends the grid with stop_grid(), where one runs.
void fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fault_at(const void *pc, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Faults so far, those that were not printed included.
unsigned long fault_count();

// The line of the first fault since clear_faults(), and of the last launch that had one.
std::string first_fault();
std::string last_fault();

void clear_faults();

// A launch begins: its first fault is printed again.
void faults_of_next_launch();

} // namespace simt

#endif
