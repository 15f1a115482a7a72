/*
 * test_cuda_stream.c - the CUDA backend's streams, events and recordings, on the stand-in, which
 * runs queued work in any order that they allow, and on a GPU where there is one.
 */
#include "simt_calls.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(cuda_stream, .timeout = OP_TEST_SECONDS);

static const op_place places[] = {OP_SIMT_F32, OP_CUDA_F32};
enum { N_PLACES = sizeof places / sizeof places[0] };

/* A second stream that waits for the first one's event reads what the first one wrote, in whatever
 * order work may run. */
Test(cuda_stream, events_order_streams)
{
    enum { N = 100 };
    for (int i = 0; i < N_PLACES; i++) {
        op_world w;
        if (!op_open_at(&w, places[i], 1)) continue;
        hdl_backend_stream *other = NULL;
        hdl_backend_event *event = NULL;
        cr_assert_eq(w.backend->stream_create(w.device, &other), HDL_OK);
        cr_assert_eq(w.backend->event_create(w.device, &event), HDL_OK);
        int32_t *from = NULL, *to = NULL, *block = op_device(&w, NULL, N * sizeof *block);
        cr_assert_eq(w.backend->host_alloc(w.device, N * sizeof *from, (void **)&from), HDL_OK);
        cr_assert_eq(w.backend->host_alloc(w.device, N * sizeof *to, (void **)&to), HDL_OK);
        for (int32_t round = 1; round <= 8; round++) {
            op_schedule(&w, (uint64_t)round);
            for (int k = 0; k < N; k++)
                from[k] = round * 1000 + k;
            cr_assert_eq(w.backend->upload(w.stream, block, from, N * sizeof *from), HDL_OK);
            cr_assert_eq(w.backend->event_record(w.stream, event), HDL_OK);
            cr_assert_eq(w.backend->event_wait(other, event), HDL_OK);
            cr_assert_eq(w.backend->download(other, to, block, N * sizeof *to), HDL_OK);
            cr_assert_eq(w.backend->event_record(other, event), HDL_OK);
            cr_assert_eq(w.backend->event_sync(event), HDL_OK);
            cr_assert_eq(memcmp(to, from, N * sizeof *to), 0, "round %d", round);
        }
        w.backend->host_free(w.device, from, N * sizeof *from);
        w.backend->host_free(w.device, to, N * sizeof *to);
        w.backend->event_close(event);
        w.backend->event_close(NULL);
        w.backend->stream_close(other);
        w.backend->stream_close(NULL);
        op_close(&w);
    }
}

enum { GATHERED = 6, WIDTH = 5 };

static void record_gathers(op_world *w, const hdl_gather_rows_args *a, hdl_backend_graph **graph)
{
    cr_assert_eq(w->backend->record_begin(w->stream), HDL_OK);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(w->backend->gather_rows(w->stream, &a[i]), HDL_OK);
    cr_assert_eq(w->backend->record_end(w->stream, graph), HDL_OK, "%s", op_error(w));
}

/* What is recorded does not run, and reads memory as it is at each replay; another stream may
 * replay it in its turn. */
