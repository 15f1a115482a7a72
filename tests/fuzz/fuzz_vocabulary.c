/* fuzz_vocabulary.c - token lists: the first byte chooses JSON, lines, yml or SentencePiece, the rest is the file. */
#include "formats/vocabulary_file.h"
#include "text/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[] = {"v.json", "v.txt", "v.yml", "v.spm"};
    if (n == 0) return 0;
    const hdl__file file = {.data = n == 1 ? NULL : data + 1, .n = n - 1};
    hdl__vocabulary v = {0}, copy = {0};
    if (hdl__vocabulary_parse(&file, names[data[0] % 4], data[0] >= 128 ? "<unk>" : NULL, &v) != HDL_OK) return 0;
    if (v.n <= 0) abort();
    for (int32_t i = 0; i < v.n; i++)
        if (!hdl__utf8_valid(v.tokens[i], strlen(v.tokens[i]))) abort();
    if (data[0] >= 128 && hdl__vocabulary_find(&v, "<unk>") < 0) abort();
    if (hdl__vocabulary_copy(&v, &copy) == HDL_OK && strcmp(copy.tokens[v.n - 1], v.tokens[v.n - 1]) != 0) abort();
    hdl__vocabulary_close(&copy);
    hdl__vocabulary_close(&v);
    return 0;
}
