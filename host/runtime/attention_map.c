/* attention_map.c - attention of one layer for a source and a forced target, through a lane of its own. */
#include "runtime/translator_state.h"

#include <string.h>

typedef struct map_work {
    hdl_translator *translator;
    hdl_map_kind    kind;
    hdl__lane       lane;
    hdl__search     search;
    hdl_ticket      ticket;         /* stands for a user's: never delivered */
    hdl__sentence   sentence;
    hdl__outcome    outcome;
    hdl__probe      probe;
    int32_t         end;
    size_t          probe_bytes;
} map_work;

static hdl_status check_map(const map_work *w, const int32_t *source, size_t n_source, const int32_t *target,
                            size_t n_target, int32_t layer, int32_t head)
{
    hdl_status status = HDL_OK;
    const hdl__network *n = w->translator->network;
    const hdl__stack_config *c = w->kind == HDL_MAP_ENCODER ? &n->encoder.config : &n->decoder.config;
    HDL_CHECK(w->kind >= HDL_MAP_CROSS && w->kind <= HDL_MAP_DECODER, HDL_EINVAL, "map kind = %d, allowed 0 to 2",
              (int)w->kind);
    HDL_CHECK(n_source >= 1 && n_source <= (size_t)n->encoder.n_positions, HDL_EINVAL, "n_source = %zu, allowed 1 to %d",
              n_source, n->encoder.n_positions);
    HDL_CHECK(n_target < (size_t)n->decoder.n_positions && n_target < HDL__MAX_ROWS, HDL_EINVAL,
              "n_target = %zu, allowed 0 to %d", n_target, n->decoder.n_positions - 1);
    HDL_CHECK(layer >= -1 && layer < c->n_layers, HDL_EINVAL, "layer = %d, allowed -1 to %d", layer, c->n_layers - 1);
    HDL_CHECK(head >= -1 && head < c->H, HDL_EINVAL, "head = %d, allowed -1 to %d", head, c->H - 1);
    for (size_t i = 0; i < n_source; i++)
        HDL_CHECK(source[i] >= 0 && source[i] < n->encoder.config.V, HDL_EINVAL, "source_ids[%zu] = %d, allowed 0 to %d",
                  i, source[i], n->encoder.config.V - 1);
    for (size_t i = 0; i < n_target; i++)
        HDL_CHECK(target[i] >= 0 && target[i] < n->decoder.config.V, HDL_EINVAL, "target_ids[%zu] = %d, allowed 0 to %d",
                  i, target[i], n->decoder.config.V - 1);
done:
    return status;
}

static hdl_status open_lane(map_work *w, size_t n_source, size_t n_target)
{
    hdl_status status = HDL_OK;
    hdl_translator_options o = w->translator->options;
    hdl__lane_plan plan;
    o.max_beam = 1;
    o.max_rows = (int32_t)n_target + 1;
    o.batch_tokens = (int32_t)n_source;
    o.pool_bytes = 0;
    HDL_TRY(hdl__lane_plan_make(w->translator->network, &o, false, &plan));
    HDL_TRY(hdl__lane_open(w->translator, w->translator->network, &plan, &w->lane));
done:
    return status;
}

/* A scoring sentence on the work's own memory. */
static hdl_status make_sentence(map_work *w, const int32_t *source, size_t n_source, const int32_t *target,
                                size_t n_target, hdl__bump *memory)
{
    const hdl__config *c = &w->translator->model->checkpoint.config;
    w->end = c->end_id;
    w->search.slot = (hdl_slot_options){.K = 1, .n_enough = 1, .n_pool = 1, .repetition_penalty = 1.0f, .n_end = 1};
    w->search.n_best = 1;
    w->search.ends = &w->end;
    w->ticket.n_open = 2;       /* completing the sentence leaves one open: nothing is delivered */
    w->outcome.ids = hdl__bump_take(memory, n_target + 1, sizeof(int32_t));
    w->outcome.logprobs = hdl__bump_take(memory, n_target + 1, sizeof(float));
    if (w->outcome.ids == NULL || w->outcome.logprobs == NULL)
        return hdl__fail(HDL_ENOMEM, "no memory for a target of %zu tokens", n_target);
    w->sentence = (hdl__sentence){.ticket = &w->ticket,
                                  .search = &w->search,
                                  .source = source,
                                  .prefix = target,
                                  .start_id = c->start_is_zero ? -1 : c->start_id,
                                  .S = (int32_t)n_source,
                                  .n_prefix = (int32_t)n_target,
                                  .max_length = (int32_t)n_target + 1,
                                  .phase = HDL__PHASE_SCORE,
                                  .n_children = 1,
                                  .outcomes = &w->outcome,
                                  .capacity = 1};
    return HDL_OK;
}

static hdl_status open_probe(map_work *w, int32_t layer, int32_t head, size_t rows, size_t columns)
{
    hdl_status status = HDL_OK;
    const hdl__network *n = w->translator->network;
    const hdl__stack_config *c = w->kind == HDL_MAP_ENCODER ? &n->encoder.config : &n->decoder.config;
    void *block = NULL;
    w->probe_bytes = rows * columns * sizeof(float);
    HDL_TRY(hdl_device_alloc(n->device, w->probe_bytes, &block));
    w->probe = (hdl__probe){.layer = layer < 0 ? c->n_layers - 1 : layer,
                            .first_head = head < 0 ? 0 : head,
                            .n_heads = head < 0 ? c->H : 1,
                            .cross = w->kind == HDL_MAP_CROSS,
                            .probs = block,
                            .ld = (int64_t)columns};
    if (w->kind == HDL_MAP_ENCODER)
        w->lane.encoder_probe = &w->probe;
    else
        w->lane.decoder_probe = &w->probe;
done:
    return status;
}

