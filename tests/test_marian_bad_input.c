/* test_marian_bad_input.c - Marian files that are foreign, damaged or hostile: one clear status and line for each. */
#include "marian_models.h"

/* One option changed: `from` in the options text becomes `to`. */
static const struct { const char *label, *from, *to; hdl_status status; const char *words; } edits[] = {
    {"an", "postprocess: dan", "postprocess: an", HDL_OK, NULL},
    {"gelu", "activation: relu", "activation: gelu", HDL_OK, NULL},
    {"guided layer 1", "layer: last", "layer: 1", HDL_OK, NULL},
    {"guided layer 3", "layer: last", "layer: 3", HDL_EFORMAT, "alignment layer is 2"},
    {"guided layer x", "layer: last", "layer: x", HDL_EFORMAT, "guided-alignment-layer"},
    {"pre-norm", "preprocess: \"\"", "preprocess: n", HDL_ENOSUPPORT, "transformer-preprocess is \"n\""},
    {"da", "postprocess: dan", "postprocess: da", HDL_ENOSUPPORT, "transformer-postprocess is \"da\""},
    {"highway", "postprocess: dan", "postprocess: dhn", HDL_ENOSUPPORT, "\"dhn\""},
    {"top norm", "top: \"\"", "top: n", HDL_ENOSUPPORT, "transformer-postprocess-top is \"n\""},
    {"SSRU", "self-attention", "rnn", HDL_ENOSUPPORT, "transformer-decoder-autoreg is \"rnn\""},
    {"AAN", "self-attention", "average-attention", HDL_ENOSUPPORT, "\"average-attention\""},
    {"RNN", "type: transformer", "type: s2s", HDL_ENOSUPPORT, "type is \"s2s\""},
    {"elu", "activation: relu", "activation: elu", HDL_ENOSUPPORT, "\"elu\""},
    {"no projection", "version: v1.9.0", "transformer-no-projection: true", HDL_ENOSUPPORT, "no-projection"},
    {"tied layers", "version: v1.9.0", "transformer-tied-layers: [1, 1]", HDL_ENOSUPPORT, "tied-layers"},
    {"no tied layers", "version: v1.9.0", "transformer-tied-layers: []", HDL_OK, NULL},
    {"no heads", "transformer-heads: 2", "heads: 2", HDL_EFORMAT, "transformer-heads is missing"},
    {"heads 3", "transformer-heads: 2", "transformer-heads: 3", HDL_EFORMAT, "not a multiple of 3 heads"},
    {"heads of text", "transformer-heads: 2", "transformer-heads: -2", HDL_EFORMAT, "transformer-heads is -2"},
    {"a list", "type: transformer", "- type", HDL_EFORMAT, "special:model.yml"},
    {"an alias", "version: v1.9.0", "version: *x", HDL_EFORMAT, "special:model.yml"},
    {"a nested map", "version: v1.9.0", "version: {a: {b: [c, {d: e}]}}", HDL_OK, NULL},
    {"a list as key", "version: v1.9.0", "? [a, b]\n: c", HDL_EFORMAT, "key is not plain text"},
};

Test(marian_bad_input, edited_options)
{
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        arrays a;
        model_files m = {0};
        make_arrays(&a);
        char *text = array_of(&a, HDL__MARIAN_OPTIONS_ITEM)->text;
        const char *at = strstr(options_text, edits[i].from);
        cr_assert_not_null(at, "%s", edits[i].label);
        snprintf(text, sizeof a.items[0].text, "%.*s%s%s", (int)(at - options_text), options_text, edits[i].to,
                 at + strlen(edits[i].from));
        make_marian(&m, &a, i % 2 == 0 ? 0 : 3);
        expect_load(&m, edits[i].label, edits[i].status, edits[i].words);
        free_files(&m);
    }
}

/* One array renamed, or reshaped. */
static const struct { const char *label, *from, *to; int32_t rows; hdl_status status; const char *words; } changes[] = {
    {"absent weight", "decoder_l1_context_Wk", "x_QuantMultA", 0, HDL_EFORMAT, "decoder_l1_context_Wk is missing"},
    {"no embedding", "Wemb", "x_QuantMultA", 0, HDL_EFORMAT, "tensor Wemb"},
    {"no options", HDL__MARIAN_OPTIONS_ITEM, "x_QuantMultA", 0, HDL_EFORMAT, "special:model.yml is missing"},
    {"activation multiplier", "encoder_l1_self_bq", "encoder_l1_self_Wq_QuantMultA", 0, HDL_OK, NULL},
    {"no bias", "decoder_ff_logit_out_b", "x_QuantMultA", 0, HDL_OK, NULL},
    {"foreign", "encoder_l1_self_bq", "encoder_l1_self_bz", 0, HDL_ENOSUPPORT, "encoder_l1_self_bz"},
    {"SSRU tensors", "decoder_l1_self_bq", "decoder_l1_rnn_W", 0, HDL_ENOSUPPORT, "SSRU"},
    {"average attention tensors", "decoder_l1_self_bq", "decoder_l1_aan_W1", 0, HDL_ENOSUPPORT, "average attention"},
    {"wrong shape", "encoder_l1_self_Wq", "encoder_l1_self_Wq", 3, HDL_EFORMAT, "encoder.0.self.q.weight"},
    {"name twice", "encoder_l1_self_bq", "encoder_l1_self_bk", 0, HDL_EFORMAT, "encoder_l1_self_bk"},
};

