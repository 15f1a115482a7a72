/* test_marianmt_format.c - Hugging Face MarianMT directories: configuration, sharing, defaults, hostile files. */
#include "format_models.h"

Test(marianmt_format, fills_the_configuration)
{
    model_files m = {0};
    hdl__checkpoint c = {0};
    make_marianmt(&m, NULL);
    cr_assert_eq(load_files(&m, &c), HDL_OK, "%s", hdl_error_detail());
    const hdl__config *g = &c.config;
    cr_expect_str_eq(g->format, "MarianMT");
    cr_expect_eq(g->encoder.E, TINY_E);
    cr_expect_eq(g->decoder.F, TINY_F);
    cr_expect_eq(g->encoder.V, TINY_V);
    cr_expect_not(g->encoder.pre_norm);
    cr_expect_eq(g->decoder.activation, HDL_ACT_SWISH);
    cr_expect_eq(g->encoder.embed_scale, 2.0f);
    cr_expect_eq(g->encoder.norm_eps, 1e-5f);
    cr_expect_eq(g->decoder.positions, HDL__POSITIONS_HF);
    cr_expect_eq(g->decoder.max_positions, 32);
    cr_expect_eq(g->start_id, 4);
    cr_expect_eq(g->pad_id, 4);
    cr_expect_eq(g->end_id, 0);
    cr_expect_eq(g->unknown_id, 1);
    cr_expect_eq(g->bos_id, -1);
    cr_expect_not(g->start_is_zero);
    cr_expect_not(g->source_eos);
    cr_expect(g->text_source_eos);
    cr_expect_eq(g->max_source_length, 9);
    cr_expect_eq(g->alignment_layer, -1);
    cr_expect_eq(g->alignment_heads, 0);
    cr_expect_str_eq(c.target_vocabulary.tokens[3], "b");
    const hdl__param *embed = hdl__checkpoint_find(&c, "decoder.embed");
    const hdl__param *output = hdl__checkpoint_find(&c, "output.weight");
    const hdl__param *bias = hdl__checkpoint_find(&c, "output.bias");
    cr_assert(embed != NULL && output != NULL && bias != NULL);
    cr_expect_eq(embed->data, output->data, "tied tensors exist once");
    cr_expect_eq(bias->rank, 1);
    cr_expect_eq(bias->shape[0], TINY_V);
    hdl__checkpoint_close(&c);
    free_files(&m);
}

