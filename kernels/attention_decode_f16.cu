/*
 * attention_decode_f16.cu - attention of decode rows over self pages in f16, and over source
 * pages of odd head sizes.
 *
 * Contract   include/heddle/attention.h, hdl_attention() with pages; the door has checked D % 4 ==
 *            0, D <= 256.
 * Reference  host/cpu/attention_cpu.c; tests/test_attention_pages.c.
 * Source     Vaswani et al. 2017; Milakov and Gimelshein 2018, arXiv 1805.02867.
 * Mapping    attention_rows.cuh: a warp takes one row and head. Not tensor cores: every beam has
 *            its own path, and a row's bits must not depend on the paths of its neighbours. Eight
 *            lanes read 16 bytes each, 8 where D is no multiple of 8.
 * Numerics   f16 widened exactly; scores, weights and sums f32; the output rounded once:
 *            a mean of finite values, so finite.
 * Bound      Memory: keys and values of a slot once. 512 slots, 4 beams, 30 positions with 1.5
 *            writers each, Hkv D = 512: 47 MB, 11 us at 4.3 TB/s (H200).
 */
#include "attention_rows.cuh"

namespace hdl {

hdl_status attention_rows_f16(hdl_backend_stream *stream, const PagedTask &task, int M)
{
    constexpr int kV = kVec<__half>, kLoad = kV * kKeyLanes;
    if (task.pages.D % kV != 0) return launch_rows<__half, kV / 2, 8>(stream, task, M);
    if (task.pages.D <= kLoad) return launch_rows<__half, kV, 1>(stream, task, M);
    if (task.pages.D <= 2 * kLoad) return launch_rows<__half, kV, 2>(stream, task, M);
    return launch_rows<__half, kV, 4>(stream, task, M);
}

}  // namespace hdl
