/* sentence_marks.c - which characters end sentences and clauses, open and close quotes and brackets. */
#include "text/sentence.h"

static bool is_one_of(uint32_t c, const uint16_t *set, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (set[i] == c) return true;
    }
    return false;
}

hdl__mark hdl__mark_of(uint32_t c)
{
    switch (c) {
    case '.': return HDL__MARK_DOT;
    case 0x2026: return HDL__MARK_DOTS;
    case '!': case '?':
    case 0x203C: case 0x203D: case 0x2047: case 0x2048: case 0x2049:    /* double marks, interrobang */
    case 0x0589: case 0x061F: case 0x06D4:                               /* Armenian, Arabic, Urdu */
    case 0x0964: case 0x0965: case 0x104B: case 0x1362: case 0x1367:     /* danda, Burmese, Ethiopic */
    case 0x17D4: case 0x17D5: return HDL__MARK_STRONG;                   /* Khmer */
    case 0x3002: case 0xFF01: case 0xFF0E: case 0xFF1F: case 0xFF61: return HDL__MARK_CJK;
    default: return HDL__MARK_NONE;
    }
}

bool hdl__mark_closes(uint32_t c)
{
    static const uint16_t closing[] = {'"', '\'', ')', ']', '}', 0x00AB, 0x00BB, 0x2018, 0x2019, 0x201C, 0x201D,
                                       0x2039, 0x203A};
    return is_one_of(c, closing, sizeof closing / sizeof closing[0]) || hdl__mark_closes_cjk(c);
}

bool hdl__mark_opens(uint32_t c)
{
    static const uint16_t opening[] = {'"', '\'', '(', '[', '{', '-', '*', 0x00A1, 0x00AB, 0x00BB, 0x00BF, 0x2010,
                                       0x2013, 0x2014, 0x2018, 0x2019, 0x201A, 0x201C, 0x201D, 0x201E, 0x2022,
                                       0x2039, 0x203A};
    return is_one_of(c, opening, sizeof opening / sizeof opening[0]) || hdl__mark_opens_cjk(c);
}

bool hdl__mark_opens_cjk(uint32_t c)
{
    return c == 0x3008 || c == 0x300A || c == 0x300C || c == 0x300E || c == 0x3010 || c == 0x3014 || c == 0xFF08 ||
           c == 0xFF3B || c == 0xFF62;
}

bool hdl__mark_closes_cjk(uint32_t c)
{
    return c == 0x3009 || c == 0x300B || c == 0x300D || c == 0x300F || c == 0x3011 || c == 0x3015 || c == 0xFF09 ||
           c == 0xFF3D || c == 0xFF63;
}

bool hdl__mark_ends_clause(uint32_t c)
{
    return c == ',' || c == ';' || c == ':' || c == 0x037E || c == 0x0387 || c == 0x060C || c == 0x061B ||
           hdl__mark_ends_clause_cjk(c);
}

bool hdl__mark_ends_clause_cjk(uint32_t c)
{
    return c == 0x3001 || c == 0xFF0C || c == 0xFF1A || c == 0xFF1B || c == 0xFF64;
}
