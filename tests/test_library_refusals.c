/*
 * test_library_refusals.c - a cuBLASLt that would give a weight's sums more than one order, or no sums at some M, is found out when the
 * weight is packed, and our product takes its place: wrong doubles on the stand-in.
 */
#include "library_products.h"

#include <criterion/criterion.h>
#include <string.h>

enum { SEED = 9250 };

/* The bits of a small product, packed for this world. */
static void bits_of(op_world *w, float *y)
{
    enum { M = 20, K = 300, N = 24 };
    product p = make_product(w, M, K, N);
    const hdl_gemm_args a = args_of(w, &p, op_act(w, p.x, M * K), op_act(w, NULL, M * N));
    run(w, &a);
    op_act_fetch(w, y, a.y, M * N);
    w->backend->weight_close(p.w);
}

/* A library whose order is not one is found out when the weight is packed, and ours takes its place, to the bit. */
static void check_double(const char *name, bool serves)
{
    enum { N_SUMS = 480 };
    float ours[N_SUMS], found[N_SUMS];
    for (int i = 0; i < 2; i++) {
        op_world w;
        if (!op_open_at(&w, (op_place)(OP_SIMT_F32 + i), SEED)) return;
        bits_of(&w, ours);
        op_close(&w);
        cr_assert(open_with(&w, (op_place)(OP_SIMT_F32 + i), name, SEED));
        bits_of(&w, found);
        const hdl_device_info info = info_of(&w);
        cr_expect(info.library_weights == (serves ? 1 : 0) && info.refused_weights == (serves ? 0 : 1), "%s: %d taken, %d refused",
                  name, info.library_weights, info.refused_weights);
        /* rounding to 16 bits hides the order */
        if (!serves) cr_expect_eq(memcmp(ours, found, sizeof ours), 0, "%s: not our bits", name);
        else if (i == 0) cr_expect_neq(memcmp(ours, found, sizeof ours), 0, "%s: the same bits as ours", name);
        op_close(&w);
    }
}

/* One library a process: each double has a test of its own. */
Test(library_refusals, an_order_that_depends_on_M_is_refused) { if (has_double("drifts")) check_double("drifts", false); }
Test(library_refusals, an_order_that_depends_on_the_place_is_refused) { if (has_double("places")) check_double("places", false); }
Test(library_refusals, split_sums_are_refused) { if (has_double("splits")) check_double("splits", false); }
Test(library_refusals, rows_that_are_not_written_are_refused) { if (has_double("skips")) check_double("skips", false); }
Test(library_refusals, no_candidate_is_a_refusal) { if (has_double("empty")) check_double("empty", false); }
Test(library_refusals, an_M_that_is_not_served_is_a_refusal) { if (has_double("narrow")) check_double("narrow", false); }
Test(library_refusals, workspace_that_one_M_lacks_is_a_refusal) { if (has_double("hungry")) check_double("hungry", false); }
Test(library_refusals, the_next_candidate_may_serve_all_M) { if (has_double("first_narrow")) check_double("first_narrow", true); }
Test(library_refusals, the_second_candidate_may_serve) { if (has_double("second")) check_double("second", true); }
Test(library_refusals, a_sound_library_is_taken) { if (has_double("sound")) check_double("sound", true); }

static int checks_of(const char *name)
{
    char file[4200];
    int (*checks)(void) = NULL;
    snprintf(file, sizeof file, "%s/libcublasLt.so.13", folder_of(name));
    void *symbol = dlsym(dlopen(file, RTLD_NOW | RTLD_NOLOAD), "fake_cublaslt_checks");
    cr_assert_not_null(symbol, "%s", file);
    memcpy(&checks, &symbol, sizeof symbol);
    return checks();
}

