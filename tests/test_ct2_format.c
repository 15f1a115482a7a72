/* test_ct2_format.c - CTranslate2 directories: versions 1 to 6, dtypes, aliases, attributes, hostile files. */
#include "ct2_models.h"

Test(ct2_format, every_binary_version_gives_the_same_model)
{
    for (unsigned version = 1; version <= 6; version++) {
        model_files m = {0};
        hdl__checkpoint c = {0};
        make_ct2(&m, version, NULL);
        cr_assert_eq(load_files(&m, &c), HDL_OK, "version %u: %s", version, hdl_error_detail());
        const hdl__config *g = &c.config;
        char format[32];
        snprintf(format, sizeof format, "CTranslate2 %u", version);
        cr_expect_str_eq(g->format, format);
        cr_expect_eq(g->encoder.n_layers, 1);
        cr_expect_eq(g->encoder.H, TINY_H);
        cr_expect_eq(g->decoder.H, TINY_H);
        cr_expect_eq(g->decoder.F, TINY_F);
        cr_expect_eq(g->decoder.V, TINY_V);
        cr_expect(g->decoder.pre_norm);
        cr_expect_eq(g->decoder.positions, HDL__POSITIONS_CT2);
        cr_expect_float_eq(g->encoder.embed_scale, 2.0f, 0.0f);
        cr_expect_float_eq(g->encoder.norm_eps, 1e-5f, 0.0f);
        cr_expect_eq(g->start_id, 1);
        cr_expect_eq(g->end_id, 2);
        cr_expect_eq(g->unknown_id, 0);
        cr_expect_eq(g->pad_id, -1);
        cr_expect_eq(g->alignment_heads, 1);
        const hdl__param *up = hdl__checkpoint_find(&c, "%s.%d.ffn.up.weight", "encoder", 0);
        cr_assert_not_null(up);
        cr_expect_eq(up->shape[0], TINY_F);
        cr_expect_eq(up->shape[1], TINY_E);
        cr_expect_null(hdl__checkpoint_find(&c, "encoder.1.ffn.up.weight"));
        hdl__checkpoint_close(&c);
        free_files(&m);
    }
}

