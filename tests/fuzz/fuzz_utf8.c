/* fuzz_utf8.c - any bytes: cleaning gives valid text, once; walks forwards and backwards agree. */
#include "text/char_class.h"
#include "text/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void require(bool holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    hdl__str once = {0}, twice = {0};
    size_t n_replaced = 0, n_again = 0, forwards = 0, backwards = 0;
    require(hdl__utf8_clean((const char *)data, n, &once, &n_replaced) == HDL_OK);
    require(hdl__utf8_valid(once.data, once.n) && memchr(once.data, 0, once.n) == NULL);
    require(hdl__utf8_clean(once.data, once.n, &twice, &n_again) == HDL_OK);
    require(n_again == 0 && twice.n == once.n && memcmp(once.data, twice.data, once.n) == 0);
    require((n_replaced == 0) == (once.n == n && (n == 0 || memcmp(once.data, data, n) == 0)));
    int length;
    for (size_t i = 0; i < once.n; i += (size_t)length, forwards++)
        hdl__utf8_decode(once.data + i, once.n - i, &length);
    for (size_t i = once.n; i > 0; backwards++) hdl__char_before(once.data, i, &i);
    require(forwards == backwards);
    hdl__text_is_blank(once.data, once.n);
    hdl__str_free(&once);
    hdl__str_free(&twice);
    return 0;
}