Test(marianmt_format, defaults_come_with_their_file)
{
    static const char *const expected[][2] = {{"beam", "6"}, {"length-penalty", "0.6"}, {"max-length", "512"}};
    model_files m = {0};
    hdl__checkpoint c = {0};
    make_marianmt(&m, NULL);
    cr_assert_eq(load_files(&m, &c), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(c.n_defaults, 3);
    for (int32_t i = 0; i < 3; i++) {
        cr_expect_str_eq(c.defaults[i].name, expected[i][0]);
        cr_expect_str_eq(c.defaults[i].value, expected[i][1]);
        cr_expect_str_eq(c.defaults[i].file, "generation_config.json");
    }
    hdl__checkpoint_close(&c);
    free_files(&m);
}

/* Replaces the first `from` in config.json by `to`. */
static void edit_config(model_files *m, const char *from, const char *to)
{
    hdl__str edited = {0};
    const char *text = bytes_of(m, "config.json")->data, *at = strstr(text, from);
    cr_assert_not_null(at, "%s", from);
    hdl__str_add(&edited, text, (size_t)(at - text));
    hdl__str_puts(&edited, to);
    hdl__str_puts(&edited, at + strlen(from));
    put_text(m, "config.json", edited.data);
    hdl__str_free(&edited);
}

static const struct { const char *label, *from, *to; hdl_status status; const char *words; } edits[] = {
    {"another architecture", "\"marian\"", "\"bart\"", HDL_ENOSUPPORT, "model_type \"bart\""},
    {"no model_type", "\"model_type\"", "\"kind\"", HDL_EFORMAT, "\"model_type\" is missing"},
    {"no width", "\"d_model\"", "\"width\"", HDL_EFORMAT, "\"d_model\" is missing"},
    {"width of text", "\"d_model\": 4", "\"d_model\": \"4\"", HDL_EFORMAT, "\"d_model\" is a string"},
    {"width 0", "\"d_model\": 4", "\"d_model\": 0", HDL_EFORMAT, "\"d_model\" is 0"},
    {"width 2^40", "\"d_model\": 4", "\"d_model\": 1099511627776", HDL_EFORMAT, "\"d_model\" is 1099511627776"},
    {"another width", "\"d_model\": 4", "\"d_model\": 8", HDL_EFORMAT, "expected [5, 8]"},
    {"heads that do not divide", "\"encoder_attention_heads\": 2", "\"encoder_attention_heads\": 3", HDL_EFORMAT,
     "not a multiple of 3 heads"},
    {"one layer more", "\"encoder_layers\": 1", "\"encoder_layers\": 2", HDL_EFORMAT,
     "model.encoder.layers.1.self_attn.q_proj.weight is missing"},
    {"another feed-forward width", "\"decoder_ffn_dim\": 6", "\"decoder_ffn_dim\": 7", HDL_EFORMAT,
     "decoder.0.ffn.up.weight: shape [6, 4], expected [7, 4]"},
    {"unknown activation", "swish", "mish", HDL_ENOSUPPORT, "\"mish\""},
    {"end outside", "\"eos_token_id\": 0", "\"eos_token_id\": 5", HDL_EFORMAT, "\"eos_token_id\" is 5"},
    {"no end", "\"eos_token_id\": 0", "\"eos_token_id\": null", HDL_EFORMAT, "\"eos_token_id\" is missing"},
    {"start is pad by default", "\"decoder_start_token_id\": 4", "\"x\": 4", HDL_OK, NULL},
    {"pre-norm", "\"max_source_length\": 9", "\"normalize_before\": true", HDL_ENOSUPPORT, "normalize_before"},
    {"embedding norm", "\"max_source_length\": 9", "\"normalize_embedding\": true", HDL_ENOSUPPORT,
     "normalize_embedding"},
    {"learned positions", "\"max_source_length\": 9", "\"static_position_embeddings\": false", HDL_ENOSUPPORT,
     "static_position_embeddings"},
    {"shared, two sizes", "\"max_source_length\": 9", "\"decoder_vocab_size\": 7", HDL_EFORMAT,
     "decoder_vocab_size 7"},
    {"output of its own, absent", "\"max_source_length\": 9", "\"tie_word_embeddings\": false", HDL_EFORMAT,
     "lm_head.weight is missing"},
    {"two embeddings, absent", "\"max_source_length\": 9", "\"share_encoder_decoder_embeddings\": false", HDL_EFORMAT,
     "model.encoder.embed_tokens.weight is missing"},
    {"trailing bytes", "\"max_source_length\": 9}", "\"x\": 9} x", HDL_EFORMAT, "config.json: line 1"},
    {"no closing brace", "\"max_source_length\": 9}", "\"x\": 9", HDL_EFORMAT, "config.json: line 1"},
};

Test(marianmt_format, edited_configurations)
{
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        model_files m = {0};
        make_marianmt(&m, NULL);
        edit_config(&m, edits[i].from, edits[i].to);
        expect_load(&m, edits[i].label, edits[i].status, edits[i].words);
        free_files(&m);
    }
}

static const struct { const char *label, *name, *text; hdl_status status; const char *words; } beside[] = {
    {"no generation_config", "generation_config.json", NULL, HDL_OK, NULL},
    {"beam of text", "generation_config.json", "{\"num_beams\": \"4\"}", HDL_EFORMAT, "\"num_beams\" is a string"},
    {"beam 0", "generation_config.json", "{\"num_beams\": 0}", HDL_EFORMAT, "\"num_beams\" is 0"},
    {"no vocabulary", "vocab.json", NULL, HDL_EIO, "vocab.json"},
    {"vocabulary too small", "vocab.json", "{\"</s>\": 0, \"<unk>\": 1}", HDL_EFORMAT, "the vocabulary has 2 tokens"},
    {"id twice", "vocab.json", "{\"</s>\": 0, \"<unk>\": 0}", HDL_EFORMAT, "two tokens have id 0"},
    {"id left out", "vocab.json", "{\"</s>\": 0, \"<unk>\": 2}", HDL_EFORMAT, "id 1 has no token"},
    {"id of text", "vocab.json", "{\"</s>\": \"0\"}", HDL_EFORMAT, "is not an integer"},
    {"negative id", "vocab.json", "{\"</s>\": -1}", HDL_EFORMAT, "id 0 has no token"},
    {"no weights", "model.safetensors", NULL, HDL_EIO, "model.safetensors"},
};

Test(marianmt_format, files_beside)
{
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        model_files m = {0};
        make_marianmt(&m, NULL);
        if (beside[i].text == NULL) drop_file(&m, beside[i].name);
        else put_text(&m, beside[i].name, beside[i].text);
        expect_load(&m, beside[i].label, beside[i].status, beside[i].words);
        free_files(&m);
    }
}

