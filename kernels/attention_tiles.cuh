/*
 * attention_tiles.cuh - packed sequences cut into tiles of query rows, and which tile a block has.
 *
 * The lengths are in device memory, so the grid holds the most tiles that M rows of n_seq sequences
 * can give: M / rows + n_seq. Sequence s begins at tile cu_q[s] / rows + s, which leaves room for
 * its ceil(Tq / rows) before the next begins: a block finds its sequence by searching cu_q, and no
 * prefix sum is made. Blocks without a tile leave.
 */
#pragma once
#include "attention_paths.cuh"

namespace hdl {

struct SequenceTile {
    int first_q, Tq; // of the sequence
    int first_k, Tk;
    int start; // first row of the tile in the sequence; none when >= Tq

    // Keys that row `i` of the sequence sees; past its end, what the last row sees.
    __device__ __forceinline__ int seen(int i, bool causal) const
    {
        return causal ? max(0, min(Tk, i + 1 + Tk - Tq)) : Tk;
    }
};

inline unsigned most_tiles(int M, int n_seq, int rows)
{
    return static_cast<unsigned>(M / rows + n_seq);
}

// Every lane of the warp asks.
__device__ __forceinline__ SequenceTile find_tile(const PackedTask &a, int tile, int rows)
{
    const int32_t *cu_q = a.cu_q;
    const int s = find_last(a.n_seq, tile, [cu_q, rows](int i) { return cu_q[i] / rows + i; });
    SequenceTile at;
    at.first_q = cu_q[s];
    at.Tq      = cu_q[s + 1] - at.first_q;
    at.first_k = a.cu_k[s];
    at.Tk      = a.cu_k[s + 1] - at.first_k;
    at.start   = (tile - at.first_q / rows - s) * rows;
    return at;
}

}  // namespace hdl