Test(cuda_stream, recordings_read_what_has_changed)
{
    for (int i = 0; i < N_PLACES; i++) {
        op_world w;
        if (!op_open_at(&w, places[i], 1)) continue;
        float *x = op_normals(&w, GATHERED * WIDTH), y[GATHERED * WIDTH];
        int32_t index[GATHERED] = {0};
        hdl_gather_rows_args a[2] = {HDL_GATHER_ROWS_ARGS_INIT, HDL_GATHER_ROWS_ARGS_INIT};
        a[0].x = op_act(&w, x, GATHERED * WIDTH);
        a[0].y = op_act(&w, NULL, GATHERED * WIDTH);
        a[1].x = a[0].y;
        a[1].y = op_act(&w, NULL, GATHERED * WIDTH);
        a[0].index = a[1].index = op_device(&w, index, sizeof index);
        a[0].M = a[1].M = GATHERED;
        a[0].E = a[1].E = WIDTH;
        hdl_backend_graph *graph = NULL;
        record_gathers(&w, a, &graph);
        cr_expect_eq(w.backend->graph_launches(graph), 2);
        op_fetch(&w, y, a[1].y, sizeof y);
        for (int k = 0; k < GATHERED * WIDTH; k++)
            cr_assert_eq(y[k], 0.0f, "a recorded op has run");
        hdl_backend_stream *other = NULL;
        cr_assert_eq(w.backend->stream_create(w.device, &other), HDL_OK);
        for (int32_t round = 0; round < 8; round++) {
            op_schedule(&w, (uint64_t)round);
            for (int r = 0; r < GATHERED; r++)
                index[r] = op_below(&w, GATHERED);
            op_send(&w, (void *)a[0].index, index, sizeof index);
            /* nothing else orders the two streams; the maker's may run the same op outside the
             * recording */
            cr_assert_eq(w.backend->gather_rows(w.stream, &a[0]), HDL_OK);
            cr_assert_eq(w.backend->replay(other, graph), HDL_OK);
            cr_assert_eq(w.backend->gather_rows(w.stream, &a[0]), HDL_OK);
            cr_assert_eq(w.backend->replay(w.stream, graph), HDL_OK);
            cr_assert_eq(w.backend->stream_wait(other), HDL_OK, "%s", op_error(&w));
            cr_assert_eq(w.backend->stream_wait(w.stream), HDL_OK, "%s", op_error(&w));
            op_fetch(&w, y, a[1].y, sizeof y);
            for (int r = 0; r < GATHERED; r++)
                cr_assert_eq(memcmp(y + r * WIDTH, x + index[index[r]] * WIDTH, WIDTH * sizeof *y),
                             0, "round %d", round);
        }
        w.backend->stream_close(other);
        w.backend->graph_close(graph);
        w.backend->graph_close(NULL);
        op_close(&w);
    }
}

Test(cuda_stream, a_recording_that_fails_says_so)
{
    static const char *const calls[] = {"cudaStreamBeginCapture", "cudaStreamEndCapture",
                                        "cudaGraphInstantiate", "cudaEventCreateWithFlags"};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        op_world w;
        if (!op_open_at(&w, OP_SIMT_F32, 1)) return;
        hdl_backend_graph *graph = NULL;
        fail_next(calls[i], INVALID_VALUE, 0);
        hdl_status status = w.backend->record_begin(w.stream);
        if (status == HDL_OK) status = w.backend->record_end(w.stream, &graph);
        cr_expect(status == HDL_EDEVICE && graph == NULL, "%s", calls[i]);
        cr_expect(strstr(op_error(&w), "record ") == op_error(&w), "%s", op_error(&w));
        cr_expect(strstr(op_error(&w), "cudaErrorInvalidValue: ") != NULL, "%s", op_error(&w));
        op_close(&w);
    }
}

/* A product of f32 rows with 16-bit weights rounds the rows in scratch: more rows than were reserved are refused, in words. */
Test(cuda_stream, more_than_was_reserved_is_refused)
{
    enum { M = 64, K = 48, N = 16 };
    for (int i = OP_SIMT_BF16; i < OP_N_PLACES; i++) {
        op_world w;
        if (i == OP_CUDA_F32 || !op_open_at(&w, (op_place)i, 1)) continue;
        const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = M / 4, .K = K, .N = N};
        op_reserve(&w, &limits);
        hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
        a.x = op_device(&w, op_normals(&w, M * K), M * K * sizeof(float)), a.ldx = K;
        a.y = op_device(&w, NULL, M * N * sizeof(float)), a.ldy = N;
        hdl_weight *weight = op_pack(&w, op_normals(&w, N * K), N, K, w.compute);
        a.w = weight, a.M = M, a.N = N, a.K = K, a.act_dtype = HDL_F32;
        cr_expect_eq(w.backend->gemm(w.stream, &a), HDL_EWORKSPACE);
        cr_expect(strstr(op_error(&w), "gemm: 6144 bytes of scratch needed, the stream was reserved for ") == op_error(&w), "%s",
                  op_error(&w));      /* M K elements of 16 bits */
        a.M = M / 4;
        cr_expect_eq(w.backend->gemm(w.stream, &a), HDL_OK, "%s", op_error(&w));
        cr_expect_eq(w.backend->stream_wait(w.stream), HDL_OK);
        w.backend->weight_close(weight);
        op_close(&w);
    }
}
