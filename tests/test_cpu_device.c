/*
 * test_cpu_device.c - the CPU device: features, forced instruction sets, words, memory with and without hooks,
 * streams, events.
 */
#include "cpu_fixture.h"

#include <criterion/criterion.h>

Test(cpu_device, features_agree_with_the_compiler_and_imply_each_other)
{
    const hdl__cpu_features f = hdl__cpu_features_detect();
#if defined(__x86_64__)
    cr_expect(f.avx2 == (__builtin_cpu_supports("avx2") != 0));
    cr_expect(f.fma == (__builtin_cpu_supports("fma") != 0));
    cr_expect(f.avx512 == (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
                           && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")));
    cr_expect(f.vnni == (__builtin_cpu_supports("avx512vnni") != 0));
#endif
    cr_expect(!f.avx512 || f.avx2);
    cr_expect((!f.vnni && !f.avx512_bf16 && !f.amx_bf16 && !f.amx_int8) || f.avx512);
    cr_expect(!f.amx_bf16 || f.avx512_bf16);
}

/* The choice is a function of the bits, so that processors this machine is not can be tested. */
Test(cpu_device, the_best_set_follows_from_the_bits)
{
    const hdl__cpu_features none = {0}, no_fma = {.avx2 = true, .f16c = true},
        avx2 = {.avx2 = true, .fma = true, .f16c = true};
    hdl__cpu_features all = avx2;
    all.avx512 = true;
    cr_expect(hdl__isa_best(&none) == HDL_ISA_PLAIN && hdl__isa_best(&no_fma) == HDL_ISA_PLAIN);
    cr_expect(!hdl__isa_offered(&none, HDL_ISA_AVX2) && !hdl__isa_offered(&avx2, HDL_ISA_AVX512)
              && hdl__isa_offered(&none, HDL_ISA_PLAIN));
#if defined(__x86_64__)
    cr_expect(hdl__isa_best(&avx2) == HDL_ISA_AVX2 && hdl__isa_best(&all) == HDL_ISA_AVX512);
#endif
}

Test(cpu_device, a_forced_set_is_used_or_refused)
{
    const hdl__cpu_features f = hdl__cpu_features_detect();
    for (int isa = HDL_ISA_AUTO; isa <= HDL_ISA_AVX512; ++isa) {
        hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
        options.isa = (hdl_isa)isa;
        hdl_backend_device *device = NULL;
        const hdl_status status = hdl__cpu_backend()->open(0, &options, NULL, &device);
        cr_expect(status == (hdl__isa_offered(&f, options.isa) ? HDL_OK : HDL_ENOSUPPORT));
        cr_expect((status == HDL_OK) == (device != NULL));
        if (device != NULL) cr_expect(device->isa == (isa == HDL_ISA_AUTO ? hdl__isa_best(&f) : options.isa));
        hdl__cpu_backend()->close(device);
    }
}

Test(cpu_device, wrong_options_are_named)
{
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    hdl_backend_device *device = NULL;
    cr_expect(hdl__cpu_backend()->open(1, &options, NULL, &device) == HDL_EDEVICE);
    options.isa = (hdl_isa)9;
    cr_expect(hdl__cpu_backend()->open(0, &options, NULL, &device) == HDL_EINVAL
              && strstr(hdl_error_detail(), "isa") != NULL);
    options.isa = HDL_ISA_AUTO;
    options.products = (hdl_products)9;
    cr_expect(hdl__cpu_backend()->open(0, &options, NULL, &device) == HDL_EINVAL
              && strstr(hdl_error_detail(), "products") != NULL);
    cr_expect(device == NULL);
    options.products = HDL_PRODUCTS_ONEDNN;
    cr_expect(hdl__cpu_backend()->open(0, &options, NULL, &device) == (hdl__onednn_built() ? HDL_OK : HDL_ENOSUPPORT));
    hdl__cpu_backend()->close(device);
}

Test(cpu_device, describes_itself)
{
    hdl_backend_device *device = NULL;
    hdl_device_info info = HDL_DEVICE_INFO_INIT;
    cr_assert(hdl__cpu_backend()->open(0, NULL, NULL, &device) == HDL_OK);
    cr_assert(hdl__cpu_backend()->describe(device, &info) == HDL_OK);
    cr_expect(strcmp(info.name, "cpu") == 0 && info.kind == HDL_DEVICE_CPU && info.memory_bytes > 0);
    cr_expect(strstr(info.description, hdl__isa_name(device->isa)) != NULL
              && strstr(info.description, "products: heddle") != NULL);
    cr_expect(info.native_bf16 == (device->isa == HDL_ISA_AVX512 && device->features.amx_bf16));
    hdl__cpu_backend()->close(device);
}

typedef struct counted { size_t bytes; int live; bool empty; } counted;

static void *counted_alloc(size_t bytes, int kind, void *user)
{
    counted *c = user;
    cr_expect(kind == 0);
    if (c->empty) return NULL;
    c->bytes += bytes;
    c->live++;
    void *block = malloc(bytes);
    if (block != NULL) memset(block, 0xab, bytes);      /* hooks promise nothing about contents */
    return block;
}

static void counted_free(void *block, size_t bytes, int kind, void *user)
{
    counted *c = user;
    cr_expect(kind == 0);
    c->bytes -= bytes;
    c->live--;
    free(block);
}

static void check_memory(hdl_backend_device *device)
{
    static const size_t sizes[] = {1, 255, 256, 257, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i) {
        void *block = NULL;
        cr_assert(hdl__cpu_backend()->alloc(device, sizes[i], &block) == HDL_OK);
        cr_expect((uintptr_t)block % 256 == 0);
        for (size_t b = 0; b < sizes[i]; ++b) cr_assert(((uint8_t *)block)[b] == 0);
        memset(block, 1, sizes[i]);
        hdl__cpu_backend()->free(device, block, sizes[i]);
    }
    void *kept = &kept;
    cr_expect(hdl__cpu_backend()->alloc(device, SIZE_MAX - 8, &kept) == HDL_ENOMEM && kept == &kept);
    cr_expect(strstr(hdl_error_detail(), "needed") != NULL && strstr(hdl_error_detail(), "free") != NULL);
    hdl__cpu_backend()->free(device, NULL, 0);
}

Test(cpu_device, memory_is_aligned_zeroed_and_the_hooks_own)
{
    hdl_backend_device *device = NULL;
    cr_assert(hdl__cpu_backend()->open(0, NULL, NULL, &device) == HDL_OK);
    check_memory(device);
    hdl__cpu_backend()->close(device);

    counted c = {0, 0, false};
    const hdl_memory_hooks hooks = {counted_alloc, counted_free, &c};
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.hooks = &hooks;
    cr_assert(hdl__cpu_backend()->open(0, &options, NULL, &device) == HDL_OK);
    check_memory(device);
    const float one = 1.0f;
    hdl_weight *w = cpu_pack_f32(device, &one, 1, 1, HDL_COMPUTE_F32);
    cr_expect(w != NULL && c.live > 0, "weights are device memory");
    hdl__cpu_weight_close(w);
    cr_expect(c.live == 0 && c.bytes == 0, "%d blocks, %zu bytes were not given back", c.live, c.bytes);
    c.empty = true;
    cr_expect(cpu_pack_f32(device, &one, 1, 1, HDL_COMPUTE_F32) == NULL);
    hdl__cpu_backend()->close(device);
}

Test(cpu_device, streams_grow_copy_and_pass_events)
{
    const hdl_backend *table = hdl__cpu_backend();
    hdl_backend_device *device = NULL;
    cr_assert(table->open(0, NULL, NULL, &device) == HDL_OK);
    hdl_backend_stream *stream = cpu_stream(device, 4, 8, 8);
    const size_t first = stream->scratch.bytes;
    const hdl_stream_limits larger = {sizeof larger, 512, 1024, 0, 100, 0, 0, 0, 0},
        smaller = {sizeof smaller, 1, 1, 1, 0, 0, 0, 0, 0};
    cr_assert(table->stream_reserve(stream, &larger) == HDL_OK && stream->scratch.bytes > first);
    const size_t most = stream->scratch.bytes;
    cr_assert(table->stream_reserve(stream, &smaller) == HDL_OK && stream->scratch.bytes == most && stream->limits.M
              == 512);
    size_t used = 0;
    uint8_t *a = hdl__cpu_carve(stream, &used, 3), *b = hdl__cpu_carve(stream, &used, 3);
    cr_expect((uintptr_t)a % 64 == 0 && (uintptr_t)b % 64 == 0 && b >= a + 3);
    int from = 5, to = 0;
    cr_expect(table->upload(stream, &to, &from, sizeof to) == HDL_OK && to == 5);
    cr_expect(table->upload(stream, NULL, NULL, 0) == HDL_OK);
    hdl_backend_event *event = NULL;
    cr_assert(table->event_create(device, &event) == HDL_OK);
    cr_expect(table->event_record(stream, event) == HDL_OK && table->event_wait(stream, event) == HDL_OK);
    cr_expect(table->event_sync(event) == HDL_OK && table->stream_wait(stream) == HDL_OK);
    table->event_close(event);
    table->event_close(NULL);
    table->stream_close(stream);
    table->stream_close(NULL);
    table->close(device);
}
