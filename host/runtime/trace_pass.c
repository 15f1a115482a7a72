/* trace_pass.c - stamps of a pass while it is queued, and its ranges once its end has been seen. */
#include "runtime/trace_lane.h"

#include <stdio.h>

static int32_t place_of(const hdl__lane *lane, const hdl__pass *pass) { return (int32_t)(pass - lane->ring.passes); }

static hdl_stream *stream_of(const hdl__lane *lane, hdl__section section)
{
    return section == HDL__SECTION_ENCODER ? lane->encoder_stream : lane->stream;
}

void hdl__trace_pass(hdl__lane *lane, const hdl__pass *pass)
{
    hdl__lane_trace *t = lane->trace;
    if (t == NULL) return;
    t->notes[place_of(lane, pass)] = (hdl__pass_note){.begun = hdl__now_ns()};
}

void hdl__trace_sizes(hdl__lane *lane, const hdl__pass *pass, int32_t rows, int32_t computed, int32_t slots)
{
    hdl__lane_trace *t = lane->trace;
    if (t == NULL) return;
    hdl__pass_note *note = &t->notes[place_of(lane, pass)];
    note->rows = rows;
    note->computed = computed;
    note->slots = slots;
}

hdl_status hdl__section_begin(hdl__lane *lane, const hdl__pass *pass, hdl__section section)
{
    hdl__lane_trace *t = lane->trace;
    if (t == NULL) return HDL_OK;
    const int32_t place = place_of(lane, pass);
    const size_t at = hdl__stamps_at(lane, section, place);
    hdl__stamps *stamps = &t->notes[place].stamps[section];
    *stamps = (hdl__stamps){.at = HDL_STAMP_ARGS_INIT, .ops = t->ops + at};
    stamps->at.to = t->stamps + at;
    stamps->at.stride = t->stride;
    return hdl__stream_trace(stream_of(lane, section), stamps);
}

/* The section's stamps to the host, behind its ops. */
static hdl_status fetch_stamps(hdl__lane *lane, const hdl__pass *pass, hdl__section section)
{
    const hdl__lane_trace *t = lane->trace;
    const int32_t place = place_of(lane, pass);
    const size_t at = hdl__stamps_at(lane, section, place), n = (size_t)t->notes[place].stamps[section].at.index;
    if (lane->unified) return HDL_OK;
    return hdl_stream_download(stream_of(lane, section), t->seen + at, t->stamps + at, n * sizeof *t->seen);
}

hdl_status hdl__section_end(hdl__lane *lane, const hdl__pass *pass, hdl__section section)
{
    hdl_status status = HDL_OK;
    if (lane->trace == NULL) return HDL_OK;
    HDL_TRY(hdl__stream_trace(stream_of(lane, section), NULL));
    HDL_TRY(fetch_stamps(lane, pass, section));
done:
    return status;
}

hdl_status hdl__section_replay(hdl__lane *lane, const hdl__pass *pass, const hdl_recording *recording)
{
    hdl__lane_trace *t = lane->trace;
    if (t == NULL) return HDL_OK;
    hdl__stamps *stamps = &t->notes[place_of(lane, pass)].stamps[HDL__SECTION_LANE];
    stamps->at.index = recording->n_stamped;
    stamps->ops = recording->stamped;
    return fetch_stamps(lane, pass, HDL__SECTION_LANE);
}

hdl_status hdl__trace_record_begin(hdl__lane *lane)
{
    hdl__lane_trace *t = lane->trace;
    if (t == NULL) return HDL_OK;
    t->recorded = (hdl__stamps){.at = HDL_STAMP_ARGS_INIT, .ops = t->ops};     /* no pass is under way: its names are the recording's */
    t->recorded.at.to = t->stamps + hdl__stamps_at(lane, HDL__SECTION_LANE, 0);
    t->recorded.at.place = lane->rows[0].place;
    t->recorded.at.stride = t->stride;
    return hdl__stream_trace(lane->stream, &t->recorded);
}

void hdl__trace_record_end(hdl__lane *lane)
{
    if (lane->trace != NULL) (void)hdl__stream_trace(lane->stream, NULL);
}

