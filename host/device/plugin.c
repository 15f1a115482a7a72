/* plugin.c - opens backend libraries on demand and checks them before anything in them is called. */
#define _GNU_SOURCE     /* dladdr */
#include "device/plugin.h"

#include "base/memory.h"

#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRY_SYMBOL "hdl_backend_v1"

/* The list of loaded backends: the one mutable thing that all devices share. */
static struct { const char *name, *file; const hdl_backend *table; } plugins[] = {
    {"cuda", "libheddle-cuda.so", NULL},
    {"simt", "libheddle-simt.so", NULL},
};
static pthread_mutex_t plugins_lock = PTHREAD_MUTEX_INITIALIZER;

typedef enum place { PLACE_GIVEN, PLACE_LIBRARY, PLACE_PROGRAM, PLACE_PROGRAM_LIB, N_PLACES } place;

static bool cut_file_name(char *path)
{
    char *slash = strrchr(path, '/');
    if (slash == NULL) return false;
    *slash = '\0';
    return true;
}

/* The folder of a place; false when this process has none. */
static bool find_folder(place where, const char *library_dir, char folder[PATH_MAX])
{
    Dl_info self;
    ssize_t n;
    switch (where) {
    case PLACE_GIVEN:
        return library_dir != NULL && snprintf(folder, PATH_MAX, "%s", library_dir) < PATH_MAX;
    case PLACE_LIBRARY: /* of a static program the name may be relative to a folder long left: PLACE_PROGRAM serves
                           it */
        return dladdr(plugins, &self) != 0 && self.dli_fname != NULL && realpath(self.dli_fname, folder) != NULL &&
               cut_file_name(folder);
    case PLACE_PROGRAM:
    case PLACE_PROGRAM_LIB:
        n = readlink("/proc/self/exe", folder, PATH_MAX - 1);
        if (n <= 0) return false;
        folder[n] = '\0';
        if (!cut_file_name(folder)) return false;
        if (where == PLACE_PROGRAM) return true;
        return cut_file_name(folder) && strlen(folder) + sizeof "/lib" <= PATH_MAX && strcat(folder, "/lib") != NULL;
    case N_PLACES:
        break;
    }
    return false;
}

/* Opens the library where it is first found. A file that is there and does not load ends the search: hiding it
 * behind a later place's "not found" would send its owner the wrong way. */
static hdl_status open_library(const char *name, const char *file, const char *library_dir, void **library)
{
    hdl_status status = HDL_OK;
    char folder[PATH_MAX], path[PATH_MAX + NAME_MAX], last[PATH_MAX] = "";
    hdl__str tried = {0};
    void *opened = NULL;
    for (int where = 0; where < N_PLACES && opened == NULL; where++) {
        if (!find_folder((place)where, library_dir, folder) || strcmp(folder, last) == 0) continue;
        memcpy(last, folder, sizeof last);
        if (snprintf(path, sizeof path, "%s/%s", folder, file) >= (int)sizeof path) continue;
        hdl__str_printf(&tried, "%s, ", folder);
        if (access(path, F_OK) != 0) continue;
        opened = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        HDL_CHECK(opened != NULL, HDL_EBACKEND, "%s: %s does not load: %s", name, path, dlerror());
    }
    if (opened == NULL) {
        opened = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        const char *why = opened == NULL ? dlerror() : "";
        /* otherwise the loader names a library that this one needs */
        const bool absent = strncmp(why, file, strlen(file)) == 0;
        HDL_CHECK(opened != NULL || absent, HDL_EBACKEND, "%s: %s does not load: %s", name, file, why);
        HDL_CHECK(!tried.failed, HDL_ENOMEM, "%s: out of memory while looking for %s", name, file);
        HDL_CHECK(opened != NULL, HDL_EBACKEND, "%s: library missing: %s is not in %sand not on the loader's path",
                  name, file, tried.data == NULL ? "" : tried.data);
    }
    *library = opened;
done:
    hdl__str_free(&tried);
    return status;
}

/* The first two fields have stood at the same place since ABI 1; the rest is read once they agree. Fields may come in the
 * middle, so a table of any other size is another table. */
static hdl_status check_table(const char *name, const char *file, const hdl_backend *table)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(table != NULL, HDL_EBACKEND, "%s: %s returned no table", name, file);
    HDL_CHECK(table->abi == HDL_BACKEND_ABI, HDL_EBACKEND,
              "%s: ABI mismatch: %s was built for ABI %u, this library speaks %u", name, file, table->abi,
              (unsigned)HDL_BACKEND_ABI);
    HDL_CHECK(table->struct_bytes == sizeof *table, HDL_EBACKEND,
              "%s: ABI mismatch: the table of %s has %zu bytes, this library needs %zu", name, file,
              table->struct_bytes, sizeof *table);
    HDL_CHECK(table->name != NULL && strcmp(table->name, name) == 0, HDL_EBACKEND, "%s: %s is the backend \"%s\"",
              name, file, table->name == NULL ? "" : table->name);
    bool whole = table->open != NULL && table->close != NULL && table->describe != NULL && table->alloc != NULL &&
                 table->free != NULL && table->stream_create != NULL && table->stream_close != NULL &&
                 table->stream_wait != NULL && table->upload != NULL && table->download != NULL;
    HDL_CHECK(whole, HDL_EBACKEND, "%s: the table of %s lacks a function for devices, memory or streams", name, file);
done:
    return status;
}

hdl_status hdl__plugin_load(const char *name, const char *file, const char *library_dir, const hdl_backend **table)
{
    hdl_status status = HDL_OK;
    void *library = NULL;
    HDL_TRY(open_library(name, file, library_dir, &library));
    void *symbol = dlsym(library, ENTRY_SYMBOL);
    HDL_CHECK(symbol != NULL, HDL_EBACKEND, "%s: %s is no heddle backend: it has no symbol " ENTRY_SYMBOL, name, file);
    hdl_backend_fn entry;
    _Static_assert(sizeof entry == sizeof symbol, "POSIX: a function's address fits a data pointer");
    memcpy(&entry, &symbol, sizeof entry);
    const hdl_backend *found = entry();
    HDL_TRY(check_table(name, file, found));
    *table = found;
done:
    return status;
}

static size_t find_plugin(const char *name)
{
    size_t i = 0;
    while (i < sizeof plugins / sizeof plugins[0] && strcmp(plugins[i].name, name) != 0) i++;
    return i;
}

void hdl__plugin_provide(const char *name, const hdl_backend *table)
{
    pthread_mutex_lock(&plugins_lock);
    const size_t i = find_plugin(name);
    if (i < sizeof plugins / sizeof plugins[0]) plugins[i].table = table;
    pthread_mutex_unlock(&plugins_lock);
}

hdl_status hdl__plugin_table(const char *name, const char *library_dir, const hdl_backend **table)
{
    hdl_status status = HDL_OK;
    pthread_mutex_lock(&plugins_lock);
    const size_t i = find_plugin(name);
    HDL_CHECK(i < sizeof plugins / sizeof plugins[0], HDL_EINVAL, "device: no backend is called \"%s\"", name);
    if (plugins[i].table == NULL) HDL_TRY(hdl__plugin_load(name, plugins[i].file, library_dir, &plugins[i].table));
    *table = plugins[i].table;
done:
    pthread_mutex_unlock(&plugins_lock);
    return status;
}
