/* format_models.h - tiny models made in memory for the tests of the loaders: files, CTranslate2 and safetensors writers. */
#ifndef HEDDLE_TEST_FORMAT_MODELS_H
#define HEDDLE_TEST_FORMAT_MODELS_H

#include "base/memory.h"
#include "formats/checkpoint.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define MODEL_FILES 12
#define TINY_E      4
#define TINY_H      2
#define TINY_F      6
#define TINY_V      5

/* Files of a model in memory; `bytes` own their data. */
typedef struct model_files { hdl_memory_file files[MODEL_FILES]; hdl__str bytes[MODEL_FILES]; size_t n; } model_files;

static inline void put_file(model_files *m, const char *name, const void *data, size_t n)
{
    size_t at = 0;
    while (at < m->n && strcmp(m->files[at].name, name) != 0) at++;
    cr_assert(at < MODEL_FILES, "too many files");
    if (at == m->n) m->n++;
    hdl__str_clear(&m->bytes[at]);
    hdl__str_add(&m->bytes[at], data, n);
    m->files[at] = (hdl_memory_file){.name = name, .data = m->bytes[at].data, .n_bytes = n};
}

static inline void put_text(model_files *m, const char *name, const char *text)
{
    put_file(m, name, text, strlen(text));
}

static inline void drop_file(model_files *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->files[i].name, name) == 0) m->files[i].name = "dropped";
}

static inline hdl__str *bytes_of(model_files *m, const char *name)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->files[i].name, name) == 0) return &m->bytes[i];
    cr_assert_fail("no file %s", name);
    return NULL;
}

static inline void free_files(model_files *m)
{
    for (size_t i = 0; i < MODEL_FILES; i++) hdl__str_free(&m->bytes[i]);
    *m = (model_files){0};
}

static inline hdl_status load_files(const model_files *m, hdl__checkpoint *out)
{
    return hdl__checkpoint_load_memory(m->files, m->n, NULL, out);
}

/* Loads and expects a status whose detail line holds `words`; on failure the result must be untouched. */
static inline void expect_load(const model_files *m, const char *label, hdl_status expected, const char *words)
{
    hdl__checkpoint out = {0};
    const hdl__checkpoint zero = {0};
    hdl_status status = load_files(m, &out);
    cr_expect_eq(status, expected, "%s: %s (%s), expected %s", label, hdl_status_name(status), hdl_error_detail(),
                 hdl_status_name(expected));
    if (status != HDL_OK) {
        cr_expect(words == NULL || strstr(hdl_error_detail(), words) != NULL, "%s: \"%s\" lacks \"%s\"", label,
                  hdl_error_detail(), words == NULL ? "" : words);
        cr_expect(memcmp(&out, &zero, sizeof out) == 0, "%s: result touched", label);
    }
    hdl__checkpoint_close(&out);
}

/* Every allocation of a load fails once: HDL_ENOMEM, nothing half-loaded. */
static inline void expect_every_allocation_reported(const model_files *m)
{
    hdl__checkpoint out = {0};
    uint64_t before = hdl__alloc_count();
    cr_assert_eq(load_files(m, &out), HDL_OK, "%s", hdl_error_detail());
    uint64_t n = hdl__alloc_count() - before;
    hdl__checkpoint_close(&out);
    cr_assert(n > 10, "only %lu allocations", (unsigned long)n);
    for (uint64_t i = 1; i <= n; i++) {
        hdl__alloc_fail_at(i);
        hdl_status status = load_files(m, &out);
        hdl__alloc_fail_at(0);
        cr_expect_eq(status, HDL_ENOMEM, "allocation %lu of %lu: %s (%s)", (unsigned long)i, (unsigned long)n,
                     hdl_status_name(status), hdl_error_detail());
        hdl__checkpoint_close(&out);
    }
}

/* Every proper prefix of a file must be refused. */
static inline void expect_truncations_refused(model_files *m, const char *name)
{
    size_t at = 0;
    while (strcmp(m->files[at].name, name) != 0) at++;
    size_t whole = m->files[at].n_bytes;
    for (size_t n = 0; n < whole; n++) {
        hdl__checkpoint out = {0};
        /* A copy of the exact size, so that a read past its end is seen by the sanitizer. */
        uint8_t *copy = malloc(n == 0 ? 1 : n);
        memcpy(copy, m->bytes[at].data, n);
        m->files[at].data = copy;
        m->files[at].n_bytes = n;
        hdl_status status = load_files(m, &out);
        cr_expect_neq(status, HDL_OK, "%s cut to %zu of %zu bytes was loaded", name, n, whole);
        hdl__checkpoint_close(&out);
        free(copy);
    }
    m->files[at].data = m->bytes[at].data;
    m->files[at].n_bytes = whole;
}

/* Flipped bytes may load or not, but must not crash; what loads must close. */
static inline void try_flipped_bytes(model_files *m, const char *name, uint32_t seed, int tries)
{
    hdl__str *bytes = bytes_of(m, name);
    printf("seed %u\n", seed);
    for (int i = 0; i < tries; i++) {
        seed = seed * 1664525U + 1013904223U;
        size_t at = (seed >> 8) % bytes->n;
        char old = bytes->data[at];
        bytes->data[at] = (char)(old ^ (char)(1U << (seed >> 29)));
        hdl__checkpoint out = {0};
        if (load_files(m, &out) == HDL_OK) hdl__checkpoint_close(&out);
        bytes->data[at] = old;
    }
}

