/*
 * library.cuh - libraries that the backend uses where they are installed: found and opened on demand, linked never.
 *
 * Looked for in hdl_device_options.library_dir, on the loader's path, in $CUDA_HOME/lib64 and /usr/local/cuda/lib64; the
 * stand-in takes the first of these only, since a real library cannot know its memory. What was opened once serves the
 * process to its end. No driver is needed. Calls may come from any thread.
 */
#pragma once
#include "cuda_backend.cuh"

#include <string.h>

namespace hdl {

enum LibraryName { kCublasLt = 0, kNccl, kLibraries };

constexpr int kLibraryLineBytes = 512;

struct Library {
    void       *handle;                              // of dlopen; nullptr: not there, and `line` says why
    const char *path;                                // the file that was opened; lives as long as the process
    int         version;                             // major, minor, patch; as library_version reads it. 0: unknown
    char        line[kLibraryLineBytes];             // "NCCL 2.28.3: FILE", or where it was looked for
};

// HDL_OK, or HDL_EBACKEND with the line of detail. `found->line` is set either way.
hdl_status library_open(hdl_backend_device *device, LibraryName name, Library *found);

// The same without a device: true when the library is there. `library_dir` may be NULL.
bool library_find(LibraryName name, const char *library_dir, Library *found);

// One line each of all that library_find can look for, for `heddle devices`; "" where it looks nowhere.
void library_list(const char *library_dir, char *text, size_t bytes);

// The address of a function of an open library; nullptr when it has none of that name.
void *library_symbol(const Library &library, const char *symbol);

// The same into a typed pointer; false when there is none.
template <class F> bool library_function(const Library &library, const char *symbol, F **to)
{
    void *address = library_symbol(library, symbol);
    static_assert(sizeof *to == sizeof address, "POSIX: a function's address fits a data pointer");
    memcpy(to, &address, sizeof address);
    return address != nullptr;
}

}  // namespace hdl