static hdl_status run(map_work *w)
{
    hdl_status status = HDL_OK;
    hdl__resident *resident = NULL;
    HDL_TRY(hdl__lane_settle(&w->lane, &w->sentence, &resident));
    HDL_CHECK(resident != NULL, HDL_ENOMEM, "no room for a map of %d source and %d target tokens", w->sentence.S,
              w->sentence.n_prefix);
    HDL_TRY(hdl__lane_encode(&w->lane, &resident, 1));
    HDL_TRY(hdl__lane_run_forced(&w->lane));
    HDL_TRY(hdl__lane_drain(&w->lane));
    if (w->sentence.status != HDL_OK) status = hdl__fail(w->sentence.status, "%s", w->sentence.detail);
done:
    return status;
}

/* Rows name what they predict (cross), or the token at their place (encoder, decoder: the start token first). */
static const char *token_at(const map_work *w, bool row, size_t i)
{
    const hdl_model *m = w->translator->model;
    const hdl__sentence *s = &w->sentence;
    if (w->kind == HDL_MAP_ENCODER || (w->kind == HDL_MAP_CROSS && !row))
        return hdl_tokenizer_token(m->source, s->source[i]);
    if (w->kind == HDL_MAP_CROSS) return hdl_tokenizer_token(m->target, i < (size_t)s->n_prefix ? s->prefix[i] : w->end);
    const char *start = hdl_tokenizer_token(m->target, m->checkpoint.config.start_id);
    return i > 0 ? hdl_tokenizer_token(m->target, s->prefix[i - 1]) : start != NULL ? start : "";
}

static hdl_status give_map(const map_work *w, size_t rows, size_t columns, hdl_map *out)
{
    hdl_status status = HDL_OK;
    hdl_map map = {.n_rows = rows, .n_columns = columns};
    map.values = hdl__calloc(rows * columns, sizeof *map.values);
    map.row_tokens = hdl__calloc(rows, sizeof *map.row_tokens);
    map.column_tokens = hdl__calloc(columns, sizeof *map.column_tokens);
    HDL_CHECK(map.values != NULL && map.row_tokens != NULL && map.column_tokens != NULL, HDL_ENOMEM,
              "no memory for a map of %zu by %zu", rows, columns);
    HDL_TRY(hdl_stream_download(w->lane.stream, map.values, w->probe.probs, w->probe_bytes));
    HDL_TRY(hdl_stream_wait(w->lane.stream));
    for (size_t i = 0; i < rows; i++) map.row_tokens[i] = token_at(w, true, i);
    for (size_t i = 0; i < columns; i++) map.column_tokens[i] = token_at(w, false, i);
    *out = map;
    map = (hdl_map){0};
done:
    hdl_map_free(&map);
    return status;
}

hdl_status hdl_translator_map(hdl_translator *translator, const int32_t *source_ids, size_t n_source,
                              const int32_t *target_ids, size_t n_target, hdl_map_kind kind, int32_t layer, int32_t head,
                              hdl_map *map)
{
    hdl_status status = HDL_OK;
    hdl__bump memory = {0};
    map_work *w = NULL;
    bool inside = false;
    HDL_CHECK(translator != NULL && source_ids != NULL && (target_ids != NULL || n_target == 0) && map != NULL, HDL_EINVAL,
              "hdl_translator_map: an argument is NULL");
    HDL_TRY(hdl__translator_enter(translator, "hdl_translator_map"));
    inside = true;
    w = hdl__calloc(1, sizeof *w);
    HDL_CHECK(w != NULL, HDL_ENOMEM, "no memory for a map");
    w->translator = translator;
    w->kind = kind;
    HDL_TRY(check_map(w, source_ids, n_source, target_ids, n_target, layer, head));
    const size_t rows = kind == HDL_MAP_ENCODER ? n_source : n_target + 1;
    const size_t columns = kind == HDL_MAP_DECODER ? n_target + 1 : n_source;
    HDL_TRY(open_lane(w, n_source, n_target));
    HDL_TRY(make_sentence(w, source_ids, n_source, target_ids, n_target, &memory));
    HDL_TRY(open_probe(w, layer, head, rows, columns));
    HDL_TRY(run(w));
    HDL_TRY(give_map(w, rows, columns, map));
done:
    if (w != NULL) {
        hdl_device_free(translator->network->device, w->probe.probs, w->probe_bytes);
        hdl__lane_close(&w->lane);
    }
    hdl__free(w);
    hdl__bump_free(&memory);
    if (inside) hdl__translator_leave(translator);
    return status;
}

void hdl_map_free(hdl_map *map)
{
    if (map == NULL) return;
    hdl__free(map->values);
    hdl__free((void *)map->row_tokens);
    hdl__free((void *)map->column_tokens);
    *map = (hdl_map){0};
}
