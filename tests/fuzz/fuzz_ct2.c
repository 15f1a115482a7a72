/* fuzz_ct2.c - CTranslate2's model.bin; when the input begins with a brace, its config.json. */
#include "fuzz/fuzz_formats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint8_t header[] = {6, 0, 0, 0, 16, 0, 'T', 'r', 'a', 'n', 's', 'f', 'o', 'r', 'm', 'e', 'r',
                                     'S', 'p', 'e', 'c', 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    bool config = n > 0 && data[0] == '{';
    hdl_memory_file files[] = {
        {"model.bin", config ? header : data, config ? sizeof header : n},
        config ? (hdl_memory_file){"config.json", data, n} : text_file("config.json", "{}"),
        text_file("shared_vocabulary.json", "[\"<unk>\", \"<s>\", \"</s>\", \"a\", \"b\"]"),
    };
    load_and_read(files, 3);
    return 0;
}
