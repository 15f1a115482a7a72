/* test_vocabulary_file.c - token lists of every kind, well formed and hostile. */
#include "format_models.h"

#include "formats/vocabulary_file.h"

static const struct {
    const char *label, *name, *text;
    size_t      n;              /* bytes; 0: strlen */
    const char *unknown;
    hdl_status  status;
    const char *words;          /* of the error, or the tokens joined by '|' */
} rows[] = {
    {"array", "v.json", "[\"a\", \"b c\", \"\\u00e9\"]", 0, NULL, HDL_OK, "a|b c|é"},
    {"array with an empty token", "v.json", "[\"a\", \"\"]", 0, NULL, HDL_OK, "a|"},
    {"array, unknown appended", "v.json", "[\"a\"]", 0, "<unk>", HDL_OK, "a|<unk>"},
    {"array, unknown there", "v.json", "[\"<unk>\", \"a\"]", 0, "<unk>", HDL_OK, "<unk>|a"},
    {"duplicates stay, the ids count", "v.json", "[\"a\", \"b\", \"a\"]", 0, NULL, HDL_OK, "a|b|a"},
    {"empty array", "v.json", "[]", 0, NULL, HDL_EFORMAT, "holds no token"},
    {"map out of order", "v.json", "{\"c\": 2, \"a\": 0, \"b\": 1}", 0, NULL, HDL_OK, "a|b|c"},
    {"map, key twice", "v.json", "{\"c\": 0, \"c\": 1}", 0, NULL, HDL_EFORMAT, "duplicate"},
    {"a number", "v.json", "7", 0, NULL, HDL_EFORMAT, "v.json"},
    {"a string", "v.json", "\"a\"", 0, NULL, HDL_EFORMAT, "v.json"},
    {"lines", "v.txt", "a\nb\n", 0, NULL, HDL_OK, "a|b"},
    {"last line without its end", "v.txt", "a\nb", 0, NULL, HDL_OK, "a|b"},
    {"an empty line is a token", "v.txt", "a\n\nb\n", 0, NULL, HDL_OK, "a||b"},
    {"every line with CR", "v.txt", "a\r\nb\r\n", 0, NULL, HDL_OK, "a|b"},
    {"one line with CR", "v.txt", "a\r\nb\n", 0, NULL, HDL_OK, "a\r|b"},
    {"white space stays", "v.txt", " a \n\tb\n", 0, NULL, HDL_OK, " a |\tb"},
    {"line separators are no line ends", "v.txt", "a\xe2\x80\xa8""b\n", 0, NULL, HDL_OK, "a\xe2\x80\xa8""b"},
    {"invalid UTF-8", "v.txt", "a\n\xff\n", 0, NULL, HDL_EFORMAT, "line 2"},
    {"a NUL", "v.txt", "a\nb\0c\n", 6, NULL, HDL_EFORMAT, "line 2"},
    {"no line", "v.txt", "", 0, NULL, HDL_EFORMAT, "holds no token"},
    {"yml", "v.yml", "</s>: 0\n<unk>: 1\n", 0, NULL, HDL_OK, "</s>|<unk>"},
    {"yml quoted", "v.yml", "\"a\\\"b\": 0\n'it''s': 1\n\"\\x85\": 2\n\"\\u2028\": 3\n\"\\t\": 4\n", 0, NULL, HDL_OK,
     "a\"b|it's|\xc2\x85|\xe2\x80\xa8|\t"},
    {"yml with colons", "v.yml", "\":\": 0\na:b: 1\nhttp://x: 2\n", 0, NULL, HDL_OK, ":|a:b|http://x"},
    {"yml complex keys", "v.yml", "? \"a\"\n: 0\n? b c\n: 1\n", 0, NULL, HDL_OK, "a|b c"},
    {"yml out of order", "v.yml", "b: 1\r\na: 0\r\n", 0, NULL, HDL_OK, "a|b"},
    {"yml marks and comments", "v.yml", "---\n# list\na: 0\n\n...\n", 0, NULL, HDL_OK, "a"},
    {"yml words that YAML would change", "v.yml", "~: 0\nnull: 1\n12: 2\n<<: 3\nyes: 4\n", 0, NULL, HDL_OK,
     "~|null|12|<<|yes"},
    {"yml without id", "v.yml", "a\n", 0, NULL, HDL_EFORMAT, "line 1"},
    {"yml id of text", "v.yml", "a: b\n", 0, NULL, HDL_EFORMAT, "line 1"},
    {"yml id too long", "v.yml", "a: 9999999999999999999\n", 0, NULL, HDL_EFORMAT, "line 1"},
    {"yml id left out", "v.yml", "a: 0\nb: 2\n", 0, NULL, HDL_EFORMAT, "id 1 has no token"},
    {"yml id twice", "v.yml", "a: 0\nb: 0\n", 0, NULL, HDL_EFORMAT, "two tokens have id 0"},
    {"yml bad escape", "v.yml", "\"\\q\": 0\n", 0, NULL, HDL_EFORMAT, "quoted"},
    {"yml surrogate", "v.yml", "\"\\ud800\": 0\n", 0, NULL, HDL_EFORMAT, "quoted"},
    {"yml NUL escape", "v.yml", "\"\\x00\": 0\n", 0, NULL, HDL_EFORMAT, "quoted"},
    {"yml cut escape", "v.yml", "\"\\x4\": 0\n", 0, NULL, HDL_EFORMAT, "quoted"},
    {"yml last key alone", "v.yml", "? a\n", 0, NULL, HDL_EFORMAT, "no id"},
    {"spm", "v.spm", "\x0a\x0a\x0a\x01""a\x15\0\0\0\0\x18\x01\x0a\x03\x0a\x01""b\x12\x02xy", 21, NULL, HDL_OK, "a|b"},
    {"spm, length past the end", "v.spm", "\x0a\x7f\x0a\x01""a", 5, NULL, HDL_EFORMAT, "offset 0"},
    {"spm, length without end", "v.spm", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11, NULL, HDL_EFORMAT,
     "offset 0"},
    {"spm, piece past its end", "v.spm", "\x0a\x03\x0a\x09""a", 5, NULL, HDL_EFORMAT, "piece 0 is malformed"},
    {"spm, empty piece", "v.spm", "\x0a\x02\x18\x01", 4, NULL, HDL_EFORMAT, "piece 0 is empty"},
    {"spm, NUL", "v.spm", "\x0a\x03\x0a\x01\0", 5, NULL, HDL_EFORMAT, "piece 0"},
    {"spm, group", "v.spm", "\x0b", 1, NULL, HDL_EFORMAT, "offset 0"},
    {"spm, field 0", "v.spm", "\x02\x01x", 3, NULL, HDL_EFORMAT, "offset 0"},
    {"spm without pieces", "v.spm", "\x12\x01x", 3, NULL, HDL_EFORMAT, "holds no token"},
};

