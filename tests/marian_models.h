/* marian_models.h - tiny Marian models made in memory for the tests: arrays, .npz and .bin writers. */
#ifndef HEDDLE_TEST_MARIAN_MODELS_H
#define HEDDLE_TEST_MARIAN_MODELS_H

#include "format_models.h"

#include "formats/marian_file.h"

#include <math.h>
#include <stdlib.h>
#include <zip.h>

#define MAX_ARRAYS 64

/* An array of a tiny model, before it has a container. */
typedef struct array { char name[64]; int32_t rows, columns; float values[32]; char text[1200]; } array;
typedef struct arrays { array items[MAX_ARRAYS]; size_t n; } arrays;

static const char options_text[] =
    "type: transformer\ntransformer-heads: 2\nenc-depth: 1\ndec-depth: 1\ndim-emb: 4\ndim-vocabs:\n  - 5\n  - 5\n"
    "transformer-ffn-activation: relu\ntransformer-preprocess: \"\"\ntransformer-postprocess: dan\n"
    "transformer-postprocess-emb: d\ntransformer-postprocess-top: \"\"\ntransformer-decoder-autoreg: self-attention\n"
    "transformer-guided-alignment-layer: last\ntied-embeddings-all: true\nversion: v1.9.0\n";

static const char vocabulary_text[] = "</s>: 0\n<unk>: 1\na: 2\n\"b\": 3\nc: 4\n";
static const char decoder_text[] = "relative-paths: true\nmodels:\n  - model.x\nvocabs: [vocab.yml, vocab.yml]\n"
                                   "beam-size: 6\nnormalize: 0.6\nword-penalty: 0\n";

static inline void put_array(arrays *a, const char *name, int32_t rows, int32_t columns)
{
    array *item = &a->items[a->n];
    snprintf(item->name, sizeof item->name, "%s", name);
    item->rows = rows;
    item->columns = columns;
    for (int32_t i = 0; i < rows * columns; i++) item->values[i] = tiny_value(a->n, (size_t)i);
    a->n++;
}

static inline void put_attention(arrays *a, const char *prefix)
{
    static const char *const parts[] = {"q", "k", "v", "o"};
    char name[64];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s_W%s", prefix, parts[i]);
        put_array(a, name, TINY_E, TINY_E);
        snprintf(name, sizeof name, "%s_b%s", prefix, parts[i]);
        put_array(a, name, 1, TINY_E);
    }
    snprintf(name, sizeof name, "%s_Wo_ln_scale", prefix);
    put_array(a, name, 1, TINY_E);
    snprintf(name, sizeof name, "%s_Wo_ln_bias", prefix);
    put_array(a, name, 1, TINY_E);
}

static inline void put_layer(arrays *a, const char *side)
{
    char name[64];
    snprintf(name, sizeof name, "%s_l1_self", side);
    put_attention(a, name);
    if (side[0] == 'd') put_attention(a, "decoder_l1_context");
    snprintf(name, sizeof name, "%s_l1_ffn_W1", side), put_array(a, name, TINY_E, TINY_F);
    snprintf(name, sizeof name, "%s_l1_ffn_b1", side), put_array(a, name, 1, TINY_F);
    snprintf(name, sizeof name, "%s_l1_ffn_W2", side), put_array(a, name, TINY_F, TINY_E);
    snprintf(name, sizeof name, "%s_l1_ffn_b2", side), put_array(a, name, 1, TINY_E);
    snprintf(name, sizeof name, "%s_l1_ffn_ffn_ln_scale", side), put_array(a, name, 1, TINY_E);
    snprintf(name, sizeof name, "%s_l1_ffn_ffn_ln_bias", side), put_array(a, name, 1, TINY_E);
}

static inline void make_arrays(arrays *a)
{
    *a = (arrays){0};
    put_array(a, "Wemb", TINY_V, TINY_E);
    put_array(a, "decoder_ff_logit_out_b", 1, TINY_V);
    put_layer(a, "encoder");
    put_layer(a, "decoder");
    put_array(a, HDL__MARIAN_OPTIONS_ITEM, 0, 0);
    snprintf(a->items[a->n - 1].text, sizeof a->items[0].text, "%s", options_text);
}

static inline array *array_of(arrays *a, const char *name)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->items[i].name, name) == 0) return &a->items[i];
    cr_assert_fail("no array %s", name);
    return NULL;
}

/* IEEE half of values k / 64 with |k| below 64: exact and normal. */
static inline uint16_t half_of(float f)
{
    int exponent = 0;
    float fraction = frexpf(fabsf(f), &exponent);    /* [0.5, 1) */
    if (f == 0.0f) return 0;
    return (uint16_t)((f < 0.0f ? 0x8000 : 0) | (exponent + 14) << 10 | ((int)(fraction * 2048.0f) & 0x3FF));
}

static inline float of_half(uint16_t bits)
{
    float value = ldexpf((float)((bits & 0x3FF) | 0x400), (bits >> 10 & 0x1F) - 25);
    if ((bits & 0x7FFF) == 0) return 0.0f;
    return (bits & 0x8000) != 0 ? -value : value;
}

