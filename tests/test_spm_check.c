/* test_spm_check.c - hostile SentencePiece models: refused by name, in silence, before the library can be misled. */
#define _POSIX_C_SOURCE 200809L /* dup2, fileno */
#include "text_fixture.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL_MODEL "tests/data/spm/google_test_model.model"

enum { WIRE_VARINT = 0, WIRE_BYTES = 2, NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4 };

static void add_varint(hdl__str *s, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) hdl__str_add(s, (const char[]){(char)(value | 0x80)}, 1);
    hdl__str_add(s, (const char[]){(char)value}, 1);
}

static void add_bytes(hdl__str *s, unsigned field, const char *bytes, size_t n)
{
    add_varint(s, field << 3 | WIRE_BYTES);
    add_varint(s, n);
    hdl__str_add(s, bytes, n);
}

static void add_piece(hdl__str *model, const char *text, size_t n, float score, unsigned type)
{
    hdl__str piece = {0};
    char bits[4];
    memcpy(bits, &score, 4);
    add_bytes(&piece, 1, text, n);
    add_varint(&piece, 2 << 3 | 5);
    hdl__str_add(&piece, bits, 4);
    add_varint(&piece, 3 << 3 | WIRE_VARINT);
    add_varint(&piece, type);
    add_bytes(model, 1, piece.data, piece.n);
    hdl__str_free(&piece);
}

/* <unk>, the letters a to c, and nothing else. */
static hdl__str small_model(void)
{
    hdl__str model = {0};
    add_piece(&model, "<unk>", 5, 0, UNKNOWN);
    add_piece(&model, "</s>", 4, 0, CONTROL);
    for (int i = 0; i < 3; i++) add_piece(&model, &"abc"[i], 1, -1.0F - (float)i, NORMAL);
    return model;
}

/* Opens the model; when it opens, segments text that walks deep into rules and symbols. */
static hdl_status try_model(const hdl__str *model)
{
    hdl__file spm = {(const uint8_t *)model->data, model->n, 0, 0};
    hdl__vocabulary v = fixture_words("a b c <unk>");
    hdl__tokenizer_source source = {.vocabulary = &v, .spm = &spm, .file_name = "bad.spm", .unknown_id = 3};
    hdl_tokenizer *t = NULL;
    hdl_status status = hdl__tokenizer_open(&source, &t);
    if (status == HDL_OK) {
        char text[500];
        size_t n;
        memset(text, 'a', sizeof text);
        cr_expect_eq(hdl_tokenizer_encode(t, text, sizeof text, NULL, 0, &n), HDL_OK, "%s", hdl_error_detail());
    }
    hdl__tokenizer_close(t);
    fixture_free_vocabulary(&v);
    return status;
}

static void expect_refused(hdl__str *model, const char *says)
{
    cr_expect_eq(try_model(model), HDL_EFORMAT, "%s", says);
    cr_expect(strncmp(hdl_error_detail(), "bad.spm: ", 9) == 0 && strstr(hdl_error_detail(), says) != NULL,
              "%s, not %s", hdl_error_detail(), says);
    hdl__str_free(model);
}

