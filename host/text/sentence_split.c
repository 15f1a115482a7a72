/* sentence_split.c - the walk over the sentences of a line. */
#include "text/char_class.h"
#include "text/sentence.h"
#include "text/text.h"

enum {
    MAX_WORD = 48,        /* bytes; a longer word is no abbreviation */
    ORDINAL_DIGITS = 3,   /* "3. Oktober", "100. Geburtstag"; more digits are a year or an amount */
    DOTTED_PART = 3       /* letters between the dots of "U.S" or "Ph.D"; more is a host or file name */
};

/* A run of stops with what closes behind it, and what stands around: offsets into the line. */
typedef struct stop_run {
    size_t sentence, first, end;    /* where the sentence began, the first stop, the end of the run */
    size_t letter;                  /* the first character behind the run that could begin a sentence; n: none */
    size_t n_dots;
    bool   strong, dots, cjk, closed, spaced;
} stop_run;

static uint32_t char_at(const hdl__sentences *s, size_t i, int *length)
{
    *length = 0;
    return i < s->n ? hdl__utf8_decode(s->line + i, s->n - i, length) : 0;
}

static size_t skip_space(const hdl__sentences *s, size_t i)
{
    int length;
    while (i < s->n && hdl__char_is_space(char_at(s, i, &length))) i += (size_t)length;
    return i;
}

void hdl__sentences_start(hdl__sentences *walk, const char *line, size_t n)
{
    *walk = (hdl__sentences){.line = line, .n = n};
    for (size_t i = 0; i < n;) {
        int length;
        uint32_t c = char_at(walk, i, &length);
        walk->has_upper = walk->has_upper || hdl__char_is_upper(c);
        if (hdl__mark_closes_cjk(c)) walk->last_closer = i;
        i += (size_t)length;
    }
}

/* French sets a space before the quote that closes: after white space one closes if white space or the end follows. */
static size_t take_spaced_quote(const hdl__sentences *s, size_t end)
{
    int length;
    size_t i = skip_space(s, end);
    uint32_t c = char_at(s, i, &length);
    if (i == end || (c != 0xBB && c != 0x203A)) return end;
    i += (size_t)length;
    return i == s->n || hdl__char_is_space(char_at(s, i, &length)) ? i : end;
}

/* Reads the run of stops and closers that begins at `first`. */
static stop_run read_run(const hdl__sentences *s, size_t sentence, size_t first)
{
    stop_run run = {.sentence = sentence, .first = first, .end = first};
    for (;;) {
        int length;
        uint32_t c = char_at(s, run.end, &length);
        hdl__mark mark = hdl__mark_of(c);
        /* behind a CJK stop these open the next sentence: a stop there is followed by no space */
        bool may_open = run.cjk && (c == 0x201C || c == 0x2018 || c == 0xAB);
        bool closes = run.end > first && hdl__mark_closes(c) && !may_open;
        if (length == 0 || (mark == HDL__MARK_NONE && !closes)) break;
        run.n_dots += mark == HDL__MARK_DOT;
        run.strong |= mark == HDL__MARK_STRONG;
        run.dots |= mark == HDL__MARK_DOTS;
        run.cjk |= mark == HDL__MARK_CJK;
        run.closed |= closes;
        run.end += (size_t)length;
    }
    size_t quoted = take_spaced_quote(s, run.end);
    run.closed |= quoted > run.end;
    run.end = quoted;
    run.letter = skip_space(s, run.end);
    run.spaced = run.letter > run.end;
    for (;;) {
        int length;
        uint32_t c = char_at(s, run.letter, &length);
        if (length == 0 || (!hdl__mark_opens(c) && !hdl__char_is_space(c))) break;
        run.letter += (size_t)length;
    }
    return run;
}

/* The word behind which the run stands: back to white space or to a mark that words do not hold. */
static size_t word_begin(const hdl__sentences *s, const stop_run *run)
{
    size_t begin = run->first;
    while (begin > run->sentence && run->first - begin < MAX_WORD) {
        size_t at;
        uint32_t c = hdl__char_before(s->line, begin, &at);
        bool inside = c == '-' || c == '\'' || c == 0x2019;    /* as in "don't" */
        if (hdl__char_is_space(c) || c == '/' || (!inside && hdl__mark_opens(c))) break;
        if (c == '-' && at > run->sentence && s->line[at - 1] == '.') break;    /* "Dipl.-Ing" is known by "Ing" */
        begin = at;
    }
    return begin;
}

/* Whether the next word is one that sentences often begin with. */
static bool starter_follows(const hdl__sentences *s, const stop_run *run)
{
    size_t end = run->letter;
    int length;
    for (uint32_t c; (c = char_at(s, end, &length)) != 0; end += (size_t)length) {
        bool letter = c >= 0x80 ? c != 0x2019 && !hdl__char_is_space(c) : (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter) break;
    }
    return hdl__word_starts_sentences(s->line + run->letter, end - run->letter);
}

