/* marian_decoder_yml.c - decoder.yml: which model, which vocabularies, which defaults; without one, by usual names. */
#include "formats/marian_file.h"
#include "formats/vocabulary_file.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES  256
#define PROBE_BYTES 16
#define VALUE_BYTES 16

/* Files are looked for beside the model, whatever folder the YAML names: it was written on another machine, and a
 * hostile one must not reach elsewhere. */
static const char *file_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

hdl_status hdl__marian_find_decoder_yml(const hdl__source *source, const char *file, hdl__yaml *out, char **name)
{
    hdl_status status = HDL_OK;
    hdl__file bytes = {0};
    char candidate[NAME_BYTES] = "";
    for (size_t i = 0; file != NULL && i < 2 && candidate[0] == '\0'; i++) {
        int n = snprintf(candidate, sizeof candidate, i == 0 ? "%s.decoder.yml" : "%s.yml", file);
        if (n < 0 || (size_t)n >= sizeof candidate || !hdl__source_has(source, candidate)) candidate[0] = '\0';
    }
    if (candidate[0] == '\0' && hdl__source_has(source, "decoder.yml"))
        snprintf(candidate, sizeof candidate, "decoder.yml");
    if (candidate[0] != '\0') {
        HDL_TRY(hdl__source_open(source, candidate, &bytes));
        HDL_TRY(hdl__yaml_parse(bytes.data, bytes.n, candidate, out));
    }
    HDL_TRY(hdl__checkpoint_set_text(name, candidate));
done:
    hdl__file_close(&bytes);
    return status;
}

/* Whether a .bin is a Marian model and not a lexical shortlist: the version comes first. */
static hdl_status is_model(const hdl__source *source, const char *name, bool *out)
{
    hdl_status status = HDL_OK;
    hdl__file bytes = {0};
    uint64_t version = 0;
    HDL_TRY(hdl__source_open(source, name, &bytes));
    if (bytes.n >= PROBE_BYTES) memcpy(&version, bytes.data, sizeof version);
    *out = ends_with(name, ".npz") || version == 1 || version == 2;
done:
    hdl__file_close(&bytes);
    return status;
}

hdl_status hdl__marian_find_model(const hdl__source *source, const hdl__yaml *decoder, char **name)
{
    static const char *const suffixes[] = {".npz", ".bin"};
    hdl_status status = HDL_OK;
    char *candidate = NULL, *found = NULL;
    const char *listed = hdl__yaml_get(decoder, "models", 0);
    HDL_CHECK(hdl__yaml_get(decoder, "models", 1) == NULL, HDL_ENOSUPPORT,
              "decoder.yml: several models (an ensemble) are not computed");
    if (listed != NULL) {
        HDL_TRY(hdl__checkpoint_set_text(name, file_part(listed)));
        goto done;
    }
    for (size_t kind = 0; kind < 2; kind++) {
        size_t n = 1;
        for (size_t i = 0; i < n; i++) {
            bool model = false;
            HDL_TRY(hdl__source_match(source, suffixes[kind], i, &candidate, &n));
            if (candidate == NULL) break;
            HDL_TRY(is_model(source, candidate, &model));
            HDL_CHECK(!model || found == NULL, HDL_EFORMAT, "two models here, %s and %s, and no decoder.yml to choose",
                      found, candidate);
            if (model) found = candidate;
            else hdl__free(candidate);
            candidate = NULL;
        }
    }
    HDL_CHECK(found != NULL, HDL_EFORMAT, "no Marian model here: expected a .npz or .bin");
    *name = found;
    found = NULL;
done:
    hdl__free(candidate);
    hdl__free(found);
    return status;
}

