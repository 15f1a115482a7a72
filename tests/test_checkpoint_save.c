/* test_checkpoint_save.c - a saved checkpoint loads again to the same tensors, configuration, tokens and files. */
#define _GNU_SOURCE
#include "format_models.h"

#include "formats/heddle_config.h"

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void empty_directory(const char *path)
{
    DIR *listing = opendir(path);
    if (listing == NULL) return;
    for (const struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing)) {
        char name[512];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        unlink(name);
    }
    closedir(listing);
    rmdir(path);
}

static size_t bytes_of_param(const hdl__param *p)
{
    size_t n = hdl_dtype_bytes(p->dtype);
    for (int32_t k = 0; k < p->rank; k++) n *= (size_t)p->shape[k];
    return n;
}

static void expect_same_params(const hdl__checkpoint *a, const hdl__checkpoint *b)
{
    cr_assert_eq(a->n_params, b->n_params);
    for (int32_t i = 0; i < a->n_params; i++) {
        const hdl__param *p = &a->params[i], *q = &b->params[i];
        cr_assert_str_eq(p->name, q->name);
        cr_assert_eq(p->dtype, q->dtype, "%s", p->name);
        cr_assert_eq(p->rank, q->rank, "%s", p->name);
        cr_assert_eq(p->transposed, q->transposed, "%s", p->name);
        cr_assert_eq(p->n_scale, q->n_scale, "%s", p->name);
        for (int32_t k = 0; k < p->rank; k++) cr_assert_eq(p->shape[k], q->shape[k], "%s", p->name);
        cr_expect_eq(memcmp(p->data, q->data, bytes_of_param(p)), 0, "%s", p->name);
        if (p->n_scale > 0)
            cr_expect_eq(memcmp(p->scale, q->scale, (size_t)p->n_scale * sizeof *p->scale), 0, "%s", p->name);
    }
}

static void expect_same_rest(const hdl__checkpoint *a, const hdl__checkpoint *b)
{
    json_t *first = NULL, *second = NULL;
    cr_assert_eq(hdl__heddle_config_write(&a->config, &first), HDL_OK);
    cr_assert_eq(hdl__heddle_config_write(&b->config, &second), HDL_OK);
    cr_expect(json_equal(first, second));
    json_decref(first);
    json_decref(second);
    cr_assert_eq(a->source_vocabulary.n, b->source_vocabulary.n);
    cr_assert_eq(a->target_vocabulary.n, b->target_vocabulary.n);
    for (int32_t i = 0; i < a->target_vocabulary.n; i++)
        cr_expect_str_eq(a->target_vocabulary.tokens[i], b->target_vocabulary.tokens[i]);
    cr_assert_eq(a->n_defaults, b->n_defaults);
    for (int32_t i = 0; i < a->n_defaults; i++) {
        cr_expect_str_eq(a->defaults[i].name, b->defaults[i].name);
        cr_expect_str_eq(a->defaults[i].value, b->defaults[i].value);
        cr_expect_str_eq(b->defaults[i].file, "config.json");
    }
    for (int role = 0; role < HDL__N_ASSETS; role++) {
        cr_assert_eq(a->assets[role].n, b->assets[role].n, "role %d", role);
        cr_expect(a->assets[role].n == 0 || memcmp(a->assets[role].data, b->assets[role].data, a->assets[role].n) == 0);
    }
}

/* Saves into a fresh directory and loads it; the caller empties it. */
static void save_and_load(const hdl__checkpoint *c, char *path, hdl__checkpoint *out)
{
    cr_assert_not_null(mkdtemp(path));
    cr_assert_eq(hdl__checkpoint_save(c, path), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl__checkpoint_load(path, NULL, out), HDL_OK, "%s", hdl_error_detail());
    cr_expect_str_eq(out->config.format, "heddle");
}

Test(checkpoint_save, models_come_back)
{
    static const char *const models[] = {
        HEDDLE_SOURCE_DIR "/tests/data/ct2/aren-v2",
        HEDDLE_SOURCE_DIR "/tests/data/ct2/aren-v2-i16",
        HEDDLE_SOURCE_DIR "/models/en-de",
    };
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        char path[] = "/tmp/heddle-test-XXXXXX";
        hdl__checkpoint before = {0}, after = {0};
        cr_assert_eq(hdl__checkpoint_load(models[i], NULL, &before), HDL_OK, "%s", hdl_error_detail());
        save_and_load(&before, path, &after);
        expect_same_params(&before, &after);
        expect_same_rest(&before, &after);
        hdl__checkpoint_close(&before);
        hdl__checkpoint_close(&after);
        empty_directory(path);
    }
}

