/* fuzz_spm.c - a SentencePiece model: refused, or safe to segment and join with. */
#include "text/segmenter.h"
#include "text/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    enum { MAX_IDS = 512 };
    static const char text[] =
        "Hello aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  "
        "\xC3\xA9\xE4\xBD\xA0"
        "\xEF\xBC\xA8 \xE2\x96\x81 <unk></s> 12.5";
    hdl__file spm = {n == 0 ? (const uint8_t *)"" : data, n, 0, 0};
    char *tokens[] = {(char[]){"\xE2\x96\x81"}, (char[]){"a"}, (char[]){"</s>"}, (char[]){"<unk>"},
                      (char[]){"<0x41>"}};
    hdl__vocabulary vocabulary = {tokens, 5};
    int32_t control = 2;
    hdl__tokenizer_source source = {.vocabulary = &vocabulary,
                                    .spm = &spm,
                                    .file_name = "model",
                                    .unknown_id = 3,
                                    .control_ids = &control,
                                    .n_control = 1};
    hdl_tokenizer *tokenizer = NULL;
    if (hdl__tokenizer_open(&source, &tokenizer) != HDL_OK) return 0;
    int32_t ids[MAX_IDS] = {0, 1, 2, 3, 4};
    size_t n_ids = 0, n_bytes = 0;
    char shown[4096];
    if (hdl_tokenizer_encode(tokenizer, text, sizeof text - 1, ids, MAX_IDS, &n_ids) == HDL_OK) {
        hdl_tokenizer_decode(tokenizer, ids, n_ids < MAX_IDS ? n_ids : MAX_IDS, shown, sizeof shown, &n_bytes);
    }
    static const int32_t all[] = {0, 1, 2, 3, 4, 0, 4, 4, 3};
    hdl_tokenizer_decode(tokenizer, all, 9, shown, sizeof shown, &n_bytes);
    hdl__tokenizer_close(tokenizer);
    return 0;
}
