/* lane_ring.c - the ring of queued passes: a place for the next one, the events after each, looking at the oldest. */
#include "runtime/lane.h"

#include <stdio.h>

#define ARRAY_ALIGN 64u

/* Lays arrays out one after the other; base NULL measures. */
typedef struct layout { uint8_t *base; size_t used; } layout;

static void *place(layout *l, size_t n, size_t size)
{
    void *at = l->base == NULL ? NULL : l->base + l->used;
    l->used += (n * size + ARRAY_ALIGN - 1) / ARRAY_ALIGN * ARRAY_ALIGN;
    return at;
}

size_t hdl__place_rows(uint8_t *base, int32_t M, hdl__row_arrays *out)
{
    layout l = {base, 0};
    const size_t n = (size_t)M;
    out->count = place(&l, 2, sizeof(int32_t));
    out->place = base == NULL ? NULL : out->count + 1;
    out->n_groups = place(&l, 1, sizeof(int32_t));
    out->slot = place(&l, n, sizeof(int32_t));
    out->beam = place(&l, n, sizeof(int32_t));
    out->pos = place(&l, n, sizeof(int32_t));
    out->group = place(&l, n + 1, sizeof(int32_t));
    out->view = (hdl_rows){out->count, out->slot, out->beam, out->pos, out->n_groups, out->group};
    return l.used;
}

void hdl__place_inputs(uint8_t *base, int32_t M, int32_t n, hdl__pass_inputs *out)
{
    layout l = {base, hdl__place_rows(base, M, &out->rows)};
    out->ids = place(&l, (size_t)M, sizeof(int32_t));
    out->ids_pos = place(&l, (size_t)M, sizeof(int32_t));
    out->targets = place(&l, (size_t)M, sizeof(int32_t));
    out->cu = place(&l, (size_t)n + 1, sizeof(int32_t));
    out->bytes = l.used;
}

/* Pinned memory of the passes: none where device memory is host memory. */
static void place_passes(hdl__lane *lane, layout *l)
{
    const size_t slots = (size_t)lane->plan.n_slots, rows = (size_t)lane->plan.max_rows;
    const size_t words = (size_t)lane->writes.capacity * 2 * sizeof(int32_t);
    for (int32_t i = 0; i < lane->ring.n; i++) {
        hdl__pass *p = &lane->ring.passes[i];
        p->input = place(l, lane->input_bytes + words, 1);
        p->state = place(l, slots, sizeof *p->state);
        p->logprobs = place(l, rows, sizeof *p->logprobs);
    }
    lane->writes.spill = place(l, words, 1);
    lane->staging = place(l, lane->plan.staging_bytes, 1);
}

static hdl_status open_pinned(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    layout l = {NULL, 0};
    place_passes(lane, &l);
    HDL_TRY(hdl_device_host_alloc(lane->network->device, l.used, &lane->pinned));
    lane->pinned_bytes = l.used;
    l = (layout){lane->pinned, 0};
    place_passes(lane, &l);
    HDL_TRY(hdl__range_pool_open(lane->plan.staging_bytes / HDL__RANGE_UNIT, lane->plan.n_slots, &lane->staging_ranges));
done:
    return status;
}

hdl_status hdl__ring_open(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    hdl__ring *ring = &lane->ring;
    const size_t rows = (size_t)lane->plan.max_rows;
    ring->passes = hdl__calloc((size_t)ring->n, sizeof *ring->passes);
    HDL_CHECK(ring->passes != NULL, HDL_ENOMEM, "no memory for a ring of %d passes", ring->n);
    if (!lane->unified) HDL_TRY(open_pinned(lane));
    for (int32_t i = 0; i < ring->n; i++) {
        hdl__pass *p = &ring->passes[i];
        p->parts = hdl__calloc(rows, sizeof *p->parts);
        HDL_CHECK(p->parts != NULL, HDL_ENOMEM, "no memory for the parts of a pass of %zu rows", rows);
        p->device_logprobs = lane->logprobs + (size_t)i * rows;
        if (lane->unified) {
            p->input = lane->input;
            p->state = lane->state;
            p->logprobs = p->device_logprobs;
        }
        HDL_TRY(hdl_event_create(lane->network->device, &p->event));
    }
done:
    return status;
}