/* Without decoder.yml: one list for both sides, by the names that are in use. */
static hdl_status guess_vocabulary(const hdl__source *source, char **name)
{
    static const char *const exact[] = {"vocab.spm", "vocab.yml", "vocab.json", "vocab.txt"};
    static const char *const suffixes[] = {".vocab.yml", ".vocab.json", ".spm"};
    hdl_status status = HDL_OK;
    char *candidate = NULL;
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
        if (!hdl__source_has(source, exact[i])) continue;
        HDL_TRY(hdl__checkpoint_set_text(name, exact[i]));
        goto done;
    }
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t n = 0;
        HDL_TRY(hdl__source_match(source, suffixes[i], 0, &candidate, &n));
        if (n == 1) {
            *name = candidate;
            candidate = NULL;
            goto done;
        }
        hdl__free(candidate);
        candidate = NULL;
    }
    HDL_CHECK(false, HDL_EIO, "no vocabulary: expected decoder.yml with `vocabs`, or one vocab.yml, .json, .txt or .spm");
done:
    hdl__free(candidate);
    return status;
}

static hdl_status load_vocabulary(const hdl__source *source, const char *name, hdl__asset_role role,
                                  hdl__vocabulary *vocabulary, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl__vocabulary_open(source, name, NULL, vocabulary));
    if (ends_with(name, ".spm")) HDL_TRY(hdl__checkpoint_open_asset(out, source, role, name));
done:
    return status;
}

hdl_status hdl__marian_load_vocabularies(const hdl__source *source, const hdl__yaml *decoder, hdl__checkpoint *out)
{
    hdl_status status = HDL_OK;
    char *guess = NULL;
    const char *first = hdl__yaml_get(decoder, "vocabs", 0), *second = hdl__yaml_get(decoder, "vocabs", 1);
    HDL_CHECK(hdl__yaml_get(decoder, "vocabs", 2) == NULL, HDL_ENOSUPPORT,
              "decoder.yml: more than two vocabularies (several sources) are not computed");
    if (first == NULL) {
        HDL_TRY(guess_vocabulary(source, &guess));
        first = guess;
    }
    first = file_part(first);
    second = second == NULL ? first : file_part(second);
    HDL_TRY(load_vocabulary(source, first, HDL__ASSET_SOURCE_SPM, &out->source_vocabulary, out));
    if (strcmp(first, second) == 0) {
        HDL_TRY(hdl__vocabulary_copy(&out->source_vocabulary, &out->target_vocabulary));
        if (out->assets[HDL__ASSET_SOURCE_SPM].data != NULL) HDL_TRY(hdl__checkpoint_share_spm(out));
    } else {
        HDL_TRY(load_vocabulary(source, second, HDL__ASSET_TARGET_SPM, &out->target_vocabulary, out));
    }
    out->config.end_id = hdl__vocabulary_find(&out->target_vocabulary, "</s>");
    out->config.unknown_id = hdl__vocabulary_find(&out->target_vocabulary, "<unk>");
    HDL_CHECK(out->config.end_id >= 0, HDL_EFORMAT, "%s: holds no </s>", second);
    HDL_CHECK(hdl__vocabulary_find(&out->source_vocabulary, "</s>") >= 0, HDL_EFORMAT, "%s: holds no </s>", first);
    out->config.start_id = out->config.end_id;    /* never looked up: the first input is the zero vector */
done:
    hdl__free(guess);
    return status;
}

/* A number as YAML writes it: digits with at most one point. */
static bool is_number(const char *text)
{
    size_t digits = 0, points = 0, n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        if (text[i] >= '0' && text[i] <= '9') digits++;
        else if (text[i] == '.') points++;
        else return false;
    }
    return digits > 0 && points <= 1 && n < VALUE_BYTES;
}

hdl_status hdl__marian_add_defaults(const hdl__yaml *decoder, const char *name, hdl__checkpoint *out)
{
    static const struct { const char *key, *option; } keys[] = {{"beam-size", "beam"}, {"normalize", "length-penalty"}};
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *value = hdl__yaml_get(decoder, keys[i].key, 0);
        if (value == NULL) continue;
        if (strcmp(value, "true") == 0) value = "1";    /* a flag of old versions */
        if (strcmp(value, "false") == 0) value = "0";
        HDL_CHECK(is_number(value), HDL_EFORMAT, "%s: %s is \"%s\", expected a number", name, keys[i].key, value);
        HDL_TRY(hdl__checkpoint_add_default(out, keys[i].option, value, name));
    }
done:
    return status;
}
