/* test_struct_ages.c - programs built against an older or a newer header: every public struct, cut and lengthened. */
#include "device/plugin.h"
#include "door_rows.h"
#include "engine_life.h"
#include "struct_ages.h"

#include <criterion/criterion.h>
#include <string.h>

static fake device;
static hdl_stream *stream;

/* No public struct ends in padding: an initialiser would leave anything in it, which an older library, to which a newer
 * program's struct is longer, refuses as a part that it does not know. */
#define LAST(type, field) \
    _Static_assert(offsetof(type, field) + sizeof(((type *)0)->field) == sizeof(type), #type " ends in padding")
LAST(hdl_gemm_args, y_max);
LAST(hdl_pack_args, reserved);
LAST(hdl_embed_args, reserved);
LAST(hdl_glu_args, y_max);
LAST(hdl_gather_rows_args, reserved);
LAST(hdl_quantise_rows_args, reserved);
LAST(hdl_attention_args, out_max);
LAST(hdl_cache_append_args, act_dtype);
LAST(hdl_kv_pool_desc, reserved);
LAST(hdl_norm_args, y_max);
LAST(hdl_logit_edits_args, reserved);
LAST(hdl_logit_reduce_args, act_dtype);
LAST(hdl_beam_step_args, reserved);
LAST(hdl_token_logprobs_args, reserved);
LAST(hdl_scatter_words_args, reserved);
LAST(hdl_stamp_args, reserved);
LAST(hdl_stream_limits, reserved);
LAST(hdl_device_options, products);
LAST(hdl_device_entry, reserved);
LAST(hdl_device_info, reserved);
LAST(hdl_model_options, reserved);
LAST(hdl_model_info, reserved);
LAST(hdl_translator_options, trace);
LAST(hdl_search_options, reserved);
LAST(hdl_request, user);
LAST(hdl_translator_stats, reserved);
LAST(hdl_device_stats, reserved);

static void forget_args(void) { memset(device.args, 0xEE, sizeof device.args); }

/* ---- arguments of ops and of what else passes a door ---- */

#define X(op) \
    static hdl_status give_##op(const void *given) { return hdl_##op(stream, given); }
HDL__OP_MAP(X)
#undef X

static const hdl_gemm_args gemm_init = HDL_GEMM_ARGS_INIT;
static const hdl_embed_args embed_init = HDL_EMBED_ARGS_INIT;
static const hdl_attention_args attention_init = HDL_ATTENTION_ARGS_INIT;
static const hdl_logit_reduce_args logit_reduce_init = HDL_LOGIT_REDUCE_ARGS_INIT;
static const hdl_token_logprobs_args token_logprobs_init = HDL_TOKEN_LOGPROBS_ARGS_INIT;
static const hdl_norm_args norm_init = HDL_NORM_ARGS_INIT;
static const hdl_cache_append_args cache_append_init = HDL_CACHE_APPEND_ARGS_INIT;
static const hdl_quantise_rows_args quantise_rows_init = HDL_QUANTISE_ROWS_ARGS_INIT;
static const hdl_gather_rows_args gather_rows_init = HDL_GATHER_ROWS_ARGS_INIT;
static const hdl_glu_args glu_init = HDL_GLU_ARGS_INIT;
static const hdl_logit_edits_args logit_edits_init = HDL_LOGIT_EDITS_ARGS_INIT;
static const hdl_beam_step_args beam_step_init = HDL_BEAM_STEP_ARGS_INIT;
static const hdl_scatter_words_args scatter_words_init = HDL_SCATTER_WORDS_ARGS_INIT;
static const hdl_stamp_args stamp_init = HDL_STAMP_ARGS_INIT;

Test(struct_ages, arguments_of_ops)
{
    door_set set;
    fake_open(&device, 1);
    stream = fake_stream(&device);
    door_fill(&set);
#define X(op)                                                                                               \
    const read_struct op##_struct = {#op, sizeof set.op, &op##_init, &set.op, give_##op, device.args, forget_args}; \
    check_read_struct(&op##_struct);
    HDL__OP_MAP(X)
#undef X
    hdl_stream_close(stream);
}

static hdl_status give_pack(const void *given)
{
    hdl_weight *weight = NULL;
    const hdl_status status = hdl_weight_pack(&device.device, given, &weight);
    hdl_weight_close(&device.device, weight);
    return status;
}

static hdl_status give_pool(const void *given)
{
    hdl_kv_pool *pool = NULL;
    const hdl_status status = hdl_kv_pool_open(&device.device, given, &pool);
    hdl_kv_pool_close(&device.device, pool);
    return status;
}

static hdl_status give_pool_bytes(const void *given)
{
    size_t bytes = 0;
    const hdl_status status = hdl_kv_pool_bytes(&device.device, given, &bytes);
    if (status == HDL_OK) cr_expect_eq(bytes, 70u);     /* of the fake's 7 pages */
    return status;
}

static hdl_status give_limits(const void *given) { return hdl_stream_reserve(stream, given); }

Test(struct_ages, weights_pools_and_limits)
{
    static const float data[64];
    static const hdl_pack_part part = {data, HDL_F32, 4, 0, NULL, 0};
    static const hdl_pack_args pack_init = HDL_PACK_ARGS_INIT;
    static const hdl_kv_pool_desc pool_init = HDL_KV_POOL_DESC_INIT;
    static const hdl_stream_limits limits_init = HDL_STREAM_LIMITS_INIT;
    const hdl_pack_args pack = {sizeof pack, &part, 1, 4, 16, HDL_COMPUTE_BF16, 0, 1, HDL_PACK_FOR_LOGITS, 0};
    const hdl_kv_pool_desc pool = {sizeof pool, 7, 2, 4, 64, HDL_F32, 0};
    const hdl_stream_limits limits = {sizeof limits, 1, 2, 3, 4, 5, 6, 7, 0};
    const read_struct structs[] = {
        {"pack", sizeof pack, &pack_init, &pack, give_pack, device.args, forget_args},
        {"kv_pool", sizeof pool, &pool_init, &pool, give_pool, device.args, forget_args},
        {"kv_pool", sizeof pool, &pool_init, &pool, give_pool_bytes, NULL, NULL},
        {"reserve: limits", sizeof limits, &limits_init, &limits, give_limits, device.args, forget_args},
    };
    fake_open(&device, 1);
    stream = fake_stream(&device);
    for (size_t i = 0; i < sizeof structs / sizeof structs[0]; i++) check_read_struct(&structs[i]);
    hdl_stream_close(stream);
    cr_expect_eq(device.n_open, 0);
}

/* ---- options ---- */

static engine e;
static hdl_device_options options_seen;

static void forget_options(void) { memset(&options_seen, 0xEE, sizeof options_seen); }

/* A device that opens, is described and closes; what it was opened with is kept. */
static hdl_status open_fake(int index, const hdl_device_options *options, const hdl_backend_host *host,
                            hdl_backend_device **out)
{
    (void)index, (void)host;
    options_seen = *options;
    *out = device.device.inner;
    return HDL_OK;
}

static hdl_status give_device_options(const void *given)
{
    hdl_device *opened = NULL;
    device.n_calls = 0;
    const hdl_status status = hdl_device_open("simt", given, &opened);
    hdl_device_close(opened);
    return status;
}

static hdl_status list_with_options(const void *given)
{
    hdl_device_entry entry = HDL_DEVICE_ENTRY_INIT;
    device.n_calls = 0;
    return hdl_device_list(given, 2, &entry);   /* cpu, cuda, simt */
}

Test(struct_ages, device_options)
{
    static const hdl_device_options init = HDL_DEVICE_OPTIONS_INIT;
    const hdl_device_options good = {sizeof good, "/nowhere", NULL, HDL_ISA_AVX2, HDL_PRODUCTS_OWN};
    const unsigned char *const seen = (const unsigned char *)&options_seen;
    const read_struct opened = {"device: options", sizeof good, &init, &good, give_device_options, seen, forget_options};
    const read_struct listed = {"device list: options", sizeof good, &init, &good, list_with_options, seen, forget_options};
    fake_open(&device, 1);
    device.table.open = open_fake;
    hdl__plugin_provide("simt", &device.table);
    check_read_struct(&opened);
    check_read_struct(&listed);
}

static hdl_status load_with(const void *given)
{
    hdl_model *model = NULL;
    const hdl_status status = hdl_model_load(HEDDLE_SOURCE_DIR "/tests/data/goldens/tiny-a", given, &model);
    hdl_model_close(model);
    return status;
}

static hdl_status bytes_with(const void *given)
{
    uint64_t bytes = 0;
    return hdl_translator_bytes(e.model, given, &bytes);
}

static hdl_status open_given(const void *given)
{
    hdl_translator *translator = NULL;
    const hdl_status status = hdl_translator_open(e.model, given, &translator);
    cr_expect_eq(hdl_translator_close(translator, 0), HDL_OK);
    return status;
}

static hdl_status bytes_on(const void *given)
{
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    o.device = "cpu";
    o.threads = 1;
    o.device_options = given;
    return bytes_with(&o);
}

static hdl_status check_search(const void *given) { return hdl_translator_check(e.translator, given); }

static hdl_status submit(const void *given)
{
    hdl_ticket *ticket = NULL;
    hdl_status status = hdl_translator_submit(e.translator, given, &ticket);
    if (status == HDL_OK) status = wait_status(ticket);
    hdl_ticket_release(ticket);
    return status;
}

static hdl_status submit_search(const void *given)
{
    hdl_request r = simple();
    r.search = given;
    return submit(&r);
}

static const hdl_model_options model_init = HDL_MODEL_OPTIONS_INIT;
static const hdl_device_options device_init = HDL_DEVICE_OPTIONS_INIT;
static const hdl_translator_options translator_init = HDL_TRANSLATOR_OPTIONS_INIT;
static const hdl_search_options search_init = HDL_SEARCH_OPTIONS_INIT;
static const hdl_request request_init = HDL_REQUEST_INIT;

Test(struct_ages, options_of_models_translators_and_requests)
{
    const hdl_model_options model = {sizeof model, NULL, NULL, NULL, NULL, 1, 0};
    hdl_translator_options translator = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_search_options search = HDL_SEARCH_OPTIONS_INIT;
    hdl_request request = simple();
    translator.device = "cpu";
    translator.device_options = &device_init;
    translator.compute = HDL_COMPUTE_F32;
    translator.threads = 1;
    translator.max_rows = 8;
    translator.max_beam = 4;
    translator.max_queue = 5;
    search.beam = 2;
    search.n_best = 2;
    search.max_length = 4;
    search.alignment = 1;
    request.wait = 1;
    request.search = &search;
    const read_struct structs[] = {
        {"hdl_model_options", sizeof model, &model_init, &model, load_with, NULL, NULL},
        {"hdl_translator_options", sizeof translator, &translator_init, &translator, bytes_with, NULL, NULL},
        {"hdl_translator_options", sizeof translator, &translator_init, &translator, open_given, NULL, NULL},
        {"device: options", sizeof device_init, &device_init, &device_init, bytes_on, NULL, NULL},
        {"hdl_search_options", sizeof search, &search_init, &search, check_search, NULL, NULL},
        {"hdl_search_options", sizeof search, &search_init, &search, submit_search, NULL, NULL},
        {"hdl_request", sizeof request, &request_init, &request, submit, NULL, NULL},
    };
    e = open_with(16, 8);
    for (size_t i = 0; i < sizeof structs / sizeof structs[0]; i++) check_read_struct(&structs[i]);
    close_engine(&e);
}

/* A value that is wrong is seen if, and only if, the caller's struct reaches so far. */
Test(struct_ages, only_what_the_caller_knows_is_read)
{
    hdl_search_options search = HDL_SEARCH_OPTIONS_INIT;
    hdl_translator_options translator = HDL_TRANSLATOR_OPTIONS_INIT;
    hdl_request request = simple();
    search.min_alternative_prob = 2;
    translator.max_delay_us = -1;
    request.deadline_us = -1;
    const struct { void *given; size_t wrong_at, bytes; hdl_status (*call)(const void *); } rows[] = {
        {&search, offsetof(hdl_search_options, min_alternative_prob), sizeof search, check_search},
        {&translator, offsetof(hdl_translator_options, max_delay_us), sizeof translator, bytes_with},
        {&request, offsetof(hdl_request, deadline_us), sizeof request, submit},
    };
    e = open_with(16, 8);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t n = rows[i].wrong_at / 8 * 8; n <= rows[i].bytes; n += 8) {
            memcpy(rows[i].given, &n, sizeof n);
            cr_expect_eq(rows[i].call(rows[i].given), n <= rows[i].wrong_at ? HDL_OK : HDL_EINVAL, "row %zu, %zu bytes: %s", i,
                         n, hdl_error_detail());
        }
    close_engine(&e);
}

/* ---- answers ---- */

static hdl_status describe_device(void *given)
{
    device.n_calls = 0;
    return hdl_device_describe(&device.device, given);
}
static hdl_status list_first(void *given) { return hdl_device_list(NULL, 0, given); }
static hdl_status describe_model(void *given) { return hdl_model_describe(e.model, given); }
static hdl_status get_stats(void *given) { return hdl_translator_get_stats(e.translator, given); }
static hdl_status get_device_stats(void *given) { return hdl_translator_get_device_stats(e.translator, 0, given); }

#define AFTER(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

Test(struct_ages, answers)
{
    const filled_struct structs[] = {
        {"hdl_device_info", sizeof(hdl_device_info), describe_device,
         {AFTER(hdl_device_info, native_bf16), offsetof(hdl_device_info, memory_bytes)}},
        {"hdl_device_entry", sizeof(hdl_device_entry), list_first, {0, 0}},
        {"hdl_model_info", sizeof(hdl_model_info), describe_model,
         {AFTER(hdl_model_info, pad_id), offsetof(hdl_model_info, n_parameters)}},
        {"hdl_translator_stats", sizeof(hdl_translator_stats), get_stats,
         {AFTER(hdl_translator_stats, lanes), offsetof(hdl_translator_stats, compute)}},
        {"hdl_device_stats", sizeof(hdl_device_stats), get_device_stats, {0, 0}},
    };
    fake_open(&device, 1);
    e = open_with(16, 8);
    cr_expect_eq(submit_search(NULL), HDL_OK);      /* so that there is something to count */
    for (size_t i = 0; i < sizeof structs / sizeof structs[0]; i++) check_filled_struct(&structs[i]);
    close_engine(&e);
}
