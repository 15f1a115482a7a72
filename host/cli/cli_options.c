/* cli_options.c - reads the command line by the table. */
#include "cli_options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool hdl__cli_word(const char *words, size_t i, const char **word, size_t *n)
{
    if (!words) return false;
    for (const char *at = words; *at != '\0';) {
        size_t length = strcspn(at, " ");
        if (length > 0 && i-- == 0) {
            *word = at;
            *n = length;
            return true;
        }
        at += length;
        at += strspn(at, " ");
    }
    return false;
}

static bool same_name(const char *name, size_t n, const char *typed, size_t n_typed)
{
    if (n != n_typed) return false;
    for (size_t i = 0; i < n; ++i)
        if (name[i] != (typed[i] == '_' ? '-' : typed[i])) return false;
    return true;
}

const hdl__cli_option *hdl__cli_find(const char *name, size_t n)
{
    const char *alias;
    size_t n_alias;
    if (n < 2) return NULL;
    for (size_t o = 0; o < hdl__cli_option_count; ++o) {
        const hdl__cli_option *option = &hdl__cli_option_table[o];
        if (same_name(option->name, strlen(option->name), name, n)) return option;
        for (size_t i = 0; hdl__cli_word(option->aliases, i, &alias, &n_alias); ++i)
            if (same_name(alias, n_alias, name, n)) return option;
    }
    return NULL;
}

const hdl__cli_option *hdl__cli_find_letter(char letter)
{
    const char *alias;
    size_t n_alias;
    for (size_t o = 0; o < hdl__cli_option_count; ++o)
        for (size_t i = 0; hdl__cli_word(hdl__cli_option_table[o].aliases, i, &alias, &n_alias); ++i)
            if (n_alias == 1 && alias[0] == letter) return &hdl__cli_option_table[o];
    return NULL;
}

bool hdl__cli_given(const hdl__cli_options *options, const char *name)
{
    const hdl__cli_option *option = hdl__cli_find(name, strlen(name));
    return option && options->given[option - hdl__cli_option_table] != 0;
}

void hdl__cli_options_free(hdl__cli_options *options)
{
    free((void *)options->words.items);
    free((void *)options->end_tokens.items);
    free((void *)options->source_prefix.items);
    free((void *)options->source_suffix.items);
    *options = (hdl__cli_options){ 0 };
}

typedef struct parse {
    unsigned          command;
    int               n, next;      /* next: the argument after the one being read */
    char *const      *argv;
    hdl__cli_options *options;
    char             *error;
} parse;

static bool takes_value(const hdl__cli_option *option)
{
    return option->kind != HDL__OPTION_FLAG && option->kind != HDL__OPTION_FLAG_TEXT;
}

/* `value`: what stood after = or directly after the letter; NULL: take the next argument if the option needs one. */
static bool read_option(parse *p, const hdl__cli_option *option, const char *typed, int n_typed,
                        const char *value)
{
    if (!(option->commands & p->command)) {
        snprintf(p->error, HDL__CLI_ERROR_BYTES, "option %.*s does not belong to this command", n_typed, typed);
        return false;
    }
    if (!value && takes_value(option)) {
        /* A value that looks like an option is a forgotten value far more often than a file of that name. */
        if (p->next < p->n && strncmp(p->argv[p->next], "--", 2) != 0) {
            value = p->argv[p->next++];
        } else {
            snprintf(p->error, HDL__CLI_ERROR_BYTES, "option %.*s needs a value", n_typed, typed);
            return false;
        }
    }
    char why[HDL__CLI_WHY_BYTES];
    if (!hdl__cli_store(option, value, p->options, why)) {
        snprintf(p->error, HDL__CLI_ERROR_BYTES, "option %.*s %s", n_typed, typed, why);
        return false;
    }
    p->options->given[option - hdl__cli_option_table] = 1;
    return true;
}

static bool read_long(parse *p, const char *argument)
{
    size_t n = strcspn(argument, "=");
    const char *value = argument[n] == '=' ? argument + n + 1 : NULL;
    const hdl__cli_option *option = hdl__cli_find(argument + 2, n - 2);
    if (option) return read_option(p, option, argument, (int)n, value);
    const char *nearest = hdl__cli_nearest_option(p->command, argument + 2, n - 2);
    snprintf(p->error, HDL__CLI_ERROR_BYTES, nearest ? "unknown option %.*s; did you mean --%s?"
                                                     : "unknown option %.*s",
             (int)n, argument, nearest ? nearest : "");
    return false;
}

/* Letters may stand together (-hV) until one takes a value: -b6, -b 6, -b=6. */
static bool read_letters(parse *p, const char *argument)
{
    int n = (int)strcspn(argument, "=");
    const hdl__cli_option *meant = hdl__cli_find(argument + 1, (size_t)n - 1);
    if (meant) {
        snprintf(p->error, HDL__CLI_ERROR_BYTES, "unknown option %.*s; did you mean --%s?", n, argument, meant->name);
        return false;
    }
    for (size_t i = 1; argument[i] != '\0'; ++i) {
        const char typed[] = { '-', argument[i], '\0' };
        const hdl__cli_option *option = hdl__cli_find_letter(argument[i]);
        if (!option) {
            snprintf(p->error, HDL__CLI_ERROR_BYTES, "unknown option %s", typed);
            return false;
        }
        const char *value = NULL;
        bool valued = takes_value(option);
        if (valued && argument[i + 1] != '\0')
            value = argument + i + 1 + (argument[i + 1] == '=' ? 1 : 0);
        if (!read_option(p, option, typed, 2, value)) return false;
        if (valued) break;
    }
    return true;
}

static bool add_word(parse *p, const char *word)
{
    hdl__cli_list *words = &p->options->words;
    const char **items = realloc((void *)words->items, (words->n + 1) * sizeof *items);
    if (!items) {
        snprintf(p->error, HDL__CLI_ERROR_BYTES, "out of memory");
        return false;
    }
    words->items = items;
    items[words->n++] = word;
    return true;
}

/* Numbers whose default is a word that stands for their least value ("last", "mean"). */
static void set_initial_words(hdl__cli_options *options)
{
    for (size_t o = 0; o < hdl__cli_option_count; ++o) {
        const hdl__cli_option *option = &hdl__cli_option_table[o];
        if (option->kind == HDL__OPTION_INT && option->choices)
            *(int *)((char *)options + option->offset) = (int)option->min;
    }
}

bool hdl__cli_parse(unsigned command, int n, char *const *argv, hdl__cli_options *options,
                    char error[HDL__CLI_ERROR_BYTES])
{
    *options = (hdl__cli_options){ 0 };
    error[0] = '\0';
    set_initial_words(options);
    parse p = { command, n, 0, argv, options, error };
    bool words_only = false;
    while (p.next < n) {
        const char *argument = argv[p.next++];
        bool ok = true;
        if (words_only || argument[0] != '-' || argument[1] == '\0')
            ok = add_word(&p, argument);
        else if (strcmp(argument, "--") == 0)
            words_only = true;
        else if (argument[1] == '-')
            ok = read_long(&p, argument);
        else
            ok = read_letters(&p, argument);
        if (!ok) return false;
    }
    return true;
}