void hdl__ring_close(hdl__lane *lane)
{
    for (int32_t i = 0; lane->ring.passes != NULL && i < lane->ring.n; i++) {
        hdl_event_close(lane->ring.passes[i].event);
        hdl__free(lane->ring.passes[i].parts);
    }
    hdl__free(lane->ring.passes);
    hdl__range_pool_close(&lane->staging_ranges);
    hdl_device_host_free(lane->network->device, lane->pinned, lane->pinned_bytes);
}

void hdl__lane_note_trouble(hdl__lane *lane, hdl_status status)
{
    if (lane->trouble != HDL_OK) return;
    lane->trouble = status;
    snprintf(lane->lost_line, sizeof lane->lost_line, "%s", hdl_error_detail());
}

hdl_status hdl__lane_begin_pass(hdl__lane *lane, hdl__pass_kind kind, hdl__pass **pass)
{
    hdl_status status = HDL_OK;
    hdl__ring *ring = &lane->ring;
    HDL_CHECK(lane->trouble == HDL_OK, lane->trouble, "%s", lane->lost_line);
    if (ring->queued - ring->seen == (uint64_t)ring->n) HDL_TRY(hdl__lane_see_oldest(lane));
    *pass = hdl__ring_place(ring);
    (*pass)->kind = kind;
    (*pass)->n_parts = 0;
    hdl__trace_pass(lane, *pass);
done:
    return status;
}

hdl_status hdl__lane_send(hdl__lane *lane, hdl__pass *pass, size_t bytes)
{
    return lane->unified ? HDL_OK : hdl__writes_send(lane, pass->input, bytes);
}

hdl_status hdl__lane_end_pass(hdl__lane *lane, hdl__pass *pass)
{
    hdl_status status = HDL_OK;
    HDL_TRY(hdl_event_record(pass->event, lane->stream));
    lane->ring.queued++;
    if (pass->kind == HDL__PASS_STEP) lane->ring.n_ahead++;
    hdl__trace_levels(lane);
done:
    return status;
}

hdl_status hdl__lane_see_oldest(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    hdl__ring *ring = &lane->ring;
    const hdl__pass *pass = &ring->passes[(ring->seen + 1) % (uint64_t)ring->n];
    hdl__range_begin(lane, "wait");
    status = hdl_event_sync(pass->event);
    hdl__range_end(lane, lane->lag > 0);    /* what runs when it is queued has ended long ago */
    HDL_TRY(status);
    ring->seen++;
    hdl__trace_seen(lane, pass);
    if (pass->kind == HDL__PASS_STEP) {
        ring->n_ahead--;
        hdl__lane_note_states(lane, pass);
    } else if (pass->kind == HDL__PASS_FORCED) {
        hdl__lane_note_scores(lane, pass);
    }
    HDL_TRY(hdl__lane_part(lane));
    hdl__trace_levels(lane);
done:
    return status;
}

hdl_status hdl__lane_catch_up(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    hdl__ring *ring = &lane->ring;
    while (ring->n_ahead > lane->lag || (lane->lag == 0 && ring->queued > ring->seen)) HDL_TRY(hdl__lane_see_oldest(lane));
done:
    return status;
}

hdl_status hdl__lane_mark(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    hdl__pass *pass = NULL;
    HDL_TRY(hdl__lane_begin_pass(lane, HDL__PASS_ENCODE, &pass));
    HDL_TRY(hdl__lane_end_pass(lane, pass));
done:
    return status;
}

hdl_status hdl__lane_drain(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    hdl__ring *ring = &lane->ring;
    while (ring->queued > ring->seen || lane->n_parting > 0) {
        if (ring->queued == ring->seen) HDL_TRY(hdl__lane_mark(lane));
        HDL_TRY(hdl__lane_see_oldest(lane));
    }
done:
    return status;
}
