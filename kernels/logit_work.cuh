/*
 * logit_work.cuh - what is asked of the rows of an output product, and the scratch that its kernels share.
 *
 * Logits are never stored as a matrix: [4096, 32000] f32 is 0.5 GB, written and read again in as long as the product
 * itself takes. A block walks column panels of 128 for a tile of rows and keeps, of each row and panel, the greatest
 * logit and the sum of exponentials, and of each row its best values. Who walks which panels (splits) is free: greatest
 * and best values are exact, and sums are kept panel by panel and added in ascending order by logit_merge.
 * Only rows that draw keep their logits, as many rows of a step as a share of the device's memory holds; the others
 * take another round of launches. On an H200 the share holds 4096 rows of a vocabulary of 32000.
 */
#pragma once
#include "gemm_weight.cuh"

namespace hdl {

constexpr int    kPanel      = 128;                  // columns whose exponentials are one sum: part of the numerics
constexpr int    kWalkBlocks = 264;                  // two for each multiprocessor of an H200
constexpr int    kMaxTileM   = 128;                  // of the walking kernels
constexpr size_t kSomeBytes  = 128 << 10;            // shared memory of a block with a tile of 64 rows, rounded up: not on 8.6
constexpr size_t kManyBytes  = 200 << 10;            // with the largest tile, rounded up
constexpr size_t kKeptShare  = 256;                  // this part of the device's memory keeps logits of rows that draw

// What is asked of one row; filled by the plan kernels.
struct LogitAsk {
    const int32_t *edits;                            // ascending, token * 4 + kind
    const int32_t *allowed;                          // ascending ids
    int32_t        n_edits, n_allowed;               // n_allowed 0: all ids
    float          penalty;
    int32_t        n_best;                           // how many best values; 0 to HDL_MAX_CANDIDATES
    int32_t        wanted;                           // a token whose logit is asked for; -1: none
    int32_t        draw;                             // the row's own number if it draws, which says where its logits
                                                     // are kept and in which round; -1: it does not
    int32_t        active;                           // 0: the row is left alone
};

// A part: the greatest logit of a row in a panel (-infinity: nothing is left), and the sum of exp(z - greatest); NaN
// when a raw logit was NaN or +infinity.
struct LogitWork {
    LogitAsk *asks;                                  // [R]
    float2   *parts;                                 // [R, n_panels]
    float    *wanted;                                // [R]
    float    *best_value;                            // [R, n_splits, HDL_MAX_CANDIDATES], -infinity past what was found
    int32_t  *best_id;                               // likewise
    float    *kept;                                  // [n_kept, V] of the rows that draw
    int32_t  *pad_edit;                              // [1] the edit of rows whose token is given
    int32_t   n_panels, n_splits, n_kept;
};

// A walk over all panels. Round r serves those of the n_kept rows from r * n_kept on that draw; round 0 all others too.
struct LogitJob {
    GemmInput      in;
    const float   *bias;                             // f32 [V] or NULL
    const int32_t *count;                            // live rows; NULL: R
    int32_t        R, round;
    LogitWork      work;
};

// Whether a row takes part in a round.
__device__ __forceinline__ bool in_round(const LogitAsk &ask, int round, int n_kept)
{
    return ask.active != 0 && (ask.draw < 0 ? round == 0 : ask.draw / n_kept == round);
}

// Lays the work out behind the first `used` bytes of the stream's scratch. `lists`: best values are asked for.
hdl_status logit_work(hdl_backend_stream *stream, const char *op, const hdl_weight *w, int32_t R, bool lists,
                      size_t used, LogitWork *work);

// Queues one round of the walk, by the compute type of `w`.
hdl_status logit_walk(hdl_backend_stream *stream, const char *op, const hdl_weight *w, const LogitJob &job);
hdl_status logit_walk_f32(hdl_backend_stream *stream, const char *op, const LogitJob &job);
hdl_status logit_walk_bf16(hdl_backend_stream *stream, const char *op, const LogitJob &job);
hdl_status logit_walk_f16(hdl_backend_stream *stream, const char *op, const LogitJob &job);
hdl_status logit_walk_int8(hdl_backend_stream *stream, const char *op, const LogitJob &job);
hdl_status logit_walk_f32_prepare(hdl_backend_device *device);
hdl_status logit_walk_bf16_prepare(hdl_backend_device *device);
hdl_status logit_walk_f16_prepare(hdl_backend_device *device);
hdl_status logit_walk_int8_prepare(hdl_backend_device *device);

// Rows of the tile that a walk of R rows takes, by the bytes of an element of rows and weights. Declared here so that
// the split follows from it.
int logit_tile_rows(const hdl_backend_device *device, size_t element_bytes, int32_t R);

// Queues the merge of one round (logit_merge.cu).
hdl_status logit_merge(hdl_backend_stream *stream, const hdl_logit_reduce_args *args, const LogitJob &job);

}  // namespace hdl