/* Deterministic small values, different for each tensor. */
static inline float tiny_value(size_t tensor, size_t i)
{
    return (float)((int)((tensor * 31 + i * 17) % 63) - 31) / 64.0f;
}

static inline void put_u8(hdl__str *s, unsigned v) { uint8_t b = (uint8_t)v; hdl__str_add(s, (char *)&b, 1); }
static inline void put_u16(hdl__str *s, unsigned v) { uint16_t b = (uint16_t)v; hdl__str_add(s, (char *)&b, 2); }
static inline void put_u32(hdl__str *s, uint32_t v) { hdl__str_add(s, (char *)&v, 4); }
static inline void put_u64(hdl__str *s, uint64_t v) { hdl__str_add(s, (char *)&v, 8); }

/* A safetensors file in the making: the header's entries, the data, and one entry to leave out. */
typedef struct safetensors_writer { hdl__str header, data; size_t n; const char *drop; } safetensors_writer;

static inline void put_tensor(safetensors_writer *w, const char *name, size_t rows, size_t columns)
{
    char shape[64];
    size_t n = rows * (columns > 0 ? columns : 1), begin = w->data.n;
    if (w->drop != NULL && strcmp(w->drop, name) == 0) return;
    if (columns > 0) snprintf(shape, sizeof shape, "%zu,%zu", rows, columns);
    else snprintf(shape, sizeof shape, "%zu", rows);
    for (size_t i = 0; i < n; i++) {
        float f = tiny_value(w->n, i);
        hdl__str_add(&w->data, (char *)&f, sizeof f);
    }
    hdl__str_printf(&w->header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%zu,%zu]}",
                    w->n == 0 ? "" : ",", name, shape, begin, w->data.n);
    w->n++;
}

/* Header (as given, in braces) and data as a file. */
static inline void put_safetensors(model_files *m, const char *name, const char *header, const hdl__str *data)
{
    hdl__str bytes = {0};
    put_u64(&bytes, strlen(header) + 2);
    hdl__str_printf(&bytes, "{%s}", header);
    if (data->n > 0) hdl__str_add(&bytes, data->data, data->n);
    put_file(m, name, bytes.data, bytes.n);
    hdl__str_free(&bytes);
}

static inline void finish_safetensors(safetensors_writer *w, model_files *m, const char *name)
{
    put_safetensors(m, name, w->header.data, &w->data);
    hdl__str_free(&w->header);
    hdl__str_free(&w->data);
    w->n = 0;
}

static inline void put_linear(safetensors_writer *w, const char *prefix, const char *name, size_t rows, size_t columns)
{
    char full[192];
    snprintf(full, sizeof full, "%s%s.weight", prefix, name);
    put_tensor(w, full, rows, columns);
    snprintf(full, sizeof full, "%s%s.bias", prefix, name);
    put_tensor(w, full, rows, 0);
}

static inline void put_marianmt_layer(safetensors_writer *w, const char *side, int i)
{
    static const char *const parts[] = {"q_proj", "k_proj", "v_proj", "out_proj"};
    char prefix[64], name[64];
    snprintf(prefix, sizeof prefix, "model.%s.layers.%d.", side, i);
    for (size_t kind = 0; kind < (side[0] == 'd' ? 2 : 1); kind++) {
        for (size_t k = 0; k < 4; k++) {
            snprintf(name, sizeof name, "%s.%s", kind == 0 ? "self_attn" : "encoder_attn", parts[k]);
            put_linear(w, prefix, name, TINY_E, TINY_E);
        }
        put_linear(w, prefix, kind == 0 ? "self_attn_layer_norm" : "encoder_attn_layer_norm", TINY_E, 0);
    }
    put_linear(w, prefix, "fc1", TINY_F, TINY_E);
    put_linear(w, prefix, "fc2", TINY_E, TINY_F);
    put_linear(w, prefix, "final_layer_norm", TINY_E, 0);
}

/* A MarianMT directory, 1 + 1 layers, f32. `drop` leaves one tensor out; NULL: none. */
static inline void make_marianmt(model_files *m, const char *drop)
{
    safetensors_writer w = {.drop = drop};
    put_tensor(&w, "model.shared.weight", TINY_V, TINY_E);
    put_tensor(&w, "final_logits_bias", 1, TINY_V);
    put_marianmt_layer(&w, "encoder", 0);
    put_marianmt_layer(&w, "decoder", 0);
    finish_safetensors(&w, m, "model.safetensors");
    put_text(m, "config.json",
             "{\"model_type\": \"marian\", \"d_model\": 4, \"vocab_size\": 5, \"encoder_layers\": 1, "
             "\"decoder_layers\": 1, \"encoder_attention_heads\": 2, \"decoder_attention_heads\": 2, "
             "\"encoder_ffn_dim\": 6, \"decoder_ffn_dim\": 6, \"activation_function\": \"swish\", "
             "\"scale_embedding\": true, \"pad_token_id\": 4, \"eos_token_id\": 0, \"bos_token_id\": null, "
             "\"decoder_start_token_id\": 4, \"max_position_embeddings\": 32, \"max_source_length\": 9}");
    put_text(m, "generation_config.json", "{\"num_beams\": 6, \"length_penalty\": 0.6, \"max_length\": 512}");
    put_text(m, "vocab.json", "{\"</s>\": 0, \"<unk>\": 1, \"b\": 3, \"a\": 2, \"<pad>\": 4}");
}

#endif
