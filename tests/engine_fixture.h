/* engine_fixture.h - what the engine's tests share: models by path, token requests, JSON goldens. */
#ifndef HEDDLE_TESTS_ENGINE_FIXTURE_H
#define HEDDLE_TESTS_ENGINE_FIXTURE_H

#include <criterion/criterion.h>
#include <heddle/heddle.h>
#include <jansson.h>

#include <stdbool.h>

/* A model and one translator on the CPU; every failure is a test failure that shows the detail line. */
typedef struct engine { hdl_model *model; hdl_translator *translator; } engine;

/* `path` is relative to the repository; `options` may be NULL. */
engine open_engine(const char *path, const hdl_translator_options *options);
void   close_engine(engine *e);

/* Space for the token arrays that a request borrows. */
#define MOST_TOKENS 1024
typedef struct token_list { const char *items[MOST_TOKENS]; size_t n; } token_list;

void list_json(const json_t *array, token_list *out);
/* UTF-8 characters of a word, one token each; `bytes` holds them. */
void list_characters(const char *word, char *bytes, size_t room, token_list *out);

/* A token request with the source filled in. */
hdl_request token_request(const token_list *source);

/* Submits and waits. The ticket is to be released. */
const hdl_result *run_request(const engine *e, const hdl_request *request, hdl_ticket **ticket);

/* Options of a golden case: names as in tests/data/goldens/options.json; lists borrow from `object` and the two stores. */
typedef struct option_store { token_list ends, suppress; char text[8192]; } option_store;
void read_options(const json_t *base, const json_t *object, option_store *store, hdl_search_options *out);

json_t *load_json(const char *path);      /* relative to the repository */
double  number_of(const json_t *object, const char *name);

/* Whether a golden hypothesis (its "tokens") and ours have the same tokens. */
bool same_tokens(const json_t *wanted, const hdl_hypothesis *got);

/* Tokens of a hypothesis joined by spaces, for messages and comparison; static buffer. */
const char *joined(const hdl_hypothesis *h);

#endif