/* The tiny model with one int8 weight stored [in, out] with a scale per output, one with a single scale, assets. */
Test(checkpoint_save, transposed_and_scaled_weights)
{
    static int8_t up[TINY_E * TINY_F], down[TINY_E * TINY_F];
    static float up_scale[TINY_F] = {1.5f, 2.0f, 3.0f, 4.25f, 5.0f, 0.1f}, down_scale[1] = {127.0f};
    char path[] = "/tmp/heddle-test-XXXXXX";
    model_files m = {0};
    hdl__checkpoint c = {0}, after = {0};
    make_marianmt(&m, NULL);
    put_text(&m, "x.spm", "shared pieces");
    put_text(&m, "vmap.txt", "a\tb\n");
    cr_assert_eq(load_files(&m, &c), HDL_OK, "%s", hdl_error_detail());
    for (int i = 0; i < TINY_E * TINY_F; i++) up[i] = (int8_t)(i - 9), down[i] = (int8_t)(7 * i);
    for (int32_t i = 0; i < c.n_params; i++) {
        hdl__param *p = &c.params[i];
        if (strcmp(p->name, "encoder.0.ffn.up.weight") == 0)
            p->data = up, p->dtype = HDL_I8, p->scale = up_scale, p->n_scale = TINY_F, p->transposed = true,
            p->shape[0] = TINY_E, p->shape[1] = TINY_F;
        if (strcmp(p->name, "encoder.0.ffn.down.weight") == 0)
            p->data = down, p->dtype = HDL_I8, p->scale = down_scale, p->n_scale = 1;
    }
    save_and_load(&c, path, &after);
    expect_same_params(&c, &after);
    expect_same_rest(&c, &after);
    cr_expect_eq(hdl__checkpoint_find(&after, "decoder.embed")->data,
                 hdl__checkpoint_find(&after, "output.weight")->data, "tied tensors are stored once");
    cr_expect_eq((uintptr_t)hdl__checkpoint_find(&after, "encoder.0.ffn.up.weight")->scale % 64, 0);
    hdl__checkpoint_close(&c);
    hdl__checkpoint_close(&after);
    empty_directory(path);
    free_files(&m);
}

Test(checkpoint_save, refuses_what_it_cannot_write)
{
    char path[] = "/tmp/heddle-test-XXXXXX", file[64];
    model_files m = {0};
    hdl__checkpoint c = {0};
    make_marianmt(&m, NULL);
    cr_assert_eq(load_files(&m, &c), HDL_OK);
    cr_assert_not_null(mkdtemp(path));
    cr_expect_eq(hdl__checkpoint_save(&c, "/nonexistent/directory"), HDL_EIO);
    cr_expect(strstr(hdl_error_detail(), "/nonexistent/directory") != NULL, "%s", hdl_error_detail());
    snprintf(file, sizeof file, "%s/x", path);
    fclose(fopen(file, "w"));
    cr_expect_eq(hdl__checkpoint_save(&c, file), HDL_EIO, "a file is no directory");
    cr_expect_eq(hdl__checkpoint_save(&c, path), HDL_EINVAL);
    cr_expect(strstr(hdl_error_detail(), "not empty") != NULL, "%s", hdl_error_detail());
    hdl__checkpoint_close(&c);
    empty_directory(path);
    free_files(&m);
}

/* A disk that is full, played by a limit on file sizes: the file is named and does not stay behind half-written. */
Test(checkpoint_save, full_disk)
{
    char path[] = "/tmp/heddle-test-XXXXXX", file[64];
    model_files m = {0};
    hdl__checkpoint c = {0};
    make_marianmt(&m, NULL);
    cr_assert_eq(load_files(&m, &c), HDL_OK);
    cr_assert_not_null(mkdtemp(path));
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit old, limit;
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 1000;
    setrlimit(RLIMIT_FSIZE, &limit);
    hdl_status status = hdl__checkpoint_save(&c, path);
    setrlimit(RLIMIT_FSIZE, &old);
    cr_expect_eq(status, HDL_EIO, "%s", hdl_status_name(status));
    cr_expect(strstr(hdl_error_detail(), "model.safetensors: ") != NULL, "%s", hdl_error_detail());
    snprintf(file, sizeof file, "%s/model.safetensors", path);
    cr_expect_neq(access(file, F_OK), 0);
    hdl__checkpoint_close(&c);
    empty_directory(path);
    free_files(&m);
}

