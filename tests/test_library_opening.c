/*
 * test_library_opening.c - what opening a device with cuBLASLt's products says when the library is missing or wrong; where
 * the optional libraries are looked for and how they are listed.
 */
#include "cublaslt_doubles.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A build without the toolkit's header offers none, in words. */
static bool is_offered(const hdl_backend *simt)
{
    hdl_backend_device *device = NULL;
    const bool offered = open_device(simt, NULL, &device) != HDL_ENOSUPPORT;
    if (!offered) expect_line("simt: products: this library was built without cublasLt.h");
    if (!offered) printf("skipped: %s\n", op_services_line());
    return offered;
}

static void expect_refusal(const char *name, hdl_status status, const char *words)
{
    if (!has_double(name)) return;
    hdl_backend_device *device = NULL;
    const size_t before = used_bytes();
    cr_expect_eq(open_device(op_library("simt"), folder_of(name), &device), status);
    expect_line(words);
    cr_expect(device == NULL && used_bytes() == before);
}

Test(library_opening, a_missing_function_is_named)
{
    expect_refusal("no_symbol", HDL_EBACKEND, "libcublasLt.so.13 has no function cublasLtMatmulAlgoGetHeuristic");
}

Test(library_opening, a_library_that_does_not_start_says_so)
{
    expect_refusal("no_start", HDL_EDEVICE, "libcublasLt.so.13 does not start: CUBLAS_STATUS_NOT_INITIALIZED");
}

Test(library_opening, other_descriptors_are_refused)
{
    expect_refusal("other_sizes", HDL_EBACKEND, "libcublasLt.so.13 has other descriptors than this backend was built for: "
                   "cublasLtMatmulDescInit: CUBLAS_STATUS_INVALID_VALUE");
}

Test(library_opening, an_old_version_is_named)
{
    expect_refusal("old", HDL_EBACKEND, "simt: products: cuBLASLt 11.9.0: ");
    if (has_double("old")) expect_line(": this backend speaks to cuBLASLt 12 to ");
}

Test(library_opening, a_missing_library_says_where_it_was_looked_for)
{
    const hdl_backend *simt = op_library("simt");
    if (simt == NULL) return;
    hdl_backend_device *device = NULL;
    if (!is_offered(simt)) return;
    cr_expect_eq(open_device(simt, HEDDLE_SOURCE_DIR, &device), HDL_EBACKEND);
    expect_line("cuBLASLt not found: libcublasLt.so.13, libcublasLt.so.12, libcublasLt.so looked for in " HEDDLE_SOURCE_DIR);
    cr_expect_eq(open_device(simt, NULL, &device), HDL_EBACKEND);
    expect_line("the stand-in looks in hdl_device_options.library_dir only, which is not set");
    cr_expect_null(device);
}

/* A file that is there and is no library ends the search: it is named. */
Test(library_opening, a_broken_file_is_named)
{
    const hdl_backend *simt = op_library("simt");
    if (simt == NULL) return;
    char folder[] = "/tmp/heddle-library-XXXXXX", file[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(file, sizeof file, "%s/libcublasLt.so.12", folder);
    FILE *out = fopen(file, "w");
    cr_assert(out != NULL && fputs("no library", out) >= 0 && fclose(out) == 0);
    char lines[HDL_DEVICE_LIBRARIES_BYTES];
    simt->libraries(folder, lines, sizeof lines);
    unlink(file);
    rmdir(folder);
    cr_expect_eq(strncmp(lines, "cuBLASLt: /tmp/heddle-library-", 30), 0, "%s", lines);
    cr_expect(strstr(lines, "/libcublasLt.so.12 does not load: ") != NULL, "%s", lines);
}

/* A library is opened once for the process; one that was not found is looked for again. */
Test(library_opening, the_first_that_is_found_stays)
{
    if (!has_double("sound")) return;
    const hdl_backend *simt = op_library("simt");
    char lines[HDL_DEVICE_LIBRARIES_BYTES];
    hdl_backend_device *device = NULL;
    simt->libraries(NULL, lines, sizeof lines);
    cr_expect_str_eq(lines, "");
    simt->libraries(HEDDLE_SOURCE_DIR, lines, sizeof lines);
    cr_expect_eq(strncmp(lines, "cuBLASLt not found: ", 20), 0, "%s", lines);
    cr_expect(strstr(lines, "\nNCCL not found: libnccl.so.2, libnccl.so looked for in " HEDDLE_SOURCE_DIR) != NULL, "%s", lines);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(open_device(simt, folder_of(i == 0 ? "sound" : "no_start"), &device), HDL_OK, "%s", op_services_line());
        simt->close(device);
        simt->libraries(i == 0 ? HEDDLE_SOURCE_DIR : NULL, lines, sizeof lines);
        if (i == 1) continue;
        cr_expect_eq(strncmp(lines, "cuBLASLt 13.0.2: /", 18), 0, "%s", lines);
        cr_expect(strstr(lines, "/sound/libcublasLt.so.13\nNCCL not found: ") != NULL, "%s", lines);
    }
}

