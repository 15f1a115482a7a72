/* split.c - cuts a line into pieces that the model can take. */
#include "text/char_class.h"
#include "text/sentence.h"
#include "text/text.h"

/* How good the place behind an atom is for a cut; the larger the better. */
typedef enum cut_kind { CUT_CHARACTER = 0, CUT_SPACE, CUT_CLAUSE, CUT_SENTENCE } cut_kind;

/* A stretch without white space at its ends that is cut only when it alone is too long. */
typedef struct atom { size_t begin, end, n_tokens; cut_kind cut; } atom;

enum {
    ATOM_CHARACTERS = 128,    /* text without spaces is offered for cutting this often, so that no atom is long */
    MAX_MARKS = 8,            /* marks that are kept with their character; more are no writing of any language */
    /* More, and more than TOKEN_BYTES a token, is too long whatever it counts: SentencePiece makes one token of a run
     * of unknown characters and takes time in the square of its length. */
    PIECE_BYTES = 16384,
    TOKEN_BYTES = 32,
    FIRST_CAPACITY = 16
};

typedef struct splitter {
    const hdl_tokenizer *tokenizer;
    const char          *line;
    size_t               n, max_tokens;    /* 0: no limit */
    atom                *atoms;
    size_t               n_atoms, capacity;
    hdl__pieces         *out;
} splitter;

static hdl_status count_tokens(const splitter *s, size_t begin, size_t end, size_t *n_tokens)
{
    return hdl_tokenizer_encode(s->tokenizer, s->line + begin, end - begin, NULL, 0, n_tokens);
}

static hdl_status fits(const splitter *s, size_t begin, size_t end, bool *fit)
{
    size_t n_tokens = 0;
    *fit = true;
    if (s->max_tokens == 0) return HDL_OK;
    if (end - begin > PIECE_BYTES && (end - begin) / TOKEN_BYTES > s->max_tokens) {
        *fit = false;
        return HDL_OK;
    }
    hdl_status status = count_tokens(s, begin, end, &n_tokens);
    *fit = n_tokens <= s->max_tokens;
    return status;
}

static hdl_status grow_array(void **items, size_t n, size_t *capacity, size_t item_bytes)
{
    if (n < *capacity) return HDL_OK;
    size_t grown_capacity = *capacity == 0 ? FIRST_CAPACITY : 2 * *capacity;
    void *grown = hdl__regrow(*items, n * item_bytes, grown_capacity * item_bytes);
    if (grown == NULL) return hdl__fail(HDL_ENOMEM, "split: no memory for %zu pieces", grown_capacity);
    *items = grown;
    *capacity = grown_capacity;
    return HDL_OK;
}

static hdl_status add_piece(splitter *s, size_t begin, size_t end)
{
    hdl__pieces *out = s->out;
    void *items = out->items;
    hdl_status status = grow_array(&items, out->n, &out->capacity, sizeof *out->items);
    out->items = items;
    if (status != HDL_OK) return status;
    bool glued = out->n > 0 && out->items[out->n - 1].end == begin;
    out->items[out->n++] = (hdl__piece){begin, end, glued};
    return HDL_OK;
}

static hdl_status add_atom(splitter *s, size_t begin, size_t end, cut_kind cut)
{
    hdl_status status = HDL_OK;
    void *items = s->atoms;
    atom made = {begin, end, 0, cut};
    HDL_TRY(grow_array(&items, s->n_atoms, &s->capacity, sizeof *s->atoms));
    s->atoms = items;
    HDL_TRY(count_tokens(s, begin, end, &made.n_tokens));
    s->atoms[s->n_atoms++] = made;
done:
    return status;
}

/* Cuts [begin, end), which begins and ends with no white space, into atoms; the last gets the cut of a sentence. */
static hdl_status add_atoms(splitter *s, size_t begin, size_t end)
{
    hdl_status status = HDL_OK;
    size_t start = begin, n_chars = 0;
    bool clause = false;    /* the last character was a clause mark, or a quote right behind one */
    for (size_t i = begin; i < end;) {
        int length;
        uint32_t c = hdl__utf8_decode(s->line + i, s->n - i, &length);
        size_t next = i + (size_t)length;
        bool space = hdl__char_is_space(c);
        if (space && start < i) {
            HDL_TRY(add_atom(s, start, i, clause ? CUT_CLAUSE : CUT_SPACE));
        } else if (!space && n_chars >= ATOM_CHARACTERS &&
                   (n_chars >= ATOM_CHARACTERS + MAX_MARKS || !hdl__char_is_extender(c))) {
            HDL_TRY(add_atom(s, start, i, CUT_CHARACTER));
            start = i;
            n_chars = 0;
        }
        clause = !space && (hdl__mark_ends_clause(c) || (clause && hdl__mark_closes(c)));
        n_chars = space ? 0 : n_chars + 1;
        if (space) start = next;
        if (!space && hdl__mark_ends_clause_cjk(c) && next < end) {
            HDL_TRY(add_atom(s, start, next, CUT_CLAUSE));
            start = next;
            n_chars = 0;
        }
        i = next;
    }
    if (start < end) HDL_TRY(add_atom(s, start, end, CUT_SENTENCE));
    else s->atoms[s->n_atoms - 1].cut = CUT_SENTENCE;
done:
    return status;
}

/* Whether atoms [i, j) fit as one piece. */
static hdl_status atoms_fit(const splitter *s, size_t i, size_t j, bool *fit)
{
    return fits(s, s->atoms[i].begin, s->atoms[j - 1].end, fit);
}

/*
 * The most atoms from i on that fit together: *last, or i when not even one does. The sum of the atoms' own counts is
 * near the truth; from there the step doubles until the answer lies between two places, then halves.
 */
