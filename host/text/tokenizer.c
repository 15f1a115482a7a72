/* tokenizer.c - hdl_tokenizer: a segmenter joined with a vocabulary. */
#include "text/segmenter.h"
#include "text/token_map.h"

#include <string.h>

struct hdl_tokenizer {
    const hdl__vocabulary *vocabulary;
    hdl__token_map        *map;
    hdl__segmenter        *segmenter;
    const uint8_t         *file_data;       /* the segmenter's file while it is open; compared with a twin's */
    size_t                 file_bytes;
    int32_t               *id_of_piece;     /* [n_pieces]; unknown_id for those that the vocabulary lacks */
    bool                  *is_control;      /* [V] */
    int32_t                unknown_id;
};

struct hdl__sink {
    const hdl_tokenizer *tokenizer;
    int32_t             *ids;
    size_t               capacity, n;
    hdl__str            *texts;             /* NULL: not wanted; else each piece's text and a NUL */
};

static void emit_id(hdl__sink *sink, int32_t id)
{
    if (sink->n < sink->capacity) sink->ids[sink->n] = id;
    sink->n++;
}

/* A piece keeps its own text even where the vocabulary has only the unknown token for it. */
static void emit_text(hdl__sink *sink, const char *head, size_t n_head, const char *tail, size_t n_tail)
{
    if (sink->texts == NULL) return;
    hdl__str_add(sink->texts, head, n_head);
    hdl__str_add(sink->texts, tail, n_tail);
    hdl__str_add(sink->texts, "", 1);
}

/* Text never becomes a control token, even where a user writes "</s>". */
static int32_t id_of_text(const hdl_tokenizer *t, const char *head, size_t n_head, const char *tail, size_t n_tail)
{
    int32_t id = hdl__token_map_find_joined(t->map, head, n_head, tail, n_tail);
    return id < 0 || t->is_control[id] ? t->unknown_id : id;
}

void hdl__sink_piece(hdl__sink *sink, int32_t piece)
{
    if (sink->texts != NULL) {
        const hdl__segmenter *segmenter = sink->tokenizer->segmenter;
        const char *text = segmenter->piece(segmenter, piece);
        emit_text(sink, text, strlen(text), "", 0);
    }
    emit_id(sink, sink->tokenizer->id_of_piece[piece]);
}

void hdl__sink_text(hdl__sink *sink, const char *piece, size_t n)
{
    emit_text(sink, piece, n, "", 0);
    emit_id(sink, id_of_text(sink->tokenizer, piece, n, "", 0));
}

void hdl__sink_joined(hdl__sink *sink, const char *head, size_t n_head, const char *tail, size_t n_tail)
{
    emit_text(sink, head, n_head, tail, n_tail);
    emit_id(sink, id_of_text(sink->tokenizer, head, n_head, tail, n_tail));
}

void hdl__segmenter_release(hdl__segmenter *segmenter)
{
    if (segmenter != NULL && __atomic_sub_fetch(&segmenter->users, 1, __ATOMIC_ACQ_REL) == 0) {
        segmenter->close(segmenter);
    }
}

static bool same_bytes(const hdl_tokenizer *twin, const hdl__file *file, const char *kind)
{
    return twin != NULL && strcmp(twin->segmenter->kind, kind) == 0 && twin->file_bytes == file->n &&
           (twin->file_data == file->data || memcmp(twin->file_data, file->data, file->n) == 0);
}

static hdl_status open_segmenter(const hdl__tokenizer_source *source, hdl_tokenizer *t)
{
    bool spm = source->spm != NULL && source->spm->data != NULL;
    bool bpe = !spm && source->bpe != NULL && source->bpe->data != NULL;
    if (!spm && !bpe) return hdl__words_open(&t->segmenter);
    const hdl__file *file = spm ? source->spm : source->bpe;
    t->file_data = file->data;
    t->file_bytes = file->n;
    if (same_bytes(source->twin, file, spm ? "sentencepiece" : "bpe")) {
        t->segmenter = source->twin->segmenter;
        __atomic_add_fetch(&t->segmenter->users, 1, __ATOMIC_RELAXED);
        return HDL_OK;
    }
    const char *name = source->file_name == NULL ? "segmenter file" : source->file_name;
    return spm ? hdl__spm_open(file->data, file->n, name, &t->segmenter)
               : hdl__bpe_open(file->data, file->n, name, &t->segmenter);
}

