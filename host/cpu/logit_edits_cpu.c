/* logit_edits_cpu.c - which logits of a row are penalised or removed: repetition, n-grams, sequences, ends, unknown, pad. */
#include "cpu/cpu_backend.h"

#include <heddle/detail/beam_step.h>

#include <assert.h>
#include <string.h>

enum { KIND_BITS = 2 };     /* an entry is token * 4 + kind */

/* The tokens of a row's hypothesis, found where the history keeps them. */
typedef struct produced {
    const int32_t *tok;         /* i32 [T, K] */
    const uint8_t *ancestor;    /* of this row's path */
    int32_t        K, beam, n;
} produced;

/* Token i of the path: the key row of position i + 1 was made from it, by the beam that the ancestor table names. */
static int32_t produced_token(const produced *path, int32_t i)
{
    const int32_t beam = i + 1 < path->n ? path->ancestor[i + 1] : path->beam;
    return path->tok[(int64_t)i * path->K + beam];
}

/* The sorted list of one row. */
typedef struct edit_list { int32_t *entries; int32_t n, capacity; } edit_list;

/* A token has one entry; removal outdoes penalty. */
static void add_edit(edit_list *list, int32_t token, int32_t kind)
{
    int32_t low = 0, high = list->n;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (list->entries[middle] >> KIND_BITS < token) low = middle + 1;
        else high = middle;
    }
    int32_t *at = list->entries + low;
    const int32_t entry = (int32_t)((uint32_t)token << KIND_BITS) | kind;
    if (low < list->n && *at >> KIND_BITS == token) {
        if (kind == HDL_EDIT_REMOVE) *at = entry;
        return;
    }
    assert(list->n < list->capacity);
    memmove(at + 1, at, (size_t)(list->n - low) * sizeof *at);
    *at = entry;
    list->n++;
}

/* After tokens a b, everything that ever followed a b is removed (n-grams of three). */
static void edit_ngrams(edit_list *list, const produced *path, int32_t ngram)
{
    const int32_t head = ngram - 1;
    for (int32_t i = 0; i + head < path->n; i++) {
        int32_t same = 0;
        while (same < head && produced_token(path, i + same) == produced_token(path, path->n - head + same)) same++;
        if (same == head) add_edit(list, produced_token(path, i + head), HDL_EDIT_REMOVE);
    }
}

/* `sequences`: n times a length and as many tokens. The last one goes when the others have just been produced. */
static void edit_sequences(edit_list *list, const produced *path, const int32_t *sequences, int32_t n)
{
    for (int32_t s = 0; s < n; s++) {
        const int32_t head = sequences[0] - 1;
        const int32_t *tokens = sequences + 1;
        int32_t same = 0;
        if (head >= 0 && head <= path->n)
            while (same < head && tokens[same] == produced_token(path, path->n - head + same)) same++;
        if (head >= 0 && same == head) add_edit(list, tokens[head], HDL_EDIT_REMOVE);
        sequences += 1 + sequences[0];
    }
}

static void edit_row(const hdl_slots *slots, int32_t slot, int32_t beam, int32_t pos, edit_list *list)
{
    const hdl_slot_options *o = &slots->options[slot];
    const hdl_history_layout at = hdl_history_layout_of(o);
    const uint8_t *history = slots->history + slots->history_off[slot];
    const produced path = {
        .tok = (const int32_t *)(const void *)(history + at.tok),
        .ancestor = hdl_ancestor_row(history, &at, o, pos, beam),
        .K = o->K, .beam = beam, .n = pos,
    };
    if (o->repetition_penalty != 1.0f && o->repetition_penalty > 0.0f)
        for (int32_t i = 0; i < path.n; i++) add_edit(list, produced_token(&path, i), HDL_EDIT_PENALISE);
    if (pos < o->min_length)
        for (int32_t i = 0; i < o->n_end; i++) add_edit(list, slots->side[o->end_off + i], HDL_EDIT_REMOVE);
    if (o->ngram > 0) edit_ngrams(list, &path, o->ngram);
    edit_sequences(list, &path, slots->side + o->suppress_off, o->n_suppress);
    if ((o->flags & HDL_SLOT_NO_UNKNOWN) != 0 && o->unknown_id >= 0) add_edit(list, o->unknown_id, HDL_EDIT_REMOVE);
    if (o->pad_id >= 0) add_edit(list, o->pad_id, HDL_EDIT_REMOVE);
}

static hdl_status replay_logit_edits(hdl_backend_stream *stream, const void *args)
{
    return hdl__cpu_logit_edits(stream, args);
}

hdl_status hdl__cpu_logit_edits(hdl_backend_stream *stream, const hdl_logit_edits_args *args)
{
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, replay_logit_edits, args, sizeof *args, &status)) return status;
    const hdl_rows *rows = args->rows;
    for (int32_t i = 0; i < rows->count[0]; i++) {
        if (!hdl__row_is_live(args->slots, rows, i)) continue;
        edit_list list = {args->edits.entries + (int64_t)i * args->edits.stride, 0, args->edits.stride};
        if (!hdl_in_hard_prefix(&args->slots->options[rows->slot[i]], rows->pos[i]))
            edit_row(args->slots, rows->slot[i], rows->beam[i], rows->pos[i], &list);
        args->edits.n[i] = list.n;
    }
    return status;
}
