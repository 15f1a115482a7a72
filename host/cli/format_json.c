/* format_json.c - results as JSON objects. */
#include "cli_options.h"
#include "format_lines.h"
#include "json_text.h"

/* An empty line has no matrix, and its hypothesis no rows. */
static json_t *hypothesis_json(const hdl_hypothesis *hypothesis, bool with_alignment)
{
    json_t *object = json_object();
    json_object_set_new(object, "text", hdl__json_string(hypothesis->text));
    json_object_set_new(object, "tokens", hdl__json_strings(hypothesis->tokens, hypothesis->n_tokens));
    json_object_set_new(object, "logprobs", hdl__json_floats(hypothesis->logprobs, hypothesis->n_logprobs));
    json_object_set_new(object, "score", hdl__json_float(hypothesis->score));
    json_object_set_new(object, "finished", json_string(hypothesis->finish == HDL_FINISH_END ? "end" : "length"));
    if (with_alignment)
        json_object_set_new(object, "alignment", hdl__json_matrix(hypothesis->alignment, hypothesis->n_rows,
                                                                  hypothesis->n_columns));
    return object;
}

/* jansson's setters refuse a NULL value; what is missing then shows as a smaller object. */
static bool put_whole(json_t *object, size_t n_members, hdl__cli_text *out)
{
    if (json_object_size(object) == n_members) return hdl__json_put(object, true, out);
    json_decref(object);
    return false;
}

bool hdl__format_json(uint64_t line, const hdl_result *result, int alignment, hdl__cli_text *out)
{
    enum { MEMBERS = 5 };
    const bool with_alignment = alignment != HDL__ALIGNMENT_NONE;
    const size_t n_members = with_alignment ? 6 : 5;
    json_t *hypotheses = json_array();
    for (size_t i = 0; i < result->n_hypotheses; ++i) {
        json_t *one = hypothesis_json(&result->hypotheses[i], with_alignment);
        if (json_object_size(one) == n_members) json_array_append_new(hypotheses, one);
        else json_decref(one);
    }
    bool whole = json_array_size(hypotheses) == result->n_hypotheses;
    json_t *object = json_object();
    json_object_set_new(object, "line", json_integer((json_int_t)line));
    json_object_set_new(object, "source", hdl__json_string(result->source));
    json_object_set_new(object, "source_tokens", hdl__json_strings(result->source_tokens, result->n_source_tokens));
    json_object_set_new(object, "hypotheses", hypotheses);
    json_object_set_new(object, "pieces", json_integer((json_int_t)result->n_pieces));
    if (whole) return put_whole(object, MEMBERS, out);
    json_decref(object);
    return false;
}

bool hdl__format_score_json(uint64_t line, const hdl_result *result, const char *end_token, hdl__cli_text *out)
{
    enum { MEMBERS = 6 };
    static const hdl_hypothesis none;
    const hdl_hypothesis *scored = result->n_hypotheses ? &result->hypotheses[0] : &none;
    json_t *object = json_object();
    json_t *tokens = hdl__json_strings(scored->tokens, scored->n_tokens);
    if (tokens && end_token && scored->n_logprobs == scored->n_tokens + 1)
        json_array_append_new(tokens, hdl__json_string(end_token));
    json_object_set_new(object, "line", json_integer((json_int_t)line));
    json_object_set_new(object, "tokens", tokens);
    json_object_set_new(object, "logprobs", hdl__json_floats(scored->logprobs, scored->n_logprobs));
    json_object_set_new(object, "sum", hdl__json_float(scored->sum));
    json_object_set_new(object, "score", hdl__json_float(scored->score));
    json_object_set_new(object, "perplexity", hdl__json_float(result->perplexity));
    return put_whole(object, MEMBERS, out);
}
