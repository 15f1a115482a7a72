/*
 * library.cu - finds and opens optional libraries: cuBLASLt for products, NCCL for copies between devices.
 *
 * Contract   kernels/library.cuh; hdl_device_options.library_dir and hdl_device_entry.libraries of include/heddle/device.h.
 * Reference  host/device/plugin.c looks for backends the same way; tests/test_cuda_device.c.
 * Source     dlopen(3), dlinfo(3).
 *
 * Mapping    Host code. One list for the process, under a lock: a library is opened once and never closed. One that
 *            was not found is looked for again at the next call, which may name another folder. A file that is there
 *            and does not load ends the search: a later place's "not found" would send its owner the wrong way.
 * Numerics   None.
 * Bound      Opening cuBLASLt takes tens of milliseconds, so nothing here is called unless it is asked for.
 */
#include "library.cuh"

#include "backend_name.cuh"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

namespace hdl {
namespace {

constexpr int kFiles = 3;

// Of cuBLASLt the major version of the headers first, then older ones, whose calls are the same; a newer one is refused.
struct Wanted {
    const char *name;
    const char *files[kFiles];                       // nullptr: no more
    const char *version;                             // the function that tells it
};

constexpr Wanted kWanted[kLibraries] = {
#if CUDART_VERSION >= 13000
    {"cuBLASLt", {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so"}, "cublasLtGetVersion"},
#else
    {"cuBLASLt", {"libcublasLt.so.12", "libcublasLt.so", nullptr}, "cublasLtGetVersion"},
#endif
    {"NCCL", {"libnccl.so.2", "libnccl.so", nullptr}, "ncclGetVersion"},
};

Library         opened[kLibraries];
pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// A line that is built piece by piece and cut where it is full.
struct Line {
    char  *text;
    size_t bytes, used;
};

__attribute__((format(printf, 2, 3)))
void add(Line *line, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    const int n = vsnprintf(line->text + line->used, line->bytes - line->used, format, values);
    va_end(values);
    if (n > 0) line->used += static_cast<size_t>(n);
    if (line->used >= line->bytes) line->used = line->bytes - 1;
}

void add_place(Line *tried, const char *words, const char *folder)
{
    add(tried, "%s%s%s", tried->used == 0 ? "" : ", ", words, folder);
}

// Opens the first of the files that the folder has. False: one is there and does not load, `why` says so.
bool open_in(const Wanted &wanted, const char *folder, void **handle, Line *tried, Line *why)
{
    char path[PATH_MAX];
    for (const char *file : wanted.files) {
        if (file == nullptr || snprintf(path, sizeof path, "%s/%s", folder, file) >= static_cast<int>(sizeof path))
            continue;
        if (access(path, F_OK) != 0) continue;
        *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (*handle != nullptr) return true;
        add(why, "%s does not load: %s", path, dlerror());
        return false;
    }
    add_place(tried, "in ", folder);
    return true;
}

// not run on the stand-in: it asks no place but the given ones, so that no test finds a library that happens to be there
bool open_on_path(const Wanted &wanted, void **handle, Line *tried, Line *why)
{
    for (const char *file : wanted.files) {
        if (file == nullptr) continue;
        *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        if (*handle != nullptr) return true;
        const char *error = dlerror();
        if (strncmp(error, file, strlen(file)) == 0) continue;     // it is not there; else something that it needs is not
        add(why, "%s does not load: %s", file, error);
        return false;
    }
    add_place(tried, "on the loader's path", "");
    return true;
}

bool open_anywhere(const Wanted &wanted, const char *library_dir, void **handle, Line *tried, Line *why)
{
    if (library_dir != nullptr && !open_in(wanted, library_dir, handle, tried, why)) return false;
    if (*handle != nullptr || kBackendKind == HDL_DEVICE_SIMT) return true;
    if (!open_on_path(wanted, handle, tried, why)) return false;
    const char *home = secure_getenv("CUDA_HOME");   // a program that runs with another's rights takes no paths
    char folder[PATH_MAX];
    if (*handle == nullptr && home != nullptr && home[0] != '\0' &&
        snprintf(folder, sizeof folder, "%s/lib64", home) < static_cast<int>(sizeof folder) &&
        !open_in(wanted, folder, handle, tried, why))
        return false;
    return *handle != nullptr || open_in(wanted, "/usr/local/cuda/lib64", handle, tried, why);
}

int ask_version(LibraryName name, const Library &library)
{
    size_t (*cublas)(void) = nullptr;
    int (*nccl)(int *)     = nullptr;                // an ncclResult_t, 0 on success
    int version            = 0;
    if (name == kCublasLt && library_function(library, kWanted[name].version, &cublas))
        version = static_cast<int>(cublas());
    else if (name == kNccl && library_function(library, kWanted[name].version, &nccl) && nccl(&version) != 0)
        version = 0;
    return version;
}

// What the loader opened, in one line.
void describe_opened(LibraryName name, Library *library)
{
    link_map *map = nullptr;
    library->path    = dlinfo(library->handle, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr ? map->l_name : "";
    library->version = ask_version(name, *library);
    const int v      = library->version;
    Line line        = {library->line, sizeof library->line, 0};
    add(&line, "%s ", kWanted[name].name);
    if (v > 0) add(&line, "%d.%d.%d", v / 10000, v / 100 % 100, v % 100);
    else add(&line, "of an unknown version");
    add(&line, ": %s", library->path);
}

void describe_missing(const Wanted &wanted, const Line &tried, const Line &why, Library *library)
{
    Line line = {library->line, sizeof library->line, 0};
    if (why.used != 0) {
        add(&line, "%s: %s", wanted.name, why.text);
        return;
    }
    add(&line, "%s not found: ", wanted.name);
    for (int i = 0; i < kFiles && wanted.files[i] != nullptr; ++i)
        add(&line, "%s%s", i == 0 ? "" : ", ", wanted.files[i]);
    if (tried.used != 0) add(&line, " looked for %s", tried.text);
    else add(&line, "; the stand-in looks in hdl_device_options.library_dir only, which is not set");
}

}  // namespace

bool library_find(LibraryName name, const char *library_dir, Library *found)
{
    (void)pthread_mutex_lock(&lock);
    Library &kept = opened[name];
    if (kept.handle == nullptr) {
        char tried_text[kLibraryLineBytes] = "", why_text[kLibraryLineBytes] = "";
        Line tried = {tried_text, sizeof tried_text, 0}, why = {why_text, sizeof why_text, 0};
        (void)open_anywhere(kWanted[name], library_dir, &kept.handle, &tried, &why);
        if (kept.handle != nullptr) describe_opened(name, &kept);
        else describe_missing(kWanted[name], tried, why, &kept);
    }
    *found = kept;
    (void)pthread_mutex_unlock(&lock);
    return found->handle != nullptr;
}

hdl_status library_open(hdl_backend_device *device, LibraryName name, Library *found)
{
    if (library_find(name, device->library_dir, found)) return HDL_OK;
    return fail(device, HDL_EBACKEND, "%s: %s", kBackendName, found->line);
}

void library_list(const char *library_dir, char *text, size_t bytes)
{
    Line lines = {text, bytes, 0};
    text[0]    = '\0';
    if (kBackendKind == HDL_DEVICE_SIMT && library_dir == nullptr) return;     // it looks nowhere
    for (int i = 0; i < kLibraries; ++i) {
        Library found = {};
        (void)library_find(static_cast<LibraryName>(i), library_dir, &found);
        add(&lines, "%s%s", i == 0 ? "" : "\n", found.line);
    }
}

void *library_symbol(const Library &library, const char *symbol) { return dlsym(library.handle, symbol); }

}  // namespace hdl
