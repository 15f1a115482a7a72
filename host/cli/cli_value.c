/* cli_value.c - turns the text of one option into its field. */
#include "cli_options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether `text` is one of the synonyms "a=b=c" in word[0..n). Case and _ or - make no difference. */
static bool is_synonym(const char *word, size_t n, const char *text)
{
    size_t n_text = strlen(text);
    for (size_t at = 0; at <= n;) {
        const char *end = memchr(word + at, '=', n - at);
        size_t length = end ? (size_t)(end - word) - at : n - at;
        bool same = length == n_text;
        for (size_t i = 0; same && i < length; ++i) {
            int typed = tolower((unsigned char)text[i]);
            same = word[at + i] == (typed == '_' ? '-' : (char)typed);
        }
        if (same) return true;
        at += length + 1;
    }
    return false;
}

void hdl__cli_metavar(const hdl__cli_option *option, hdl__cli_text *text)
{
    const char *word;
    size_t n;
    if (option->metavar) {
        hdl__cli_text_puts(text, option->metavar);
        return;
    }
    for (size_t i = 0; hdl__cli_word(option->choices, i, &word, &n); ++i) {
        const char *end = memchr(word, '=', n);
        if (i > 0) hdl__cli_text_puts(text, "|");
        hdl__cli_text_add(text, word, end ? (size_t)(end - word) : n);
    }
}

static bool store_choice(const hdl__cli_option *option, const char *value, int *field, char *why)
{
    const char *word;
    size_t n;
    for (size_t i = 0; hdl__cli_word(option->choices, i, &word, &n); ++i) {
        if (!is_synonym(word, n, value)) continue;
        *field = (int)i;
        return true;
    }
    hdl__cli_text allowed = { 0 };
    hdl__cli_metavar(option, &allowed);
    snprintf(why, HDL__CLI_WHY_BYTES, "is %s, not '%.60s'", allowed.data ? allowed.data : "a word", value);
    hdl__cli_text_free(&allowed);
    return false;
}

static bool store_int(const hdl__cli_option *option, const char *value, int *field, char *why)
{
    if (option->choices && is_synonym(option->choices, strlen(option->choices), value)) {
        *field = (int)option->min;
        return true;
    }
    char *end;
    errno = 0;
    long number = strtol(value, &end, 10);
    double least = option->choices ? option->min + 1 : option->min;
    bool plain = value[0] == '-' || isdigit((unsigned char)value[0]);
    if (plain && *end == '\0' && errno == 0 && (double)number >= least && (double)number <= option->max) {
        *field = (int)number;
        return true;
    }
    snprintf(why, HDL__CLI_WHY_BYTES, "is a whole number from %.0f to %.0f%s%s, not '%.60s'", least, option->max,
             option->choices ? " or " : "", option->choices ? option->choices : "", value);
    return false;
}

static bool store_seed(const char *value, uint64_t *field, char *why)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (isdigit((unsigned char)value[0]) && *end == '\0' && errno == 0) {
        *field = (uint64_t)number;
        return true;
    }
    snprintf(why, HDL__CLI_WHY_BYTES, "is a whole number from 0 to 18446744073709551615, not '%.60s'", value);
    return false;
}

static bool store_real(const hdl__cli_option *option, const char *value, double *field, char *why)
{
    char *end;
    double number = strtod(value, &end);
    bool plain = value[strspn(value, "+-.0123456789eE")] == '\0' && value[0] != '\0' && *end == '\0';
    bool above = option->open & HDL__OPEN_MIN ? number > option->min : number >= option->min;
    bool below = option->open & HDL__OPEN_MAX ? number < option->max : number <= option->max;
    /* The library takes floats: a value that only a double tells from a forbidden bound would be that bound. */
    bool survives = !(option->open & HDL__OPEN_MIN) || (float)number > (float)option->min;
    if (option->open & HDL__OPEN_MAX) survives = survives && (float)number < (float)option->max;
    if (plain && isfinite(number) && above && below && survives) {
        *field = number;
        return true;
    }
    snprintf(why, HDL__CLI_WHY_BYTES, "is a number %s %g %s %g, not '%.60s'",
             option->open & HDL__OPEN_MIN ? "above" : "from", option->min,
             option->open & HDL__OPEN_MAX ? "and below" : "to", option->max, value);
    return false;
}

static bool store_item(const char *value, hdl__cli_list *list, char *why)
{
    const char **items = realloc((void *)list->items, (list->n + 1) * sizeof *items);
    if (!items) {
        snprintf(why, HDL__CLI_WHY_BYTES, "does not fit into memory");
        return false;
    }
    list->items = items;
    items[list->n++] = value;
    return true;
}

bool hdl__cli_store(const hdl__cli_option *option, const char *value, hdl__cli_options *options,
                    char why[HDL__CLI_WHY_BYTES])
{
    void *field = (char *)options + option->offset;
    if (option->kind == HDL__OPTION_FLAG) {
        *(int *)field = 1;
        if (value) snprintf(why, HDL__CLI_WHY_BYTES, "takes no value, but has '%.60s'", value);
        return value == NULL;
    }
    if (option->kind == HDL__OPTION_FLAG_TEXT && !value) {
        *(const char **)field = "";
        return true;
    }
    if (!value || value[0] == '\0') {
        snprintf(why, HDL__CLI_WHY_BYTES, "needs a value, not nothing");
        return false;
    }
    switch (option->kind) {
    case HDL__OPTION_INT: return store_int(option, value, field, why);
    case HDL__OPTION_SEED: return store_seed(value, field, why);
    case HDL__OPTION_REAL: return store_real(option, value, field, why);
    case HDL__OPTION_CHOICE: return store_choice(option, value, field, why);
    case HDL__OPTION_LIST: return store_item(value, field, why);
    case HDL__OPTION_FLAG:
    case HDL__OPTION_FLAG_TEXT:
    case HDL__OPTION_TEXT: break;
    }
    *(const char **)field = value;
    return true;
}