Test(marian_bad_input, changed_arrays)
{
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        arrays a;
        model_files m = {0};
        make_arrays(&a);
        array *item = array_of(&a, changes[i].from);
        snprintf(item->name, sizeof item->name, "%s", changes[i].to);
        if (changes[i].rows > 0) item->rows = changes[i].rows;
        make_marian(&m, &a, 3);
        expect_load(&m, changes[i].label, changes[i].status, changes[i].words);
        free_files(&m);
    }
}

/* Words of a .bin header set to a value (offset from its start). */
static const struct { const char *label; size_t at; uint64_t value; hdl_status status; const char *words; } patches[] = {
    {"version 3", 0, 3, HDL_EFORMAT, "version 3"},
    {"encrypted", 0, 2, HDL_ENOSUPPORT, "encrypted"},
    {"2^63 tensors", 8, (uint64_t)1 << 63, HDL_EFORMAT, "tensors"},
    {"name of 2^62 bytes", 16, (uint64_t)1 << 62, HDL_EFORMAT, "name of"},
    {"name of 0 bytes", 16, 0, HDL_EFORMAT, "name of 0"},
    {"name one short", 16, 4, HDL_EFORMAT, "the padding needs"},
    {"packed type", 24, 0x2801, HDL_ENOSUPPORT, "type 0x2801"},
    {"intgemm for AVX2", 24, 0x11001, HDL_ENOSUPPORT, "type 0x11001"},
    {"rank 9", 32, 9, HDL_EFORMAT, "rank 9"},
    {"data one short", 40, 79, HDL_EFORMAT, "79 bytes of data, its shape needs 80"},
    {"data past the end", 40, (uint64_t)1 << 63, HDL_EFORMAT, "Wemb needs"},
};

Test(marian_bad_input, patched_bin)
{
    arrays a;
    make_arrays(&a);
    for (size_t i = 0; i < sizeof patches / sizeof *patches; i++) {
        model_files m = {0};
        make_marian(&m, &a, 3);
        drop_file(&m, "model.x");
        put_bin(&m, "model.y", &a, 0);
        put_text(&m, "decoder.yml", "models: [model.y]\nvocabs: [vocab.yml, vocab.yml]\n");
        memcpy(bytes_of(&m, "model.y")->data + patches[i].at, &patches[i].value, 8);
        expect_load(&m, patches[i].label, patches[i].status, patches[i].words);
        free_files(&m);
    }
}

Test(marian_bad_input, names_in_bin_end_with_their_only_nul)
{
    static const char bad[][6] = {"WembX", "W\0mb"};
    arrays a;
    make_arrays(&a);
    for (size_t i = 0; i < 2; i++) {
        model_files m = {0};
        make_marian(&m, &a, 3);
        memcpy(bytes_of(&m, "model.x")->data + 16 + 32 * a.n, bad[i], 5);
        expect_load(&m, "NUL", HDL_EFORMAT, "name of tensor 0 is not ended by its only NUL");
        free_files(&m);
    }
}

static const struct { const char *label, *header; hdl_status status; const char *words; } npy_headers[] = {
    {"plain", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", HDL_OK, NULL},
    {"any order, no comma", "{'shape':(2,3),'fortran_order':False,'descr':'<f4'}", HDL_OK, NULL},
    {"scalar", "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", HDL_OK, NULL},
    {"fortran", "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", HDL_ENOSUPPORT, "fortran_order"},
    {"big endian", "{'descr': '>f4', 'fortran_order': False, 'shape': (2, 3), }", HDL_ENOSUPPORT, ">f4"},
    {"f8", "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", HDL_ENOSUPPORT, "<f8"},
    {"record", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }", HDL_EFORMAT, "descr"},
    {"no shape", "{'descr': '<f4', 'fortran_order': False, }", HDL_EFORMAT, "lacks"},
    {"shape twice", "{'shape': (2,), 'shape': (2,), }", HDL_EFORMAT, "twice"},
    {"unknown key", "{'x': 1}", HDL_EFORMAT, "unknown"},
    {"negative", "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }", HDL_EFORMAT, "shape"},
    {"overflow", "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9), }", HDL_EFORMAT,
     "overflows"},
    {"number overflow", "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", HDL_EFORMAT,
     "shape"},
    {"rank 5", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1), }", HDL_EFORMAT, "rank above"},
    {"open string", "{'descr", HDL_EFORMAT, "malformed"},
    {"nothing", "", HDL_EFORMAT, "no dictionary"},
};

