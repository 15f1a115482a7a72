/* test_device_names.c - lists of devices: what they mean, and one line for each way to get them wrong. */
#include "device/device_names.h"
#include "device/plugin.h"
#include "replica_backend.h"

#include <criterion/criterion.h>
#include <heddle/heddle.h>
#include <stdio.h>
#include <string.h>

enum { DEVICES = 3 };

static void provide(void)
{
    hdl__plugin_provide("simt", replica_backend(DEVICES));
    hdl__plugin_provide("cuda", replica_backend(DEVICES));      /* names are read the same way */
}

TestSuite(device_names, .init = provide);

Test(device_names, lists)
{
    static const struct { const char *list; int32_t n; const char *names[4]; } rows[] = {
        {"cpu", 1, {"cpu"}},
        {"auto", 1, {"auto"}},
        {"simt", 1, {"simt"}},
        {"simt:2", 1, {"simt:2"}},
        {"simt:0,1", 2, {"simt:0", "simt:1"}},
        {"simt:2,simt:0", 2, {"simt:2", "simt:0"}},
        {"simt,1", 2, {"simt:0", "simt:1"}},
        {"cuda:0,1,cuda:7", 3, {"cuda:0", "cuda:1", "cuda:7"}},
        {"cuda:01,2", 2, {"cuda:1", "cuda:2"}},
        {"simt:all", DEVICES, {"simt:0", "simt:1", "simt:2"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hdl__device_set set;
        cr_assert_eq(hdl__device_set_read(rows[i].list, NULL, &set), HDL_OK, "%s: %s", rows[i].list, hdl_error_detail());
        cr_assert_eq(set.n, rows[i].n, "%s: %d devices", rows[i].list, set.n);
        for (int32_t j = 0; j < set.n; j++) cr_expect_str_eq(set.names[j], rows[i].names[j], "%s", rows[i].list);
    }
}

Test(device_names, lists_that_are_wrong)
{
    static const struct { const char *list, *words; } rows[] = {
        {"simt:0,0", "device: \"simt:0,0\": simt:0 stands there twice"},
        {"simt,simt:0", "device: \"simt,simt:0\": simt:0 stands there twice"},
        {"cpu,cuda:0", "device: \"cpu,cuda:0\": the cpu is one device with a lane per thread; a list takes cuda or simt devices"},
        {"cuda:0,cpu", "device: \"cuda:0,cpu\": devices of one kind work together, found cuda and cpu"},
        {"cuda:0,simt:1", "device: \"cuda:0,simt:1\": devices of one kind work together, found cuda and simt"},
        {"cpu,cpu", "device: \"cpu,cpu\": the cpu is one device with a lane per thread; a list takes cuda or simt devices"},
        {"cpu:0,1", "device: \"cpu:0\" is not one of " HDL__DEVICE_NAMES},
        {"0,1", "device: \"0,1\": the first is a number; a list begins like cuda:0,1"},
        {"cuda:0,", "device: \"cuda:0,\": the part behind a comma is empty"},
        {",cuda:0", "device: \",cuda:0\": the part before the first comma is empty"},
        {"cuda:0,,1", "device: \"cuda:0,,1\": the part behind a comma is empty"},
        {"cuda:0,all", "device: \"all\" is not one of " HDL__DEVICE_NAMES},
        {"cuda:all,1", "device: \"cuda:all,1\": cuda:all is all devices and stands alone"},
        {"cuda:1,auto", "device: \"cuda:1,auto\": auto is one device and stands alone"},
        {"cuda:0,x", "device: \"x\" is not one of " HDL__DEVICE_NAMES},
        {"cuda:0, 1", "device: \" 1\" is not one of " HDL__DEVICE_NAMES},
        {"cuda:0,1024", "device: \"cuda:1024\": after cuda: stands a number, 0 to 1023"},
        {"simt:", "device: \"simt:\": after simt: stands a number, 0 to 1023"},
        {"cpu:all", "device: \"cpu:all\" is not one of " HDL__DEVICE_NAMES},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        hdl__device_set set;
        cr_expect_eq(hdl__device_set_read(rows[i].list, NULL, &set), HDL_EINVAL, "%s", rows[i].list);
        cr_expect_str_eq(hdl_error_detail(), rows[i].words);
    }
}

Test(device_names, lists_that_are_long)
{
    char list[4096] = "cuda:0";
    hdl__device_set set;
    for (int i = 1; i < HDL_MOST_REPLICAS; i++) sprintf(list + strlen(list), ",%d", i);
    cr_expect_eq(hdl__device_set_read(list, NULL, &set), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(set.n, HDL_MOST_REPLICAS);
    strcat(list, ",64");
    cr_expect_eq(hdl__device_set_read(list, NULL, &set), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "device: a list of more than 64 devices");
    memset(list, '1', 2000);
    list[2000] = '\0';
    cr_expect_eq(hdl__device_set_read(list, NULL, &set), HDL_EINVAL);
    cr_expect_str_eq(hdl_error_detail(), "device: a list of 2000 bytes, allowed 1023");
}

/* A number that no device has: how many there are. */
Test(device_names, a_device_that_is_not_there)
{
    hdl_model *model = NULL;
    hdl_translator *t = NULL;
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    cr_assert_eq(hdl_model_load(HEDDLE_SOURCE_DIR "/tests/data/goldens/tiny-a", NULL, &model), HDL_OK, "%s", hdl_error_detail());
    o.device = "simt:1,5";
    cr_expect_eq(hdl_translator_open(model, &o, &t), HDL_EDEVICE);
    cr_expect_str_eq(hdl_error_detail(), "simt: device 5 was asked for, there are 3");
    cr_expect_null(t);
    cr_expect_eq(replica_open_things(), 0);
    hdl_model_close(model);
}

/* hdl_device_open takes one. */
Test(device_names, one_device_at_a_time)
{
    static const char *const lists[] = {"simt:0,1", "cuda:all", "cpu,cpu"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        hdl_device *device = NULL;
        char words[256];
        snprintf(words, sizeof words, "device: \"%s\" may be several devices: one is opened at a time, a translator's options take them all",
                 lists[i]);
        cr_expect_eq(hdl_device_open(lists[i], NULL, &device), HDL_EINVAL);
        cr_expect_str_eq(hdl_error_detail(), words);
        cr_expect_null(device);
    }
    hdl_device *device = NULL;
    cr_assert_eq(hdl_device_open("simt:1", NULL, &device), HDL_OK, "%s", hdl_error_detail());
    hdl_device_info info = HDL_DEVICE_INFO_INIT;
    cr_expect_eq(hdl_device_describe(device, &info), HDL_OK);
    cr_expect_eq(info.index, 1);
    hdl_device_close(device);
}

static hdl_status open_without_library(int index, const hdl_device_options *options, const hdl_backend_host *host,
                                       hdl_backend_device **out)
{
    if (options->products == HDL_PRODUCTS_CUBLASLT) return host->fail(HDL_EBACKEND, "cuBLASLt not found");
    return replica_backend(DEVICES)->open(index, options, host, out);
}

/* The device is fine and the library that was asked for is not there: auto does not turn to the cpu in silence. */
Test(device_names, auto_says_that_a_library_is_missing)
{
    static hdl_backend table;
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    hdl_device *device = NULL;
    table = *replica_backend(DEVICES);
    table.open = open_without_library;
    hdl__plugin_provide("cuda", &table);
    options.products = HDL_PRODUCTS_CUBLASLT;
    cr_expect_eq(hdl_device_open("auto", &options, &device), HDL_EBACKEND);
    cr_expect_str_eq(hdl_error_detail(), "cuBLASLt not found");
    options.products = HDL_PRODUCTS_OWN;
    cr_assert_eq(hdl_device_open("auto", &options, &device), HDL_OK, "%s", hdl_error_detail());
    hdl_device_close(device);
    cr_expect_eq(replica_open_things(), 0);
}
