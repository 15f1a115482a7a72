/* translator_stats.c - what a translator has done since open: of all its devices, and of each. */
#include "base/struct_args.h"
#include "runtime/translator_state.h"

static void add_lane_stats(const hdl__lane *lane, hdl_translator_stats *s)
{
    s->sentences += lane->published.sentences;
    s->source_tokens += lane->published.source_tokens;
    s->steps += lane->published.steps;
    s->rows += lane->published.rows;
    s->launches += lane->published.launches;
    s->encoder_passes += lane->published.encoder_passes;
    s->restarts += lane->published.restarts;
    s->target_tokens += lane->published.target_tokens;
    s->pool_bytes += lane->plan.pool_bytes;
}

/* What the backend was asked for since open; translators that share weights share these numbers. */
static void add_counts(const hdl__translator_device *device, hdl_translator_stats *s)
{
    const hdl__counts now = hdl__counters_read(device->network->device->counters), *then = &device->counted_at_open;
    s->padded_rows += now.padded_rows - then->padded_rows;
    s->copied_bytes += now.copied_bytes - then->copied_bytes;
    s->allocations += now.op_allocs - then->op_allocs;
    s->weight_bytes += device->network->bytes;
}

/* With the mutex held: one of the device's lanes has ended for good. */
static int32_t is_lost(const hdl_translator *t, const hdl__network *network)
{
    for (int32_t i = 0; i < t->n_lanes; i++)
        if (t->lanes[i].network == network && t->lanes[i].lost) return 1;
    return 0;
}

hdl_status hdl_translator_get_stats(hdl_translator *translator, hdl_translator_stats *stats)
{
    hdl_translator_stats s = HDL_TRANSLATOR_STATS_INIT;
    if (translator == NULL || stats == NULL)
        return hdl__fail(HDL_EINVAL, "hdl_translator_get_stats: an argument is NULL");
    hdl_status status = hdl__struct_room("hdl_translator_get_stats: stats", stats);
    if (status == HDL_OK) status = hdl__translator_enter(translator, "hdl_translator_get_stats");
    if (status != HDL_OK) return status;
    pthread_mutex_lock(&translator->hub->mutex);
    for (int32_t i = 0; i < translator->n_lanes; i++) add_lane_stats(&translator->lanes[i], &s);
    for (int32_t i = 0; i < translator->n_devices; i++) s.n_lost += is_lost(translator, translator->devices[i].network);
    pthread_mutex_unlock(&translator->hub->mutex);
    for (int32_t i = 0; i < translator->n_devices; i++) add_counts(&translator->devices[i], &s);
    s.max_rows = translator->options.max_rows;
    s.n_devices = translator->n_devices;
    s.lanes = translator->n_lanes;
    s.compute = hdl__compute_name(translator->network->compute);
    s.device = translator->network->device->info.description;
    hdl__struct_write(stats, &s, sizeof s);
    hdl__translator_leave(translator);
    return HDL_OK;
}

hdl_status hdl_translator_get_device_stats(hdl_translator *translator, int32_t i, hdl_device_stats *stats)
{
    hdl_status status = HDL_OK;
    bool inside = false;
    HDL_CHECK(translator != NULL && stats != NULL, HDL_EINVAL, "hdl_translator_get_device_stats: an argument is NULL");
    HDL_TRY(hdl__struct_room("hdl_translator_get_device_stats: stats", stats));
    HDL_TRY(hdl__translator_enter(translator, "hdl_translator_get_device_stats"));
    inside = true;
    HDL_CHECK(i >= 0 && i < translator->n_devices, HDL_EINVAL, "hdl_translator_get_device_stats: i = %d, allowed 0 to %d", i,
              translator->n_devices - 1);
    const hdl__network *network = translator->devices[i].network;
    hdl_device_stats s = {.struct_bytes = sizeof s, .description = network->device->info.description};
    hdl_device_info info = HDL_DEVICE_INFO_INIT;
    HDL_TRY(hdl_device_describe(network->device, &info));
    s.library_weights = info.library_weights;
    s.refused_weights = info.refused_weights;
    hdl__device_name_of(network->device, s.name);
    pthread_mutex_lock(&translator->hub->mutex);
    for (int32_t j = 0; j < translator->n_lanes; j++) {
        const hdl__lane *lane = &translator->lanes[j];
        if (lane->network != network) continue;
        s.sentences += lane->published.sentences;
        s.target_tokens += lane->published.target_tokens;
        s.steps += lane->published.steps;
        s.rows += lane->published.rows;
    }
    s.lost = is_lost(translator, network);
    pthread_mutex_unlock(&translator->hub->mutex);
    hdl__struct_write(stats, &s, sizeof s);
done:
    if (inside) hdl__translator_leave(translator);
    return status;
}