Test(spm_check, pieces)
{
    hdl__str model = small_model();
    cr_expect_eq(try_model(&model), HDL_OK, "%s", hdl_error_detail());
    add_piece(&model, "x", 1, NAN, NORMAL);
    expect_refused(&model, "is not finite");
    model = small_model();
    add_piece(&model, "x\0y", 3, 0, NORMAL);
    expect_refused(&model, "holds a NUL");
    model = small_model();
    add_piece(&model, "", 0, 0, NORMAL);
    expect_refused(&model, "has 0 bytes");
    char *long_piece = calloc(9000, 1);
    memset(long_piece, 'x', 9000);
    model = small_model();
    add_piece(&model, long_piece, 8001, 0, NORMAL);
    expect_refused(&model, "has 8001 bytes");
    model = small_model();
    add_piece(&model, "a", 1, 0, NORMAL);
    expect_refused(&model, "already defined");
    model = (hdl__str){0};
    add_piece(&model, "a", 1, 0, NORMAL);
    expect_refused(&model, "unk is not defined");
    model = (hdl__str){0};
    hdl__str_puts(&model, "this is no model at all");
    expect_refused(&model, "not a SentencePiece model");
    model = small_model();
    add_bytes(&model, 3, "\x12\x7F", 2);
    expect_refused(&model, "malformed normaliser");
    for (unsigned depth = 64; depth <= 65; depth++) {
        model = small_model();
        for (unsigned i = depth + 1; i > 1; i--) add_piece(&model, memset(long_piece, 'a', 70), i, 0, USER_DEFINED);
        if (depth == 64)
            cr_expect_eq(try_model(&model), HDL_OK, "%s", hdl_error_detail());
        else
            cr_expect_eq(try_model(&model), HDL_EFORMAT);
        hdl__str_free(&model);
    }
    free(long_piece);
}

/* A normaliser with `depth` rules "a", "aa", ... in the layout of Darts: each level has its own block of 256 units. */
typedef struct rules {
    uint32_t units[256 * 40];
    uint32_t n;
} rules;

static void set_unit(rules *r, uint32_t at, uint32_t label, uint32_t base, bool leaf)
{
    r->units[at] = label | (uint32_t)leaf << 8 | (at ^ base) << 10;
}

static rules chain_of_rules(uint32_t depth)
{
    rules r = {.n = 256 * (depth + 2)};
    set_unit(&r, 0, 0, 256, false);
    r.units[256] = 0x80000000U; /* a unit left at zero would be the child by NUL of its own base */
    for (uint32_t k = 1; k <= depth; k++) {
        set_unit(&r, (256 * k) ^ 'a', 'a', 256 * (k + 1), true);
        r.units[256 * (k + 1)] = 0x80000000U; /* its text begins at byte 0 */
    }
    return r;
}

static hdl__str model_with(const rules *r, const char *text, size_t n_text)
{
    hdl__str blob = {0}, normalizer = {0}, model = small_model();
    uint32_t n_bytes = r->n * 4;
    hdl__str_add(&blob, (const char *)&n_bytes, 4);
    hdl__str_add(&blob, (const char *)r->units, n_bytes);
    hdl__str_add(&blob, text, n_text);
    add_bytes(&normalizer, 2, blob.data, blob.n);
    add_bytes(&model, 3, normalizer.data, normalizer.n);
    hdl__str_free(&blob);
    hdl__str_free(&normalizer);
    return model;
}

Test(spm_check, normalisation_rules)
{
    rules r = chain_of_rules(32);
    hdl__str model = model_with(&r, "b\0", 2);
    cr_expect_eq(try_model(&model), HDL_OK, "%s", hdl_error_detail());
    hdl__str_free(&model);
    r = chain_of_rules(33);
    model = model_with(&r, "b\0", 2);
    expect_refused(&model, "more than 32 rules");
    r = chain_of_rules(3);
    set_unit(&r, 768 ^ 'a', 'a', 256, true); /* back to the first level */
    model = model_with(&r, "b\0", 2);
    expect_refused(&model, "closes a circle");
    r = chain_of_rules(3);
    model = model_with(&r, "b", 1);
    expect_refused(&model, "does not end");
    r.units[512] = 0x80000002U;
    model = model_with(&r, "b\0", 2);
    expect_refused(&model, "text at 2 of 2 bytes");
    r = chain_of_rules(3);
    set_unit(&r, 256 ^ 'b', 'b', 256 * 5, false);
    model = model_with(&r, "b\0", 2);
    expect_refused(&model, "leads to");
    r = chain_of_rules(3);
    r.n -= 1;
    model = model_with(&r, "b\0", 2);
    expect_refused(&model, "leads to");
    model = small_model();
    add_bytes(&model, 3, "\x12\x04\xFF\xFF\xFF\xFF", 6);
    expect_refused(&model, "blob of 4 bytes");
    model = small_model();
    add_bytes(&model, 3, "\x12\x06\xFF\xFF\xFF\xFF\0\0", 8);
    expect_refused(&model, "bytes of rules");
    model = small_model();
    add_bytes(&model, 5, "\x12\x06\xFF\xFF\xFF\xFF\0\0", 8); /* the denormaliser too */
    expect_refused(&model, "bytes of rules");
}

