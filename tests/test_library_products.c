/*
 * test_library_products.c - products by cuBLASLt (HDL_PRODUCTS_CUBLASLT): by a right double of it on the stand-in, and by the
 * library itself on a GPU where there is one. test_library_refusals.c has the wrong ones.
 */
#include "activation_reference.h"
#include "library_products.h"
#include "op_maxima.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

TestSuite(library_products, .timeout = OP_TEST_SECONDS);

enum { SEED = 9100, SCHEDULES = 8 };

static const op_place places[] = {OP_SIMT_F32, OP_SIMT_BF16, OP_SIMT_F16, OP_CUDA_F32, OP_CUDA_BF16, OP_CUDA_F16};
enum { N_PLACES = sizeof places / sizeof places[0] };

static void check_shape(op_world *w, int32_t M, int32_t K, int32_t N)
{
    product p = make_product(w, M, K, N);
    const size_t n = (size_t)M * (size_t)N;
    double *expected = op_host(w, n * sizeof *expected);
    float *naive = op_host(w, n * sizeof *naive), *y = op_host(w, n * sizeof *y);
    for (int32_t m = 0; m < M; m++)
        for (int32_t j = 0; j < N; j++)
            for (int32_t k = 0; k < K; k++) {
                expected[m * N + j] += (double)p.x[m * K + k] * (double)p.values[j * K + k];
                naive[m * N + j] += p.x[m * K + k] * p.values[j * K + k];
            }
    hdl_gemm_args a = args_of(w, &p, op_act(w, p.x, (size_t)(M * K)), op_act(w, NULL, n));
    a.y_max = op_maxima(w, M);
    run(w, &a);
    op_act_fetch(w, y, a.y, n);
    op_maxima_check(w, a.y_max, y, N, N, M, NULL, true);
    const double worst = op_worst(y, expected, n), bound = op_bound(w, naive, expected, n);
    cr_assert(worst <= bound, "%s M %d K %d N %d: error %g, bound %g", op_place_name(w->place), M, K, N, worst, bound);
    w->backend->weight_close(p.w);
}

/* Rows that start at no multiple of 16 bytes, blocks of 2048 rows and a rest. */
Test(library_products, agree_with_double, .timeout = 300)
{
    static const int32_t shapes[][3] = {{1, 40, 33}, {3, 8, 1}, {17, 257, 31}, {65, 600, 70}, {9, 40, 600}, {2049, 24, 20}};
    enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };
    for (int i = 0; i < N_PLACES; i++) {
        op_world w;
        if (!open_with(&w, places[i], "sound", SEED + (uint64_t)i)) continue;
        for (int s = 0; s < N_SHAPES; s++) check_shape(&w, shapes[s][0], shapes[s][1], shapes[s][2]);
        const hdl_device_info info = info_of(&w);
        cr_expect_eq(strncmp(info.products, "cuBLASLt ", 9), 0, "%s", info.products);
        cr_expect_eq(info.library_weights + info.refused_weights, N_SHAPES);
        if (op_on_simt(&w)) cr_expect_eq(info.library_weights, N_SHAPES);
        printf("%s: %s multiplies %d of %d\n", op_place_name(places[i]), info.products, info.library_weights, N_SHAPES);
        op_close(&w);
    }
}

