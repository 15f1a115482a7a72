/*
 * onednn_weight.c - a matrix in oneDNN's layout, its primitives, and the check that a row's bits do not depend on
 * the rows beside it.
 *
 * A shape that the library cannot multiply, or that fails the check, is left to our own strips (docs/numerics.md: one
 * accumulation order per matrix).
 */
#include "cpu/gemm_onednn.h"

#if defined(HEDDLE_ONEDNN)

#include "cpu/onednn_calls.h"

#include "base/half.h"

#include <string.h>

#define HDL__SOURCE_ROWS 64     /* rows converted at a time */
#define HDL__PROBE_ROWS  8      /* different rows of the check; each is multiplied alone, which reads all weights */

static dnnl_data_type_t choose_type(hdl_compute compute)
{
    return compute == HDL_COMPUTE_INT8 ? dnnl_s8 : compute == HDL_COMPUTE_BF16 ? dnnl_bf16 : dnnl_f32;
}

/* Primitives of all buckets; weights are laid out as the largest likes best. False: the library has none. */
static bool make_primitives(hdl__onednn *library, hdl__onednn_weight *weight, int32_t N, int32_t K)
{
    hdl__own_layout any = {0};
    dnnl_primitive_attr_t attributes = NULL;
    bool fine = dnnl_primitive_attr_create(&attributes) == dnnl_success
             && dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user) == dnnl_success
             && hdl__layout_make(&any, K, N, weight->type, dnnl_format_tag_any) == dnnl_success;
    hdl__layout w = hdl__layout_of(&any);
    for (int32_t b = HDL__N_BUCKETS - 1; fine && b >= 0; --b) {
        hdl__own_layout x = {0}, y = {0};
        fine = hdl__layout_make(&x, hdl__bucket_rows[b], K, weight->type, dnnl_ab) == dnnl_success
            && hdl__layout_make(&y, hdl__bucket_rows[b], N, weight->sum_type, dnnl_ab) == dnnl_success
            && hdl__matmul_plan(&weight->plan[b], library->engine, hdl__layout_of(&x), w, hdl__layout_of(&y),
                                attributes) == dnnl_success
            && dnnl_primitive_create(&weight->primitive[b], weight->plan[b]) == dnnl_success;
        hdl__layout_free(&x);
        hdl__layout_free(&y);
        if (!fine) break;
        w = dnnl_primitive_desc_query_md(weight->plan[HDL__N_BUCKETS - 1], dnnl_query_weights_md, 0);
        const size_t pad = dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(weight->plan[b],
            dnnl_query_scratchpad_md, 0));
        size_t most = atomic_load(&library->scratchpad_bytes);
        while (pad > most && !atomic_compare_exchange_weak(&library->scratchpad_bytes, &most, pad)) {}
    }
    hdl__layout_free(&any);
    if (attributes != NULL) dnnl_primitive_attr_destroy(attributes);
    return fine;
}

/* All rows as [N, K], dense, in the library's type; sets the scales of int8 columns. */
static hdl_status convert_rows(hdl_weight *w, const hdl_pack_args *args, dnnl_data_type_t type, uint8_t *plain)
{
    hdl_status status = HDL_OK;
    const size_t row_bytes = (size_t)w->K * hdl__onednn_type_bytes(type);
    float scale[HDL__SOURCE_ROWS];
    bool exact[HDL__SOURCE_ROWS];
    float *values = hdl__calloc((size_t)HDL__SOURCE_ROWS * (size_t)w->K, sizeof *values);
    HDL_CHECK(values != NULL, HDL_ENOMEM, "pack: no memory to convert %d rows of %d", HDL__SOURCE_ROWS, w->K);
    const hdl__source_rows rows = {values, w->K, scale, exact};
    for (int32_t n0 = 0; n0 < w->N; n0 += HDL__SOURCE_ROWS) {
        const int32_t n = w->N - n0 < HDL__SOURCE_ROWS ? w->N - n0 : HDL__SOURCE_ROWS;
        hdl__source_read(w->device, args, n0, n, &rows);
        for (int32_t i = 0; i < n; ++i) {
            uint8_t *to = plain + (size_t)(n0 + i) * row_bytes;
            const float *from = values + (int64_t)i * w->K;
            if (type == dnnl_s8) {
                hdl__source_quantise(w->device, &rows, i, w->K, (int8_t *)to, &w->unscale[n0 + i]);
            } else if (type == dnnl_bf16) {
                uint16_t *half = (uint16_t *)(void *)to;
                for (int32_t k = 0; k < w->K; ++k) half[k] = hdl__bf16_of_f32(from[k]);
            } else {
                memcpy(to, from, row_bytes);
            }
        }
    }
done:
    hdl__free(values);
    return status;
}

