/* heddle_config.c - the configuration as JSON: one table of fields serves writing and reading. */
#include "formats/heddle_config.h"

#include "formats/json_file.h"

#include <stddef.h>
#include <string.h>

#define CONFIG         "config.json"
#define FORMAT_VERSION 1

typedef enum kind { KIND_INT, KIND_BOOL, KIND_FLOAT, KIND_ACTIVATION, KIND_NORM, KIND_POSITIONS } kind;

typedef struct field { const char *key; size_t offset; kind kind; } field;

static const field stack_fields[] = {
    {"layers", offsetof(hdl__stack_config, n_layers), KIND_INT},
    {"heads", offsetof(hdl__stack_config, H), KIND_INT},
    {"width", offsetof(hdl__stack_config, E), KIND_INT},
    {"ffn_width", offsetof(hdl__stack_config, F), KIND_INT},
    {"vocabulary", offsetof(hdl__stack_config, V), KIND_INT},
    {"pre_norm", offsetof(hdl__stack_config, pre_norm), KIND_BOOL},
    {"activation", offsetof(hdl__stack_config, activation), KIND_ACTIVATION},
    {"norm", offsetof(hdl__stack_config, norm_kind), KIND_NORM},
    {"norm_eps", offsetof(hdl__stack_config, norm_eps), KIND_FLOAT},
    {"embed_scale", offsetof(hdl__stack_config, embed_scale), KIND_FLOAT},
    {"positions", offsetof(hdl__stack_config, positions), KIND_POSITIONS},
    {"max_positions", offsetof(hdl__stack_config, max_positions), KIND_INT},
    {"attention_scale", offsetof(hdl__stack_config, attention_scale), KIND_FLOAT},
};

static const field model_fields[] = {
    {"output_scale", offsetof(hdl__config, output_scale), KIND_FLOAT},
    {"start_id", offsetof(hdl__config, start_id), KIND_INT},
    {"end_id", offsetof(hdl__config, end_id), KIND_INT},
    {"unknown_id", offsetof(hdl__config, unknown_id), KIND_INT},
    {"pad_id", offsetof(hdl__config, pad_id), KIND_INT},
    {"bos_id", offsetof(hdl__config, bos_id), KIND_INT},
    {"start_is_zero", offsetof(hdl__config, start_is_zero), KIND_BOOL},
    {"source_bos", offsetof(hdl__config, source_bos), KIND_BOOL},
    {"source_eos", offsetof(hdl__config, source_eos), KIND_BOOL},
    {"text_source_eos", offsetof(hdl__config, text_source_eos), KIND_BOOL},
    {"alignment_layer", offsetof(hdl__config, alignment_layer), KIND_INT},
    {"alignment_heads", offsetof(hdl__config, alignment_heads), KIND_INT},
    {"max_source_length", offsetof(hdl__config, max_source_length), KIND_INT},
};

static const char *const activation_names[] = {"none", "relu", "gelu_tanh", "swish", "gelu_erf", "gelu_sigmoid",
                                               "tanh", "sigmoid"};
static const char *const norm_names[] = {"layer", "rms"};
static const char *const position_names[] = {"none", "table", "huggingface", "ctranslate2", "marian"};

_Static_assert(sizeof activation_names / sizeof *activation_names == HDL_N_ACTIVATIONS,
               "an activation without a name could be saved but not read");

static const char *const *names_of(kind which, size_t *n)
{
    if (which == KIND_ACTIVATION) {
        *n = sizeof activation_names / sizeof *activation_names;
        return activation_names;
    }
    *n = which == KIND_NORM ? sizeof norm_names / sizeof *norm_names
                            : sizeof position_names / sizeof *position_names;
    return which == KIND_NORM ? norm_names : position_names;
}

static json_t *field_value(const field *f, const void *base)
{
    const char *at = (const char *)base + f->offset;
    int32_t integer;
    float number;
    bool flag;
    uint32_t choice;
    size_t n;
    switch (f->kind) {
    case KIND_INT: memcpy(&integer, at, sizeof integer); return json_integer(integer);
    case KIND_BOOL: memcpy(&flag, at, sizeof flag); return json_boolean(flag);
    case KIND_FLOAT: memcpy(&number, at, sizeof number); return json_real((double)number);
    case KIND_ACTIVATION:
    case KIND_NORM:
    case KIND_POSITIONS: break;
    }
    const char *const *names = names_of(f->kind, &n);
    memcpy(&choice, at, sizeof choice);
    return choice < n ? json_string(names[choice]) : NULL;
}

