// simt_fault.cc - faults as lines: who, where, what, and the schedule that showed it.
#include "simt_fault.h"
#include "simt_grid.h"
#include "simt_symbol.h"

#include <cstdarg>
#include <cstdio>
#include <mutex>

namespace simt {

bool quiet = false;

namespace {

constexpr size_t kLineBytes = 1024;

// The lines are plain arrays: the thread at fault may be left for good, and with it what its stack owns.
std::mutex lock;
unsigned long count   = 0;
bool launch_has_fault = false;
char first_line[kLineBytes], last_line[kLineBytes];

void say_who(char (&who)[kLineBytes])
{
    const Thread *thread = running;
    who[0]               = '\0';
    if (!thread) return;
    const uint3 b = thread->block_idx, t = thread->thread_idx;
    snprintf(who, sizeof who, "%s block (%u,%u,%u) thread (%u,%u,%u) ",
             thread->kernel ? thread->kernel : "kernel", b.x, b.y, b.z, t.x, t.y, t.z);
}

void record(const void *pc, const char *format, va_list arguments)
{
    static char who[kLineBytes], what[kLineBytes], line[kLineBytes];
    const std::lock_guard<std::mutex> hold(lock);
    count++;
    if (launch_has_fault && running) return;
    say_who(who);
    vsnprintf(what, sizeof what, format, arguments);
    snprintf(line, sizeof line, "simt: %s%s%s%s%s%s%s", who, pc ? source_line(pc).c_str() : "",
             pc ? ": " : "", what, running ? " [" : "", running ? schedule_text() : "",
             running ? "]" : "");
    launch_has_fault = running != nullptr;
    snprintf(last_line, sizeof last_line, "%s", line);
    if (!first_line[0]) snprintf(first_line, sizeof first_line, "%s", line);
    if (!quiet) fprintf(stderr, "%s\n", line);
}

} // namespace

void fault(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    record(nullptr, format, arguments);
    va_end(arguments);
}

void fault_at(const void *pc, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    record(pc, format, arguments);
    va_end(arguments);
}

unsigned long fault_count()
{
    const std::lock_guard<std::mutex> hold(lock);
    return count;
}

std::string first_fault()
{
    const std::lock_guard<std::mutex> hold(lock);
    return first_line;
}

std::string last_fault()
{
    const std::lock_guard<std::mutex> hold(lock);
    return last_line;
}

void clear_faults()
{
    const std::lock_guard<std::mutex> hold(lock);
    count            = 0;
    launch_has_fault = false;
    first_line[0] = last_line[0] = '\0';
}

void faults_of_next_launch()
{
    const std::lock_guard<std::mutex> hold(lock);
    launch_has_fault = false;
}

} // namespace simt