/* Hostile and foreign files, each one change away from a good one. */
static const variant variants[] = {
    {.label = "plain", .bad_dtype = -1},
    {.label = "absent weight", .drop = "decoder/layer_0/attention/linear_1/weight", .bad_dtype = -1,
     .status = HDL_EFORMAT, .words = "decoder/layer_0/attention/linear_1/weight is missing"},
    {.label = "absent embedding", .drop = "encoder/embeddings_0/weight", .bad_dtype = -1, .status = HDL_EFORMAT,
     .words = "encoder/embeddings/weight is missing"},
    {.label = "absent attention", .drop = "encoder/layer_0/self_attention/linear_0/weight", .bad_dtype = -1,
     .status = HDL_EFORMAT, .words = "encoder/layer_0/self_attention/linear_0/weight is missing"},
    {.label = "absent feed-forward", .drop = "encoder/layer_0/ffn/linear_0/weight", .bad_dtype = -1,
     .status = HDL_EFORMAT, .words = "encoder/layer_0/ffn/linear_0/weight is missing"},
    {.label = "projection restored by an alias", .drop = "decoder/projection/weight", .bad_dtype = -1,
     .alias = "decoder/projection/weight", .target = "decoder/embeddings/weight"},
    {.label = "alias of an alias", .drop = "decoder/projection/weight", .bad_dtype = -1, .alias = "spare",
     .target = "decoder/embeddings/weight", .alias2 = "decoder/projection/weight", .target2 = "spare",
     .status = HDL_ENOSUPPORT, .words = "variable spare"},
    {.label = "alias of itself", .drop = "decoder/projection/weight", .bad_dtype = -1,
     .alias = "decoder/projection/weight", .target = "decoder/projection/weight", .status = HDL_EFORMAT,
     .words = "decoder/projection/weight is missing"},
    {.label = "cyclic aliases", .drop = "decoder/projection/weight", .bad_dtype = -1,
     .alias = "decoder/projection/weight", .target = "spare", .alias2 = "spare",
     .target2 = "decoder/projection/weight", .status = HDL_EFORMAT, .words = "decoder/projection/weight is missing"},
    {.label = "alias without target", .bad_dtype = -1, .alias = "spare", .target = "nothing"},
    {.label = "alias over a variable", .bad_dtype = -1, .alias = "decoder/projection/weight",
     .target = "encoder/layer_0/ffn/linear_0/weight"},
    {.label = "variable twice", .drop = "encoder/layer_norm/beta", .rename_to = "encoder/layer_norm/gamma",
     .bad_dtype = -1, .status = HDL_EFORMAT, .words = "two tensors are named encoder/layer_norm/gamma"},
    {.label = "wrong shape", .bad = "encoder/layer_0/ffn/linear_1/weight", .bad_rows = 5, .bad_dtype = -1,
     .status = HDL_EFORMAT, .words = "encoder.0.ffn.down.weight: shape [5, 6], expected [4, 6]"},
    {.label = "i32 weight", .bad = "encoder/layer_0/ffn/linear_1/weight", .bad_dtype = TYPE_I32,
     .status = HDL_EFORMAT, .words = "dtype i32"},
    {.label = "i8 weight without scale", .bad = "encoder/layer_0/ffn/linear_1/weight", .bad_dtype = TYPE_I8,
     .status = HDL_EFORMAT, .words = "0 scales for dtype i8"},
    {.label = "i16 weight without scale", .bad = "encoder/layer_0/ffn/linear_1/weight", .bad_dtype = TYPE_I16},
    {.label = "f16 weight", .bad = "encoder/layer_0/ffn/linear_1/weight", .bad_dtype = TYPE_F16},
    {.label = "bf16 weight", .bad = "encoder/layer_0/ffn/linear_1/weight", .bad_dtype = TYPE_BF16},
    {.label = "i8 bias", .bad = "encoder/layer_0/ffn/linear_1/bias", .bad_dtype = TYPE_I8, .status = HDL_EFORMAT,
     .words = "encoder.0.ffn.down.bias: dtype i8"},
    {.label = "NaN f32", .bad = "decoder/layer_0/ffn/linear_1/weight", .bad_dtype = -1, .bad_nan = true,
     .status = HDL_EFORMAT, .words = "decoder.0.ffn.down.weight: value 23 is not finite"},
    {.label = "NaN f16", .bad = "decoder/layer_0/ffn/linear_1/weight", .bad_dtype = TYPE_F16, .bad_nan = true,
     .status = HDL_EFORMAT, .words = "value 23 is not finite"},
    {.label = "NaN bf16", .bad = "decoder/layer_0/ffn/linear_1/weight", .bad_dtype = TYPE_BF16, .bad_nan = true,
     .status = HDL_EFORMAT, .words = "value 23 is not finite"},
    {.label = "vocabulary of another size", .bad = "encoder/embeddings_0/weight", .bad_rows = 6, .bad_dtype = -1,
     .status = HDL_EFORMAT, .words = "the vocabulary has 5 tokens, the embedding 6 rows"},
    {.label = "ALiBi", .extra = "decoder/alibi", .extra_value = 1, .bad_dtype = -1, .status = HDL_ENOSUPPORT,
     .words = "decoder/alibi"},
    {.label = "no ALiBi", .extra = "decoder/alibi", .extra_value = 0, .bad_dtype = -1},
    {.label = "rotary", .extra = "decoder/layer_0/self_attention/rotary_dim", .bad_dtype = -1,
     .status = HDL_ENOSUPPORT, .words = "rotary_dim"},
    {.label = "relative positions", .extra = "encoder/layer_0/self_attention/relative_position_keys",
     .bad_dtype = -1, .status = HDL_ENOSUPPORT, .words = "relative_position_keys"},
    {.label = "several features", .extra = "encoder/embeddings_1/weight", .bad_dtype = -1, .status = HDL_ENOSUPPORT,
     .words = "several source features"},
    {.label = "query norm", .extra = "decoder/layer_0/self_attention/q_norm/gamma", .bad_dtype = -1,
     .status = HDL_ENOSUPPORT, .words = "q_norm"},
    {.label = "multi-query", .extra = "encoder/multi_query_attention", .extra_value = 1, .bad_dtype = -1,
     .status = HDL_ENOSUPPORT, .words = "multi_query_attention"},
    {.label = "unknown activation", .extra = "encoder/activation", .extra_value = 9, .bad_dtype = -1,
     .status = HDL_EFORMAT, .words = "encoder/activation is 9, expected an integer from 0 to 6"},
    {.label = "post-norm with final norm", .extra = "decoder/pre_norm", .extra_value = 0, .bad_dtype = -1,
     .status = HDL_ENOSUPPORT, .words = "post-norm"},
    {.label = "alignment layer beyond the last", .extra = "decoder/alignment_layer", .extra_value = 3,
     .bad_dtype = -1, .status = HDL_EFORMAT, .words = "alignment layer is 3"},
    {.label = "softcap", .extra = "decoder/final_logit_softcapping", .extra_value = 3, .bad_dtype = -1,
     .status = HDL_ENOSUPPORT, .words = "final_logit_softcapping"},
};