static hdl_status write_fields(json_t *object, const field *fields, size_t n, const void *base)
{
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < n; i++)
        HDL_CHECK(json_object_set_new(object, fields[i].key, field_value(&fields[i], base)) == 0, HDL_ENOMEM,
                  CONFIG ": no memory for \"%s\"", fields[i].key);
done:
    return status;
}

hdl_status hdl__heddle_config_write(const hdl__config *config, json_t **root)
{
    hdl_status status = HDL_OK;
    json_t *encoder = json_object(), *decoder = json_object();
    json_t *object = json_pack("{s:s, s:i, s:O*, s:O*}", "model_type", "heddle", "format_version", FORMAT_VERSION,
                               "encoder", encoder, "decoder", decoder);
    HDL_CHECK(object != NULL && encoder != NULL && decoder != NULL, HDL_ENOMEM, CONFIG ": no memory");
    size_t n_stack = sizeof stack_fields / sizeof *stack_fields;
    HDL_TRY(write_fields(encoder, stack_fields, n_stack, &config->encoder));
    HDL_TRY(write_fields(decoder, stack_fields, n_stack, &config->decoder));
    HDL_TRY(write_fields(object, model_fields, sizeof model_fields / sizeof *model_fields, config));
    *root = object;
    object = NULL;
done:
    json_decref(object);
    json_decref(encoder);
    json_decref(decoder);
    return status;
}

static hdl_status read_choice(const json_t *object, const field *f, void *at)
{
    hdl_status status = HDL_OK;
    const char *text = NULL;
    size_t n = 0;
    const char *const *names = names_of(f->kind, &n);
    HDL_TRY(hdl__json_text(object, CONFIG, f->key, "", &text));
    uint32_t choice = 0;
    while (choice < n && strcmp(names[choice], text) != 0) choice++;
    HDL_CHECK(choice < n, HDL_EFORMAT, CONFIG ": \"%s\" is \"%s\", expected one of \"%s\" to \"%s\"", f->key, text,
              names[0], names[n - 1]);
    memcpy(at, &choice, sizeof choice);
done:
    return status;
}

static hdl_status read_field(const json_t *object, const field *f, void *base)
{
    hdl_status status = HDL_OK;
    char *at = (char *)base + f->offset;
    int32_t integer = 0;
    double number = 0.0;
    bool flag = false;
    HDL_CHECK(json_object_get(object, f->key) != NULL, HDL_EFORMAT, CONFIG ": \"%s\" is missing", f->key);
    switch (f->kind) {
    case KIND_INT:
        HDL_TRY(hdl__json_int(object, CONFIG, f->key, -1, INT32_MAX, HDL__JSON_REQUIRED, &integer));
        memcpy(at, &integer, sizeof integer);
        break;
    case KIND_BOOL:
        HDL_TRY(hdl__json_bool(object, CONFIG, f->key, false, &flag));
        memcpy(at, &flag, sizeof flag);
        break;
    case KIND_FLOAT: {
        HDL_TRY(hdl__json_number(object, CONFIG, f->key, 0.0, &number));
        HDL_CHECK(number >= -1e30 && number <= 1e30, HDL_EFORMAT, CONFIG ": \"%s\" is %g", f->key, number);
        float narrow = (float)number;
        memcpy(at, &narrow, sizeof narrow);
        break;
    }
    case KIND_ACTIVATION:
    case KIND_NORM:
    case KIND_POSITIONS: HDL_TRY(read_choice(object, f, at)); break;
    }
done:
    return status;
}

hdl_status hdl__heddle_config_read(const json_t *root, hdl__config *config)
{
    hdl_status status = HDL_OK;
    int32_t version = 0;
    const json_t *encoder = json_object_get(root, "encoder"), *decoder = json_object_get(root, "decoder");
    HDL_TRY(hdl__json_int(root, CONFIG, "format_version", 0, INT32_MAX, HDL__JSON_REQUIRED, &version));
    HDL_CHECK(version == FORMAT_VERSION, HDL_ENOSUPPORT, CONFIG ": \"format_version\" is %d, %d is read", version,
              FORMAT_VERSION);
    HDL_CHECK(json_is_object(encoder) && json_is_object(decoder), HDL_EFORMAT,
              CONFIG ": \"encoder\" or \"decoder\" is missing");
    for (size_t i = 0; i < sizeof stack_fields / sizeof *stack_fields; i++) {
        HDL_TRY(read_field(encoder, &stack_fields[i], &config->encoder));
        HDL_TRY(read_field(decoder, &stack_fields[i], &config->decoder));
    }
    for (size_t i = 0; i < sizeof model_fields / sizeof *model_fields; i++)
        HDL_TRY(read_field(root, &model_fields[i], config));
done:
    return status;
}
