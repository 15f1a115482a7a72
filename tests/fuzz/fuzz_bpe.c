/* fuzz_bpe.c - a BPE codes file, then after a NUL a text: no piece is lost, whatever the rules say. */
#include "text/segmenter.h"
#include "text/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char sample[] = "the cat  sat\ton the mat aaaaaaaaaaaaaaaa";
    const uint8_t *nul = n == 0 ? NULL : memchr(data, 0, n);
    size_t n_codes = nul == NULL ? n : (size_t)(nul - data);
    const char *text = nul == NULL ? sample : (const char *)nul + 1;
    size_t n_text = nul == NULL ? sizeof sample - 1 : n - n_codes - 1;
    hdl__file bpe = {n_codes == 0 ? (const uint8_t *)"" : data, n_codes, 0, 0};
    char *tokens[] = {(char[]){"a"}, (char[]){"t@@"}, (char[]){"<unk>"}};
    hdl__vocabulary vocabulary = {tokens, 3};
    hdl__tokenizer_source source = {.vocabulary = &vocabulary, .bpe = &bpe, .file_name = "codes", .unknown_id = 2};
    hdl_tokenizer *tokenizer = NULL;
    if (hdl__tokenizer_open(&source, &tokenizer) != HDL_OK) return 0;
    int32_t ids[256];
    size_t n_ids = 0, n_bytes = 0, n_characters = 0, n_words = 0;
    char shown[2048];
    if (hdl_tokenizer_encode(tokenizer, text, n_text, ids, 256, &n_ids) == HDL_OK) {
        for (size_t i = 0; i < n_text; i++) {
            n_characters += ((uint8_t)text[i] & 0xC0) != 0x80 && text[i] != ' ';
            n_words += text[i] != ' ' && (i == 0 || text[i - 1] == ' ');
        }
        if (n_ids > n_characters || n_ids < n_words) abort();
        hdl_tokenizer_decode(tokenizer, ids, n_ids < 256 ? n_ids : 256, shown, sizeof shown, &n_bytes);
    }
    hdl__tokenizer_close(tokenizer);
    return 0;
}
