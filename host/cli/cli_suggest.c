/* cli_suggest.c - the nearest name to one that was mistyped. */
#include "cli_options.h"

#include <string.h>

#define LONGEST 63              /* longer names are nobody's slip of the finger */
#define LETTERS_A_CHANGE 3      /* one change is forgiven for this many letters */

size_t hdl__cli_distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
    if (n_a > LONGEST || n_b > LONGEST) return SIZE_MAX;
    size_t rows[3][LONGEST + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= n_b; ++j) last[j] = j;
    for (size_t i = 1; i <= n_a; ++i) {
        now[0] = i;
        for (size_t j = 1; j <= n_b; ++j) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && before[j - 2] + 1 < best) best = before[j - 2] + 1;
            now[j] = best;
        }
        size_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[n_b];
}

/* A name that begins with all that was typed is nearest; then the fewest changes. */
static void consider(const char *candidate, size_t n_candidate, const char *typed, size_t n,
                     const char *name, const char **nearest, size_t *fewest)
{
    size_t changes = hdl__cli_distance(typed, n, candidate, n_candidate);
    if (n >= 3 && n_candidate > n && memcmp(candidate, typed, n) == 0 && changes > 1) changes = 1;
    size_t forgiven = n < LETTERS_A_CHANGE ? 1 : n / LETTERS_A_CHANGE + (n % LETTERS_A_CHANGE != 0);
    if (changes > forgiven || changes >= *fewest) return;
    *fewest = changes;
    *nearest = name;
}

const char *hdl__cli_nearest_option(unsigned command, const char *name, size_t n)
{
    char typed[LONGEST + 1];
    const char *alias, *nearest = NULL;
    size_t n_alias, fewest = SIZE_MAX;
    if (n > LONGEST) return NULL;
    for (size_t i = 0; i < n; ++i) typed[i] = name[i] == '_' ? '-' : name[i];
    for (size_t o = 0; o < hdl__cli_option_count; ++o) {
        const hdl__cli_option *option = &hdl__cli_option_table[o];
        if (!(option->commands & command)) continue;
        consider(option->name, strlen(option->name), typed, n, option->name, &nearest, &fewest);
        for (size_t i = 0; hdl__cli_word(option->aliases, i, &alias, &n_alias); ++i)
            if (n_alias > 1) consider(alias, n_alias, typed, n, option->name, &nearest, &fewest);
    }
    return nearest;
}
