/* struct_ages.c - shorter and longer structs, on a page's last bytes. */
#include "struct_ages.h"

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNTOUCHED 0xA5
#define MOST_BYTES 2048         /* of a struct, and of what a newer one has behind it */
#define NEWER_BYTES 64

static const size_t never_set[] = {0, 4, 12, 65544, SIZE_MAX, SIZE_MAX - 7};

/* `n` bytes that end where the next byte cannot be read: one more is a crash. */
static unsigned char *place_at_end(const void *bytes, size_t n)
{
    static unsigned char *pages;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (pages == NULL) {
        pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        cr_assert(pages != MAP_FAILED && mprotect(pages + page, page, PROT_NONE) == 0);
    }
    cr_assert_leq(n, page);
    return memcpy(pages + page - n, bytes, n);
}

typedef struct outcome { hdl_status status; char line[512]; unsigned char seen[MOST_BYTES]; } outcome;

static outcome call_with(const read_struct *s, const void *given)
{
    outcome o = {0};
    if (s->forget != NULL) s->forget();
    o.status = s->call(given);
    if (o.status != HDL_OK) snprintf(o.line, sizeof o.line, "%s", hdl_error_detail());
    if (s->seen != NULL) memcpy(o.seen, s->seen, s->bytes);
    return o;
}

/* Two calls whose structs mean the same. */
static void expect_same(const read_struct *s, size_t n, const outcome *got, const outcome *wanted)
{
    cr_expect_eq(got->status, wanted->status, "%s, %zu bytes: %s (%s), expected %s (%s)", s->name, n,
                 hdl_status_name(got->status), got->line, hdl_status_name(wanted->status), wanted->line);
    cr_expect_str_eq(got->line, wanted->line);
    cr_expect_eq(memcmp(got->seen, wanted->seen, s->bytes), 0, "%s, %zu bytes: other arguments arrived", s->name, n);
}

static void check_longer(const read_struct *s, const outcome *whole)
{
    unsigned char longer[MOST_BYTES] = {0};
    char words[64];
    memcpy(longer, s->good, s->bytes);
    for (size_t n = s->bytes + 8; n <= s->bytes + NEWER_BYTES; n += 8) {
        memcpy(longer, &n, sizeof n);
        const outcome taken = call_with(s, place_at_end(longer, n));
        expect_same(s, n, &taken, whole);
        for (size_t at = s->bytes; at < n; at += n - s->bytes - 1) {    /* the first and the last byte */
            unsigned char *const given = place_at_end(longer, n);
            given[at] = 1;
            const outcome refused = call_with(s, given);
            cr_expect_eq(refused.status, HDL_EINVAL, "%s, %zu bytes, byte %zu not 0", s->name, n, at);
            snprintf(words, sizeof words, "%s: struct_bytes = %zu, this library knows %zu", s->name, n, s->bytes);
            cr_expect_eq(strncmp(refused.line, words, strlen(words)), 0, "\"%s\"", refused.line);
        }
    }
}

void check_read_struct(const read_struct *s)
{
    unsigned char older[MOST_BYTES], completed[MOST_BYTES];
    char words[128];
    cr_assert_leq(s->bytes + NEWER_BYTES, MOST_BYTES);
    cr_assert_eq(*(const size_t *)s->init, s->bytes, "%s: the _INIT macro", s->name);
    const outcome whole = call_with(s, s->good);
    cr_expect_eq(whole.status, HDL_OK, "%s: %s", s->name, whole.line);
    if (s->seen != NULL) cr_expect_eq(memcmp(whole.seen, s->good, s->bytes), 0, "%s: other arguments arrived", s->name);
    for (size_t n = 8; n <= s->bytes; n += 8) {
        memcpy(older, s->good, n);
        memcpy(older, &n, sizeof n);
        memcpy(completed, s->init, s->bytes);
        memcpy(completed + sizeof n, older + sizeof n, n - sizeof n);
        const outcome wanted = call_with(s, completed), got = call_with(s, place_at_end(older, n));
        expect_same(s, n, &got, &wanted);
    }
    check_longer(s, &whole);
    for (size_t i = 0; i < sizeof never_set / sizeof never_set[0]; i++) {
        memcpy(older, s->good, s->bytes);
        memcpy(older, &never_set[i], sizeof never_set[i]);
        const outcome refused = call_with(s, place_at_end(older, s->bytes));
        cr_expect_eq(refused.status, HDL_EINVAL, "%s, struct_bytes = %zu", s->name, never_set[i]);
        snprintf(words, sizeof words, "%s: struct_bytes = %zu, allowed multiples of 8 from 8 to 65536 ", s->name, never_set[i]);
        cr_expect_eq(strncmp(refused.line, words, strlen(words)), 0, "\"%s\"", refused.line);
    }
}

static bool in_hole(const filled_struct *s, size_t at)
{
    return at >= s->hole.begin && at < s->hole.end;
}

void check_filled_struct(const filled_struct *s)
{
    unsigned char whole[MOST_BYTES], given[MOST_BYTES];
    cr_assert_leq(s->bytes + 2 * NEWER_BYTES, MOST_BYTES);
    memset(whole, 0, sizeof whole);
    memcpy(whole, &s->bytes, sizeof s->bytes);
    cr_assert_eq(s->call(whole), HDL_OK, "%s: %s", s->name, hdl_error_detail());
    for (size_t n = 8; n <= s->bytes + NEWER_BYTES; n += 8) {
        memset(given, UNTOUCHED, sizeof given);
        memcpy(given, &n, sizeof n);
        cr_expect_eq(s->call(given), HDL_OK, "%s, %zu bytes: %s", s->name, n, hdl_error_detail());
        cr_expect_eq(memcmp(given, &n, sizeof n), 0, "%s, %zu bytes: struct_bytes has changed", s->name, n);
        for (size_t at = sizeof n; at < sizeof given; at++) {
            const bool filled = at < n && at < s->bytes;
            if (filled && in_hole(s, at)) continue;
            cr_expect_eq(given[at], filled ? whole[at] : UNTOUCHED, "%s, %zu bytes: byte %zu", s->name, n, at);
        }
    }
    for (size_t i = 0; i < sizeof never_set / sizeof never_set[0]; i++) {
        memset(given, UNTOUCHED, sizeof given);
        memcpy(given, &never_set[i], sizeof never_set[i]);
        cr_expect_eq(s->call(given), HDL_EINVAL, "%s, struct_bytes = %zu", s->name, never_set[i]);
        cr_expect_not_null(strstr(hdl_error_detail(), "struct_bytes = "), "\"%s\"", hdl_error_detail());
        for (size_t at = sizeof(size_t); at < sizeof given; at++) cr_expect_eq(given[at], UNTOUCHED);
    }
}
