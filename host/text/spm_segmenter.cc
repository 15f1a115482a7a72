/* spm_segmenter.cc - SentencePiece behind the segmenter interface. No exception leaves this file. */
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include <sentencepiece_processor.h>

extern "C" {
#include "text/segmenter.h"
}

namespace sentencepiece {
namespace logging {
/* Exported by every version so far but declared in no installed header, hence weak. */
void SetMinLogLevel(int level) __attribute__((weak));
}  // namespace logging
}  // namespace sentencepiece

namespace {

constexpr int kLogNothing = 3;    /* only messages that end the process would still be written */

struct Spm {
    hdl__segmenter base;    /* first: the C side sees this */
    sentencepiece::SentencePieceProcessor *processor;
    int32_t unknown;        /* SentencePiece's number of its unknown piece */
};

const Spm *from_base(const hdl__segmenter *self) { return reinterpret_cast<const Spm *>(self); }

/* What the current exception means; called inside a catch block. */
hdl_status explain_exception(const char *doing)
{
    try {
        throw;
    } catch (const std::bad_alloc &) {
        return hdl__fail(HDL_ENOMEM, "sentencepiece: no memory while %s", doing);
    } catch (const std::exception &e) {
        return hdl__fail(HDL_EFORMAT, "sentencepiece: %s while %s", e.what(), doing);
    } catch (...) {
        return hdl__fail(HDL_EFORMAT, "sentencepiece: unknown exception while %s", doing);
    }
}

const char *piece_text(const hdl__segmenter *self, int32_t piece)
{
    return from_base(self)->processor->IdToPiece(piece).c_str();
}

/* A model may give its unknown piece another name than the one by which unk_id finds it. */
int32_t find_unknown(const sentencepiece::SentencePieceProcessor &processor, int32_t n_pieces)
{
    int32_t unknown = processor.unk_id();
    for (int32_t i = 0; unknown < 0 && i < n_pieces; i++) {
        if (processor.IsUnknown(i)) unknown = i;
    }
    return unknown;
}

/* Unknown text may still be a token of the vocabulary, for instance of the other language in a joint one. */
hdl_status encode_by_text(const Spm *spm, absl::string_view text, hdl__sink *sink)
{
    std::vector<std::string> pieces;
    const auto status = spm->processor->Encode(text, &pieces);
    if (!status.ok()) return hdl__fail(HDL_EINVAL, "sentencepiece: %s", status.ToString().c_str());
    for (const auto &piece : pieces) hdl__sink_text(sink, piece.data(), piece.size());
    return HDL_OK;
}

hdl_status encode_text(const hdl__segmenter *self, const char *text, size_t n, hdl__sink *sink)
{
    try {
        const Spm *spm = from_base(self);
        std::vector<int> pieces;
        const auto status = spm->processor->Encode(absl::string_view(text, n), &pieces);
        if (!status.ok()) return hdl__fail(HDL_EINVAL, "sentencepiece: %s", status.ToString().c_str());
        for (int piece : pieces) {
            if (piece == spm->unknown) return encode_by_text(spm, absl::string_view(text, n), sink);
        }
        for (int piece : pieces) hdl__sink_piece(sink, piece);
        return HDL_OK;
    } catch (...) {
        return explain_exception("segmenting");
    }
}

hdl_status decode_tokens(const hdl__segmenter *self, const char *const *tokens, size_t n, hdl__str *out)
{
    try {
        const Spm *spm = from_base(self);
        std::vector<std::string> pieces;
        pieces.reserve(n);
        for (size_t i = 0; i < n; i++) {
            if (tokens[i] != nullptr) pieces.emplace_back(tokens[i]);
            else pieces.push_back(spm->processor->IdToPiece(spm->unknown));
        }
        std::string text;
        const auto status = spm->processor->Decode(pieces, &text);
        if (!status.ok()) return hdl__fail(HDL_EINVAL, "sentencepiece: %s", status.ToString().c_str());
        hdl__str_add(out, text.data(), text.size());
        return out->failed ? hdl__fail(HDL_ENOMEM, "sentencepiece: no memory for the text") : HDL_OK;
    } catch (...) {
        return explain_exception("joining pieces");
    }
}

void close_spm(hdl__segmenter *self)
{
    Spm *spm = reinterpret_cast<Spm *>(self);
    delete spm->processor;
    hdl__free(spm);
}

hdl_status load_model(Spm *spm, absl::string_view model, const char *file_name)
{
    try {
        if (sentencepiece::logging::SetMinLogLevel != nullptr) sentencepiece::logging::SetMinLogLevel(kLogNothing);
        spm->processor = new sentencepiece::SentencePieceProcessor;
        const auto status = spm->processor->LoadFromSerializedProto(model);
        if (!status.ok()) return hdl__fail(HDL_EFORMAT, "%s: sentencepiece: %s", file_name, status.ToString().c_str());
        spm->base.n_pieces = spm->processor->GetPieceSize();
        spm->unknown = find_unknown(*spm->processor, spm->base.n_pieces);
        return HDL_OK;
    } catch (...) {
        const hdl_status status = explain_exception("loading");
        return hdl__fail_prefix(status, file_name);
    }
}

}  // namespace

hdl_status hdl__spm_open(const uint8_t *data, size_t n, const char *file_name, hdl__segmenter **out)
{
    hdl__str trimmed = {nullptr, 0, 0, false};
    Spm *spm = nullptr;
    hdl_status status = hdl__spm_check(data, n, file_name, &trimmed);
    if (status == HDL_OK) {
        spm = static_cast<Spm *>(hdl__calloc(1, sizeof *spm));
        if (spm == nullptr) status = hdl__fail(HDL_ENOMEM, "%s: no memory", file_name);
    }
    if (status == HDL_OK) {
        spm->base.kind = "sentencepiece";
        spm->base.users = 1;
        spm->base.piece = piece_text;
        spm->base.encode = encode_text;
        spm->base.decode = decode_tokens;
        spm->base.close = close_spm;
        const bool whole = trimmed.data == nullptr;
        status = load_model(spm, absl::string_view(whole ? reinterpret_cast<const char *>(data) : trimmed.data,
                                                   whole ? n : trimmed.n), file_name);
    }
    hdl__str_free(&trimmed);
    if (status == HDL_OK) *out = &spm->base;
    else if (spm != nullptr) close_spm(&spm->base);
    return status;
}
