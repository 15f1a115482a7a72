/* test_checkpoint.c - finding the format, directories and memory, tokenizer files and the options that replace them. */
#define _GNU_SOURCE
#include "format_models.h"

#include "formats/checkpoint_build.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct asset_row {
    const char       *label;
    const char       *files[5];         /* names; each file holds its own name */
    hdl_model_options options;
    const char       *expected[HDL__N_ASSETS];
    hdl_status        status;
} asset_row;

static const asset_row asset_rows[] = {
    {"nothing", {NULL}, HDL_MODEL_OPTIONS_INIT, {NULL}, HDL_OK},
    {"source and target", {"source.spm", "target.spm", "x.spm"}, HDL_MODEL_OPTIONS_INIT,
     {"source.spm", "target.spm"}, HDL_OK},
    {"spm.model first", {"sp.model", "spm.model", "x.spm"}, HDL_MODEL_OPTIONS_INIT, {"spm.model", "spm.model"}, HDL_OK},
    {"sentencepiece.model", {"sentencepiece.model", "bpe.codes"}, HDL_MODEL_OPTIONS_INIT,
     {"sentencepiece.model", "sentencepiece.model"}, HDL_OK},
    {"one .spm", {"vocab.ende.spm"}, HDL_MODEL_OPTIONS_INIT, {"vocab.ende.spm", "vocab.ende.spm"}, HDL_OK},
    {"two .spm", {"a.spm", "b.spm", "codes.bpe"}, HDL_MODEL_OPTIONS_INIT, {NULL, NULL, "codes.bpe"}, HDL_OK},
    {"BPE by name", {"x.bpe", "bpe.codes"}, HDL_MODEL_OPTIONS_INIT, {NULL, NULL, "bpe.codes"}, HDL_OK},
    {"one .bpe", {"x.bpe"}, HDL_MODEL_OPTIONS_INIT, {NULL, NULL, "x.bpe"}, HDL_OK},
    {"vocabulary map", {"vmap.txt"}, HDL_MODEL_OPTIONS_INIT, {NULL, NULL, NULL, "vmap.txt"}, HDL_OK},
    {"tokens only", {"source.spm", "target.spm", "vmap.txt"}, {.struct_bytes = sizeof(hdl_model_options), .tokens_only = 1},
     {NULL, NULL, NULL, "vmap.txt"}, HDL_OK},
    {"one for both", {"source.spm", "target.spm", "mine"}, {.struct_bytes = sizeof(hdl_model_options), .spm = "mine"},
     {"mine", "mine"}, HDL_OK},
    {"another source", {"source.spm", "target.spm", "mine"},
     {.struct_bytes = sizeof(hdl_model_options), .source_spm = "mine"}, {"mine", "target.spm"}, HDL_OK},
    {"another source of a shared model", {"x.spm", "mine"},
     {.struct_bytes = sizeof(hdl_model_options), .source_spm = "mine"}, {"mine", "x.spm"}, HDL_OK},
    {"another target of a shared model", {"x.spm", "mine"},
     {.struct_bytes = sizeof(hdl_model_options), .target_spm = "mine"}, {"x.spm", "mine"}, HDL_OK},
    {"another map", {"vmap.txt", "mine"}, {.struct_bytes = sizeof(hdl_model_options), .vocab_map = "mine"},
     {NULL, NULL, NULL, "mine"}, HDL_OK},
    {"an absent option", {"source.spm", "target.spm"}, {.struct_bytes = sizeof(hdl_model_options), .spm = "mine"},
     {NULL}, HDL_EIO},
};

static void expect_assets(const asset_row *row, const hdl__checkpoint *c, const char *where)
{
    for (int role = 0; role < HDL__N_ASSETS; role++) {
        const char *expected = row->expected[role];
        cr_expect_eq(c->assets[role].data != NULL, expected != NULL, "%s, %s: role %d", row->label, where, role);
        if (expected == NULL || c->assets[role].data == NULL) continue;
        cr_expect(c->assets[role].n == strlen(expected)
                      && memcmp(c->assets[role].data, expected, strlen(expected)) == 0,
                  "%s, %s: role %d holds \"%.*s\"", row->label, where, role, (int)c->assets[role].n,
                  (const char *)c->assets[role].data);
        const char *name = c->asset_names[role], *slash = strrchr(name, '/');
        cr_expect_str_eq(slash == NULL ? name : slash + 1, expected, "%s, %s", row->label, where);
    }
}

Test(checkpoint, assets_from_memory)
{
    for (size_t i = 0; i < sizeof asset_rows / sizeof *asset_rows; i++) {
        const asset_row *row = &asset_rows[i];
        model_files m = {0};
        hdl__checkpoint c = {0};
        make_marianmt(&m, NULL);
        for (size_t k = 0; k < 5 && row->files[k] != NULL; k++) put_text(&m, row->files[k], row->files[k]);
        hdl_status status = hdl__checkpoint_load_memory(m.files, m.n, &row->options, &c);
        cr_expect_eq(status, row->status, "%s: %s (%s)", row->label, hdl_status_name(status), hdl_error_detail());
        if (status == HDL_OK) expect_assets(row, &c, "memory");
        hdl__checkpoint_close(&c);
        free_files(&m);
    }
}

static void write_directory(const char *path, const model_files *m)
{
    for (size_t i = 0; i < m->n; i++) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", path, m->files[i].name);
        FILE *f = fopen(name, "wb");
        cr_assert_not_null(f, "%s", name);
        cr_assert_eq(fwrite(m->files[i].data, 1, m->files[i].n_bytes, f), m->files[i].n_bytes);
        fclose(f);
    }
}