Test(marian_bad_input, npy_headers)
{
    for (size_t i = 0; i < sizeof npy_headers / sizeof *npy_headers; i++) {
        hdl__str bytes = {0};
        hdl__raw_tensor tensor = {0};
        size_t start = 0;
        hdl__str_add(&bytes, "\x93NUMPY\1\0", 8);
        put_u16(&bytes, (unsigned)strlen(npy_headers[i].header) + 2);
        hdl__str_printf(&bytes, "%s \n", npy_headers[i].header);
        hdl_status status = hdl__npy_parse((const uint8_t *)bytes.data, bytes.n, "x", &tensor, &start);
        cr_expect_eq(status, npy_headers[i].status, "%s: %s (%s)", npy_headers[i].label, hdl_status_name(status),
                     hdl_error_detail());
        if (status != HDL_OK)
            cr_expect(strstr(hdl_error_detail(), npy_headers[i].words) != NULL, "%s: \"%s\"", npy_headers[i].label,
                      hdl_error_detail());
        hdl__str_free(&bytes);
    }
}

/* Files beside the container. */
static const struct { const char *label, *name, *text, *name2, *text2; hdl_status status; const char *words; } beside[] = {
    {"folders are dropped", "decoder.yml", "models: [/a/b/model.x]\nvocabs: [../c/vocab.yml, ../c/vocab.yml]\n", NULL,
     NULL, HDL_OK, NULL},
    {"absent model", "decoder.yml", "models: [other.npz]\n", NULL, NULL, HDL_EIO, "other.npz"},
    {"ensemble", "decoder.yml", "models: [model.x, model.y]\n", NULL, NULL, HDL_ENOSUPPORT, "ensemble"},
    {"three vocabularies", "decoder.yml", "models: [model.x]\nvocabs: [vocab.yml, vocab.yml, vocab.yml]\n", NULL,
     NULL, HDL_ENOSUPPORT, "vocabularies"},
    {"guessed vocabulary", "decoder.yml", "models: [model.x]\n", NULL, NULL, HDL_OK, NULL},
    {"two vocabularies", "decoder.yml", "models: [model.x]\nvocabs: [vocab.yml, t.txt]\n", "t.txt",
     "</s>\n<unk>\nx\ny\nz\n", HDL_OK, NULL},
    {"no end token", "decoder.yml", "models: [model.x]\nvocabs: [vocab.yml, t.txt]\n", "t.txt", "a\nb\nc\nd\ne\n",
     HDL_EFORMAT, "t.txt: holds no </s>"},
    {"normalize is a flag", "decoder.yml", "models: [model.x]\nnormalize: true\n", NULL, NULL, HDL_OK, NULL},
    {"normalize is text", "decoder.yml", "models: [model.x]\nnormalize: much\n", NULL, NULL, HDL_EFORMAT,
     "normalize is \"much\""},
    {"decoder.yml is cut", "decoder.yml", "models: [model.x\n", NULL, NULL, HDL_EFORMAT, "decoder.yml: line"},
    {"tabs", "decoder.yml", "a: b: c\n\t- d", NULL, NULL, HDL_EFORMAT, "decoder.yml: line"},
};

Test(marian_bad_input, files_beside)
{
    arrays a;
    make_arrays(&a);
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        model_files m = {0};
        make_marian(&m, &a, 1);
        put_text(&m, beside[i].name, beside[i].text);
        if (beside[i].name2 != NULL) put_text(&m, beside[i].name2, beside[i].text2);
        expect_load(&m, beside[i].label, beside[i].status, beside[i].words);
        free_files(&m);
    }
}

Test(marian_bad_input, truncated_and_flipped)
{
    arrays a;
    make_arrays(&a);
    for (size_t i = 1; i < sizeof containers / sizeof *containers; i += 3) {
        model_files m = {0};
        make_marian(&m, &a, i);
        expect_truncations_refused(&m, "model.x");
        try_flipped_bytes(&m, "model.x", 99 + (uint32_t)i, 1500);
        try_flipped_bytes(&m, "decoder.yml", 5, 500);
        free_files(&m);
    }
}

Test(marian_bad_input, every_allocation_failing_once_is_reported)
{
    arrays a;
    make_arrays(&a);
    for (size_t i = 1; i < sizeof containers / sizeof *containers; i += 3) {
        model_files m = {0};
        make_marian(&m, &a, i);
        put_text(&m, "x.spm", "pieces");
        expect_every_allocation_reported(&m);
        free_files(&m);
    }
}