/* Wide rows, a list, a count, bias, activation, residual: what the library does not do is done by us. */
static void check_everything(op_world *w, hdl_activation act, int32_t pad, bool f32_rows)
{
    enum { M = 37, K = 24, N = 42, LIVE = 33 };
    const hdl_dtype own = w->act;
    product p = make_product(w, M, K, N);
    if (f32_rows) w->act = HDL_F32;
    const int32_t ldx = K + pad, ldy = N + pad, count = pad == 1 ? -1 : pad == 2 ? M + 7 : LIVE;
    const int32_t live = count < 0 ? 0 : count > M ? M : count;
    float *x = op_normals(w, (size_t)(M * ldx)), *bias = op_normals(w, N), *residual = op_normals(w, (size_t)(M * ldy));
    float *before = op_copies(w, (size_t)(M * ldy), -1232.0f), *y = op_host(w, (size_t)(M * ldy) * sizeof *y);
    for (int32_t m = 0; m < M; m++)
        for (int32_t k = K; k < ldx; k++) x[m * ldx + k] = NAN;      /* what lies between the rows is nobody's */
    int32_t rows[M];
    for (int32_t i = 0; i < M; i++) rows[i] = (i * 11 + 3) % M;
    hdl_gemm_args a = args_of(w, &p, op_act(w, x, (size_t)(M * ldx)), op_act(w, before, (size_t)(M * ldy)));
    a.ldx = ldx, a.ldy = ldy, a.act = act, a.ldr = ldy;
    a.residual = op_act(w, residual, (size_t)(M * ldy));
    a.bias = op_device(w, bias, N * sizeof *bias);
    a.count = op_device(w, &count, sizeof count);
    a.rows = act % 2 == 1 ? op_device(w, rows, sizeof rows) : NULL;
    a.y_max = op_maxima(w, M);
    run(w, &a);
    op_act_fetch(w, y, a.y, (size_t)(M * ldy));
    bool is_live[M];
    for (int32_t m = 0; m < M; m++) is_live[m] = m < live;
    op_maxima_check(w, a.y_max, y, ldy, N, M, is_live, true);
    w->act = own;
    op_act_round(w, x, (size_t)(M * ldx));      /* f32 rows are rounded to the weights' type before they are multiplied */
    for (int32_t m = 0; m < M; m++)
        for (int32_t n = 0; n < ldy; n++) {
            if (m >= live || n >= N) {
                cr_assert_eq(y[m * ldy + n], -1232.0f, "%s: row %d column %d was written", op_place_name(w->place), m, n);
                continue;
            }
            double sum = (double)bias[n];
            const float *row = x + (a.rows != NULL ? rows[m] : m) * ldx;
            for (int32_t k = 0; k < K; k++) sum += (double)row[k] * (double)p.values[n * K + k];
            const double want = reference_activation(act, sum) + (double)residual[m * ldy + n];
            const double step = f32_rows ? 0x1p-24 : op_act_step(w);
            cr_assert(fabs((double)y[m * ldy + n] - want) <= 1e-4 + fabs(want) * step, "%s activation %d row %d column %d: %g, want %g",
                      op_place_name(w->place), (int)act, m, n, (double)y[m * ldy + n], want);
        }
    w->backend->weight_close(p.w);
}

Test(library_products, bias_activation_residual_rows_and_count, .timeout = 300)
{
    static const int32_t pads[] = {0, 8, 1, 2, 0, 8, 1, 2};
    for (int i = 0; i < N_PLACES; i++) {
        op_world w;
        if (!open_with(&w, places[i], "sound", SEED + 50)) continue;
        for (int act = 0; act < HDL_N_ACTIVATIONS; act++)
            check_everything(&w, (hdl_activation)act, pads[act], act % 3 == 2);
        op_close(&w);
    }
}

/* A row alone, among others, listed, recorded: the same bits. Nothing is allocated meanwhile. */
static void check_places(op_world *w, int32_t K, int32_t N)
{
    enum { ALL = 150 };
    static const int32_t counts[] = {1, 5, 16, 33, 64, 129};
    product p = make_product(w, ALL, K, N);
    const size_t row_bytes = op_act_bytes(w, (size_t)N), x_bytes = op_act_bytes(w, (size_t)K);
    uint8_t *all = op_host(w, ALL * row_bytes), *some = op_host(w, ALL * row_bytes);
    uint8_t *x = op_act(w, p.x, (size_t)(ALL * K));
    hdl_gemm_args a = args_of(w, &p, x, op_act(w, NULL, (size_t)(ALL * N)));
    int32_t rows[ALL];
    for (int32_t i = 0; i < ALL; i++) rows[i] = (i * 37 + 5) % ALL;
    const int32_t *list = op_device(w, rows, sizeof rows);
    const size_t before = op_on_simt(w) ? used_bytes() : 0;
    run(w, &a);
    op_fetch(w, all, a.y, ALL * row_bytes);
    for (size_t c = 0; c < 2 * sizeof counts / sizeof *counts; c++) {
        const int32_t M = counts[c / 2], first = (int32_t)(c * 17) % (ALL - M + 1);
        hdl_backend_graph *graph = NULL;
        a.M = M;
        a.x = c % 2 == 0 ? x + (size_t)first * x_bytes : x;
        a.rows = c % 2 == 0 ? NULL : list;
        cr_assert_eq(w->backend->record_begin(w->stream), HDL_OK);
        run(w, &a);
        cr_assert_eq(w->backend->record_end(w->stream, &graph), HDL_OK, "%s", op_error(w));
        for (size_t seed = c; seed < c + (M == 1 ? SCHEDULES : 1); seed++) {
            op_schedule(w, seed);
            cr_assert_eq(w->backend->replay(w->stream, graph), HDL_OK);
            op_fetch(w, some, a.y, (size_t)M * row_bytes);
            for (int32_t i = 0; i < M; i++) {
                const int32_t at = c % 2 == 0 ? first + i : rows[i];
                cr_assert_eq(memcmp(some + (size_t)i * row_bytes, all + (size_t)at * row_bytes, row_bytes), 0,
                             "%s K %d N %d: row %d of %d differs, schedule %zu", op_place_name(w->place), K, N, i, M, seed);
            }
        }
        w->backend->graph_close(graph);
    }
    if (op_on_simt(w)) cr_expect_eq(used_bytes(), before);
    w->backend->weight_close(p.w);
}