/* The trainer's self-test does not count: a wrong one would otherwise refuse the model, a long one cost time. */
Test(spm_check, self_test_is_trimmed)
{
    hdl__str model = small_model(), sample = {0}, tests = {0}, trimmed = {0};
    size_t n = model.n;
    add_bytes(&sample, 1, "abc", 3);
    add_bytes(&sample, 2, "something else", 14);
    add_bytes(&tests, 1, sample.data, sample.n);
    add_bytes(&model, 4, tests.data, tests.n);
    cr_expect_eq(try_model(&model), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(hdl__spm_check((const uint8_t *)model.data, model.n, "x", &trimmed), HDL_OK);
    cr_expect(trimmed.n == n && memcmp(trimmed.data, model.data, n) == 0);
    hdl__str_free(&trimmed);
    hdl__str_free(&sample);
    hdl__str_free(&tests);
    hdl__str_free(&model);
}

/* Cut or changed files: refused or read, nothing else. */
Test(spm_check, damaged_files)
{
    unsigned seed = 8642;
    printf("seed %u\n", seed);
    srand(seed);
    hdl__file spm = fixture_open(SMALL_MODEL);
    size_t opened = 0, refused = 0;
    for (int round = 0; round < 400; round++) {
        hdl__str model = {0};
        hdl__str_add(&model, (const char *)spm.data, round < 100 ? (size_t)rand() % spm.n : spm.n);
        for (int i = 0; round >= 100 && i < 1 + round % 20; i++)
            model.data[(size_t)rand() % model.n] = (char)rand();
        hdl_status status = model.n == 0 ? HDL_EFORMAT : try_model(&model);
        cr_assert(status == HDL_OK || status == HDL_EFORMAT, "round %d: %s", round, hdl_error_detail());
        if (status == HDL_OK)
            opened++;
        else
            refused++;
        hdl__str_free(&model);
    }
    printf("%zu opened, %zu refused\n", opened, refused);
    cr_expect(opened > 0 && refused > 100);
    hdl__file_close(&spm);
}

/* Whatever is wrong, SentencePiece writes nothing. */
Test(spm_check, silence)
{
    FILE *caught = tmpfile();
    int saved = dup(STDERR_FILENO);
    cr_assert_not_null(caught);
    dup2(fileno(caught), STDERR_FILENO);
    hdl__str model = small_model(); /* no rules: some versions remark on it */
    hdl_status fine = try_model(&model);
    add_piece(&model, "a", 1, 0, NORMAL);
    hdl_status doubled = try_model(&model);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    fseek(caught, 0, SEEK_END);
    long written = ftell(caught);
    fclose(caught);
    close(saved);
    hdl__str_free(&model);
    cr_expect(fine == HDL_OK && doubled == HDL_EFORMAT);
    cr_expect_eq(written, 0, "%ld bytes on stderr", written);
}

Test(spm_check, every_normaliser_at_hand_passes)
{
    static const char *const names[] = {"spm/wmtende.model", "spm/bergamot_vocab.deen.spm",
                                        "en-de-small/source.spm"};
    for (size_t i = 0; i < 3; i++) {
        hdl__file spm;
        hdl__str trimmed = {0};
        if (!fixture_open_data(names[i], &spm)) return;
        cr_expect_eq(hdl__spm_check(spm.data, spm.n, names[i], &trimmed), HDL_OK, "%s", hdl_error_detail());
        hdl__str_free(&trimmed);
        hdl__file_close(&spm);
    }
}
