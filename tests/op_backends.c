/* op_backends.c - backend libraries of the build folder for tests that call their tables directly.
 */
#include "op_fixture.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 512, SERVICE_ALIGN = 64 };

static _Thread_local char last_line[LINE_BYTES] = "no failure was reported";

static hdl_status keep_line(hdl_status status, const char *line)
{
    snprintf(last_line, sizeof last_line, "%s", line);
    return status;
}

static void *lend(size_t bytes)
{
    const size_t whole = (bytes + SERVICE_ALIGN) / SERVICE_ALIGN * SERVICE_ALIGN;
    void *block = aligned_alloc(SERVICE_ALIGN, whole);
    return block != NULL ? memset(block, 0, whole) : NULL;
}

const hdl_backend_host op_services = {sizeof op_services, keep_line, lend, free};

const char *op_services_line(void) { return last_line; }

static void *open_library(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/libheddle-%s.so", HEDDLE_BACKENDS, name);
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

const hdl_backend *op_library(const char *name)
{
    void *library = open_library(name);
    if (library == NULL) {
        printf("skipped: %s: %s\n", name, dlerror());
        return NULL;
    }
    void *symbol = dlsym(library, "hdl_backend_v1");
    hdl_backend_fn table = NULL;
    memcpy(&table, &symbol, sizeof table);
    return table != NULL ? table() : NULL;
}

void *op_symbol(const char *name, const char *symbol)
{
    void *library = open_library(name);
    return library != NULL ? dlsym(library, symbol) : NULL;
}
