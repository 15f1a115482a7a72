/* fuzz_split.c - any line, any limit: the pieces are in order, hold all but white space, and keep to the limit. */
#include "text/char_class.h"
#include "text/text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void require(bool holds)
{
    if (!holds) abort();
}

static void check_pieces(const hdl_tokenizer *tokenizer, const hdl__str *line, const hdl__pieces *pieces,
                         hdl__split how, size_t limit)
{
    size_t at = 0;
    for (size_t i = 0; i < pieces->n; i++) {
        hdl__piece p = pieces->items[i];
        require(p.begin < p.end && p.end <= line->n && p.begin >= at &&
                hdl__text_is_blank(line->data + at, p.begin - at));
        require(p.glued == (i > 0 && p.begin == at));
        size_t n_tokens = 0;
        require(hdl_tokenizer_encode(tokenizer, line->data + p.begin, p.end - p.begin, NULL, 0, &n_tokens) ==
                HDL_OK);
        require(how == HDL__SPLIT_NEVER || n_tokens <= limit);
        at = p.end;
    }
    require(hdl__text_is_blank(line->data + at, line->n - at));
}

/* The first two bytes are the way and the limit; words are tokens, so that every limit can be kept. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2) return 0;
    hdl__split how = (hdl__split)(data[0] % 3);
    int32_t limit = 1 + data[1] % 12;
    char *tokens[] = {(char[]){"<unk>"}};
    hdl__vocabulary vocabulary = {tokens, 1};
    hdl__tokenizer_source source = {.vocabulary = &vocabulary};
    hdl_tokenizer *tokenizer = NULL;
    hdl__str line = {0};
    hdl__pieces pieces = {0};
    size_t n_replaced;
    require(hdl__tokenizer_open(&source, &tokenizer) == HDL_OK);
    require(hdl__utf8_clean((const char *)data + 2, n - 2, &line, &n_replaced) == HDL_OK);
    require(hdl__split_line(tokenizer, line.data, line.n, how, limit, &pieces) == HDL_OK);
    check_pieces(tokenizer, &line, &pieces, how, (size_t)limit);
    require(hdl__split_line(tokenizer, line.data, line.n, HDL__SPLIT_SENTENCES, 0, &pieces) == HDL_OK);
    hdl__pieces_free(&pieces);
    hdl__str_free(&line);
    hdl__tokenizer_close(tokenizer);
    return 0;
}