static hdl_status map_pieces(hdl_tokenizer *t)
{
    hdl_status status = HDL_OK;
    int32_t n = t->segmenter->n_pieces;
    t->id_of_piece = hdl__calloc((size_t)n, sizeof *t->id_of_piece);
    HDL_CHECK(t->id_of_piece != NULL, HDL_ENOMEM, "tokenizer: no memory for %d pieces", n);
    for (int32_t i = 0; i < n; i++) {
        const char *piece = t->segmenter->piece(t->segmenter, i);
        t->id_of_piece[i] = id_of_text(t, piece, strlen(piece), "", 0);
    }
done:
    return status;
}

hdl_status hdl__tokenizer_open(const hdl__tokenizer_source *source, hdl_tokenizer **out)
{
    hdl_status status = HDL_OK;
    int32_t n = source->vocabulary->n;
    hdl_tokenizer *t = hdl__calloc(1, sizeof *t);
    HDL_CHECK(t != NULL, HDL_ENOMEM, "tokenizer: no memory");
    HDL_CHECK(source->unknown_id >= 0 && source->unknown_id < n, HDL_EFORMAT,
              "tokenizer: unknown id is %d, the vocabulary has ids 0 to %d", source->unknown_id, n - 1);
    t->vocabulary = source->vocabulary;
    t->unknown_id = source->unknown_id;
    t->is_control = hdl__calloc((size_t)n, sizeof *t->is_control);
    HDL_CHECK(t->is_control != NULL, HDL_ENOMEM, "tokenizer: no memory for %d tokens", n);
    for (int32_t i = 0; i < source->n_control; i++) {
        int32_t id = source->control_ids[i];
        if (id >= 0 && id < n && id != t->unknown_id) t->is_control[id] = true;
    }
    HDL_TRY(hdl__token_map_open(source->vocabulary, &t->map));
    HDL_TRY(open_segmenter(source, t));
    HDL_TRY(map_pieces(t));
    *out = t;
    t = NULL;
done:
    hdl__tokenizer_close(t);
    return status;
}

void hdl__tokenizer_close(hdl_tokenizer *tokenizer)
{
    if (tokenizer == NULL) return;
    hdl__segmenter_release(tokenizer->segmenter);
    hdl__free(tokenizer->id_of_piece);
    hdl__token_map_close(tokenizer->map);
    hdl__free(tokenizer->is_control);
    hdl__free(tokenizer);
}

int32_t hdl_tokenizer_size(const hdl_tokenizer *tokenizer) { return tokenizer->vocabulary->n; }

const char *hdl_tokenizer_token(const hdl_tokenizer *tokenizer, int32_t id)
{
    return id >= 0 && id < tokenizer->vocabulary->n ? tokenizer->vocabulary->tokens[id] : NULL;
}

int32_t hdl_tokenizer_id(const hdl_tokenizer *tokenizer, const char *token)
{
    return token == NULL ? -1 : hdl__token_map_find(tokenizer->map, token, strlen(token));
}

const char *hdl_tokenizer_kind(const hdl_tokenizer *tokenizer) { return tokenizer->segmenter->kind; }

