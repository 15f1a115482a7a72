/* words_segmenter.c - words are tokens: cut at white space, joined by one space. */
#include "text/char_class.h"
#include "text/segmenter.h"
#include "text/text.h"

#include <string.h>

static const char UNKNOWN_SHOWN[] = "\xE2\x81\x87";    /* U+2047, which SentencePiece shows between spaces too */

static hdl_status encode_words(const hdl__segmenter *self, const char *text, size_t n, hdl__sink *sink)
{
    (void)self;
    size_t begin = 0;
    for (size_t i = 0; i < n;) {
        int length;
        bool space = hdl__char_is_space(hdl__utf8_decode(text + i, n - i, &length));
        if (space && begin < i) hdl__sink_text(sink, text + begin, i - begin);
        i += (size_t)length;
        if (space) begin = i;
    }
    if (begin < n) hdl__sink_text(sink, text + begin, n - begin);
    return HDL_OK;
}

hdl_status hdl__words_join(const char *const *tokens, size_t n, const char *continuation, hdl__str *out)
{
    size_t n_mark = continuation == NULL ? 0 : strlen(continuation);
    bool glued = true;
    for (size_t i = 0; i < n; i++) {
        const char *token = tokens[i] == NULL ? UNKNOWN_SHOWN : tokens[i];
        size_t length = strlen(token);
        bool continues = n_mark > 0 && length >= n_mark && memcmp(token + length - n_mark, continuation, n_mark) == 0;
        if (!glued) hdl__str_add(out, " ", 1);
        hdl__str_add(out, token, continues ? length - n_mark : length);
        glued = continues;
    }
    return out->failed ? hdl__fail(HDL_ENOMEM, "tokenizer: no memory for the text of %zu tokens", n) : HDL_OK;
}

static hdl_status decode_words(const hdl__segmenter *self, const char *const *tokens, size_t n, hdl__str *out)
{
    (void)self;
    return hdl__words_join(tokens, n, NULL, out);
}

static void close_words(hdl__segmenter *self) { hdl__free(self); }

hdl_status hdl__words_open(hdl__segmenter **out)
{
    hdl__segmenter *words = hdl__calloc(1, sizeof *words);
    if (words == NULL) return hdl__fail(HDL_ENOMEM, "tokenizer: no memory");
    *words = (hdl__segmenter){.kind = "words", .users = 1, .encode = encode_words, .decode = decode_words,
                              .close = close_words};
    *out = words;
    return HDL_OK;
}
