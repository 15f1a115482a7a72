/* trace_lane.c - a traced lane: its memory, the device's clock against the host's, ranges of its thread, counters. */
#include "runtime/trace_lane.h"

#include "base/memory.h"

#include <stdio.h>

#define STAMPS_PER_LAYER 32     /* a decoder layer of int8 products has some twenty ops */
#define STAMPS_BESIDE 32        /* embedding, final norm, logits, search, the first stamp */
#define CLOCK_READINGS 32       /* the shortest round trip of these tells the clocks apart best */

static void name_tracks(const hdl__lane *lane, const hdl__lane_trace *t)
{
    static const char *const names[] = {"host", "steps", "encoder"};
    char words[HDL__TRACE_WORDS];
    const hdl_device_info *info = &lane->network->device->info;
    const int n = lane->encoder_stream == lane->stream ? 2 : 3;
    for (int i = 0; i < n; i++) {
        const int32_t track = hdl__lane_track(t) + i;
        hdl__trace_add(t->trace->file,
                       "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":1,\"tid\":%d,\"args\":{\"name\":\"lane %d %s (%s:%d)\"}}", track,
                       t->number, names[i], hdl__trace_words(info->name, words), info->index);
        hdl__trace_add(t->trace->file, "{\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":1,\"tid\":%d,\"args\":{\"sort_index\":%d}}",
                       track, track);
    }
}

/*
 * One stamp between two readings of the host's clock, several times. A stamp that lies between both is of the same
 * clock; else half of the shortest round trip is the error.
 */
static hdl_status compare_clocks(const hdl__lane *lane, hdl__lane_trace *t, int64_t *error)
{
    hdl_status status = HDL_OK;
    hdl_stamp_args a = HDL_STAMP_ARGS_INIT;
    int64_t shortest = INT64_MAX;
    a.to = t->stamps;
    a.stride = t->stride;
    for (int i = 0; i < CLOCK_READINGS; i++) {
        const int64_t before = hdl__now_ns();
        HDL_TRY(hdl_stamp(lane->stream, &a));
        if (!lane->unified) HDL_TRY(hdl_stream_download(lane->stream, t->seen, t->stamps, sizeof *t->seen));
        HDL_TRY(hdl_stream_wait(lane->stream));
        const int64_t after = hdl__now_ns(), device = (int64_t)t->seen[0];
        if (after - before >= shortest) continue;
        shortest = after - before;
        const bool one = device >= before && device <= after;
        t->offset = one ? 0 : device - before - shortest / 2;
        *error = one ? 0 : shortest / 2;
    }
done:
    return status;
}

static void tell_clocks(const hdl__lane_trace *t, int64_t error)
{
    hdl__trace_add(t->trace->file,
                   "{\"ph\":\"i\",\"s\":\"t\",\"cat\":\"host\",\"name\":\"clocks compared\",\"pid\":1,\"tid\":%d,\"ts\":%s,"
                   "\"args\":{\"error_us\":%s}}",
                   hdl__lane_track(t), hdl__trace_time(t->trace, hdl__now_ns()).text, hdl__us_of(error).text);
}

hdl_status hdl__lane_trace_open(hdl__lane *lane, hdl__trace *trace)
{
    hdl_status status = HDL_OK;
    const hdl__network *n = lane->network;
    const size_t places = (size_t)lane->ring.n;
    const int32_t encoder = n->encoder.config.n_layers, decoder = n->decoder.config.n_layers;
    int64_t error = 0;
    void *block = NULL;
    hdl__lane_trace *t = hdl__calloc(1, sizeof *t);
    HDL_CHECK(t != NULL, HDL_ENOMEM, "no memory for a lane's trace");
    lane->trace = t;
    t->trace = trace;
    t->number = trace->n_lanes++;
    t->stride = (encoder > decoder ? encoder : decoder) * STAMPS_PER_LAYER + STAMPS_BESIDE;
    const size_t stamps = HDL__N_SECTIONS * places * (size_t)t->stride;
    t->bytes = stamps * sizeof *t->stamps;
    t->notes = hdl__calloc(places, sizeof *t->notes);
    t->ops = hdl__calloc(stamps, sizeof *t->ops);
    HDL_CHECK(t->notes != NULL && t->ops != NULL, HDL_ENOMEM, "no memory for the trace of %zu ops", stamps);
    HDL_TRY(hdl_device_alloc(n->device, t->bytes, &block));
    t->stamps = t->seen = block;
    if (!lane->unified) {
        t->seen = NULL;
        HDL_TRY(hdl_device_host_alloc(n->device, t->bytes, &block));
        t->seen = block;
    }
    HDL_TRY(compare_clocks(lane, t, &error));
    name_tracks(lane, t);
    tell_clocks(t, error);
done:
    return status;
}

