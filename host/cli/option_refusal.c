/* option_refusal.c - what the library says of a field, said of the option that filled it. */
#include "cli_options.h"

#include <string.h>

#define LETTERS "abcdefghijklmnopqrstuvwxyz_"
#define IS " = "

/* Fields that are not named like their options. */
static const struct { const char *field, *option; } renamed[] = { { "use_vocab_map", "vocab-map" } };

/* The option behind a field name[0..n), or NULL. */
static const hdl__cli_option *option_of(const char *name, size_t n)
{
    for (size_t i = 0; i < sizeof renamed / sizeof renamed[0]; ++i)
        if (strlen(renamed[i].field) == n && memcmp(renamed[i].field, name, n) == 0)
            return hdl__cli_find(renamed[i].option, strlen(renamed[i].option));
    return n > 1 ? hdl__cli_find(name, n) : NULL;
}

/*
 * "min_length = 9 is above max_length = 3" becomes "option --min-length: 9 is above --max-length 3". A flag has no value to
 * name.
 */
void hdl__cli_refusal_words(const char *detail, hdl__cli_text *words)
{
    const char *at = detail;
    while (*at != '\0') {
        const size_t n = strspn(at, LETTERS), gap = n > 0 ? n : 1;
        const hdl__cli_option *option = n > 0 && strncmp(at + n, IS, strlen(IS)) == 0 ? option_of(at, n) : NULL;
        if (option == NULL) {
            hdl__cli_text_add(words, at, gap);
            at += gap;
            continue;
        }
        const bool flag = option->kind == HDL__OPTION_FLAG || option->kind == HDL__OPTION_FLAG_TEXT;
        hdl__cli_text_printf(words, at == detail ? "option --%s:" : "--%s", option->name);
        at += n + strlen(IS);
        if (!flag) {
            hdl__cli_text_add(words, " ", 1);
            continue;
        }
        at += strcspn(at, " ,:");
        if (*at == ',' || *at == ':') ++at;
    }
}

int hdl__cli_refused(hdl_status status)
{
    hdl__cli_text words = { 0 };
    if (status != HDL_EINVAL) return hdl__cli_failed(status);
    hdl__cli_refusal_words(hdl_error_detail(), &words);
    if (words.failed || words.n == 0) hdl__cli_failed(status);
    else hdl__cli_error("%s", words.data);
    hdl__cli_text_free(&words);
    return HDL__EXIT_USAGE;
}