Test(marianmt_format, pickled_weights_are_named)
{
    model_files m = {0};
    make_marianmt(&m, NULL);
    drop_file(&m, "model.safetensors");
    put_text(&m, "pytorch_model.bin", "x");
    expect_load(&m, "pickle", HDL_ENOSUPPORT, "pytorch_model.bin");
    free_files(&m);
}

Test(marianmt_format, absent_tensors_are_named)
{
    static const char *const names[] = {"model.shared.weight", "model.decoder.layers.0.encoder_attn.v_proj.weight",
                                        "model.encoder.layers.0.final_layer_norm.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        model_files m = {0};
        make_marianmt(&m, names[i]);
        expect_load(&m, names[i], HDL_EFORMAT, names[i]);
        free_files(&m);
    }
}

/* Separate vocabularies and an output of its own, as save_pretrained writes them. */
Test(marianmt_format, separate_vocabularies)
{
    model_files m = {0};
    hdl__checkpoint c = {0};
    make_marianmt(&m, NULL);
    safetensors_writer w = {0};
    put_tensor(&w, "model.encoder.embed_tokens.weight", TINY_V, TINY_E);
    put_tensor(&w, "model.decoder.embed_tokens.weight", TINY_V + 1, TINY_E);
    put_tensor(&w, "lm_head.weight", TINY_V + 1, TINY_E);
    put_marianmt_layer(&w, "encoder", 0);
    put_marianmt_layer(&w, "decoder", 0);
    finish_safetensors(&w, &m, "model.safetensors");
    edit_config(&m, "\"max_source_length\": 9", "\"decoder_vocab_size\": 6, \"tie_word_embeddings\": false, "
                                                "\"share_encoder_decoder_embeddings\": false");
    put_text(&m, "target_vocab.json",
             "{\"</s>\": 0, \"<unk>\": 1, \"y\": 3, \"x\": 2, \"<pad>\": 4, \"z\": 5}");
    cr_assert_eq(load_files(&m, &c), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(c.config.encoder.V, TINY_V);
    cr_expect_eq(c.config.decoder.V, TINY_V + 1);
    cr_expect_str_eq(c.source_vocabulary.tokens[2], "a");
    cr_expect_str_eq(c.target_vocabulary.tokens[2], "x");
    cr_expect_neq(hdl__checkpoint_find(&c, "decoder.embed")->data, hdl__checkpoint_find(&c, "output.weight")->data);
    cr_expect_null(hdl__checkpoint_find(&c, "output.bias"));
    hdl__checkpoint_close(&c);
    free_files(&m);
}

Test(marianmt_format, flipped_bytes_of_every_file)
{
    static const char *const names[] = {"model.safetensors", "config.json", "generation_config.json", "vocab.json"};
    model_files m = {0};
    make_marianmt(&m, NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) try_flipped_bytes(&m, names[i], 777, 1500);
    free_files(&m);
}

Test(marianmt_format, truncated_anywhere)
{
    model_files m = {0};
    make_marianmt(&m, NULL);
    expect_truncations_refused(&m, "model.safetensors");
    expect_truncations_refused(&m, "config.json");
    expect_truncations_refused(&m, "vocab.json");
    free_files(&m);
}

Test(marianmt_format, every_allocation_failing_once_is_reported)
{
    model_files m = {0};
    make_marianmt(&m, NULL);
    put_text(&m, "source.spm", "a");
    put_text(&m, "target.spm", "b");
    put_text(&m, "vmap.txt", "c");
    expect_every_allocation_reported(&m);
    free_files(&m);
}

/* The model that ships: sizes, and values that an independent program read from the same file. */
Test(marianmt_format, shipped_model)
{
    hdl__checkpoint c = {0};
    cr_assert_eq(hdl__checkpoint_load(HEDDLE_SOURCE_DIR "/models/en-de", NULL, &c), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(c.config.encoder.n_layers, 4);
    cr_expect_eq(c.config.decoder.n_layers, 2);
    cr_expect_eq(c.config.encoder.V, 8001);
    cr_expect_eq(c.config.max_source_length, 64);
    cr_expect_str_eq(c.target_vocabulary.tokens[12], "▁Ich");
    cr_expect(c.assets[HDL__ASSET_SOURCE_SPM].n > 0 && c.assets[HDL__ASSET_TARGET_SPM].n > 0);
    const hdl__param *embed = hdl__checkpoint_find(&c, "decoder.embed");
    cr_assert_not_null(embed);
    cr_expect_eq(embed->dtype, HDL_F16);
    const uint8_t *pad = (const uint8_t *)embed->data + (size_t)8000 * 256 * 2;
    for (int i = 0; i < 512; i++) cr_expect((pad[i] & (i % 2 == 1 ? 0x7F : 0xFF)) == 0, "the pad row is zero");
    hdl__checkpoint_close(&c);
}