Test(library_products, a_row_has_the_same_bits_wherever_it_stands, .timeout = 300)
{
    for (int i = 0; i < N_PLACES; i++) {
        op_world w;
        if (!open_with(&w, places[i], "sound", SEED + 100)) continue;
        check_places(&w, 96, 48);
        check_places(&w, 515, 33);
        op_close(&w);
    }
}

/* The kernels of the check of the order too, which run when a matrix is packed. */
Test(library_products, every_schedule, .timeout = 300)
{
    for (int i = 0; i < N_PLACES; i++) {
        op_world w;
        if (!open_with(&w, places[i], "sound", SEED + 150)) continue;
        for (uint64_t seed = 1; seed <= (op_on_simt(&w) ? SCHEDULES : 1); seed++) {
            op_schedule(&w, seed);
            check_shape(&w, 1, 24, 12);
        }
        if (op_on_simt(&w)) cr_expect_eq(info_of(&w).library_weights, SCHEDULES);
        op_close(&w);
    }
}

/* A matrix that gives logits keeps our order, so that both of its uses have one. */
Test(library_products, weights_of_logits_stay_ours)
{
    op_world w;
    if (!open_with(&w, OP_SIMT_BF16, "sound", SEED + 200)) return;
    const float *values = op_normals(&w, 40 * 16);
    hdl_weight *all = NULL, *logits = NULL;
    cr_assert_eq(pack_for(&w, values, 40, 16, HDL_PACK_FOR_ALL, &all), HDL_OK);
    cr_assert_eq(pack_for(&w, values, 40, 16, HDL_PACK_FOR_LOGITS, &logits), HDL_OK);
    w.compute = HDL_COMPUTE_INT8;
    hdl_weight *integers = NULL;
    cr_assert_eq(pack_for(&w, values, 40, 16, HDL_PACK_FOR_GEMM, &integers), HDL_OK);
    const hdl_device_info info = info_of(&w);
    cr_expect(info.library_weights == 0 && info.refused_weights == 0);
    w.backend->weight_close(all);
    w.backend->weight_close(logits);
    w.backend->weight_close(integers);
    op_close(&w);
}

/* A copy of a matrix on another device of the kind has the same algorithm; a device without the library is refused. */
Test(library_products, copies_on_other_devices_have_the_same_bits)
{
    enum { M = 20, K = 300, N = 24 };
    op_world w, other;
    if (!has_double("sound")) return;
    set_devices(2);
    if (!open_with(&w, OP_SIMT_F32, "sound", SEED + 450)) return;
    other = w;
    other.n_blocks = 0;
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    options.library_dir = folder_of("sound");
    for (int library = 0; library < 2; library++) {
        options.products = library ? HDL_PRODUCTS_CUBLASLT : HDL_PRODUCTS_OWN;
        cr_assert_eq(w.backend->open(1, &options, &op_services, &other.device), HDL_OK, "%s", op_services_line());
        cr_assert_eq(w.backend->stream_create(other.device, &other.stream), HDL_OK);
        const hdl_stream_limits limits = {.struct_bytes = sizeof limits, .M = M, .K = K, .N = N};
        op_reserve(&other, &limits);
        hdl_backend_device *const devices[] = {w.device, other.device};
        hdl_backend_group *group = NULL;
        hdl_weight *copies[2] = {0};
        cr_assert_eq(w.backend->group_open(devices, 2, &group), HDL_OK, "%s", op_services_line());
        product p = make_product(&w, M, K, N);
        float y[2][M * N];
        const hdl_status status = w.backend->group_weight(group, p.w, copies);
        cr_expect_eq(status, library ? HDL_OK : HDL_ENOSUPPORT, "%s", op_services_line());
        if (!library) expect_line("pack: the sums of cuBLASLt 13.0.2 have one order on devices of one kind only; device 1 is unlike device 0");
        for (int side = 0; side < 2 && status == HDL_OK; side++) {
            op_world *at = side == 0 ? &w : &other;
            hdl_gemm_args a = args_of(at, &p, op_device(at, p.x, M * K * sizeof(float)), op_device(at, NULL, sizeof y[0]));
            if (side == 1) a.w = copies[1];
            run(at, &a);
            op_fetch(at, y[side], a.y, sizeof y[0]);
        }
        if (status == HDL_OK) {
            cr_expect_eq(memcmp(y[0], y[1], sizeof y[0]), 0);
            cr_expect_eq(info_of(&other).library_weights, 1);
            w.backend->weight_close(copies[1]);
        }
        w.backend->weight_close(p.w);
        w.backend->group_close(group);
        if (library) continue;
        w.backend->stream_close(other.stream);
        w.backend->close(other.device);
    }
    op_close(&other);
    op_close(&w);
}

