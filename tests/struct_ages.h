/* struct_ages.h - callers of another age: a public struct as a program gives it that was built against an older or a newer header. */
#ifndef HEDDLE_TESTS_STRUCT_AGES_H
#define HEDDLE_TESTS_STRUCT_AGES_H

#include <heddle/heddle.h>

/* One struct that some call reads. */
typedef struct read_struct {
    const char *name;           /* with which the call's lines begin */
    size_t      bytes;          /* what this library knows */
    const void *init;           /* the _INIT macro's */
    const void *good;           /* set up for this library */
    hdl_status (*call)(const void *given);
    /* what reached a backend in the latest call, [bytes]; NULL: it cannot be seen. After `forget` it is all 0xEE. */
    const unsigned char *seen;
    void       (*forget)(void);
} read_struct;

/*
 * The call with every shorter struct, cut where no byte behind it can be read, does what it does with a whole struct whose
 * rest is _INIT's; longer ones are taken if the rest is 0 and refused in words if not; so are sizes that no header sets.
 */
void check_read_struct(const read_struct *s);

/* One struct that some call fills. Bytes of padding, which hold anything, are one hole at most. */
typedef struct filled_struct {
    const char *name;
    size_t      bytes;
    hdl_status (*call)(void *given);
    struct { size_t begin, end; } hole;
} filled_struct;

/* Of each size the caller's part is filled, struct_bytes is left, and nothing behind it is touched. */
void check_filled_struct(const filled_struct *s);

#endif
