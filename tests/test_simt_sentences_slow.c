/*
 * test_simt_sentences_slow.c - sentences of the model that ships, on the stand-in for CUDA and on a GPU where there is one, as the CPU
 * backend translates them.
 */
#include "road_fixture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

TestSuite(simt_sentences, .fini = road_expect_no_faults, .timeout = 3600);
TestSuite(cuda_sentences, .timeout = 600);

static void read_lines(const char *name, char lines[LAG_CASES][ROAD_MOST_TEXT], int n)
{
    FILE *f = fopen(name, "r");
    cr_assert_not_null(f);
    for (int i = 0; i < n; i++) {
        cr_assert_not_null(fgets(lines[i], ROAD_MOST_TEXT, f));
        lines[i][strcspn(lines[i], "\n")] = '\0';
    }
    fclose(f);
}

/* The first n lines of the text of the model that ships. */
static void list_sentences(const hdl_search_options *o, hdl_request *requests, int n)
{
    static char lines[LAG_CASES][ROAD_MOST_TEXT];
    read_lines(HEDDLE_SOURCE_DIR "/tests/data/en-de/test.en", lines, n);
    for (int i = 0; i < n; i++) {
        requests[i] = (hdl_request)HDL_REQUEST_INIT;
        requests[i].text = lines[i];
        requests[i].n_bytes = strlen(lines[i]);
        requests[i].search = o;
        requests[i].wait = 1;
    }
}

static void check_sentences(const char *name, int32_t beam, int n)
{
    static hdl_request requests[LAG_CASES];
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    if (!road_have(name)) return;
    o.beam = beam;
    list_sentences(&o, requests, n);
    road_compare("models/en-de", requests, n, 80, HDL_COMPUTE_F32, ROAD_SCORE_BOUND);
}

static void run_on(const lag_device *device, const hdl_request *requests, int n, road_answer *answers)
{
    lag_engine l = lag_open("models/en-de", device);
    lag_run_requests(&l, requests, n, road_take, answers);
    lag_close(&l);
}

/*
 * int8 behind CUDA rounds hidden rows to bf16 between ops, the CPU does not. So what it says of a given translation may be off by
 * twice what int8 and bf16 move the CPU's scores by, together; and its own translations are mostly the CPU's.
 */
static void check_sentences_int8(const char *name)
{
    enum { N = 8, SAME = 6 };
    static hdl_request requests[LAG_CASES];
    static char targets[LAG_CASES][ROAD_MOST_TEXT];
    static road_answer exact[LAG_CASES], quantised[LAG_CASES], rounded[LAG_CASES], got[LAG_CASES];
    lag_device cpu = {"cpu", 0, 0, 80, HDL_COMPUTE_F32, NULL};
    hdl_search_options o = HDL_SEARCH_OPTIONS_INIT;
    if (!road_have(name)) return;
    const lag_device device = road_device(-1, 80, HDL_COMPUTE_INT8);
    o.beam = 1;
    list_sentences(&o, requests, N);
    run_on(&device, requests, N, got);
    cpu.compute = HDL_COMPUTE_INT8;
    run_on(&cpu, requests, N, quantised);
    int same = 0;
    for (int i = 0; i < N; i++) same += strcmp(got[i].tokens[0], quantised[i].tokens[0]) == 0;
    cr_expect_geq(same, SAME, "%d of %d translations are those of int8 on the CPU", same, N);
    read_lines(HEDDLE_SOURCE_DIR "/tests/data/en-de/test.de", targets, N);
    for (int i = 0; i < N; i++) {
        requests[i].kind = HDL_REQUEST_SCORE;
        requests[i].target = targets[i];
        requests[i].n_target_bytes = strlen(targets[i]);
    }
    run_on(&device, requests, N, got);
    run_on(&cpu, requests, N, quantised);
    cpu.compute = HDL_COMPUTE_BF16;
    run_on(&cpu, requests, N, rounded);
    cpu.compute = HDL_COMPUTE_F32;
    run_on(&cpu, requests, N, exact);
    float of_int8 = 0.0f, of_bf16 = 0.0f, worst = 0.0f;
    for (int i = 0; i < N; i++) {
        const float score = exact[i].score[0];
        of_int8 = fmaxf(of_int8, fabsf(quantised[i].score[0] - score));
        of_bf16 = fmaxf(of_bf16, fabsf(rounded[i].score[0] - score));
        worst = fmaxf(worst, fabsf(got[i].score[0] - score));
    }
    printf("scores: int8 off by %.5f, bf16 by %.5f on the CPU; int8 on %s by %.5f\n", (double)of_int8, (double)of_bf16, name, (double)worst);
    cr_expect_leq(worst, 2.0f * (of_int8 + of_bf16));
    cr_expect_gt(worst, 0.0f, "not a bit of int8");
}

Test(simt_sentences, sentences_int8) { check_sentences_int8("simt"); }
Test(cuda_sentences, sentences_int8) { check_sentences_int8("cuda"); }

Test(simt_sentences, greedy) { check_sentences("simt", 1, 20); }
Test(cuda_sentences, greedy) { check_sentences("cuda", 1, 20); }
Test(simt_sentences, beam_4) { check_sentences("simt", 4, 20); }
Test(cuda_sentences, beam_4) { check_sentences("cuda", 4, 20); }