static void join_tokens(const hdl__vocabulary *v, hdl__str *out)
{
    for (int32_t i = 0; i < v->n; i++) hdl__str_printf(out, "%s%s", i == 0 ? "" : "|", v->tokens[i]);
}

Test(vocabulary_file, table)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = rows[i].n == 0 ? strlen(rows[i].text) : rows[i].n;
        uint8_t *copy = malloc(n == 0 ? 1 : n);
        memcpy(copy, rows[i].text, n);
        const hdl__file file = {.data = n == 0 ? NULL : copy, .n = n};
        hdl__vocabulary v = {0};
        hdl__str joined = {0};
        hdl_status status = hdl__vocabulary_parse(&file, rows[i].name, rows[i].unknown, &v);
        cr_expect_eq(status, rows[i].status, "%s: %s (%s)", rows[i].label, hdl_status_name(status),
                     hdl_error_detail());
        if (status == HDL_OK) {
            join_tokens(&v, &joined);
            cr_expect_str_eq(joined.data, rows[i].words, "%s: \"%s\"", rows[i].label, joined.data);
        } else {
            cr_expect(strstr(hdl_error_detail(), rows[i].words) != NULL, "%s: \"%s\"", rows[i].label,
                      hdl_error_detail());
        }
        hdl__str_free(&joined);
        hdl__vocabulary_close(&v);
        free(copy);
    }
}

Test(vocabulary_file, every_allocation_failing_once_is_reported)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = rows[i].n == 0 ? strlen(rows[i].text) : rows[i].n;
        const hdl__file file = {.data = (const uint8_t *)rows[i].text, .n = n};
        hdl__vocabulary v = {0};
        if (rows[i].status != HDL_OK) continue;
        uint64_t before = hdl__alloc_count();
        cr_assert_eq(hdl__vocabulary_parse(&file, rows[i].name, rows[i].unknown, &v), HDL_OK);
        hdl__vocabulary_close(&v);
        uint64_t count = hdl__alloc_count() - before;
        for (uint64_t k = 1; k <= count; k++) {
            hdl__alloc_fail_at(k);
            cr_expect_eq(hdl__vocabulary_parse(&file, rows[i].name, rows[i].unknown, &v), HDL_ENOMEM, "%s: %lu",
                         rows[i].label, (unsigned long)k);
            hdl__alloc_fail_at(0);
        }
    }
}

/* The shipped SentencePiece model and vocab.json were made together: the same pieces, each in its file's order. */
Test(vocabulary_file, shipped_sentencepiece_model)
{
    const hdl__source source = {.directory = HEDDLE_SOURCE_DIR "/models/en-de"};
    hdl__vocabulary pieces = {0}, ids = {0};
    cr_assert_eq(hdl__vocabulary_open(&source, "source.spm", NULL, &pieces), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl__vocabulary_open(&source, "vocab.json", NULL, &ids), HDL_OK, "%s", hdl_error_detail());
    cr_expect_eq(pieces.n, 8000);
    cr_expect_eq(ids.n, 8001);
    for (int32_t i = 0; i < pieces.n; i += 97)
        cr_expect(hdl__vocabulary_find(&ids, pieces.tokens[i]) >= 0, "piece %d \"%s\"", i, pieces.tokens[i]);
    hdl__vocabulary_close(&pieces);
    hdl__vocabulary_close(&ids);
}
