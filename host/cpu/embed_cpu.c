/*
 * embed_cpu.c - token embedding plus position; rows are read from the mapped file, whatever their dtype and alignment, or from the
 * strips of the packed weights that the table is tied to.
 */
#include "cpu/gemm_halves.h"

#include <assert.h>
#include <string.h>

struct hdl_embedding {
    hdl_pack_part part;     /* data is borrowed: the mapped file outlives the embedding */
    int32_t       E;
    float        *scale;    /* f32 [n_scale], a copy; NULL: 1 */
    const hdl_weight *tied; /* borrowed; its rows, and no part; or NULL */
};

hdl_status hdl__cpu_embedding_open(hdl_backend_device *device, const hdl_pack_part *part, int32_t E,
                                   hdl_embedding **out)
{
    (void)device;
    hdl_status status = HDL_OK;
    hdl_embedding *table = hdl__calloc(1, sizeof *table);
    HDL_CHECK(table != NULL, HDL_ENOMEM, "embedding: no memory for its header");
    table->part = *part;
    table->part.scale = NULL;
    table->E = E;
    if (part->scale != NULL) {
        table->scale = hdl__calloc((size_t)part->n_scale, sizeof(float));
        HDL_CHECK(table->scale != NULL, HDL_ENOMEM, "embedding: no memory for %d scales", part->n_scale);
        memcpy(table->scale, part->scale, (size_t)part->n_scale * sizeof(float));
    }
    *out = table;
    table = NULL;
done:
    hdl__cpu_embedding_close(table);
    return status;
}

hdl_status hdl__cpu_embedding_of(hdl_backend_device *device, const hdl_weight *weight, int32_t E, hdl_embedding **out)
{
    (void)device;
    hdl_status status = HDL_OK;
    HDL_CHECK(weight->K == E, HDL_ESHAPE, "embedding of a weight: E = %d, its rows have %d", E, weight->K);
    HDL_CHECK(weight->strips != NULL && weight->compute != HDL_COMPUTE_BF16, HDL_ENOSUPPORT,
              "embedding of a weight: only of f32 and int8 that heddle's own loops multiply");
    hdl_embedding *table = hdl__calloc(1, sizeof *table);
    HDL_CHECK(table != NULL, HDL_ENOMEM, "embedding: no memory for its header");
    table->part.rows = weight->N;
    table->E = E;
    table->tied = weight;
    *out = table;
done:
    return status;
}

void hdl__cpu_embedding_close(hdl_embedding *table)
{
    if (table == NULL) return;
    hdl__free(table->scale);
    hdl__free(table);
}

/* Element by element: a table stored [E, V] has no rows to read. */
static void embed_column(const hdl__op_kernels *kernels, const hdl_embedding *table, int32_t id, float factor,
                         const float *position, float *y)
{
    const size_t bytes = hdl_dtype_bytes(table->part.dtype), rows = (size_t)table->part.rows;
    const uint8_t *data = table->part.data;
    for (int32_t e = 0; e < table->E; e++)
        kernels->widen(data + ((size_t)e * rows + (size_t)id) * bytes, table->part.dtype, 1, factor,
                       position != NULL ? position + e : NULL, y + e);
}

/* A row is a column of a strip: its values stand in groups, a strip's width apart. */
static void embed_tied(const hdl__op_kernels *kernels, const hdl_weight *w, int32_t id, float factor, const float *position,
                       float *y)
{
    enum { CHUNK = 256 };       /* a multiple of every group, and of a step of halves */
    const hdl__gemm_method *method = w->method;
    const int32_t strip = id / method->width;
    const size_t bytes = (size_t)method->w_bytes, group = (size_t)method->group * bytes;
    const size_t apart = (size_t)hdl__strip_columns(w, strip) * group;
    const uint8_t *from = w->strips + (size_t)strip * (size_t)method->width * (size_t)w->padded * bytes
                          + (size_t)(id % method->width) * group;
    if (w->unscale != NULL) factor *= w->unscale[id];
    for (int32_t k = 0; k < w->K; k += CHUNK) {
        float row[CHUNK];           /* or fewer bytes: a stored value is no wider */
        uint8_t *const stored = (uint8_t *)row;
        const int32_t n = w->K - k < CHUNK ? w->K - k : CHUNK;
        if (method->halves)
            hdl__gemm_join(w, id, k, n, row);
        else if (group == sizeof(uint32_t))      /* a copy of known size is one instruction */
            for (int32_t i = 0; i < n; i += method->group, from += apart)
                memcpy(stored + (size_t)i * bytes, from, sizeof(uint32_t));
        else
            for (int32_t i = 0; i < n; i += method->group, from += apart) memcpy(stored + (size_t)i * bytes, from, group);
        kernels->widen(row, w->compute == HDL_COMPUTE_INT8 ? HDL_I8 : HDL_F32, n, factor,
                       position != NULL ? position + k : NULL, y + k);
    }
}

static void embed_row(const hdl__op_kernels *kernels, const hdl_embed_args *args, int32_t id, int32_t pos, float *y)
{
    const hdl_embedding *table = args->table;
    const size_t E = (size_t)args->E;
    const float *position = NULL;
    if (args->positions != NULL) {
        assert(pos >= 0 && pos < args->n_positions);
        position = args->positions + (size_t)pos * E;
    }
    if (id < 0) {
        if (position != NULL) memcpy(y, position, E * sizeof *y);
        else memset(y, 0, E * sizeof *y);
        return;
    }
    assert(id < table->part.rows);
    float factor = args->scale;
    if (table->tied != NULL) {
        embed_tied(kernels, table->tied, id, factor, position, y);
        return;
    }
    if (table->scale != NULL) factor /= table->scale[table->part.n_scale == 1 ? 0 : id];
    if (table->part.transposed) {
        embed_column(kernels, table, id, factor, position, y);
        return;
    }
    const uint8_t *data = table->part.data;
    kernels->widen(data + (size_t)id * E * hdl_dtype_bytes(table->part.dtype), table->part.dtype, args->E, factor,
                   position, y);
}

static hdl_status replay_embed(hdl_backend_stream *stream, const void *args)
{
    return hdl__cpu_embed(stream, args);
}

hdl_status hdl__cpu_embed(hdl_backend_stream *stream, const hdl_embed_args *args)
{
    hdl_status status = HDL_OK;
    if (hdl__cpu_record(stream, replay_embed, args, sizeof *args, &status)) return status;
    assert(args->table->E == args->E);
    const hdl__op_kernels *kernels = &stream->device->kernels->ops;
    const hdl_rows *rows = args->rows;
    const int32_t live = rows != NULL ? rows->count[0] : args->M;
    float *y = args->y;
    for (int32_t i = 0; i < live; i++) {
        int32_t id, pos;
        if (rows != NULL) {
            if (!hdl__row_is_live(args->slots, rows, i)) continue;
            id = args->slots->token[(size_t)rows->slot[i] * HDL_MAX_BEAM + (size_t)rows->beam[i]];
            pos = rows->pos[i];
        } else {
            id = args->ids[i];
            pos = args->positions != NULL ? args->pos[i] : 0;
        }
        embed_row(kernels, args, id, pos, y + (size_t)i * (size_t)args->E);
    }
    return status;
}