static inline void npy_of(const array *a, bool half, hdl__str *out)
{
    char dict[128];
    bool text = a->text[0] != '\0';
    const char *descr = text ? "|i1" : half ? "<f2" : "<f4";
    if (text) snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (%zu,), }", descr,
                       strlen(a->text) + 1);
    else snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d), }", descr, a->rows,
                  a->columns);
    hdl__str_clear(out);
    hdl__str_add(out, "\x93NUMPY\1\0", 8);
    put_u16(out, (unsigned)(strlen(dict) + 1));
    hdl__str_printf(out, "%s\n", dict);
    if (text) hdl__str_add(out, a->text, strlen(a->text) + 1);
    for (int32_t i = 0; !text && i < a->rows * a->columns; i++) {
        if (half) put_u16(out, half_of(a->values[i]));
        else hdl__str_add(out, (const char *)&a->values[i], 4);
    }
}

static inline void put_npz(model_files *m, const char *name, const arrays *a, bool half, bool deflate)
{
    zip_error_t error;
    hdl__str npy[MAX_ARRAYS] = {{0}};
    zip_source_t *source = zip_source_buffer_create(NULL, 0, 0, &error);
    zip_source_keep(source);
    zip_t *archive = zip_open_from_source(source, ZIP_TRUNCATE, &error);
    cr_assert_not_null(archive);
    for (size_t i = 0; i < a->n; i++) {
        char entry[80];
        npy_of(&a->items[i], half, &npy[i]);
        snprintf(entry, sizeof entry, "%s.npy", a->items[i].name);
        zip_int64_t at = zip_file_add(archive, entry, zip_source_buffer(archive, npy[i].data, npy[i].n, 0), 0);
        cr_assert(at >= 0);
        zip_set_file_compression(archive, (zip_uint64_t)at, deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
    }
    cr_assert_eq(zip_close(archive), 0);
    zip_stat_t info;
    zip_source_stat(source, &info);
    uint8_t *bytes = malloc(info.size);
    zip_source_open(source);
    cr_assert_eq(zip_source_read(source, bytes, info.size), (zip_int64_t)info.size);
    zip_source_close(source);
    put_file(m, name, bytes, info.size);
    free(bytes);
    zip_source_free(source);
    for (size_t i = 0; i < a->n; i++) hdl__str_free(&npy[i]);
}

/* How .bin arrays are quantised: 0, or the type id of intgemm8. */
static inline void put_blob(hdl__str *out, const array *a, uint64_t type)
{
    if (a->text[0] != '\0') {
        hdl__str_add(out, a->text, strlen(a->text) + 1);
        return;
    }
    bool quantised = type != 0 && a->rows > 1, lookup = strstr(a->name, "Wemb") != NULL;
    float multiplier = 64.0f;
    for (int32_t i = 0; i < a->rows * a->columns; i++) {
        int32_t from = quantised && !lookup ? i % a->rows * a->columns + i / a->rows : i;    /* transposed */
        if (quantised) put_u8(out, (unsigned)(int)(a->values[from] * multiplier) & 0xFF);
        else hdl__str_add(out, (const char *)&a->values[from], 4);
    }
    if (quantised) hdl__str_add(out, (const char *)&multiplier, 4);
}

static inline void put_bin(model_files *m, const char *name, const arrays *a, uint64_t type)
{
    hdl__str bytes = {0}, blobs = {0};
    put_u64(&bytes, 1);
    put_u64(&bytes, a->n);
    for (size_t i = 0; i < a->n; i++) {
        const array *item = &a->items[i];
        size_t before = blobs.n;
        put_blob(&blobs, item, type);
        bool text = item->text[0] != '\0';
        put_u64(&bytes, strlen(item->name) + 1);
        put_u64(&bytes, text ? 0x101 : type != 0 && item->rows > 1 ? type : 0x404);
        put_u64(&bytes, text ? 1 : 2);
        put_u64(&bytes, blobs.n - before);
    }
    for (size_t i = 0; i < a->n; i++) hdl__str_add(&bytes, a->items[i].name, strlen(a->items[i].name) + 1);
    for (size_t i = 0; i < a->n; i++) {
        if (a->items[i].text[0] != '\0') {
            put_u32(&bytes, (uint32_t)strlen(a->items[i].text) + 1);
        } else {
            put_u32(&bytes, (uint32_t)a->items[i].rows);
            put_u32(&bytes, (uint32_t)a->items[i].columns);
        }
    }
    size_t padding = 256 - (bytes.n + 8) % 256;
    put_u64(&bytes, padding);
    for (size_t i = 0; i < padding; i++) put_u8(&bytes, 0);
    hdl__str_add(&bytes, blobs.data, blobs.n);
    put_file(m, name, bytes.data, bytes.n);
    hdl__str_free(&bytes);
    hdl__str_free(&blobs);
}

static const struct { const char *label; bool zip, half, deflate; uint64_t type; } containers[] = {
    {"npz, stored", true, false, false, 0},  {"npz, deflated", true, false, true, 0},
    {"npz, float16", true, true, true, 0},   {"bin, float32", false, false, false, 0},
    {"bin, intgemm8", false, false, false, 0x10001}, {"bin, intgemm8 of the fork", false, false, false, 0x4101},
};

static inline void make_marian(model_files *m, const arrays *a, size_t container)
{
    if (containers[container].zip)
        put_npz(m, "model.x", a, containers[container].half, containers[container].deflate);
    else put_bin(m, "model.x", a, containers[container].type);
    put_text(m, "decoder.yml", decoder_text);
    put_text(m, "vocab.yml", vocabulary_text);
}

#endif