void hdl__lane_trace_close(hdl__lane *lane)
{
    hdl__lane_trace *t = lane->trace;
    if (t == NULL) return;
    if (t->seen != t->stamps) hdl_device_host_free(lane->network->device, t->seen, t->bytes);
    hdl_device_free(lane->network->device, t->stamps, t->bytes);
    hdl__free(t->ops);
    hdl__free(t->notes);
    hdl__free(t);
    lane->trace = NULL;
}

void hdl__range_begin(hdl__lane *lane, const char *name)
{
    hdl__lane_trace *t = lane->trace;
    hdl__device_range_begin(lane->network->device, name);
    if (t == NULL) return;
    if (t->n_ranges < HDL__MOST_RANGES) {
        t->range_name[t->n_ranges] = name;
        t->range_begun[t->n_ranges] = hdl__now_ns();
    }
    t->n_ranges++;
}

void hdl__range_end(hdl__lane *lane, bool told)
{
    hdl__lane_trace *t = lane->trace;
    hdl__device_range_end(lane->network->device);
    if (t == NULL) return;
    t->n_ranges--;
    if (!told || t->n_ranges >= HDL__MOST_RANGES) return;
    const int64_t begun = t->range_begun[t->n_ranges], now = hdl__now_ns();
    hdl__trace_add(t->trace->file,
                   "{\"ph\":\"X\",\"cat\":\"host\",\"name\":\"%s\",\"pid\":1,\"tid\":%d,\"ts\":%s,\"dur\":%s}",
                   t->range_name[t->n_ranges], hdl__lane_track(t), hdl__trace_time(t->trace, begun).text,
                   hdl__us_of(now - begun).text);
}

void hdl__trace_moment(hdl__lane *lane, const char *name)
{
    const hdl__lane_trace *t = lane->trace;
    if (t == NULL) return;
    const int64_t now = hdl__now_ns();
    hdl__trace_add(t->trace->file,
                   "{\"ph\":\"i\",\"s\":\"t\",\"cat\":\"host\",\"name\":\"%s\",\"pid\":1,\"tid\":%d,\"ts\":%s}", name,
                   hdl__lane_track(t), hdl__trace_time(t->trace, now).text);
}

/* One value of a counter of this lane; those that stay are not told again. */
static void tell_level(const hdl__lane_trace *t, const char *what, const char *unit, int32_t value, int32_t *told)
{
    if (value == *told) return;
    const int64_t now = hdl__now_ns();
    *told = value;
    hdl__trace_add(t->trace->file, "{\"ph\":\"C\",\"name\":\"lane %d %s\",\"pid\":1,\"ts\":%s,\"args\":{\"%s\":%d}}", t->number,
                   what, hdl__trace_time(t->trace, now).text, unit, value);
}

void hdl__trace_levels(hdl__lane *lane)
{
    hdl__lane_trace *t = lane->trace;
    if (t == NULL) return;
    tell_level(t, "free pages", "pages", lane->n_free_pages, &t->told_pages);
    tell_level(t, "steps ahead", "steps", lane->ring.n_ahead, &t->told_ahead);
    if (lane->n_residents == 0) tell_level(t, "rows", "rows", 0, &t->told_rows);
}