/* From [N, K] to the layout of the primitives. */
static hdl_status reorder_rows(hdl_weight *w, hdl__onednn_weight *weight, void *plain)
{
    hdl_status status = HDL_OK;
    dnnl_engine_t engine = w->device->onednn->engine;
    hdl__own_layout from = {0};
    dnnl_primitive_desc_t plan = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t source = NULL, target = NULL;
    dnnl_stream_t stream = NULL;
    hdl__layout to = dnnl_primitive_desc_query_md(weight->plan[HDL__N_BUCKETS - 1], dnnl_query_weights_md, 0);
    weight->data_bytes = dnnl_memory_desc_get_size(to);
    HDL_TRY(hdl__cpu_alloc(w->device, weight->data_bytes, &weight->data));
    const bool made = hdl__layout_make(&from, w->K, w->N, weight->type, dnnl_ba) == dnnl_success
        && dnnl_reorder_primitive_desc_create(&plan, hdl__layout_of(&from), engine, to, engine, NULL) == dnnl_success
        && dnnl_primitive_create(&primitive, plan) == dnnl_success
        && dnnl_stream_create(&stream, engine, dnnl_stream_default_flags) == dnnl_success
        && dnnl_memory_create(&source, hdl__layout_of(&from), engine, plain) == dnnl_success
        && dnnl_memory_create(&target, to, engine, weight->data) == dnnl_success;
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, target}};
    HDL_CHECK(made && dnnl_primitive_execute(primitive, stream, 2, args) == dnnl_success &&
              dnnl_stream_wait(stream) == dnnl_success,
              HDL_EDEVICE, "oneDNN: cannot lay out a matrix of %d x %d", w->N, w->K);
done:
    if (source != NULL) dnnl_memory_destroy(source);
    if (target != NULL) dnnl_memory_destroy(target);
    if (stream != NULL) dnnl_stream_destroy(stream);
    if (primitive != NULL) dnnl_primitive_destroy(primitive);
    if (plan != NULL) dnnl_primitive_desc_destroy(plan);
    hdl__layout_free(&from);
    return status;
}

/*
 * Values whose sums round in every bit: 16 mixed bits of a hash (lowbias32 of Chris Wellons, public domain) over eight
 * binades. Values on one grid would sum exactly in f32 and so have equal bits in any order.
 */
static float probe_value(uint32_t at)
{
    uint32_t mixed = at + 1;
    mixed = (mixed ^ mixed >> 16) * 0x7feb352du;
    mixed = (mixed ^ mixed >> 15) * 0x846ca68bu;
    mixed ^= mixed >> 16;
    const float level = (float)(mixed & 0xffffu) - 32768.0f;
    return level / (float)(1u << (15 + (mixed >> 29)));
}

/* HDL__PROBE_ROWS different rows, again and again. */
static void fill_probe(dnnl_data_type_t type, int32_t K, uint8_t *rows)
{
    for (int32_t m = 0; m < HDL__ROW_BLOCK; ++m)
        for (int32_t k = 0; k < K; ++k) {
            const size_t at = (size_t)m * (size_t)K + (size_t)k;
            const float value = probe_value((uint32_t)(m % HDL__PROBE_ROWS) * (uint32_t)K + (uint32_t)k);
            const uint16_t half = hdl__bf16_of_f32(value);
            const int8_t byte = (int8_t)(value * 127.0f);
            if (type == dnnl_s8) memcpy(rows + at, &byte, sizeof byte);
            else if (type == dnnl_bf16) memcpy(rows + at * sizeof half, &half, sizeof half);
            else memcpy(rows + at * sizeof value, &value, sizeof value);
        }
}