/* The device's time as the host's, not before what was told of the same stream. */
static int64_t host_time(const hdl__lane_trace *t, uint64_t device_ns, int stream)
{
    const int64_t ns = (int64_t)device_ns - t->offset;
    return ns > t->ended[stream] ? ns : t->ended[stream];
}

/* Clocks drift apart: nothing begins before it was queued, nothing ends after the host has seen its end. */
static void hold_clock(hdl__lane_trace *t, const hdl__pass_note *note, uint64_t first, uint64_t last, int64_t seen)
{
    if ((int64_t)first - t->offset < note->begun) t->offset = (int64_t)first - note->begun;
    if ((int64_t)last - t->offset > seen) t->offset = (int64_t)last - seen;
}

static void tell_op(const hdl__lane_trace *t, const hdl__stamped *op, int32_t track, int64_t begin, int64_t end)
{
    hdl__trace_add(t->trace->file,
                   "{\"ph\":\"X\",\"cat\":\"op\",\"name\":\"%s%s%s\",\"pid\":1,\"tid\":%d,\"ts\":%s,\"dur\":%s"
                   ",\"args\":{\"M\":%d,\"N\":%d,\"K\":%d}}",
                   op->op, op->kind != NULL ? " " : "", op->kind != NULL ? op->kind : "", track,
                   hdl__trace_time(t->trace, begin).text, hdl__us_of(end - begin).text, op->M, op->N, op->K);
}

static void tell_section(const hdl__lane *lane, const hdl__pass *pass, hdl__section section, const char *name, int64_t seen)
{
    hdl__lane_trace *t = lane->trace;
    const int32_t place = place_of(lane, pass);
    const hdl__pass_note *note = &t->notes[place];
    const hdl__stamps *stamps = &note->stamps[section];
    const int32_t n = stamps->at.index;
    if (n == 0) return;
    const uint64_t *at = t->seen + hdl__stamps_at(lane, section, place);
    const int stream = stream_of(lane, section) == lane->stream ? 0 : 1;
    const int32_t track = hdl__stream_track(t, stream);
    hold_clock(t, note, at[0], at[n - 1], seen);
    const int64_t begin = host_time(t, at[0], stream), last = host_time(t, at[n - 1], stream);
    const int64_t end = last > begin ? last : begin;        /* a device's clock that was set back makes no bar of negative length */
    hdl__trace_add(t->trace->file,
                   "{\"ph\":\"X\",\"cat\":\"pass\",\"name\":\"%s\",\"pid\":1,\"tid\":%d,\"ts\":%s,\"dur\":%s"
                   ",\"args\":{\"pass\":%llu,\"rows\":%d,\"computed\":%d,\"sentences\":%d,\"queued_us\":%s"
                   ",\"seen_us\":%s}}",
                   name, track, hdl__trace_time(t->trace, begin).text, hdl__us_of(end - begin).text,
                   (unsigned long long)lane->ring.seen, note->rows, note->computed, note->slots,
                   hdl__trace_time(t->trace, note->begun).text, hdl__trace_time(t->trace, seen).text);
    int64_t before = begin;
    for (int32_t i = 1; i < n; i++) {
        const int64_t now = host_time(t, at[i], stream), after = now < before ? before : now < end ? now : end;
        tell_op(t, &stamps->ops[i], track, before, after);
        before = after;
    }
    t->ended[stream] = end;
    if (pass->kind == HDL__PASS_STEP) {
        t->told_rows = note->rows;
        hdl__trace_add(t->trace->file, "{\"ph\":\"C\",\"name\":\"lane %d rows\",\"pid\":1,\"ts\":%s,\"args\":{\"rows\":%d}}",
                       t->number, hdl__trace_time(t->trace, begin).text, note->rows);
    }
}

void hdl__trace_seen(hdl__lane *lane, const hdl__pass *pass)
{
    static const char *const names[] = {
        [HDL__PASS_ENCODE] = "write source", [HDL__PASS_FORCED] = "forced", [HDL__PASS_STEP] = "step"};
    if (lane->trace == NULL) return;
    const int64_t now = hdl__now_ns();
    tell_section(lane, pass, HDL__SECTION_ENCODER, "encode", now);
    tell_section(lane, pass, HDL__SECTION_LANE, names[pass->kind], now);
}
