/*
 * charsmap_check.c - a SentencePiece normaliser's double array, checked as a graph.
 *
 * The blob is u32 size, a Darts double array of that many bytes, then NUL-terminated replacements. A unit's child by
 * byte c stands at (its index XOR its offset) XOR c and carries c as its label; a unit with a leaf has its value at
 * (index XOR offset). Each unit can therefore be the child of one base only, which makes the check linear.
 */
#include "text/charsmap_check.h"

#include "base/memory.h"

#include <string.h>

enum {
    UNIT_BYTES = 4,
    MAX_MATCHES = 32,    /* prefixes of one text; SentencePiece keeps that many on the stack and reads what it counts */
    STATE_NEW = 0, STATE_OPEN = 1, STATE_DONE = 2
};

#define UNIT_IS_VALUE UINT32_C(0x80000000)
#define NO_UNIT UINT32_MAX

typedef struct graph {
    const uint8_t *units;       /* unaligned */
    uint32_t       n;
    uint32_t      *first;       /* [n] first child unit of a base; consumed by the walk */
    uint32_t      *sibling;     /* [n] next child unit of the same base */
    uint32_t      *path;        /* [n + 1] units from the root to here */
    uint8_t       *state;       /* [n] per base */
    uint8_t       *matches;     /* [n] most leaves on any way down from a base */
} graph;

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint32_t unit_at(const graph *g, uint32_t i) { return read_u32(g->units + (size_t)i * UNIT_BYTES); }

static uint32_t base_of(const graph *g, uint32_t i)
{
    uint32_t unit = unit_at(g, i);
    return i ^ (unit >> 10) << ((unit & (1U << 9)) >> 6);
}

static bool has_leaf(const graph *g, uint32_t i) { return (unit_at(g, i) >> 8 & 1) != 0; }

/* Every unit's children and value are inside; builds the lists of children. */
static hdl_status link_units(graph *g, size_t n_text)
{
    hdl_status status = HDL_OK;
    for (uint32_t i = 0; i < g->n; i++) g->first[i] = NO_UNIT;
    for (uint32_t i = 0; i < g->n; i++) {
        uint32_t unit = unit_at(g, i);
        if (i > 0 && (unit & UNIT_IS_VALUE) != 0) continue;
        uint32_t base = base_of(g, i);
        HDL_CHECK((base | 0xFF) < g->n, HDL_EFORMAT, "normaliser: unit %u leads to %u of %u units", i, base | 0xFF,
                  g->n);
        if (i > 0 && has_leaf(g, i)) {
            uint32_t value = unit_at(g, base) & ~UNIT_IS_VALUE;
            HDL_CHECK(value < n_text, HDL_EFORMAT, "normaliser: unit %u has its text at %u of %zu bytes", i, value,
                      n_text);
        }
        uint32_t parent = i ^ (unit & 0xFF);
        if (i == 0 || parent >= g->n) continue;    /* no base lies there, by the check above */
        g->sibling[i] = g->first[parent];
        g->first[parent] = i;
    }
done:
    return status;
}

/* Depth first from the root, without recursion: `path` holds the units on the way. */
static hdl_status walk_units(graph *g)
{
    hdl_status status = HDL_OK;
    uint32_t depth = 0;
    g->path[0] = 0;
    g->state[base_of(g, 0)] = STATE_OPEN;
    for (;;) {
        uint32_t base = base_of(g, g->path[depth]), child = g->first[base], next;
        if (child == NO_UNIT) {
            g->state[base] = STATE_DONE;
            if (depth == 0) break;
            child = g->path[depth--];
            base = base_of(g, g->path[depth]);
            next = base_of(g, child);
        } else {
            next = base_of(g, child);
            g->first[base] = g->sibling[child];
            HDL_CHECK(g->state[next] != STATE_OPEN, HDL_EFORMAT, "normaliser: unit %u closes a circle", child);
            if (g->state[next] == STATE_NEW) {
                g->state[next] = STATE_OPEN;
                g->path[++depth] = child;
                continue;
            }
        }
        int found = g->matches[next] + has_leaf(g, child);
        HDL_CHECK(found <= MAX_MATCHES, HDL_EFORMAT, "normaliser: more than %d rules begin one another", MAX_MATCHES);
        if (found > g->matches[base]) g->matches[base] = (uint8_t)found;
    }
done:
    return status;
}

hdl_status hdl__charsmap_check(const uint8_t *blob, size_t n)
{
    hdl_status status = HDL_OK;
    graph g = {0};
    HDL_CHECK(n > UNIT_BYTES, HDL_EFORMAT, "normaliser: blob of %zu bytes", n);
    size_t n_bytes = read_u32(blob);
    HDL_CHECK(n_bytes < n - UNIT_BYTES && n_bytes % UNIT_BYTES == 0 && n_bytes > 0, HDL_EFORMAT,
              "normaliser: %zu bytes of rules in a blob of %zu bytes", n_bytes, n);
    HDL_CHECK(blob[n - 1] == 0, HDL_EFORMAT, "normaliser: the last replacement does not end");
    g.units = blob + UNIT_BYTES;
    g.n = (uint32_t)(n_bytes / UNIT_BYTES);
    g.first = hdl__calloc(g.n, sizeof *g.first);
    g.sibling = hdl__calloc(g.n, sizeof *g.sibling);
    g.path = hdl__calloc((size_t)g.n + 1, sizeof *g.path);
    g.state = hdl__calloc(g.n, 1);
    g.matches = hdl__calloc(g.n, 1);
    HDL_CHECK(g.first != NULL && g.sibling != NULL && g.path != NULL && g.state != NULL && g.matches != NULL,
              HDL_ENOMEM, "normaliser: no memory to check %u units", g.n);
    HDL_TRY(link_units(&g, n - UNIT_BYTES - n_bytes));
    HDL_TRY(walk_units(&g));
done:
    hdl__free(g.first);
    hdl__free(g.sibling);
    hdl__free(g.path);
    hdl__free(g.state);
    hdl__free(g.matches);
    return status;
}