/* A text that is too long for its buffer is cut, and still ends. */
Test(library_opening, a_short_buffer_is_no_harm)
{
    const hdl_backend *simt = op_library("simt");
    if (simt == NULL) return;
    char lines[16];
    memset(lines, 'x', sizeof lines);
    simt->libraries(HEDDLE_SOURCE_DIR, lines, sizeof lines / 2);
    cr_expect(strcmp(lines, "cuBLASL") == 0 && lines[sizeof lines / 2] == 'x', "%.15s", lines);
}

/* Through the public calls: the device says whose products it takes, and counts as matrices are packed. */
Test(library_opening, a_device_says_whose_products_it_takes)
{
    if (!has_double("sound")) return;
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.library_dir = HEDDLE_BACKENDS;
    hdl_device *device = NULL;
    hdl_device_info info = HDL_DEVICE_INFO_INIT;
    cr_assert_eq(hdl_device_open("simt", &options, &device), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl_device_describe(device, &info), HDL_OK);
    cr_expect(info.products == NULL && info.library_weights == 0 && info.refused_weights == 0);
    hdl_device_close(device);
    options.library_dir = folder_of("sound");
    options.products = HDL_PRODUCTS_CUBLASLT;
    cr_assert_eq(hdl_device_open("simt", &options, &device), HDL_OK, "%s", hdl_error_detail());
    static const float values[8 * 16] = {1.0f};
    const hdl_pack_part part = {values, HDL_F32, 8, 0, NULL, 0};
    hdl_pack_args args = HDL_PACK_ARGS_INIT;
    args.parts = &part, args.n_parts = 1, args.N = 8, args.K = 16, args.use = HDL_PACK_FOR_GEMM;
    hdl_weight *w = NULL;
    cr_assert_eq(hdl_weight_pack(device, &args, &w), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl_device_describe(device, &info), HDL_OK);
    cr_expect_str_eq(info.products, "cuBLASLt 13.0.2");
    cr_expect(strstr(info.description, "; products: cuBLASLt 13.0.2") != NULL, "%s", info.description);
    cr_expect(info.library_weights == 1 && info.refused_weights == 0);
    hdl_weight_close(device, w);
    hdl_device_close(device);
    cr_assert_eq(hdl_device_open("cpu", &options, &device), HDL_OK, "%s", hdl_error_detail());
    hdl_device_close(device);       /* it has no cuBLASLt, and takes its own products */
}

/* The library that is installed, without a GPU: it has every function that we call, and says that it cannot start. */
Test(library_opening, the_real_library_has_every_function)
{
    const hdl_backend *cuda = op_library("cuda"), *simt = op_library("simt");
    if (cuda == NULL || simt == NULL || !is_offered(simt)) return;
    char lines[HDL_DEVICE_LIBRARIES_BYTES] = "", folder[HDL_DEVICE_LIBRARIES_BYTES];
    cr_assert_eq(cuda->struct_bytes, sizeof *cuda, "libheddle-cuda.so is of another build");
    cuda->libraries(NULL, lines, sizeof lines);
    printf("%s\n", lines);
    cr_expect(strncmp(lines, "cuBLASLt ", 9) == 0 && strstr(lines, "\nNCCL ") != NULL);
    const char *path = strstr(lines, ": /");
    const size_t line = strcspn(lines, "\n");
    if (path == NULL || path > lines + line || strstr(lines, "not found") == lines + 9) {
        printf("skipped: no cuBLASLt here\n");
        return;
    }
    snprintf(folder, sizeof folder, "%.*s", (int)(lines + line - path - 2), path + 2);
    *strrchr(folder, '/') = '\0';
    hdl_backend_device *device = NULL;
    const hdl_status status = open_device(simt, folder, &device);
    if (status == HDL_OK) simt->close(device);      /* there is a GPU */
    else cr_expect_eq(status, HDL_EDEVICE);
    if (status != HDL_OK) expect_line(" does not start: CUBLAS_STATUS_");
}