Test(ct2_format, one_change_away)
{
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        model_files m = {0};
        make_ct2(&m, 6, &variants[i]);
        expect_load(&m, variants[i].label, variants[i].status, variants[i].words);
        free_files(&m);
    }
}

/* Bytes of the header set to a value: offset from the start of model.bin (version 6). */
static const struct { const char *label; size_t at, n; uint64_t value; hdl_status status; const char *words; } patches[] = {
    {"version 7", 0, 4, 7, HDL_EFORMAT, "binary version 7, 1 to 6 are read"},
    {"version 0", 0, 4, 0, HDL_EFORMAT, "binary version 0"},
    {"name of length 0", 4, 2, 0, HDL_EFORMAT, ""},
    {"name of length 65535", 4, 2, 65535, HDL_EFORMAT, "needs 65535 bytes"},
    {"name without its NUL", 4 + 2 + 15, 1, 'x', HDL_EFORMAT, "NUL"},
    {"another specification", 4 + 2, 1, 'W', HDL_ENOSUPPORT, "WransformerSpec"},
    {"revision 8", 4 + 2 + 16, 4, 8, HDL_ENOSUPPORT, "revision 8"},
    {"revision 0", 4 + 2 + 16, 4, 0, HDL_ENOSUPPORT, "revision 0"},
    {"four billion variables", 26, 4, 0xFFFFFFFF, HDL_EFORMAT, "4294967295 variables"},
    {"rank 255", 30 + 2 + 28, 1, 255, HDL_EFORMAT, "rank 255"},
    {"dimension 2^32-1", 30 + 2 + 28 + 1, 4, 0xFFFFFFFF, HDL_EFORMAT, "encoder/embeddings_0/weight: 80 bytes stored"},
    {"both dimensions 2^32-1", 30 + 2 + 28 + 1, 8, 0xFFFFFFFFFFFFFFFF, HDL_EFORMAT, "bytes stored, its shape needs"},
    {"dtype 6", 30 + 2 + 28 + 9, 1, 6, HDL_EFORMAT, "dtype 6"},
    {"size one short", 30 + 2 + 28 + 10, 4, 79, HDL_EFORMAT, "79 bytes stored, its shape needs 80"},
};

Test(ct2_format, patched_headers)
{
    for (size_t i = 0; i < sizeof patches / sizeof *patches; i++) {
        model_files m = {0};
        make_ct2(&m, 6, NULL);
        memcpy(bytes_of(&m, "model.bin")->data + patches[i].at, &patches[i].value, patches[i].n);
        expect_load(&m, patches[i].label, patches[i].status, patches[i].words);
        free_files(&m);
    }
}

/* Other texts of the files beside model.bin. */
static const struct { const char *label, *name, *text; hdl_status status; const char *words; } beside[] = {
    {"no config.json", "config.json", NULL, HDL_EIO, "config.json"},
    {"config is a list", "config.json", "[]", HDL_EFORMAT, "expected an object"},
    {"config is cut", "config.json", "{\"unk_token\"", HDL_EFORMAT, "config.json: line 1"},
    {"key twice", "config.json", "{\"unk_token\": \"a\", \"unk_token\": \"b\"}", HDL_EFORMAT, "duplicate"},
    {"epsilon is text", "config.json", "{\"layer_norm_epsilon\": \"1\"}", HDL_EFORMAT, "is a string"},
    {"epsilon -1", "config.json", "{\"layer_norm_epsilon\": -1}", HDL_EFORMAT, "layer_norm_epsilon"},
    {"AWQ", "config.json", "{\"quantization_type\": 1}", HDL_ENOSUPPORT, "quantization_type 1"},
    {"start outside", "config.json", "{\"decoder_start_token\": \"zz\"}", HDL_EFORMAT, "\"zz\""},
    {"end outside", "config.json", "{\"eos_token\": \"zz\"}", HDL_EFORMAT, "\"zz\""},
    {"flag is a number", "config.json", "{\"add_source_eos\": 1}", HDL_EFORMAT, "add_source_eos"},
    {"no vocabulary", "shared_vocabulary.json", NULL, HDL_EIO, "shared_vocabulary"},
    {"empty vocabulary", "shared_vocabulary.json", "", HDL_EFORMAT, "shared_vocabulary.json"},
    {"vocabulary of numbers", "shared_vocabulary.json", "[1,2]", HDL_EFORMAT, "entry 0"},
    {"vocabulary with NUL", "shared_vocabulary.json", "[\"a\\u0000b\"]", HDL_EFORMAT, "shared_vocabulary.json"},
    {"vocabulary with invalid UTF-8", "shared_vocabulary.json", "[\"\xff\"]", HDL_EFORMAT, "shared_vocabulary.json"},
};

