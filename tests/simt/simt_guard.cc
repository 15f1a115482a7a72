// simt_guard.cc - says in one line what a touch of protected memory was, or that a stack was too small, before the process
// dies of it.
#include "simt_fiber.h"
#include "simt_grid.h"
#include "simt_memory.h"
#include "simt_queue.h"
#include "simt_symbol.h"
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <sys/mman.h>
#include <ucontext.h>

namespace simt {
namespace {

struct sigaction previous_segv, previous_bus;

// The processor's page-fault code: bit 1 is set for a write.
bool was_write(const ucontext_t *context)
{
#if defined(__x86_64__)
    return (context->uc_mcontext.gregs[REG_ERR] >> 1) & 1;
#else
    (void)context;
    return false;
#endif
}

const void *code_address(const ucontext_t *context)
{
#if defined(__x86_64__)
    // One further, because the symbol table is asked for the call that returns to an address.
    return reinterpret_cast<const void *>(context->uc_mcontext.gregs[REG_RIP] + 1);
#else
    (void)context;
    return nullptr;
#endif
}

// The handler calls what is not safe in a signal handler: the process is about to die, and the line is worth it.
void report(const void *address, const ucontext_t *context)
{
    char place[96] = "outside every block", thread[96] = "";
    const char *verb = was_write(context) ? "write" : "read";
    const std::string &line = source_line(code_address(context));
    const char *work = running_work();
    if (running)
        std::snprintf(thread, sizeof thread, " block (%u,%u,%u) thread (%u,%u,%u)", running->block_idx.x, running->block_idx.y,
                      running->block_idx.z, running->thread_idx.x, running->thread_idx.y, running->thread_idx.z);
    if (running && running->fiber && is_below_stack(*running->fiber, address)) {
        std::fprintf(stderr, "simt: %s%s %s: the thread's stack of %zu bytes has overflowed\n", work ? work : "kernel", thread,
                     line.c_str(), running->fiber->stack_bytes);
    } else if (is_device(address)) {
        describe_address(address, place, sizeof place);
        if (work)
            std::fprintf(stderr, "simt: %s%s %s: %s of memory of device %d at %p (%s): work of another device\n", work, thread,
                         line.c_str(), verb, device_of(address), address, place);
        else
            std::fprintf(stderr, "simt: host %s of device memory at %p (%s) at %s\n", verb, address, place, line.c_str());
    } else if (work) {
        std::fprintf(stderr, "simt: %s%s %s: %s of address %p, which is no memory\n", work, thread, line.c_str(), verb, address);
    }
}

void handle(int signal, siginfo_t *info, void *context)
{
    sigaction(SIGSEGV, &previous_segv, nullptr);
    sigaction(SIGBUS, &previous_bus, nullptr);
    // Only faults of a mapping carry the address that was touched.
    if (info->si_code > 0) report(info->si_addr, static_cast<const ucontext_t *>(context));
    (void)signal;
    // Returning repeats the access, which now meets the handler that was there before.
}

// A handler needs a stack of its own when a kernel's has run out. Reading the debug information takes most of it.
class SignalStack {
public:
    SignalStack()
    {
        memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) return;
        stack_t mine = {};
        mine.ss_sp   = memory;
        mine.ss_size = kBytes;
        sigaltstack(&mine, &before);
    }
    ~SignalStack()
    {
        if (memory == MAP_FAILED) return;
        sigaltstack(&before, nullptr);
        munmap(memory, kBytes);
    }
    SignalStack(const SignalStack &)            = delete;
    SignalStack &operator=(const SignalStack &) = delete;

private:
    static constexpr size_t kBytes = 256 * 1024;
    void *memory;
    stack_t before = {};
};

} // namespace

void guard_this_thread() { thread_local const SignalStack stack; }

void install_guard()
{
    struct sigaction action = {};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, &previous_segv);
    sigaction(SIGBUS, &action, &previous_bus);
}

} // namespace simt