/* Each M is asked about once for a shape and an algorithm, also where the answer is no; another width is another shape. */
static void count_questions(const char *name, int first)
{
    enum { N = 24, K = 40, WEIGHTS = 4, ALL_M = 2048 };
    for (int place = OP_SIMT_F32; place <= OP_SIMT_BF16; place++) {
        op_world w;
        hdl_weight *weights[WEIGHTS];
        if (!open_with(&w, (op_place)place, name, SEED + 450)) return;
        for (int i = 0; i < WEIGHTS; i++) {
            const int before = checks_of(name), width = i < 2 ? K : 2 * K;      /* two and two of a shape */
            cr_assert_eq(pack_for(&w, op_normals(&w, (size_t)(N * width)), N, width, HDL_PACK_FOR_GEMM, &weights[i]), HDL_OK, "%s",
                         op_services_line());
            cr_expect_eq(checks_of(name) - before, i % 2 == 0 ? first + ALL_M : 0, "%s, weight %d", op_place_name(w.place), i);
        }
        cr_expect_eq(info_of(&w).library_weights, WEIGHTS);
        for (int i = 0; i < WEIGHTS; i++) w.backend->weight_close(weights[i]);
        op_close(&w);
    }
}

Test(library_refusals, a_shape_is_asked_about_once) { if (has_double("sound")) count_questions("sound", 0); }
Test(library_refusals, a_shape_is_refused_once) { if (has_double("first_narrow")) count_questions("first_narrow", 777); }

/* Weights of few bits give sums that f32 holds exactly, in any order; the check must not be taken in by them. */
Test(library_refusals, coarse_weights_do_not_hide_an_order)
{
    enum { N = 24, K = 40 };
    for (int place = OP_SIMT_F32; place <= OP_SIMT_F16; place++) {
        op_world w;
        if (!open_with(&w, (op_place)place, "drifts", SEED + 250)) return;
        float values[N * K];
        for (int i = 0; i < N * K; i++) values[i] = (float)op_below(&w, 128) / 64.0f - 1.0f;
        hdl_weight *weight = NULL;
        cr_assert_eq(pack_for(&w, values, N, K, HDL_PACK_FOR_GEMM, &weight), HDL_OK, "%s", op_services_line());
        cr_expect_eq(info_of(&w).refused_weights, 1, "%s", op_place_name(w.place));
        w.backend->weight_close(weight);
        op_close(&w);
    }
}

/* What was refused on the first device is counted on each that gets a copy; a weight that was never asked about on none. */
Test(library_refusals, copies_are_counted_on_their_own_devices)
{
    enum { N = 24, K = 300 };
    static const hdl_pack_use uses[] = {HDL_PACK_FOR_GEMM, HDL_PACK_FOR_LOGITS};
    op_world w, other;
    if (!has_double("drifts")) return;
    set_devices(2);
    if (!open_with(&w, OP_SIMT_F32, "drifts", SEED + 350)) return;
    other = w;
    hdl_device_options options = HDL_DEVICE_OPTIONS_INIT;
    hdl_backend_group *group = NULL;
    options.library_dir = folder_of("drifts");
    options.products = HDL_PRODUCTS_CUBLASLT;
    cr_assert_eq(w.backend->open(1, &options, &op_services, &other.device), HDL_OK, "%s", op_services_line());
    hdl_backend_device *const devices[] = {w.device, other.device};
    cr_assert_eq(w.backend->group_open(devices, 2, &group), HDL_OK, "%s", op_services_line());
    float *const values = op_normals(&w, N * K);
    for (size_t i = 0; i < sizeof uses / sizeof uses[0]; i++) {
        hdl_weight *weight = NULL, *copies[2] = {0};
        cr_assert_eq(pack_for(&w, values, N, K, uses[i], &weight), HDL_OK, "%s", op_services_line());
        cr_assert_eq(w.backend->group_weight(group, weight, copies), HDL_OK, "%s", op_services_line());
        cr_expect_eq(info_of(&w).refused_weights, 1);
        cr_expect_eq(info_of(&other).refused_weights, 1);
        w.backend->weight_close(copies[1]);
        w.backend->weight_close(weight);
    }
    w.backend->group_close(group);
    w.backend->close(other.device);
    op_close(&w);
}