Test(ct2_format, files_beside)
{
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        model_files m = {0};
        make_ct2(&m, 6, NULL);
        if (beside[i].text == NULL) drop_file(&m, beside[i].name);
        else put_text(&m, beside[i].name, beside[i].text);
        expect_load(&m, beside[i].label, beside[i].status, beside[i].words);
        free_files(&m);
    }
}

Test(ct2_format, config_fills_special_tokens)
{
    model_files m = {0};
    hdl__checkpoint c = {0};
    make_ct2(&m, 6, NULL);
    put_text(&m, "config.json", "{\"decoder_start_token\": null, \"add_source_bos\": true, \"add_source_eos\": true, "
                                "\"layer_norm_epsilon\": 1e-6, \"eos_token\": \"b\"}");
    cr_assert_eq(load_files(&m, &c), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(c.config.start_id, -1);
    cr_expect_eq(c.config.end_id, 4);
    cr_expect(c.config.source_bos && c.config.source_eos && c.config.text_source_eos);
    cr_expect_float_eq(c.config.decoder.norm_eps, 1e-6f, 0.0f);
    hdl__checkpoint_close(&c);
    free_files(&m);
}

/* Attributes that change the configuration, as scalars of a good model. */
Test(ct2_format, attributes)
{
    static const struct { const char *name; int value; } rows[] = {
        {"decoder/start_from_zero_embedding", 1}, {"encoder/activation", 2}, {"encoder/scale_embeddings", 0},
        {"decoder/alignment_heads", 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const variant v = {.bad_dtype = -1, .extra = rows[i].name, .extra_value = rows[i].value};
        model_files m = {0};
        hdl__checkpoint c = {0};
        make_ct2(&m, 5, &v);
        cr_assert_eq(load_files(&m, &c), HDL_OK, "%s: %s", rows[i].name, hdl_error_detail());
        cr_expect_eq(c.config.start_is_zero, i == 0);
        cr_expect_eq(c.config.text_source_eos, i == 0);
        cr_expect_eq(c.config.encoder.activation, i == 1 ? HDL_ACT_SWISH : HDL_ACT_RELU);
        cr_expect_eq(c.config.encoder.embed_scale, i == 2 ? 1.0f : 2.0f);
        cr_expect_eq(c.config.alignment_heads, i == 3 ? 2 : 1);
        hdl__checkpoint_close(&c);
        free_files(&m);
    }
}

/* Vocabularies under each name that a directory may use. */
static const struct { const char *label, *name, *text, *name2, *text2; hdl_status status; const char *words; } lists[] = {
    {"text", "shared_vocabulary.txt", "<unk>\n<s>\n</s>\na\nb\n", NULL, NULL, HDL_OK, NULL},
    {"text without <unk>, which is appended", "shared_vocabulary.txt", "<s>\n</s>\na\nb\n", NULL, NULL, HDL_OK, NULL},
    {"two", "source_vocabulary.json", "[\"<unk>\", \"1\", \"2\", \"3\", \"4\"]", "target_vocabulary.txt",
     "<unk>\n<s>\n</s>\na\nb\n", HDL_OK, NULL},
    {"target alone", "target_vocabulary.txt", "<unk>\n<s>\n</s>\na\nb\n", NULL, NULL, HDL_EIO, "source_vocabulary"},
    {"source alone", "source_vocabulary.txt", "<unk>\n<s>\n</s>\na\nb\n", NULL, NULL, HDL_EIO, "target_vocabulary"},
    {"several sources", "source_1_vocabulary.txt", "<unk>\n<s>\n</s>\na\nb\n", "target_vocabulary.txt",
     "<unk>\n<s>\n</s>\na\nb\n", HDL_ENOSUPPORT, "source_1_vocabulary"},
};

Test(ct2_format, vocabulary_files)
{
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        model_files m = {0};
        make_ct2(&m, 6, NULL);
        drop_file(&m, "shared_vocabulary.json");
        put_text(&m, lists[i].name, lists[i].text);
        if (lists[i].name2 != NULL) put_text(&m, lists[i].name2, lists[i].text2);
        expect_load(&m, lists[i].label, lists[i].status, lists[i].words);
        free_files(&m);
    }
}

/* A revision 1 file, whose names are OpenNMT-tf's. */
Test(ct2_format, names_of_the_first_revision)
{
    const variant v = {.bad_dtype = -1, .drop = "encoder/layer_0/ffn/linear_0/weight",
                       .rename_to = "transformer/encoder/layer_0/ffn/conv1d/kernel:0"};
    model_files m = {0};
    make_ct2(&m, 1, &v);
    expect_load(&m, "version 1", HDL_OK, NULL);
    make_ct2(&m, 2, &v);
    expect_load(&m, "version 2, revision 4", HDL_EFORMAT, "encoder/layer_0/ffn/linear_0/weight is missing");
    free_files(&m);
}

Test(ct2_format, truncated_anywhere)
{
    model_files m = {0};
    make_ct2(&m, 6, NULL);
    expect_truncations_refused(&m, "model.bin");
    free_files(&m);
}

Test(ct2_format, flipped_bytes)
{
    for (unsigned version = 1; version <= 6; version += 5) {
        model_files m = {0};
        make_ct2(&m, version, NULL);
        try_flipped_bytes(&m, "model.bin", 20240 + version, 4000);
        free_files(&m);
    }
}

Test(ct2_format, every_allocation_failing_once_is_reported)
{
    const variant v = {.bad_dtype = -1, .alias = "decoder/projection/weight", .target = "decoder/embeddings/weight",
                       .drop = "decoder/projection/weight"};
    model_files m = {0};
    make_ct2(&m, 6, &v);
    expect_every_allocation_reported(&m);
    free_files(&m);
}

/* The published models: f32, and int16 without a stored scale, which its writer cut towards zero. */
Test(ct2_format, published_models)
{
    static const struct { const char *path; hdl_dtype dtype; double scale; } rows[] = {
        {HEDDLE_SOURCE_DIR "/tests/data/ct2/aren-v2", HDL_F32, 1.0},
        {HEDDLE_SOURCE_DIR "/tests/data/ct2/aren-v2-i16", HDL_I16, 1000.0},
    };
    double first[2] = {0.0, 0.0};
    for (size_t i = 0; i < 2; i++) {
        hdl__checkpoint c = {0};
        cr_assert_eq(hdl__checkpoint_load(rows[i].path, NULL, &c), HDL_OK, "%s", hdl_error_detail());
        cr_expect_eq(c.config.encoder.n_layers, 6);
        cr_expect_eq(c.config.decoder.n_layers, 6);
        cr_expect_eq(c.config.encoder.E, 32);
        cr_expect_eq(c.config.encoder.H, 8);
        cr_expect_eq(c.config.encoder.V, 51);
        cr_expect_eq(c.config.decoder.V, 43);
        cr_expect_eq(c.config.unknown_id, 42);
        cr_expect_eq(c.n_params, 200);
        cr_expect_str_eq(c.source_vocabulary.tokens[50], "<unk>");
        const hdl__param *p = hdl__checkpoint_find(&c, "decoder.5.cross.kv.weight");
        cr_assert_not_null(p);
        cr_expect_eq(p->dtype, rows[i].dtype);
        if (p->dtype == HDL_F32) {
            float f;
            memcpy(&f, p->data, sizeof f);
            first[i] = (double)f;
        } else {
            int16_t q;
            memcpy(&q, p->data, sizeof q);
            cr_assert_eq(p->n_scale, 1);
            cr_expect_float_eq((double)p->scale[0], rows[i].scale, 0.0);
            first[i] = q / (double)p->scale[0];
        }
        hdl__checkpoint_close(&c);
    }
    cr_expect(fabs(first[0] - first[1]) < 1.0 / 1000.0, "%g and %g", first[0], first[1]);
}