static hdl_status find_most(const splitter *s, size_t i, size_t *last)
{
    hdl_status status = HDL_OK;
    size_t guess = i, sum = 0, low = i, high = s->n_atoms + 1;
    bool fit;
    while (guess < s->n_atoms && sum + s->atoms[guess].n_tokens <= s->max_tokens) sum += s->atoms[guess++].n_tokens;
    if (guess == i) guess = i + 1;
    HDL_TRY(atoms_fit(s, i, guess, &fit));
    for (size_t step = 1; fit && guess < s->n_atoms; step *= 2) {
        low = guess;
        guess = s->n_atoms - low < step ? s->n_atoms : low + step;
        HDL_TRY(atoms_fit(s, i, guess, &fit));
    }
    if (fit) low = guess;
    else high = guess;
    for (size_t step = 1; !fit && low == i && high > i + 1; step *= 2) {
        guess = high - i - 1 < step ? i + 1 : high - step;
        HDL_TRY(atoms_fit(s, i, guess, &fit));
        if (fit) low = guess;
        else high = guess;
    }
    while (low > i && low < s->n_atoms && high - low > 1) {
        guess = low + (high - low) / 2;
        HDL_TRY(atoms_fit(s, i, guess, &fit));
        if (fit) low = guess;
        else high = guess;
    }
    *last = low;
done:
    return status;
}

/* The end of the character at `i` with the marks that belong to it. */
static size_t skip_character(const splitter *s, size_t i, size_t end)
{
    int length;
    hdl__utf8_decode(s->line + i, end - i, &length);
    i += (size_t)length;
    for (int marks = 0; marks < MAX_MARKS && i < end; marks++, i += (size_t)length) {
        if (!hdl__char_is_extender(hdl__utf8_decode(s->line + i, end - i, &length))) break;
    }
    return i;
}

/* An atom that is too long by itself: takes the longest start of it that fits, one character at least. */
static hdl_status cut_atom(splitter *s, atom *a)
{
    hdl_status status = HDL_OK;
    size_t ends[ATOM_CHARACTERS + MAX_MARKS], n = 0;
    for (size_t i = a->begin; i < a->end && n < sizeof ends / sizeof ends[0];) {
        i = skip_character(s, i, a->end);
        ends[n++] = i;
    }
    size_t low = 0, high = n;    /* ends[low] is taken; ends[high] is too much */
    while (high - low > 1) {
        bool fit;
        size_t middle = low + (high - low) / 2;
        HDL_TRY(fits(s, a->begin, ends[middle], &fit));
        if (fit) low = middle;
        else high = middle;
    }
    HDL_TRY(add_piece(s, a->begin, ends[low]));
    a->begin = ends[low];
    if (a->begin < a->end) HDL_TRY(count_tokens(s, a->begin, a->end, &a->n_tokens));
done:
    return status;
}

/* Puts the atoms together again, each piece ending at the best cut that fits. */
static hdl_status pack_atoms(splitter *s)
{
    hdl_status status = HDL_OK;
    for (size_t i = 0; i < s->n_atoms;) {
        size_t last;
        HDL_TRY(find_most(s, i, &last));
        if (last == i) {
            HDL_TRY(cut_atom(s, &s->atoms[i]));
            i += s->atoms[i].begin == s->atoms[i].end;
            continue;
        }
        size_t best = last - 1;
        for (size_t k = last - 1; last < s->n_atoms && k-- > i;) {
            if (s->atoms[k].cut > s->atoms[best].cut) best = k;
        }
        HDL_TRY(add_piece(s, s->atoms[i].begin, s->atoms[best].end));
        i = best + 1;
    }
    s->n_atoms = 0;
done:
    return status;
}

static hdl_status split_sentences(splitter *s, bool each_alone)
{
    hdl_status status = HDL_OK;
    hdl__sentences walk;
    size_t begin, end;
    hdl__sentences_start(&walk, s->line, s->n);
    while (hdl__sentences_next(&walk, &begin, &end)) {
        bool fit = false;
        if (each_alone) HDL_TRY(fits(s, begin, end, &fit));
        if (fit) {
            HDL_TRY(add_piece(s, begin, end));
            continue;
        }
        HDL_TRY(add_atoms(s, begin, end));
        if (each_alone) HDL_TRY(pack_atoms(s));
    }
    if (!each_alone) HDL_TRY(pack_atoms(s));
done:
    return status;
}

hdl_status hdl__split_line(const hdl_tokenizer *tokenizer, const char *line, size_t n, hdl__split how,
                           int32_t max_tokens, hdl__pieces *out)
{
    hdl_status status = HDL_OK;
    size_t begin = 0;
    bool fit = true;
    int length;
    splitter s = {tokenizer, line, n, max_tokens > 0 ? (size_t)max_tokens : 0, NULL, 0, 0, out};
    out->n = 0;
    while (begin < n && hdl__char_is_space(hdl__utf8_decode(line + begin, n - begin, &length))) begin += (size_t)length;
    for (size_t at; s.n > begin && hdl__char_is_space(hdl__char_before(line, s.n, &at)); s.n = at) {}
    if (begin == s.n) return HDL_OK;
    if (how == HDL__SPLIT_LONG) HDL_TRY(fits(&s, begin, s.n, &fit));
    if (how == HDL__SPLIT_NEVER || (how == HDL__SPLIT_LONG && fit)) HDL_TRY(add_piece(&s, begin, s.n));
    else HDL_TRY(split_sentences(&s, how == HDL__SPLIT_SENTENCES));
done:
    hdl__free(s.atoms);
    if (status != HDL_OK) out->n = 0;
    return status;
}

void hdl__pieces_free(hdl__pieces *pieces)
{
    hdl__free(pieces->items);
    *pieces = (hdl__pieces){0};
}
