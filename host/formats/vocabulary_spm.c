/* vocabulary_spm.c - the piece list of a SentencePiece model: field 1 of its protobuf, nothing else is needed here. */
#include "formats/vocabulary_file.h"

#include "text/text.h"

#include <string.h>

#define PIECES_FIELD    1    /* ModelProto.pieces */
#define PIECE_FIELD     1    /* SentencePiece.piece */
#define MAX_VARINT_BITS 63

/* Wire types of the protobuf encoding. */
typedef enum wire { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 } wire;

typedef struct message { const uint8_t *data; size_t n, at; } message;
typedef struct field { uint64_t number; const uint8_t *data; size_t n; } field;    /* n: bytes of a WIRE_BYTES field */

static bool take_varint(message *m, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift <= MAX_VARINT_BITS; shift += 7) {
        if (m->at == m->n) return false;
        uint8_t byte = m->data[m->at++];
        value |= (uint64_t)(byte & 0x7F) << shift;
        if ((byte & 0x80) == 0) {
            *out = value;
            return true;
        }
    }
    return false;
}

/* The next field; number 0 when it is not one of bytes. False when the message is malformed. */
static bool take_field(message *m, field *out)
{
    uint64_t key = 0, n = 0;
    *out = (field){0};
    if (!take_varint(m, &key) || key >> 3 == 0) return false;
    switch ((wire)(key & 7)) {
    case WIRE_VARINT: return take_varint(m, &n);
    case WIRE_64: n = 8; break;
    case WIRE_32: n = 4; break;
    case WIRE_BYTES:
        if (!take_varint(m, &n)) return false;
        out->number = key >> 3;
        break;
    default: return false;
    }
    if (n > m->n - m->at) return false;
    out->data = m->data + m->at;
    out->n = (size_t)n;
    m->at += (size_t)n;
    return true;
}

static hdl_status add_piece(const field *entry, const char *name, hdl__token_list *list)
{
    hdl_status status = HDL_OK;
    message inner = {.data = entry->data, .n = entry->n};
    const char *piece = "";
    size_t n = 0;
    while (inner.at < inner.n) {
        field part;
        HDL_CHECK(take_field(&inner, &part), HDL_EFORMAT, "%s: piece %d is malformed", name, list->n);
        if (part.number != PIECE_FIELD) continue;
        piece = (const char *)part.data;
        n = part.n;
    }
    HDL_CHECK(n > 0, HDL_EFORMAT, "%s: piece %d is empty", name, list->n);
    HDL_CHECK(memchr(piece, '\0', n) == NULL && hdl__utf8_valid(piece, n), HDL_EFORMAT,
              "%s: piece %d is not UTF-8 without NUL", name, list->n);
    HDL_CHECK(list->n < HDL__MAX_VOCABULARY, HDL_EFORMAT, "%s: more than %d pieces", name, HDL__MAX_VOCABULARY);
    hdl__token_list_add(list, piece, n);
done:
    return status;
}

hdl_status hdl__vocabulary_read_spm(const hdl__file *bytes, const char *name, hdl__token_list *list)
{
    hdl_status status = HDL_OK;
    message model = {.data = bytes->data, .n = bytes->n};
    while (model.at < model.n) {
        size_t at = model.at;
        field part;
        HDL_CHECK(take_field(&model, &part), HDL_EFORMAT, "%s: offset %zu: not a SentencePiece model", name, at);
        if (part.number == PIECES_FIELD) HDL_TRY(add_piece(&part, name, list));
    }
done:
    return status;
}
