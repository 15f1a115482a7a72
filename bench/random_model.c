/* random_model.c - config.json, vocab.json and model.safetensors of a random MarianMT model, written to memory. */
#include "random_model.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEED 12345u
#define HEADER_BYTES_PER_TENSOR 160
#define MOST_TENSORS 1024

/* Pass one counts tensors and bytes, pass two writes the header and the values. */
typedef struct writer {
    char    *header;
    size_t   header_bytes;
    float   *values;
    uint64_t offset;        /* in bytes, of the next tensor */
    uint32_t state;
} writer;

static float draw(writer *w)
{
    w->state = w->state * 1664525u + 1013904223u;
    return (float)(w->state >> 8) * 0x1p-23f - 1.0f;
}

/* A tensor of rows x columns (columns 0: a vector); `constant` not NaN fills it with one value. */
static void add_tensor(writer *w, const char *name, long rows, long columns, float constant)
{
    const uint64_t n = (uint64_t)rows * (uint64_t)(columns > 0 ? columns : 1), end = w->offset + 4 * n;
    if (w->header != NULL) {
        char shape[48];
        if (columns > 0)
            snprintf(shape, sizeof shape, "%ld,%ld", rows, columns);
        else
            snprintf(shape, sizeof shape, "%ld", rows);
        w->header_bytes += (size_t)sprintf(
            w->header + w->header_bytes, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%llu,%llu]}",
            w->offset > 0 ? "," : "", name, shape, (unsigned long long)w->offset, (unsigned long long)end);
        const float bound = columns > 0 ? sqrtf(3.0f / (float)columns) : 0.0f;
        float *at = w->values + w->offset / 4;
        for (uint64_t i = 0; i < n; i++) at[i] = isnan(constant) ? bound * draw(w) : constant;
    }
    w->offset = end;
}

static void add_linear(writer *w, const char *prefix, const char *name, long out, long in)
{
    char full[128];
    snprintf(full, sizeof full, "%s.%s.weight", prefix, name);
    add_tensor(w, full, out, in, NAN);
    snprintf(full, sizeof full, "%s.%s.bias", prefix, name);
    add_tensor(w, full, out, 0, 0.0f);
}

static void add_norm(writer *w, const char *prefix, const char *name, long E)
{
    char full[128];
    snprintf(full, sizeof full, "%s.%s.weight", prefix, name);
    add_tensor(w, full, E, 0, 1.0f);
    snprintf(full, sizeof full, "%s.%s.bias", prefix, name);
    add_tensor(w, full, E, 0, 0.0f);
}

static void add_attention(writer *w, const char *layer, const char *name, long E)
{
    static const char *const products[] = {"q_proj", "k_proj", "v_proj", "out_proj"};
    char prefix[112];
    snprintf(prefix, sizeof prefix, "%s.%s", layer, name);
    for (int i = 0; i < 4; i++) add_linear(w, prefix, products[i], E, E);
    snprintf(prefix, sizeof prefix, "%s_layer_norm", name);
    add_norm(w, layer, prefix, E);
}

static void add_stack(writer *w, const model_shape *s, const char *side, int n_layers, int cross)
{
    for (int i = 0; i < n_layers; i++) {
        char layer[64];
        snprintf(layer, sizeof layer, "model.%s.layers.%d", side, i);
        add_attention(w, layer, "self_attn", s->E);
        if (cross) add_attention(w, layer, "encoder_attn", s->E);
        add_linear(w, layer, "fc1", s->F, s->E);
        add_linear(w, layer, "fc2", s->E, s->F);
        add_norm(w, layer, "final_layer_norm", s->E);
    }
}

static void add_all(writer *w, const model_shape *s)
{
    add_tensor(w, "model.shared.weight", s->V, s->E, NAN);
    add_tensor(w, "final_logits_bias", 1, s->V, 0.0f);
    add_stack(w, s, "encoder", s->encoder_layers, 0);
    add_stack(w, s, "decoder", s->decoder_layers, 1);
}

static char *write_config(const model_shape *s)
{
    static const char format[] =
        "{\"model_type\":\"marian\",\"activation_function\":\"relu\",\"d_model\":%d,\"encoder_layers\":%d,"
        "\"decoder_layers\":%d,\"encoder_attention_heads\":%d,\"decoder_attention_heads\":%d,\"encoder_ffn_dim\":%d,"
        "\"decoder_ffn_dim\":%d,\"vocab_size\":%d,\"decoder_vocab_size\":%d,\"pad_token_id\":%d,\"eos_token_id\":0,"
        "\"decoder_start_token_id\":%d,\"scale_embedding\":true,\"static_position_embeddings\":true,"
        "\"normalize_before\":false,\"share_encoder_decoder_embeddings\":true,\"tie_word_embeddings\":true,"
        "\"max_position_embeddings\":512}";
    char *config = malloc(sizeof format + 200);
    if (config != NULL)
        snprintf(config, sizeof format + 200, format, s->E, s->encoder_layers, s->decoder_layers, s->H, s->H, s->F, s->F,
                 s->V, s->V, s->V - 1, s->V - 1);
    return config;
}

static char *write_vocabulary(int V)
{
    char *text = malloc(32 * (size_t)V + 64);
    if (text == NULL) return NULL;
    size_t at = (size_t)sprintf(text, "{\"</s>\":0,\"<unk>\":1");
    for (int i = 2; i < V - 1; i++) at += (size_t)sprintf(text + at, ",\"w%d\":%d", i - 2, i);
    sprintf(text + at, ",\"<pad>\":%d}", V - 1);
    return text;
}

int random_model_make(const model_shape *shape, random_model *out)
{
    writer measure = {.state = SEED}, w = {.state = SEED};
    add_all(&measure, shape);
    const size_t room = (size_t)MOST_TENSORS * HEADER_BYTES_PER_TENSOR;     /* padded with spaces, which JSON allows */
    memset(out, 0, sizeof *out);
    out->config = write_config(shape);
    out->vocabulary = write_vocabulary(shape->V);
    out->weights = malloc(8 + room + measure.offset);
    if (out->config == NULL || out->vocabulary == NULL || out->weights == NULL) {
        random_model_free(out);
        return 0;
    }
    const uint64_t header = room;
    memcpy(out->weights, &header, 8);
    w.header = (char *)out->weights + 8;
    w.values = (float *)(void *)(out->weights + 8 + room);
    w.header[w.header_bytes++] = '{';
    add_all(&w, shape);
    w.header[w.header_bytes++] = '}';
    memset(w.header + w.header_bytes, ' ', room - w.header_bytes);
    out->files[0] = (hdl_memory_file){"config.json", out->config, strlen(out->config)};
    out->files[1] = (hdl_memory_file){"vocab.json", out->vocabulary, strlen(out->vocabulary)};
    out->files[2] = (hdl_memory_file){"model.safetensors", out->weights, 8 + room + measure.offset};
    return 1;
}

void random_model_free(random_model *model)
{
    free(model->config);
    free(model->vocabulary);
    free(model->weights);
    memset(model, 0, sizeof *model);
}
