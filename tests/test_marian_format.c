/* test_marian_format.c - Marian's .npz and .bin with their YAML: orientation, int8, configuration, vocabularies. */
#define _GNU_SOURCE
#include "marian_models.h"

#include <unistd.h>

/* The real value of a parameter at [output, input], whatever its dtype and orientation. */
static float value_at(const hdl__param *p, int64_t row, int64_t column)
{
    int64_t at = p->rank == 1 ? row : p->transposed ? column * p->shape[1] + row : row * p->shape[1] + column;
    const uint8_t *data = p->data;
    float scale = p->scale == NULL ? 1.0f : p->scale[0], value;
    uint16_t half;
    if (p->dtype == HDL_I8) return (float)(int8_t)data[at] / scale;
    if (p->dtype == HDL_F16) {
        memcpy(&half, data + 2 * at, sizeof half);
        return of_half(half);
    }
    memcpy(&value, data + 4 * at, sizeof value);
    return value;
}

static void expect_weight(const hdl__checkpoint *c, arrays *a, const char *canonical, const char *stored, bool lookup,
                          const char *label)
{
    const hdl__param *p = hdl__checkpoint_find(c, "%s", canonical);
    const array *expected = array_of(a, stored);
    cr_assert_not_null(p, "%s: %s", label, canonical);
    for (int32_t i = 0; i < expected->rows; i++)
        for (int32_t k = 0; k < expected->columns; k++) {
            float value = p->rank == 1 ? value_at(p, k, 0) : lookup ? value_at(p, i, k) : value_at(p, k, i);
            cr_expect_eq(value, expected->values[i * expected->columns + k], "%s: %s [%d, %d]", label, canonical, i, k);
        }
}

Test(marian_format, every_container_gives_the_same_numbers)
{
    arrays a;
    make_arrays(&a);
    for (size_t i = 0; i < sizeof containers / sizeof *containers; i++) {
        model_files m = {0};
        hdl__checkpoint c = {0};
        make_marian(&m, &a, i);
        cr_assert_eq(load_files(&m, &c), HDL_OK, "%s: %s", containers[i].label, hdl_error_detail());
        cr_expect_str_eq(c.config.format, containers[i].zip ? "Marian npz" : "Marian bin");
        expect_weight(&c, &a, "encoder.embed", "Wemb", true, containers[i].label);
        expect_weight(&c, &a, "output.weight", "Wemb", true, containers[i].label);
        expect_weight(&c, &a, "output.bias", "decoder_ff_logit_out_b", true, containers[i].label);
        expect_weight(&c, &a, "encoder.0.ffn.up.weight", "encoder_l1_ffn_W1", false, containers[i].label);
        expect_weight(&c, &a, "decoder.0.ffn.down.weight", "decoder_l1_ffn_W2", false, containers[i].label);
        expect_weight(&c, &a, "decoder.0.cross.v.weight", "decoder_l1_context_Wv", false, containers[i].label);
        expect_weight(&c, &a, "decoder.0.self.norm.gamma", "decoder_l1_self_Wo_ln_scale", true, containers[i].label);
        expect_weight(&c, &a, "encoder.0.ffn.norm.beta", "encoder_l1_ffn_ffn_ln_bias", true, containers[i].label);
        cr_expect_eq(hdl__checkpoint_find(&c, "encoder.embed")->data, hdl__checkpoint_find(&c, "output.weight")->data);
        hdl__checkpoint_close(&c);
        free_files(&m);
    }
}