hdl_status hdl_tokenizer_encode(const hdl_tokenizer *tokenizer, const char *text, size_t n_bytes, int32_t *ids,
                                size_t capacity, size_t *n_ids)
{
    hdl_status status = HDL_OK;
    HDL_CHECK(tokenizer != NULL && n_ids != NULL, HDL_EINVAL, "tokenizer_encode: tokenizer or n_ids is NULL");
    HDL_CHECK(text != NULL || n_bytes == 0, HDL_EINVAL, "tokenizer_encode: text is NULL, n_bytes is %zu", n_bytes);
    HDL_CHECK(ids != NULL || capacity == 0, HDL_EINVAL, "tokenizer_encode: ids is NULL, capacity is %zu", capacity);
    HDL_CHECK(hdl__utf8_valid(text, n_bytes), HDL_EINVAL, "tokenizer_encode: text of %zu bytes is not valid UTF-8",
              n_bytes);
    hdl__sink sink = {.tokenizer = tokenizer, .ids = ids, .capacity = capacity};
    if (n_bytes > 0) HDL_TRY(tokenizer->segmenter->encode(tokenizer->segmenter, text, n_bytes, &sink));
    *n_ids = sink.n;
done:
    return status;
}

hdl_status hdl_tokenizer_decode(const hdl_tokenizer *tokenizer, const int32_t *ids, size_t n_ids, char *text,
                                size_t capacity, size_t *n_bytes)
{
    hdl_status status = HDL_OK;
    hdl__str out = {0};
    const char **tokens = NULL;
    HDL_CHECK(tokenizer != NULL && n_bytes != NULL, HDL_EINVAL, "tokenizer_decode: tokenizer or n_bytes is NULL");
    HDL_CHECK(ids != NULL || n_ids == 0, HDL_EINVAL, "tokenizer_decode: ids is NULL, n_ids is %zu", n_ids);
    HDL_CHECK(text != NULL || capacity == 0, HDL_EINVAL, "tokenizer_decode: text is NULL, capacity is %zu", capacity);
    tokens = hdl__calloc(n_ids, sizeof *tokens);
    HDL_CHECK(tokens != NULL, HDL_ENOMEM, "tokenizer_decode: no memory for %zu tokens", n_ids);
    size_t n = 0;
    for (size_t i = 0; i < n_ids; i++) {
        HDL_CHECK(ids[i] >= 0 && ids[i] < tokenizer->vocabulary->n, HDL_EINVAL,
                  "tokenizer_decode: ids[%zu] is %d, the vocabulary has ids 0 to %d", i, ids[i],
                  tokenizer->vocabulary->n - 1);
        if (tokenizer->is_control[ids[i]]) continue;
        tokens[n++] = ids[i] == tokenizer->unknown_id ? NULL : tokenizer->vocabulary->tokens[ids[i]];
    }
    if (n > 0) HDL_TRY(tokenizer->segmenter->decode(tokenizer->segmenter, tokens, n, &out));
    if (out.n < capacity) {
        if (out.n > 0) memcpy(text, out.data, out.n);
        text[out.n] = '\0';
    }
    *n_bytes = out.n;
done:
    hdl__free(tokens);
    hdl__str_free(&out);
    return status;
}

hdl_status hdl__tokenizer_pieces(const hdl_tokenizer *tokenizer, const char *text, size_t n, hdl__str *pieces)
{
    hdl_status status = HDL_OK;
    hdl__sink sink = {.tokenizer = tokenizer, .texts = pieces};
    if (n > 0) HDL_TRY(tokenizer->segmenter->encode(tokenizer->segmenter, text, n, &sink));
    HDL_CHECK(!pieces->failed, HDL_ENOMEM, "no memory for the pieces of %zu bytes", n);
done:
    return status;
}

hdl_status hdl__tokenizer_decode_tokens(const hdl_tokenizer *tokenizer, const char *const *tokens, size_t n,
                                        hdl__str *out)
{
    hdl_status status = HDL_OK;
    const char **kept = hdl__calloc(n, sizeof *kept);
    size_t n_kept = 0;
    HDL_CHECK(kept != NULL, HDL_ENOMEM, "no memory for %zu tokens", n);
    for (size_t i = 0; i < n; i++) {
        const int32_t id = hdl_tokenizer_id(tokenizer, tokens[i]);
        if (id < 0 || !tokenizer->is_control[id]) kept[n_kept++] = id == tokenizer->unknown_id ? NULL : tokens[i];
    }
    if (n_kept > 0) HDL_TRY(tokenizer->segmenter->decode(tokenizer->segmenter, kept, n_kept, out));
done:
    hdl__free(kept);
    return status;
}