static void remove_directory(const char *path, const model_files *m)
{
    for (size_t i = 0; i < m->n; i++) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", path, m->files[i].name);
        unlink(name);
    }
    rmdir(path);
}

Test(checkpoint, the_same_from_a_directory)
{
    char path[] = "/tmp/heddle-test-XXXXXX";
    model_files m = {0};
    hdl__checkpoint disk = {0}, memory = {0};
    cr_assert_not_null(mkdtemp(path));
    make_marianmt(&m, NULL);
    put_text(&m, "x.spm", "x.spm");
    write_directory(path, &m);
    cr_assert_eq(hdl__checkpoint_load(path, NULL, &disk), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(load_files(&m, &memory), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(disk.n_params, memory.n_params);
    for (int32_t i = 0; i < disk.n_params; i++) {
        const hdl__param *a = &disk.params[i], *b = &memory.params[i];
        size_t n = sizeof(float);
        for (int32_t k = 0; k < a->rank; k++) n *= (size_t)a->shape[k];
        cr_expect_str_eq(a->name, b->name);
        cr_expect(memcmp(a->data, b->data, n) == 0, "%s", a->name);
    }
    cr_expect_eq(disk.assets[HDL__ASSET_SOURCE_SPM].data, disk.assets[HDL__ASSET_TARGET_SPM].data);
    hdl__checkpoint_close(&disk);
    hdl__checkpoint_close(&memory);
    remove_directory(path, &m);
    free_files(&m);
}

/* Every allocation of a load from a directory, options included. */
Test(checkpoint, every_allocation_of_a_directory_fails_once)
{
    char path[] = "/tmp/heddle-test-XXXXXX", spm[64];
    model_files m = {0};
    hdl__checkpoint c = {0};
    cr_assert_not_null(mkdtemp(path));
    make_marianmt(&m, NULL);
    put_text(&m, "x.spm", "x.spm");
    put_text(&m, "vmap.txt", "v");
    write_directory(path, &m);
    snprintf(spm, sizeof spm, "%s/x.spm", path);
    const hdl_model_options options = {.struct_bytes = sizeof options, .source_spm = spm};
    uint64_t before = hdl__alloc_count();
    cr_assert_eq(hdl__checkpoint_load(path, &options, &c), HDL_OK, "%s", hdl_error_detail());
    uint64_t n = hdl__alloc_count() - before;
    hdl__checkpoint_close(&c);
    for (uint64_t i = 1; i <= n; i++) {
        hdl__alloc_fail_at(i);
        hdl_status status = hdl__checkpoint_load(path, &options, &c);
        hdl__alloc_fail_at(0);
        cr_expect_eq(status, HDL_ENOMEM, "allocation %lu: %s (%s)", (unsigned long)i, hdl_status_name(status),
                     hdl_error_detail());
    }
    remove_directory(path, &m);
    free_files(&m);
}

Test(checkpoint, what_is_not_a_model)
{
    static const struct { const char *label, *name, *text; size_t n; hdl_status status; const char *words; } rows[] = {
        {"nothing", "readme", "x", 1, HDL_EFORMAT, "no model here"},
        {"short model.bin", "model.bin", "\6\0\0", 3, HDL_EFORMAT, "model.bin"},
        {"zeros", "model.bin", "\0\0\0\0\0\0\0\0", 8, HDL_EFORMAT, "model.bin"},
        {"text", "model.bin", "hello world", 11, HDL_EFORMAT, "model.bin"},
        {"config alone", "config.json", "{\"model_type\": \"marian\"}", 24, HDL_EFORMAT, "d_model"},
        {"T5", "config.json", "{\"model_type\": \"t5\"}", 20, HDL_ENOSUPPORT, "\"t5\""},
        {"config is a list", "config.json", "[]", 2, HDL_EFORMAT, "expected an object"},
        {"config is empty", "config.json", "", 0, HDL_EFORMAT, "config.json: empty"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        model_files m = {0};
        put_file(&m, rows[i].name, rows[i].text, rows[i].n);
        expect_load(&m, rows[i].label, rows[i].status, rows[i].words);
        free_files(&m);
    }
}

Test(checkpoint, paths_that_do_not_load)
{
    static const struct { const char *path; hdl_status status; const char *words; } rows[] = {
        {"/nonexistent/model", HDL_EIO, "/nonexistent/model: No such file"},
        {HEDDLE_SOURCE_DIR "/CMakeLists.txt", HDL_EFORMAT, "CMakeLists.txt: not a model"},
        {HEDDLE_SOURCE_DIR "/include", HDL_EFORMAT, "/include: no model here"},
        {"/dev/null", HDL_EFORMAT, "not a model"},
        {NULL, HDL_EINVAL, "NULL"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        hdl__checkpoint c = {0};
        cr_expect_eq(hdl__checkpoint_load(rows[i].path, NULL, &c), rows[i].status, "%s", hdl_error_detail());
        cr_expect(strstr(hdl_error_detail(), rows[i].words) != NULL, "\"%s\"", hdl_error_detail());
    }
}

Test(checkpoint, find_needs_the_whole_name)
{
    model_files m = {0};
    hdl__checkpoint c = {0};
    make_marianmt(&m, NULL);
    cr_assert_eq(load_files(&m, &c), HDL_OK, "%s", hdl_error_detail());
    for (int32_t i = 0; i < c.n_params; i++)
        cr_expect_eq(hdl__checkpoint_find(&c, "%s", c.params[i].name), &c.params[i]);
    cr_expect_null(hdl__checkpoint_find(&c, "decoder"));
    cr_expect_null(hdl__checkpoint_find(&c, "%0300d", 1));
    hdl__checkpoint_close(&c);
    hdl__checkpoint_close(&c);
    free_files(&m);
}
