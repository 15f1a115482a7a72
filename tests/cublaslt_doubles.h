/*
 * cublaslt_doubles.h - the doubles of cuBLASLt (doubles/fake_cublaslt.c) for tests: where each lies, a device that takes one.
 */
#ifndef HEDDLE_TESTS_CUBLASLT_DOUBLES_H
#define HEDDLE_TESTS_CUBLASLT_DOUBLES_H

#include "simt_calls.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <stdio.h>

static inline void expect_line(const char *words)
{
    cr_expect(strstr(op_services_line(), words) != NULL, "\"%s\" does not say \"%s\"", op_services_line(), words);
}

static inline const char *folder_of(const char *name)
{
    static char folder[4096];
    snprintf(folder, sizeof folder, "%s/../cublaslt/%s", HEDDLE_TEST_PLUGINS, name);
    return folder;
}

/* Whether the doubles were built; the line that says skipped is printed here. */
static inline bool has_double(const char *name)
{
    char file[4200];
    if (op_library("simt") == NULL) {
        printf("skipped: no double of cuBLASLt: the stand-in is not built here\n");
        return false;
    }
    snprintf(file, sizeof file, "%s/libcublasLt.so.13", folder_of(name));
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) printf("skipped: no double of cuBLASLt: %s\n", dlerror());
    return library != NULL;
}

/* With products by the library. */
static inline hdl_status open_device(const hdl_backend *backend, const char *library_dir, hdl_backend_device **device)
{
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.products = HDL_PRODUCTS_CUBLASLT;
    options.library_dir = library_dir;
    return backend->open(0, &options, &op_services, device);
}

#endif
