/* fuzz_safetensors.c - model.safetensors of a tiny MarianMT directory; when the input begins with a brace, its config.json. */
#include "fuzz/fuzz_formats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char config_text[] =
        "{\"model_type\": \"marian\", \"d_model\": 4, \"vocab_size\": 5, \"encoder_layers\": 1, \"decoder_layers\": 1, "
        "\"encoder_attention_heads\": 2, \"decoder_attention_heads\": 2, \"encoder_ffn_dim\": 6, "
        "\"decoder_ffn_dim\": 6, \"activation_function\": \"swish\", \"pad_token_id\": 4, \"eos_token_id\": 0}";
    static const uint8_t empty[] = {2, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    bool config = n > 0 && data[0] == '{';
    hdl_memory_file files[] = {
        {"model.safetensors", config ? empty : data, config ? sizeof empty : n},
        config ? (hdl_memory_file){"config.json", data, n} : text_file("config.json", config_text),
        text_file("vocab.json", "{\"</s>\": 0, \"<unk>\": 1, \"a\": 2, \"b\": 3, \"<pad>\": 4}"),
    };
    load_and_read(files, 3);
    return 0;
}
