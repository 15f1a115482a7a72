/* fuzz_marian.c - a Marian .npz or .bin, told apart as the loader does; when the input begins with '#', decoder.yml. */
#include "fuzz/fuzz_formats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const uint8_t empty[24] = {1};
    bool yml = n > 0 && data[0] == '#';
    hdl_memory_file files[] = {
        {"model.x", yml ? empty : data, yml ? sizeof empty : n},
        yml ? (hdl_memory_file){"decoder.yml", data, n}
            : text_file("decoder.yml", "models: [model.x]\nvocabs: [vocab.yml, vocab.yml]\n"),
        text_file("vocab.yml", "</s>: 0\n<unk>: 1\na: 2\n\"b\": 3\nc: 4\n"),
    };
    load_and_read(files, 3);
    return 0;
}