/* An error in the middle of the work: one line, and what was not queued is not waited for. */
Test(library_products, an_error_at_run_time_has_its_line)
{
    op_world w;
    if (!open_with(&w, OP_SIMT_BF16, "breaks", SEED + 250)) return;
    product p = make_product(&w, 5, 16, 8);
    hdl_gemm_args a = args_of(&w, &p, op_act(&w, p.x, 5 * 16), op_act(&w, NULL, 5 * 8));
    cr_expect_eq(w.backend->gemm(w.stream, &a), HDL_EDEVICE);
    expect_line("gemm: cuBLASLt 13.0.2: CUBLAS_STATUS_EXECUTION_FAILED, M = 5, N = 8, K = 16");
    a.M = 4;
    run(&w, &a);
    cr_expect_eq(w.backend->stream_wait(w.stream), HDL_OK);
    w.backend->weight_close(p.w);
    op_close(&w);
}

Test(library_products, memory_that_is_missing_has_its_line)
{
    op_world w;
    if (!open_with(&w, OP_SIMT_BF16, "sound", SEED + 300)) return;
    const float *values = op_normals(&w, 8 * 16);
    hdl_weight *weight = NULL;
    const size_t before = used_bytes();
    fail_next("cudaMalloc", OUT_OF_MEMORY, 0);          /* the weight itself */
    cr_expect_eq(pack_for(&w, values, 8, 16, HDL_PACK_FOR_GEMM, &weight), HDL_ENOMEM);
    cr_expect(weight == NULL && used_bytes() == before);
    fail_next("cudaMalloc", OUT_OF_MEMORY, 1);          /* what only the check needs: the weight takes our product */
    cr_assert_eq(pack_for(&w, values, 8, 16, HDL_PACK_FOR_GEMM, &weight), HDL_OK, "%s", op_services_line());
    w.backend->weight_close(weight);
    cr_expect(used_bytes() == before && info_of(&w).library_weights == 0 && info_of(&w).refused_weights == 1);
    product p = make_product(&w, 4, 16, 8);
    hdl_backend_stream *small = NULL;
    cr_assert_eq(w.backend->stream_create(w.device, &small), HDL_OK);
    const hdl_gemm_args a = args_of(&w, &p, op_act(&w, p.x, 4 * 16), op_act(&w, NULL, 4 * 8));
    cr_expect_eq(w.backend->gemm(small, &a), HDL_EWORKSPACE);
    expect_line("gemm: ");
    expect_line(" bytes of scratch needed, the stream was reserved for 0");
    w.backend->stream_close(small);
    w.backend->weight_close(p.w);
    op_close(&w);
}

/* A device that dies while the check runs ends the packing. */
Test(library_products, a_device_error_in_the_check_is_no_refusal)
{
    op_world w;
    if (!open_with(&w, OP_SIMT_BF16, "sound", SEED + 350)) return;
    const float *values = op_normals(&w, 8 * 16);
    hdl_weight *weight = NULL;
    fail_next("kernel", LAUNCH_FAILURE, 2);
    cr_expect_eq(pack_for(&w, values, 8, 16, HDL_PACK_FOR_GEMM, &weight), HDL_EDEVICE);
    expect_line("pack: cudaErrorLaunchFailure: ");
    cr_expect_null(weight);
    op_close(&w);
}
