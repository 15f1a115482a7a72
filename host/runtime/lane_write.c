/*
 * lane_write.c - changes to what slots hold: written in place where device memory is host memory; elsewhere noted as (word, value) and sent
 * with the inputs of the next pass, in one copy that one op scatters.
 */
#include "runtime/lane.h"

#include <string.h>

#define WORD sizeof(int32_t)

hdl_status hdl__writes_open(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    hdl__writes *w = &lane->writes;
    if (lane->unified) return HDL_OK;
    HDL_CHECK(lane->block_bytes / WORD <= INT32_MAX, HDL_EINVAL, "a lane of %zu bytes: its words cannot be numbered",
              lane->block_bytes);
    w->index = hdl__calloc((size_t)w->capacity, WORD);
    w->value = hdl__calloc((size_t)w->capacity, WORD);
    HDL_CHECK(w->index != NULL && w->value != NULL, HDL_ENOMEM, "no memory for a list of %d words", w->capacity);
    HDL_TRY(hdl_event_create(lane->network->device, &w->spilled));
done:
    return status;
}

void hdl__writes_close(hdl__lane *lane)
{
    hdl_event_close(lane->writes.spilled);
    hdl__free(lane->writes.value);
    hdl__free(lane->writes.index);
}

hdl_status hdl__writes_send(hdl__lane *lane, uint8_t *input, size_t bytes)
{
    hdl_status status = HDL_OK;
    hdl__writes *w = &lane->writes;
    const size_t list = (size_t)w->n * WORD;
    hdl_scatter_words_args a = HDL_SCATTER_WORDS_ARGS_INIT;
    if (w->n > 0) {
        memcpy(input + bytes, w->index, list);
        memcpy(input + bytes + list, w->value, list);
    }
    if (bytes + list > 0) HDL_TRY(hdl_stream_upload(lane->stream, lane->input, input, bytes + 2 * list));
    a.base = lane->block;
    a.index = (const int32_t *)(const void *)(lane->input + bytes);
    a.value = a.index + w->n;
    a.n = w->n;
    if (w->n > 0) HDL_TRY(hdl_scatter_words(lane->stream, &a));
    w->n = 0;
    w->again = false;
done:
    return status;
}

/* The list is full, or a word may come twice: what is noted goes now, without looking at any pass (the hub's mutex may be held). */
static hdl_status spill(hdl__lane *lane)
{
    hdl_status status = HDL_OK;
    hdl__writes *w = &lane->writes;
    HDL_TRY(hdl_event_sync(w->spilled));        /* the copy before this one has left the buffer */
    HDL_TRY(hdl__writes_send(lane, w->spill, 0));
    HDL_TRY(hdl_event_record(w->spilled, lane->stream));
done:
    return status;
}

static hdl_status note_words(hdl__lane *lane, const void *to, const void *from, size_t bytes)
{
    hdl_status status = HDL_OK;
    hdl__writes *w = &lane->writes;
    const size_t first = (size_t)((const uint8_t *)to - (const uint8_t *)lane->block) / WORD;
    if (w->again && w->n > 0) HDL_TRY(spill(lane));
    w->again = false;
    for (size_t i = 0; i < bytes / WORD; i++) {
        if (w->n == w->capacity) HDL_TRY(spill(lane));
        w->index[w->n] = (int32_t)(first + i);
        w->value[w->n] = 0;
        if (from != NULL) memcpy(&w->value[w->n], (const uint8_t *)from + i * WORD, WORD);
        w->n++;
    }
done:
    return status;
}

/* Ops may only read what the caller writes: their views are const, the memory behind them is the lane's. */
static void *writable(const hdl__lane *lane, const void *to)
{
    return (uint8_t *)lane->block + ((const uint8_t *)to - (const uint8_t *)lane->block);
}

hdl_status hdl__lane_write(hdl__lane *lane, const void *to, const void *from, size_t bytes)
{
    if (bytes == 0 || to == from) return HDL_OK;        /* an empty list may have no address */
    if (!lane->unified) return note_words(lane, to, from, bytes);
    memcpy(writable(lane, to), from, bytes);
    return HDL_OK;
}

hdl_status hdl__lane_zero(hdl__lane *lane, const void *to, size_t bytes)
{
    if (!lane->unified) return note_words(lane, to, NULL, bytes);
    memset(writable(lane, to), 0, bytes);
    return HDL_OK;
}
