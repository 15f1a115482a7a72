/* test_device.c - opening devices by name, plug-ins and what can be wrong with them. */
#include "base/memory.h"
#include "device/plugin.h"
#include "fake_backend.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A folder where a plug-in of tests/plugins has the name that the library looks for. */
typedef struct plugin_folder { char path[64], link[128]; } plugin_folder;

static plugin_folder put_plugin(const char *plugin, const char *as)
{
    plugin_folder folder = {.path = "/tmp/heddle-plugins-XXXXXX"};
    char target[4096];
    cr_assert(mkdtemp(folder.path) != NULL);
    snprintf(folder.link, sizeof folder.link, "%s/libheddle-%s.so", folder.path, as);
    snprintf(target, sizeof target, "%s/%s.so", HEDDLE_TEST_PLUGINS, plugin);
    cr_assert_eq(access(target, R_OK), 0, "%s is not built", target);
    cr_assert_eq(symlink(target, folder.link), 0);
    return folder;
}

static void take_away(const plugin_folder *folder)
{
    unlink(folder->link);
    rmdir(folder->path);
}

static hdl_device_options look_in(const char *folder)
{
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.library_dir = folder;
    return options;
}

Test(device, names_that_are_none)
{
    static const struct { const char *name, *words;
    } rows[] = {
        {NULL, "device: name is NULL, allowed cpu, cuda, cuda:N, simt, simt:N, auto (a translator also takes cuda:0,1 and cuda:all)"},
        {"", "device: \"\" is not one of cpu, cuda, cuda:N, simt, simt:N, auto (a translator also takes cuda:0,1 and cuda:all)"},
        {"gpu", "device: \"gpu\" is not one of cpu, cuda, cuda:N, simt, simt:N, auto (a translator also takes cuda:0,1 and cuda:all)"},
        {"CPU", "device: \"CPU\" is not one of cpu, cuda, cuda:N, simt, simt:N, auto (a translator also takes cuda:0,1 and cuda:all)"},
        {"cpu:0", "device: \"cpu:0\" is not one of cpu, cuda, cuda:N, simt, simt:N, auto (a translator also takes cuda:0,1 and cuda:all)"},
        {"cudax", "device: \"cudax\" is not one of cpu, cuda, cuda:N, simt, simt:N, auto (a translator also takes cuda:0,1 and cuda:all)"},
        {"cuda:", "device: \"cuda:\": after cuda: stands a number, 0 to 1023"},
        {"cuda:x", "device: \"cuda:x\": after cuda: stands a number, 0 to 1023"},
        {"cuda:-1", "device: \"cuda:-1\": after cuda: stands a number, 0 to 1023"},
        {"cuda:1x", "device: \"cuda:1x\": after cuda: stands a number, 0 to 1023"},
        {"cuda:1024", "device: \"cuda:1024\": after cuda: stands a number, 0 to 1023"},
        {"cuda:99999999999999999999",
         "device: \"cuda:99999999999999999999\": after cuda: stands a number, 0 to 1023"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hdl_device *device = NULL;
        cr_expect_eq(hdl_device_open(rows[i].name, NULL, &device), HDL_EINVAL, "row %zu", i);
        cr_expect_str_eq(hdl_error_detail(), rows[i].words);
        cr_expect_null(device);
    }
    cr_expect_eq(hdl_device_open("cpu", NULL, NULL), HDL_EINVAL);
}

Test(device, options_that_are_wrong)
{
    const hdl_memory_hooks half = {NULL, NULL, NULL};
    const struct { hdl_device_options options; const char *words;
    } rows[] = {
        {{7, NULL, NULL, HDL_ISA_AUTO, HDL_PRODUCTS_AUTO}, "device: options: struct_bytes = 7, allowed "},
        {{sizeof(hdl_device_options), NULL, &half, HDL_ISA_AUTO, HDL_PRODUCTS_AUTO},
         "device: options.hooks needs both alloc and free"},
        {{sizeof(hdl_device_options), NULL, NULL, (hdl_isa)9, HDL_PRODUCTS_AUTO},
         "device: options.isa = 9, allowed 0 to 3"},
        {{sizeof(hdl_device_options), NULL, NULL, HDL_ISA_AUTO, (hdl_products)4},
         "device: options.products = 4, allowed 0 to 3"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hdl_device *device = NULL;
        cr_expect_eq(hdl_device_open("cpu", &rows[i].options, &device), HDL_EINVAL, "row %zu", i);
        cr_expect_eq(strncmp(hdl_error_detail(), rows[i].words, strlen(rows[i].words)), 0, "%s", hdl_error_detail());
        cr_expect_null(device);
    }
}

Test(device, cpu_has_memory_and_a_description)
{
    hdl_device *device = NULL;
    hdl_device_info info = HDL_DEVICE_INFO_INIT;
    void *block = NULL;
    cr_assert_eq(hdl_device_open("cpu", NULL, &device), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(hdl_device_describe(device, &info), HDL_OK);
    cr_expect(info.name != NULL && info.description != NULL && info.description[0] != '\0');
    cr_expect_eq(hdl_device_alloc(device, 1000, &block), HDL_OK);
    for (int i = 0; i < 1000; i++) cr_assert_eq(((char *)block)[i], 0);
    hdl_device_free(device, block, 1000);
    hdl_device_free(device, NULL, 0);
    hdl_device_free(NULL, NULL, 0);

    cr_expect_eq(hdl_device_alloc(device, 0, &block), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "alloc: bytes = 0, allowed 1 and more");
    cr_expect_eq(hdl_device_alloc(device, 1, NULL), HDL_EINVAL);
    cr_expect_eq(hdl_device_alloc(NULL, 1, &block), HDL_EINVAL);
    cr_expect_eq(hdl_device_describe(NULL, &info), HDL_EINVAL);
    cr_expect_eq(hdl_device_describe(device, NULL), HDL_EINVAL);
    info.struct_bytes = 0;
    cr_expect_eq(hdl_device_describe(device, &info), HDL_EINVAL);
    hdl_device_close(device);
    hdl_device_close(NULL);
}

/* Each spoiled plug-in is told apart in words. */
Test(device, plugins_that_are_refused)
{
    static const struct { const char *file, *name, *begin, *also;
    } rows[] = {
        {"absent.so", "simt", "simt: library missing: absent.so is not in " HEDDLE_TEST_PLUGINS ", ",
         "not on the loader's path"},
        {"wrong_abi.so", "simt", "simt: ABI mismatch: wrong_abi.so was built for ABI 2, this library speaks 1", ""},
        {"small_table.so", "simt", "simt: ABI mismatch: the table of small_table.so has ",
         " bytes, this library needs "},
        {"large_table.so", "simt", "simt: ABI mismatch: the table of large_table.so has ",
         " bytes, this library needs "},
        {"no_symbol.so", "simt", "simt: no_symbol.so is no heddle backend: it has no symbol hdl_backend_v1", ""},
        {"no_table.so", "simt", "simt: no_table.so returned no table", ""},
        {"wrong_name.so", "simt", "simt: wrong_name.so is the backend \"other\"", ""},
        {"lacks_alloc.so", "simt", "simt: the table of lacks_alloc.so lacks a function", ""},
        {"unresolved.so", "simt",
         "simt: " HEDDLE_TEST_PLUGINS "/unresolved.so does not load: ", "hdl_nobody_has_this"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const hdl_backend *table = NULL;
        cr_expect_eq(hdl__plugin_load(rows[i].name, rows[i].file, HEDDLE_TEST_PLUGINS, &table), HDL_EBACKEND,
                     "row %zu", i);
        const char *detail = hdl_error_detail();
        cr_expect_eq(strncmp(detail, rows[i].begin, strlen(rows[i].begin)), 0, "%s", detail);
        cr_expect(strstr(detail, rows[i].also) != NULL, "%s", detail);
        cr_expect_null(table);
    }
    const hdl_backend *table = NULL;
    cr_expect_eq(hdl__plugin_load("simt", "good_simt.so", HEDDLE_TEST_PLUGINS, &table), HDL_OK, "%s",
                 hdl_error_detail());
    cr_expect(table != NULL && strcmp(table->name, "simt") == 0);
    cr_expect_eq(hdl__plugin_table("metal", NULL, &table), HDL_EINVAL);
}

Test(device, a_plugin_is_loaded_once)
{
    const plugin_folder folder = put_plugin("good_simt", "simt");
    const hdl_device_options options = look_in(folder.path);
    hdl_device *device = NULL, *again = NULL;
    cr_assert_eq(hdl_device_open("simt", &options, &device), HDL_OK, "%s", hdl_error_detail());
    take_away(&folder);
    cr_assert_eq(hdl_device_open("simt", NULL, &again), HDL_OK, "the list of loaded backends knows it: %s",
                 hdl_error_detail());
    cr_expect_eq(hdl__device_table(device), hdl__device_table(again));
    hdl_device_close(device);
    hdl_device_close(again);
}

/* A failure is not remembered: the library may be put in place later. */
Test(device, a_missing_plugin_may_arrive)
{
    hdl_device *device = NULL;
    hdl_device_options options = look_in("/nowhere");
    if (hdl_device_open("simt", &options, &device) == HDL_OK) {     /* one is installed on this machine */
        hdl_device_close(device);
        return;
    }
    cr_expect(strstr(hdl_error_detail(), "simt: library missing: libheddle-simt.so is not in /nowhere, ") != NULL,
              "%s", hdl_error_detail());
    const plugin_folder folder = put_plugin("good_simt", "simt");
    options = look_in(folder.path);
    cr_expect_eq(hdl_device_open("simt", &options, &device), HDL_OK, "%s", hdl_error_detail());
    take_away(&folder);
    hdl_device_close(device);
}

Test(device, cuda_devices_are_numbered)
{
    const plugin_folder folder = put_plugin("two_devices", "cuda");
    const hdl_device_options options = look_in(folder.path);
    static const struct {
        const char *name;
        int index;
    } rows[] = {{"cuda", 0}, {"cuda:0", 0}, {"cuda:1", 1}, {"auto", 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hdl_device *device = NULL;
        hdl_device_info info = HDL_DEVICE_INFO_INIT;
        cr_assert_eq(hdl_device_open(rows[i].name, &options, &device), HDL_OK, "%s", hdl_error_detail());
        cr_expect_eq(hdl_device_describe(device, &info), HDL_OK);
        cr_expect_eq(info.index, rows[i].index);
        cr_expect_str_eq(info.name, "plug-in");
        hdl_device_close(device);
    }
    hdl_device *device = NULL;
    cr_expect_eq(hdl_device_open("cuda:2", &options, &device), HDL_EDEVICE);
    cr_expect_str_eq(hdl_error_detail(), "cuda: no such device: there are 2");

    static const struct { const char *name; hdl_status status; const char *line;
    } list[] = {{"cpu", HDL_OK, NULL},
                {"cuda:0", HDL_OK, "the first"},
                {"cuda:1", HDL_OK, "another"},
                {"simt", HDL_EBACKEND, NULL}};
    for (int i = 0; i < 4; i++) {
        hdl_device_entry entry = HDL_DEVICE_ENTRY_INIT;
        cr_assert_eq(hdl_device_list(&options, i, &entry), HDL_OK, "%s", hdl_error_detail());
        cr_expect_str_eq(entry.name, list[i].name);
        if (i < 3) cr_expect_eq(entry.status, list[i].status);
        if (list[i].line != NULL) cr_expect_str_eq(entry.line, list[i].line);
        cr_expect_gt(strlen(entry.line), 0);
    }
    hdl_device_entry entry = HDL_DEVICE_ENTRY_INIT;
    cr_expect_eq(hdl_device_list(&options, 4, &entry), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "device list: i = 4, allowed 0 to 3");
    cr_expect_eq(entry.name[0], '\0');
    cr_expect_eq(hdl_device_list(&options, -1, &entry), HDL_EINVAL);
    cr_expect_eq(hdl_device_list(&options, 0, NULL), HDL_EINVAL);
    entry.struct_bytes = 1;
    cr_expect_eq(hdl_device_list(&options, 0, &entry), HDL_EINVAL);
    take_away(&folder);
}

static char logged[1024];
static void keep_line(hdl_log_level level, const char *line, void *user)
{
    (void)user;
    snprintf(logged, sizeof logged, "%d %s", (int)level, line);
}

Test(device, auto_falls_back_and_says_why)
{
    const plugin_folder folder = put_plugin("no_driver", "cuda");
    const hdl_device_options options = look_in(folder.path);
    hdl_device *device = NULL;
    cr_expect_eq(hdl_device_open("cuda", &options, &device), HDL_EDEVICE);
    cr_expect_str_eq(hdl_error_detail(), "cuda: no driver is installed");
    cr_expect_null(device);
    hdl_log_set(keep_line, HDL_LOG_INFO, NULL);
    cr_assert_eq(hdl_device_open("auto", &options, &device), HDL_OK, "%s", hdl_error_detail());
    cr_expect_str_eq(logged, "2 device auto: cpu, because cuda: no driver is installed");
    cr_expect_str_eq(hdl__device_table(device)->name, "cpu");
    hdl_device_close(device);

    static const struct { const char *name; hdl_status status; } list[] = {
        {"cpu", HDL_OK}, {"cuda", HDL_EDEVICE}, {"simt", HDL_EBACKEND}};
    for (int i = 0; i < 3; i++) {
        hdl_device_entry entry = HDL_DEVICE_ENTRY_INIT;
        cr_assert_eq(hdl_device_list(&options, i, &entry), HDL_OK, "%s", hdl_error_detail());
        cr_expect_str_eq(entry.name, list[i].name);
        if (i < 2) cr_expect_eq(entry.status, list[i].status);
        if (i == 1) cr_expect_str_eq(entry.line, "cuda: no driver is installed");
    }
    hdl_device_entry entry = HDL_DEVICE_ENTRY_INIT;
    cr_expect_eq(hdl_device_list(&options, 3, &entry), HDL_EINVAL);
    take_away(&folder);
}

/* Every allocation on the way fails once: the words say memory, nothing leaks. */
Test(device, out_of_memory_while_opening)
{
    const plugin_folder folder = put_plugin("good_simt", "simt");
    const hdl_device_options options = look_in(folder.path);
    const hdl_backend *table;
    hdl__alloc_fail_at(1);      /* the list of places tried, which only a failure needs */
    cr_assert_eq(hdl__plugin_table("simt", folder.path, &table), HDL_OK, "%s", hdl_error_detail());
    uint64_t n_refused = 0;
    bool reached = true;
    for (uint64_t n = 1; reached; n++) {
        const uint64_t before = hdl__alloc_count();
        hdl_device *device = NULL;
        hdl__counters *counters = NULL;
        hdl__alloc_fail_at(n);
        const hdl_status status = hdl__device_open_counted("simt", &options, &counters, &device);
        hdl__alloc_fail_at(0);
        reached = hdl__alloc_count() - before >= n;
        cr_expect_eq(status, reached ? HDL_ENOMEM : HDL_OK, "allocation %d: %s", (int)n, hdl_error_detail());
        cr_expect_eq(device == NULL, status != HDL_OK);
        cr_expect_eq(counters == NULL, status != HDL_OK);
        n_refused += status != HDL_OK;
        hdl_device_close(device);
    }
    cr_expect_eq(n_refused, 4);    /* the device, the backend's device, the counters, the wrapper */
    take_away(&folder);
}