/* Every row of every bucket must have the bits that it has alone. */
static hdl_status check_bits(hdl_weight *w, hdl__onednn_weight *weight, bool *same)
{
    hdl_status status = HDL_OK;
    hdl__onednn *library = w->device->onednn;
    const size_t row = (size_t)w->N * sizeof(float);
    const size_t x_row = (size_t)w->K * hdl__onednn_type_bytes(weight->type);
    dnnl_stream_t stream = NULL;
    uint8_t *x = hdl__calloc(HDL__ROW_BLOCK, x_row);
    uint8_t *alone = hdl__calloc(HDL__PROBE_ROWS, row), *sums = hdl__calloc(HDL__ROW_BLOCK, row);
    void *pad = hdl__calloc(1, atomic_load(&library->scratchpad_bytes) + 1);
    HDL_CHECK(x != NULL && alone != NULL && sums != NULL && pad != NULL, HDL_ENOMEM,
              "pack: no memory to check a matrix of %d x %d",
              w->N, w->K);
    HDL_CHECK(dnnl_stream_create(&stream, library->engine, dnnl_stream_default_flags) == dnnl_success, HDL_EDEVICE,
              "oneDNN: no stream");
    fill_probe(weight->type, w->K, x);
    for (int32_t m = 0; m < HDL__PROBE_ROWS; ++m) {
        const hdl__onednn_run run = {0, x + (size_t)m * x_row, alone + (size_t)m * row, pad};
        HDL_TRY(hdl__onednn_run_bucket(library, stream, weight, &run));
    }
    *same = true;
    for (int32_t b = 1; b < HDL__N_BUCKETS && *same; ++b) {
        const hdl__onednn_run run = {b, x, sums, pad};
        HDL_TRY(hdl__onednn_run_bucket(library, stream, weight, &run));
        for (int32_t m = 0; m < hdl__bucket_rows[b] && *same; ++m)
            *same = memcmp(alone + (size_t)(m % HDL__PROBE_ROWS) * row, sums + (size_t)m * row, row) == 0;
    }
done:
    if (stream != NULL) dnnl_stream_destroy(stream);
    hdl__free(pad);
    hdl__free(sums);
    hdl__free(alone);
    hdl__free(x);
    return status;
}

hdl_status hdl__onednn_pack(hdl_weight *w, const hdl_pack_args *args)
{
    hdl_status status = HDL_OK;
    hdl__onednn *library = w->device->onednn;
    uint8_t *plain = NULL;
    bool same = false;
    const int before = hdl__onednn_one_thread(library);     /* primitives remember how many threads there were */
    hdl__onednn_weight *weight = hdl__calloc(1, sizeof *weight);
    HDL_CHECK(weight != NULL, HDL_ENOMEM, "pack: no memory for a weight's header");
    weight->type = choose_type(args->compute);
    weight->sum_type = weight->type == dnnl_s8 ? dnnl_s32 : dnnl_f32;
    if (make_primitives(library, weight, w->N, w->K)) {
        plain = hdl__calloc((size_t)w->N * (size_t)w->K, hdl__onednn_type_bytes(weight->type));
        HDL_CHECK(plain != NULL, HDL_ENOMEM, "pack: no memory for %d x %d weights", w->N, w->K);
        HDL_TRY(convert_rows(w, args, weight->type, plain));
        HDL_TRY(reorder_rows(w, weight, plain));
        HDL_TRY(check_bits(w, weight, &same));
    }
    if (same) {
        w->library = weight;
        weight = NULL;
    }
done:
    hdl__onednn_threads_back(library, before);
    hdl__free(plain);
    hdl__onednn_weight_close(w->device, weight);
    return status;
}

void hdl__onednn_weight_close(hdl_backend_device *device, hdl__onednn_weight *weight)
{
    if (weight == NULL) return;
    for (int b = 0; b < HDL__N_BUCKETS; ++b) {
        if (weight->primitive[b] != NULL) dnnl_primitive_destroy(weight->primitive[b]);
        if (weight->plan[b] != NULL) dnnl_primitive_desc_destroy(weight->plan[b]);
    }
    hdl__cpu_free(device, weight->data, weight->data_bytes);
    hdl__free(weight);
}

size_t hdl__onednn_weight_bytes(const hdl__onednn_weight *weight) { return weight == NULL ? 0 : weight->data_bytes; }

#endif