Test(marian_format, fills_the_configuration)
{
    arrays a;
    model_files m = {0};
    hdl__checkpoint c = {0};
    make_arrays(&a);
    make_marian(&m, &a, 3);
    cr_assert_eq(load_files(&m, &c), HDL_OK, "%s", hdl_error_detail());
    const hdl__config *g = &c.config;
    cr_expect_eq(g->encoder.n_layers, 1);
    cr_expect_eq(g->decoder.H, TINY_H);
    cr_expect_eq(g->decoder.F, TINY_F);
    cr_expect_eq(g->encoder.V, TINY_V);
    cr_expect_not(g->encoder.pre_norm);
    cr_expect_eq(g->encoder.activation, HDL_ACT_RELU);
    cr_expect_eq(g->encoder.positions, HDL__POSITIONS_MARIAN);
    cr_expect_eq(g->encoder.norm_eps, 1e-6f);
    cr_expect_eq(g->encoder.embed_scale, 2.0f);
    cr_expect(g->start_is_zero && g->source_eos && g->text_source_eos);
    cr_expect_eq(g->end_id, 0);
    cr_expect_eq(g->unknown_id, 1);
    cr_expect_eq(g->alignment_layer, -1);
    cr_expect_eq(g->alignment_heads, 1);
    cr_assert_eq(c.n_defaults, 2);
    cr_expect_str_eq(c.defaults[0].name, "beam");
    cr_expect_str_eq(c.defaults[0].value, "6");
    cr_expect_str_eq(c.defaults[1].name, "length-penalty");
    cr_expect_str_eq(c.defaults[1].value, "0.6");
    cr_expect_str_eq(c.defaults[1].file, "decoder.yml");
    cr_expect_str_eq(c.target_vocabulary.tokens[3], "b");
    hdl__checkpoint_close(&c);
    free_files(&m);
}

/* A .bin or .npz named by its path, with files beside it, and the same directory. */
Test(marian_format, from_disk)
{
    static const char *const names[] = {"/model.npz", "/vocab.yml", "/model.npz.decoder.yml", "/lex.s2t.bin"};
    char path[] = "/tmp/heddle-test-XXXXXX", name[64];
    arrays a;
    model_files m = {0};
    cr_assert_not_null(mkdtemp(path));
    make_arrays(&a);
    make_marian(&m, &a, 1);
    const char *texts[] = {bytes_of(&m, "model.x")->data, vocabulary_text, "vocabs: [vocab.yml, vocab.yml]\n",
                           "\xf5\x17\x34\x01\xd5\x48\x1a\xf1________"};
    size_t sizes[] = {bytes_of(&m, "model.x")->n, strlen(texts[1]), strlen(texts[2]), 16};
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", path, names[i]);
        FILE *f = fopen(name, "wb");
        cr_assert_eq(fwrite(texts[i], 1, sizes[i], f), sizes[i]);
        fclose(f);
    }
    snprintf(name, sizeof name, "%s/model.npz", path);
    for (int i = 0; i < 2; i++) {
        hdl__checkpoint c = {0};
        cr_expect_eq(hdl__checkpoint_load(i == 0 ? name : path, NULL, &c), HDL_OK, "%s", hdl_error_detail());
        cr_expect_eq(c.n_files, 0, "an .npz is not kept open");
        hdl__checkpoint_close(&c);
    }
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "%s%s", path, names[i]);
        unlink(name);
    }
    rmdir(path);
    free_files(&m);
}

/* A production vocabulary, where the data folder has it. */
Test(marian_format, bergamot_vocabulary)
{
    static const char file[] = HEDDLE_TEST_DATA "/spm/bergamot_vocab.deen.spm";
    hdl__file bytes = {0};
    if (HEDDLE_TEST_DATA[0] == '\0' || hdl__file_open(file, &bytes) != HDL_OK) {
        printf("skipped: no HEDDLE_TEST_DATA/spm/bergamot_vocab.deen.spm\n");
        return;
    }
    hdl__file_close(&bytes);
    arrays a;
    model_files m = {0};
    make_arrays(&a);
    make_marian(&m, &a, 3);
    const hdl__source source = {.directory = HEDDLE_TEST_DATA "/spm"};
    hdl__yaml decoder = {0};
    hdl__checkpoint c = {0};
    static const char yml[] = "vocabs: [bergamot_vocab.deen.spm, bergamot_vocab.deen.spm]\n";
    cr_assert_eq(hdl__yaml_parse((const uint8_t *)yml, strlen(yml), "decoder.yml", &decoder), HDL_OK);
    cr_assert_eq(hdl__marian_load_vocabularies(&source, &decoder, &c), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(c.source_vocabulary.n, 32000);
    cr_expect_eq(c.config.end_id, 0);
    cr_expect_eq(c.config.unknown_id, 1);
    cr_expect_eq(c.assets[HDL__ASSET_SOURCE_SPM].data, c.assets[HDL__ASSET_TARGET_SPM].data);
    hdl__checkpoint_close(&c);
    hdl__yaml_close(&decoder);
    free_files(&m);
}
