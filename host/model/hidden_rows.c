/* hidden_rows.c - memory of a pass's hidden rows and of their maxima. */
#include "model/hidden_rows.h"

#include "device/device_state.h"

/* Columns of x, y and context, and of the widest intermediate (2F: room for a gate), over both stacks. */
static void measure_widths(const hdl__network *network, int64_t *E, int64_t *wide)
{
    const hdl__stack_config *stacks[] = {&network->encoder.config, &network->decoder.config};
    *E = *wide = 0;
    for (int i = 0; i < 2; i++) {
        const int64_t e = stacks[i]->E, f = 2 * (int64_t)stacks[i]->F;
        if (e > *E) *E = e;
        if (3 * e > *wide) *wide = 3 * e;
        if (f > *wide) *wide = f;
    }
}

/* Rows of maxima; none where no product asks for them. */
static int64_t count_maxima(const hdl__network *network)
{
    const int32_t encoder = network->encoder.config.n_layers, decoder = network->decoder.config.n_layers;
    if (network->compute != HDL_COMPUTE_INT8 || !hdl__device_row_maxima(network->device)) return 0;
    return HDL__N_MAX_SET + (int64_t)HDL__N_MAX_RAISED * (encoder > decoder ? encoder : decoder);
}

/* Bytes of x, y, context and wide together, rounded up to where an f32 of the maxima behind them may lie. */
static size_t act_bytes(const hdl__network *network, int32_t rows)
{
    int64_t E, wide;
    measure_widths(network, &E, &wide);
    const size_t bytes = (size_t)rows * (size_t)(3 * E + wide) * hdl_dtype_bytes(network->act);
    return (bytes + sizeof(float) - 1) / sizeof(float) * sizeof(float);
}

size_t hdl__hidden_bytes(const hdl__network *network, int32_t rows)
{
    return act_bytes(network, rows) + (size_t)count_maxima(network) * (size_t)rows * sizeof(float);
}

hdl_status hdl__hidden_open(const hdl__network *network, int32_t rows, hdl__hidden *out)
{
    hdl_status status = HDL_OK;
    int64_t E, wide;
    hdl__hidden h = {.rows = rows, .bytes = hdl__hidden_bytes(network, rows)};
    measure_widths(network, &E, &wide);
    HDL_TRY(hdl_device_alloc(network->device, h.bytes, &h.block));
    const size_t part = (size_t)rows * (size_t)E * hdl_dtype_bytes(network->act);
    uint8_t *const at = h.block;
    h.x = at;
    h.y = at + part;
    h.context = at + 2 * part;
    h.wide = at + 3 * part;
    if (count_maxima(network) > 0) h.maxima = (float *)(void *)(at + act_bytes(network, rows));
    *out = h;
done:
    return status;
}

void hdl__hidden_close(const hdl__network *network, hdl__hidden *hidden)
{
    hdl_device_free(network->device, hidden->block, hidden->bytes);
    *hidden = (hdl__hidden){0};
}