Test(checkpoint_save, every_allocation_failing_once_is_reported)
{
    char path[] = "/tmp/heddle-test-XXXXXX";
    model_files m = {0};
    hdl__checkpoint c = {0};
    make_marianmt(&m, NULL);
    cr_assert_eq(load_files(&m, &c), HDL_OK);
    cr_assert_not_null(mkdtemp(path));
    rmdir(path);
    uint64_t before = hdl__alloc_count();
    cr_assert_eq(hdl__checkpoint_save(&c, path), HDL_OK);
    uint64_t n = hdl__alloc_count() - before;
    for (uint64_t i = 1; i <= n; i++) {
        empty_directory(path);
        hdl__alloc_fail_at(i);
        cr_expect_eq(hdl__checkpoint_save(&c, path), HDL_ENOMEM, "allocation %lu", (unsigned long)i);
        hdl__alloc_fail_at(0);
    }
    empty_directory(path);
    hdl__checkpoint_close(&c);
    free_files(&m);
}

/* A saved directory in memory, for what a hostile one may say. */
static void make_saved(model_files *m)
{
    static const char *const names[] = {"config.json", "model.safetensors", "shared_vocabulary.json"};
    char path[] = "/tmp/heddle-test-XXXXXX";
    model_files original = {0};
    hdl__checkpoint c = {0};
    make_marianmt(&original, NULL);
    cr_assert_eq(load_files(&original, &c), HDL_OK);
    cr_assert_not_null(mkdtemp(path));
    cr_assert_eq(hdl__checkpoint_save(&c, path), HDL_OK, "%s", hdl_error_detail());
    for (size_t i = 0; i < 3; i++) {
        const hdl__source source = {.directory = path};
        hdl__file file = {0};
        cr_assert_eq(hdl__source_open(&source, names[i], &file), HDL_OK);
        put_file(m, names[i], file.data, file.n);
        hdl__file_close(&file);
    }
    hdl__checkpoint_close(&c);
    empty_directory(path);
    free_files(&original);
}

static const struct { const char *label, *from, *to; hdl_status status; const char *words; } edits[] = {
    {"as saved", "\"swish\"", "\"swish\"", HDL_OK, NULL},
    {"another version", "\"format_version\": 1", "\"format_version\": 2", HDL_ENOSUPPORT, "format_version"},
    {"field left out", "\"pad_id\"", "\"pad\"", HDL_EFORMAT, "\"pad_id\" is missing"},
    {"unknown activation", "\"swish\"", "\"mish\"", HDL_EFORMAT, "\"mish\""},
    {"number of text", "\"heads\": 2", "\"heads\": \"2\"", HDL_EFORMAT, "\"heads\" is a string"},
    {"tied to nothing", "\"output.weight\": \"decoder.embed\"", "\"output.weight\": \"x\"", HDL_EFORMAT,
     "is no tensor"},
    {"tied twice", "\"output.weight\": \"decoder.embed\"", "\"encoder.0.ffn.up.weight\": \"decoder.embed\"",
     HDL_EFORMAT, "two tensors are named encoder.0.ffn.up.weight"},
    {"transposed nothing", "\"transposed\": []", "\"transposed\": [\"x\"]", HDL_EFORMAT, "\"transposed\" names x"},
    {"transposed number", "\"transposed\": []", "\"transposed\": [1]", HDL_EFORMAT, "\"transposed\""},
    {"transposed embedding", "\"transposed\": []", "\"transposed\": [\"decoder.embed\"]", HDL_EFORMAT,
     "cannot be stored transposed"},
    {"default of a number", "\"beam\": \"6\"", "\"beam\": 6", HDL_EFORMAT, "default \"beam\""},
    {"layers 2", "\"layers\": 1", "\"layers\": 2", HDL_EFORMAT, "is missing"},
    {"layers 2^31 - 1", "\"layers\": 1", "\"layers\": 2147483647", HDL_EFORMAT, "number of layers"},
    {"epsilon 0", "\"norm_eps\": 9.9", "\"norm_eps\": 0, \"x\": 9.9", HDL_EFORMAT, "epsilon"},
};

Test(checkpoint_save, edited_configurations)
{
    for (size_t i = 0; i < sizeof edits / sizeof *edits; i++) {
        model_files m = {0};
        hdl__str edited = {0};
        make_saved(&m);
        const char *text = bytes_of(&m, "config.json")->data, *at = strstr(text, edits[i].from);
        cr_assert_not_null(at, "%s: %s", edits[i].label, text);
        hdl__str_add(&edited, text, (size_t)(at - text));
        hdl__str_puts(&edited, edits[i].to);
        hdl__str_puts(&edited, at + strlen(edits[i].from));
        put_text(&m, "config.json", edited.data);
        expect_load(&m, edits[i].label, edits[i].status, edits[i].words);
        hdl__str_free(&edited);
        free_files(&m);
    }
}

Test(checkpoint_save, reading_reports_every_allocation)
{
    model_files m = {0};
    make_saved(&m);
    expect_every_allocation_reported(&m);
    free_files(&m);
}
