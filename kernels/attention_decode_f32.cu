/*
 * attention_decode_f32.cu - attention of decode rows over self and source pages in f32.
 *
 * Contract   include/heddle/attention.h, hdl_attention() with pages; the door has checked D % 4 ==
 *            0, D <= 256.
 * Reference  host/cpu/attention_cpu.c; tests/test_attention_pages.c.
 * Source     Vaswani et al. 2017; Milakov and Gimelshein 2018, arXiv 1805.02867.
 * Mapping    attention_rows.cuh: a warp takes one row and head. Lanes read 4 elements, so D needs D
 *            / 32 reads a key.
 * Numerics   Everything f32. A score is summed over a lane's elements, then over eight lanes;
 *            values over every fourth group of eight keys; parts of 32 keys ascending.
 * Bound      Memory: keys and values of a slot once. 512 slots, 4 beams, 30 positions, Hkv D = 512:
 *            120 MB, 28 us at 4.3 TB/s (H200).
 */
#include "attention_rows.cuh"

namespace hdl {

hdl_status attention_rows_f32(hdl_backend_stream *stream, const PagedTask &task, int M)
{
    constexpr int kV = 4, kLoad = kV * kKeyLanes; // elements of a key in one read of eight lanes
    if (task.pages.D <= kLoad) return launch_rows<float, kV, 1>(stream, task, M);
    if (task.pages.D <= 2 * kLoad) return launch_rows<float, kV, 2>(stream, task, M);
    if (task.pages.D <= 4 * kLoad) return launch_rows<float, kV, 4>(stream, task, M);
    return launch_rows<float, kV, 8>(stream, task, M);
}

}  // namespace hdl
