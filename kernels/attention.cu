/*
 * attention.cu - takes the arguments of attention apart and chooses the kernel.
 *
 * Contract   include/heddle/attention.h, hdl_attention(); the door has checked the arguments.
 * Reference  host/cpu/attention_cpu.c; tests/test_attention.c, tests/test_attention_pages.c.
 * Source     Vaswani et al. 2017, eq. 1.
 * Mapping    Probabilities, when asked for, by a kernel of their own that goes first: the output
 *            may overwrite the queries. Then one kernel: packed sequences, or rows over pages;
 *            source pages of 16 bits take tensor cores when their values lie as fragments.
 *            out_max is raised once for a row and head, by the warp that writes them.
 * Numerics   See each variant. The scale is multiplied by log2(e): every exponential is one of base
 *            2.
 * Bound      See each variant.
 */
#include "attention.cuh"
#include "online_softmax.cuh"
#include "ops.cuh"
#include "vec.cuh"

namespace hdl {
namespace {

template <class T> bool head_vector(const void *rows, int64_t stride, int D)
{
    return is_vector<T>(rows, stride) && D % kVec<T> == 0;
}

template <class T> PackedTask packed_task(const hdl_attention_args &args)
{
    PackedTask task = {};
    task.q          = args.q;
    task.k          = args.k;
    task.v          = args.v;
    task.out        = args.out;
    task.out_max    = args.out_max;
    task.ldq        = args.ldq;
    task.ldkv       = args.ldkv;
    task.ldo        = args.ldo;
    task.cu_q       = args.cu_q;
    task.cu_k       = args.cu_k;
    task.n_seq      = args.n_seq;
    task.H          = args.H;
    task.group      = args.H / args.Hkv;
    task.D          = args.D;
    task.scale      = args.scale * kLog2E;
    task.causal     = args.mask == HDL_MASK_CAUSAL;
    task.q_vector   = head_vector<T>(args.q, args.ldq, args.D);
    task.kv_vector =
        head_vector<T>(args.k, args.ldkv, args.D) && head_vector<T>(args.v, args.ldkv, args.D);
    task.out_vector = head_vector<T>(args.out, args.ldo, args.D);
    return task;
}

PagedTask paged_task(const hdl_attention_args &args)
{
    PagedTask task = {};
    task.q         = args.q;
    task.out       = args.out;
    task.out_max   = args.out_max;
    task.ldq       = args.ldq;
    task.ldo       = args.ldo;
    task.pages     = layer_pages(args.pool, args.layer);
    task.slots     = *args.slots;
    task.rows      = *args.rows;
    task.H         = args.H;
    task.group     = args.H / args.Hkv;
    task.scale     = args.scale * kLog2E;
    task.source    = args.keys == HDL_KEYS_SOURCE_PAGES;
    return task;
}

hdl_status attend_packed(hdl_backend_stream *stream, const hdl_attention_args &args,
                         const ProbsTask &probs)
{
    const PackedTask task =
        args.act_dtype == HDL_F32 ? packed_task<float>(args) : packed_task<uint16_t>(args);
    if (probs.probs != nullptr) {
        const hdl_status status =
            attention_probs_packed(stream, task, probs, args.act_dtype, args.M);
        if (status != HDL_OK) return status;
    }
    switch (args.act_dtype) {
    case HDL_BF16: return attention_packed_bf16(stream, task, args.M);
    case HDL_F16:  return attention_packed_f16(stream, task, args.M);
    default:       return attention_packed_f32(stream, task, args.M);
    }
}

hdl_status attend_paged(hdl_backend_stream *stream, const hdl_attention_args &args,
                        const ProbsTask &probs)
{
    const PagedTask task = paged_task(args);
    if (probs.probs != nullptr || probs.keep_alignment) {
        const hdl_status status =
            attention_probs_paged(stream, task, probs, args.act_dtype, args.M);
        if (status != HDL_OK) return status;
    }
    if (args.act_dtype == HDL_F32) return attention_rows_f32(stream, task, args.M);
    const bool f16 = args.act_dtype == HDL_F16;
    if (task.source && task.pages.value_fragments)
        return f16 ? attention_cross_f16(stream, task, args.M)
                   : attention_cross_bf16(stream, task, args.M);
    return f16 ? attention_rows_f16(stream, task, args.M)
               : attention_rows_bf16(stream, task, args.M);
}

}  // namespace

hdl_status op_attention(hdl_backend_stream *stream, const hdl_attention_args *args)
{
    ProbsTask probs      = {};
    probs.probs          = args->probs;
    probs.ldp            = args->ldp;
    probs.first          = args->probs_first;
    probs.heads          = args->probs_heads;
    probs.keep_alignment = args->keep_alignment != 0;
    return args->keys == HDL_KEYS_PACKED ? attend_packed(stream, *args, probs)
                                         : attend_paged(stream, *args, probs);
}

size_t attention_scratch_bytes(const hdl_stream_limits &)
{
    return 0;
} // registers and shared memory serve

hdl_status attention_prepare(hdl_backend_device *device)
{
    hdl_status status = attention_packed_f32_prepare(device);
    if (status == HDL_OK) status = attention_packed_bf16_prepare(device);
    return status != HDL_OK ? status : attention_packed_f16_prepare(device);
}

}  // namespace hdl
