/* lane_share.c - how much of the queue a lane may take, so that one lane does not swallow what others could run beside it. */
#include "runtime/lane.h"
#include "runtime/translator_state.h"

static int32_t clamp(int32_t value, int32_t most) { return value < 0 ? 0 : value < most ? value : most; }

void hdl__lane_publish_load(hdl__lane *lane, bool full)
{
    lane->held = lane->n_residents;
    lane->room = full || lane->lost || hdl__lane_is_short(lane) ? 0 : lane->plan.max_rows - lane->rows_reserved;
}

/* Sentences that go to lanes when each is filled up to `level` of them, as far as its rows last. */
static int64_t filled_to(const hdl_translator *t, int32_t level, int32_t rows)
{
    int64_t n = 0;
    for (int32_t i = 0; i < t->n_lanes; i++) n += clamp(level - t->lanes[i].held, t->lanes[i].room / rows);
    return n;
}

/* The lowest level at which the queue is empty, or no lane has room. */
static int32_t find_level(const hdl_translator *t, int32_t rows)
{
    int32_t low = 0, high = t->queue.n;
    for (int32_t i = 0; i < t->n_lanes; i++)
        if (t->lanes[i].held + t->queue.n > high) high = t->lanes[i].held + t->queue.n;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (filled_to(t, middle, rows) >= t->queue.n) high = middle;
        else low = middle + 1;
    }
    return low;
}

/*
 * Threads of a CPU help each other out, so an even part will do. Devices do not: the queue is dealt out so that all hold equally many, and
 * one that is idle finds its part even when another has looked first.
 */
int32_t hdl__lane_share(hdl__lane *lane, int32_t rows)
{
    const hdl_translator *t = lane->translator;
    if (t->n_devices == 1) return (t->queue.n + t->n_lanes - 1) / t->n_lanes;
    hdl__lane_publish_load(lane, false);
    return clamp(find_level(t, rows) - lane->held, t->queue.n);
}