typedef struct word_shape { size_t n_chars, n_digits, n_dots, longest_part, n_roman, n_letters; } word_shape;

static word_shape measure_word(const char *word, size_t n)
{
    word_shape shape = {0};
    size_t part = 0;
    for (size_t i = 0; i < n;) {
        int length;
        uint32_t c = hdl__utf8_decode(word + i, n - i, &length);
        shape.n_chars++;
        shape.n_digits += hdl__char_is_digit(c);
        shape.n_dots += c == '.';
        shape.n_letters += hdl__char_is_upper(c) || hdl__char_is_lower(c);
        shape.n_roman += c == 'I' || c == 'V' || c == 'X' || c == 'L' || c == 'C' || c == 'D' || c == 'M';
        part = c == '.' ? 0 : part + 1;
        if (part > shape.longest_part) shape.longest_part = part;
        i += (size_t)length;
    }
    return shape;
}

/* A single full stop behind a word, white space, then something that could begin a sentence. */
static bool full_stop_ends(const hdl__sentences *s, const stop_run *run)
{
    int length;
    size_t begin = word_begin(s, run), n = run->first - begin;
    const char *word = s->line + begin;
    word_shape shape = measure_word(word, n);
    bool number_follows = hdl__char_is_digit(char_at(s, run->letter, &length));
    if (n == 0 || n >= MAX_WORD) return true;
    if (shape.n_digits == shape.n_chars) {
        if (begin == run->sentence) return false;    /* "1. Introduction" */
        if (shape.n_digits > ORDINAL_DIGITS) return true;
        return !number_follows && starter_follows(s, run);
    }
    if (shape.n_digits + shape.n_dots == shape.n_chars) return !number_follows;    /* "am 3.10. 2017" */
    if (shape.n_digits > 0) return true;
    if (shape.n_roman == shape.n_chars) return !number_follows && starter_follows(s, run) && (n > 1 || *word == 'I');
    if (shape.n_chars == 1 && shape.n_letters == 1) return false;    /* initials; "z. B." */
    switch (hdl__word_kind_of(word, n, !s->has_upper)) {
    case HDL__WORD_NEVER: return false;
    case HDL__WORD_BEFORE_NUMBER: return !number_follows;
    case HDL__WORD_MAYBE: return !number_follows && starter_follows(s, run);
    case HDL__WORD_PLAIN: break;
    }
    if (shape.n_dots > 0 && shape.longest_part <= DOTTED_PART) return !number_follows && starter_follows(s, run);
    return true;
}

/* Behind a CJK stop the sentence goes on with a clause mark, or, after a quotation, with a particle of quoting. */
static bool cjk_goes_on(const hdl__sentences *s, const stop_run *run)
{
    int length;
    uint32_t c = char_at(s, run->end, &length);
    if (hdl__mark_ends_clause(c)) return true;
    return run->closed && (c == 0x3068 || c == 0x3063 || c == 0x306A || c == 0x306E);
}

static bool run_ends_sentence(const hdl__sentences *s, const stop_run *run)
{
    int length;
    if (run->end == s->n || run->letter == s->n) return true;
    uint32_t after = char_at(s, run->end, &length), letter = char_at(s, run->letter, &length);
    if (run->cjk) return !cjk_goes_on(s, run);
    if (!run->spaced) {
        size_t before;
        return run->strong && hdl__char_is_cjk(after) && !hdl__mark_ends_clause(after) && run->first > 0 &&
               hdl__char_is_cjk(hdl__char_before(s->line, run->first, &before));
    }
    if (hdl__mark_ends_clause(letter) || hdl__mark_of(letter) != HDL__MARK_NONE) return false;    /* ". . ." */
    bool small = hdl__char_is_lower(letter);
    if (run->strong) return !small || !run->closed;
    if (small && s->has_upper) return false;
    if (run->dots || run->n_dots > 1) return !small;
    if (run->closed && !small) return true;
    return full_stop_ends(s, run);
}

bool hdl__sentences_next(hdl__sentences *walk, size_t *begin, size_t *end)
{
    size_t start = skip_space(walk, walk->position), i = start, last = start;
    int depth = 0;
    if (start == walk->n) return false;
    while (i < walk->n) {
        int length;
        uint32_t c = char_at(walk, i, &length);
        if (hdl__mark_of(c) == HDL__MARK_NONE) {
            if (hdl__mark_opens_cjk(c) && i < walk->last_closer) depth++;
            if (hdl__mark_closes_cjk(c) && depth > 0) depth--;
            i += (size_t)length;
            if (!hdl__char_is_space(c)) last = i;
            continue;
        }
        stop_run run = read_run(walk, start, i);
        for (; i < run.end; i += (size_t)length) {
            c = char_at(walk, i, &length);
            if (hdl__mark_closes_cjk(c) && depth > 0) depth--;
        }
        last = run.end;
        if (depth == 0 && run_ends_sentence(walk, &run)) break;
    }
    *begin = start;
    *end = last;
    walk->position = i;
    return true;
}
