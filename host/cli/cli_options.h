/*
 * cli_options.h - one table of options; parsing, --help and the manual pages are made from it.
 */
#ifndef HEDDLE_CLI_OPTIONS_H
#define HEDDLE_CLI_OPTIONS_H

#include "cli.h"

typedef enum hdl__cli_kind {
    HDL__OPTION_FLAG,           /* int, set to 1 */
    HDL__OPTION_INT,            /* int; `choices` may name one word that stands for `min` */
    HDL__OPTION_SEED,           /* uint64_t */
    HDL__OPTION_REAL,           /* double */
    HDL__OPTION_TEXT,           /* const char *, not empty */
    HDL__OPTION_FLAG_TEXT,      /* const char *: "" for --name, FILE for --name=FILE */
    HDL__OPTION_LIST,           /* hdl__cli_list; may be repeated */
    HDL__OPTION_CHOICE          /* int: index of the word in `choices` */
} hdl__cli_kind;

typedef enum hdl__cli_group {
    HDL__GROUP_FILES, HDL__GROUP_OUTPUT, HDL__GROUP_SEARCH, HDL__GROUP_TEXT, HDL__GROUP_ENGINE,
    HDL__GROUP_PICTURE, HDL__GROUP_GENERAL, HDL__GROUP_COUNT
} hdl__cli_group;

/* Bits: which commands know an option. */
enum {
    HDL__TRANSLATE = 1, HDL__SCORE = 2, HDL__INSPECT = 4, HDL__ALIGN = 8, HDL__CONVERT = 16,
    HDL__DEVICES = 32, HDL__VERSION = 64, HDL__HELP = 128, HDL__ALL = 255
};

enum { HDL__OPEN_MIN = 1, HDL__OPEN_MAX = 2 };      /* the bound itself is not allowed */

typedef struct hdl__cli_option {
    const char    *name;        /* long name, without dashes */
    const char    *aliases;     /* separated by spaces; one letter: a short option */
    hdl__cli_kind  kind;
    hdl__cli_group group;
    unsigned       commands;
    size_t         offset;      /* of its field in hdl__cli_options */
    double         min, max;
    unsigned       open;
    const char    *choices;     /* words separated by spaces, each perhaps with synonyms: "f32=float32" */
    const char    *metavar;     /* NULL: the choices, joined by | */
    const char    *initial;     /* the default in words; NULL: none */
    const char    *help;
} hdl__cli_option;

extern const hdl__cli_option hdl__cli_option_table[];
extern const size_t hdl__cli_option_count;

typedef struct hdl__cli_list {
    const char **items;         /* the strings belong to argv */
    size_t       n;
} hdl__cli_list;

enum { HDL__ALIGNMENT_NONE, HDL__ALIGNMENT_HARD, HDL__ALIGNMENT_SOFT };
enum { HDL__COLOR_AUTO, HDL__COLOR_ALWAYS, HDL__COLOR_NEVER };
enum { HDL__PRODUCTS_AUTO, HDL__PRODUCTS_OWN, HDL__PRODUCTS_ONEDNN, HDL__PRODUCTS_CUBLASLT };
enum { HDL__COMPUTE_AUTO, HDL__COMPUTE_F32, HDL__COMPUTE_BF16, HDL__COMPUTE_F16, HDL__COMPUTE_INT8 };
enum { HDL__SPLIT_LONG, HDL__SPLIT_SENTENCES, HDL__SPLIT_NEVER };
enum { HDL__OVERFLOW_CUT, HDL__OVERFLOW_ERROR };

#define HDL__CLI_MAX_OPTIONS 96     /* a test holds the table to it */

typedef struct hdl__cli_options {
    const char   *model, *input, *output, *prefix, *suppress, *stats, *trace, *vocab_map;
    const char   *source_spm, *target_spm, *spm, *svg, *to, *device;
    int           tokens, json, strict, quiet, progress, help, version, licenses, man, no_svg;
    int           beam, n_best, no_repeat_ngram, min_length, max_length, top_k;
    int           alternatives, sample, no_unk, with_end_token, replace_unknowns;
    int           alignment, length_norm, stop, split, overflow, color, map, layer, head;
    int           max_source_length, threads, compute, products, batch_tokens, max_rows;
    double        length_penalty, coverage_penalty, repetition_penalty, patience, prefix_bias;
    double        min_alternative_prob, top_p, temperature;
    uint64_t      seed;
    hdl__cli_list end_tokens, source_prefix, source_suffix;
    hdl__cli_list words;                            /* what is not an option */
    unsigned char given[HDL__CLI_MAX_OPTIONS];      /* by index in the table: stood on the command line */
} hdl__cli_options;

#define HDL__CLI_ERROR_BYTES 512
#define HDL__CLI_WHY_BYTES 384      /* leaves room for the option's name before it */

/*
 * Reads argv[0..n) for the command whose bit is `command`. False: `error` says what is wrong. Free `options` in
 * either case. Underscores in names count as hyphens; "--" ends options.
 */
bool hdl__cli_parse(unsigned command, int n, char *const *argv, hdl__cli_options *options,
                    char error[HDL__CLI_ERROR_BYTES]);
void hdl__cli_options_free(hdl__cli_options *options);

/* Whether the option of this long name stood on the command line. */
bool hdl__cli_given(const hdl__cli_options *options, const char *name);
/* The row whose long name or alias is name[0..n) (underscores as hyphens), or NULL. Long names only: n > 1. */
const hdl__cli_option *hdl__cli_find(const char *name, size_t n);
const hdl__cli_option *hdl__cli_find_letter(char letter);
/* Stores one value into its field; false: `why` says what is wrong. `text` NULL: no value was given. */
bool hdl__cli_store(const hdl__cli_option *option, const char *text, hdl__cli_options *options,
                    char why[HDL__CLI_WHY_BYTES]);

/*
 * A call of the library was refused: its line, with fields of structs told as the options that filled them. HDL_EINVAL
 * is wrong usage. Returns the exit code.
 */
int  hdl__cli_refused(hdl_status status);
void hdl__cli_refusal_words(const char *detail, hdl__cli_text *words);

/* The i-th word of a list separated by spaces: its bytes and length; false past the end. */
bool hdl__cli_word(const char *words, size_t i, const char **word, size_t *n);
/* "auto|f32|bf16|f16|int8" or the metavar. */
void hdl__cli_metavar(const hdl__cli_option *option, hdl__cli_text *text);

/* Changes (insert, remove, replace, swap neighbours) that turn a into b. */
size_t hdl__cli_distance(const char *a, size_t n_a, const char *b, size_t n_b);
/* The option of `command` nearest to a mistyped name, or NULL when none is near. */
const char *hdl__cli_nearest_option(unsigned command, const char *name, size_t n);

#endif
