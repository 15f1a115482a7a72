/* road_fixture.c - the road of a translation on a device, held against the CPU backend's. */
#include "road_fixture.h"

#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void road_take(int i, const hdl_result *result, void *user)
{
    road_answer *a = (road_answer *)user + i;
    a->n = (int)result->n_hypotheses;
    cr_assert_leq(a->n, ROAD_MOST_BEST);
    for (int j = 0; j < a->n; j++) {
        snprintf(a->tokens[j], ROAD_MOST_TEXT, "%s", joined(&result->hypotheses[j]));
        a->score[j] = result->hypotheses[j].score;
    }
}

road_hooks road_simt;

static void find_hook(void *library, const char *name, void *hook)
{
    void *symbol = dlsym(library, name);
    cr_assert_not_null(symbol, "%s", name);
    memcpy(hook, &symbol, sizeof symbol);
}

static void find_hooks(void)
{
    void *library = dlopen(HEDDLE_BACKENDS "/libheddle-simt.so", RTLD_NOW);
    cr_assert_not_null(library, "%s", dlerror());
    find_hook(library, "simt_faults", &road_simt.faults);
    find_hook(library, "simt_set_schedule", &road_simt.set_schedule);
    find_hook(library, "simt_set_streams", &road_simt.set_streams);
    find_hook(library, "simt_fail_next", &road_simt.fail_next);
    find_hook(library, "simt_reset", &road_simt.reset);
}

void road_expect_no_faults(void)
{
    if (road_simt.faults != NULL) cr_expect_eq(road_simt.faults(), 0u, "%d faults", (int)road_simt.faults());
}

static const char *road;    /* the device of this test */

bool road_have(const char *name)
{
    hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
    hdl_device *device = NULL;
    places.library_dir = HEDDLE_BACKENDS;
    const bool found = hdl_device_open(name, &places, &device) == HDL_OK;
    if (found) printf("road on %s\n", name);
    else printf("skipped: %s\n", hdl_error_detail());
    hdl_device_close(device);
    if (found && strcmp(name, "simt") == 0) find_hooks();
    road = name;
    return found;
}

lag_device road_device(int32_t lag, int32_t max_rows, hdl_compute compute)
{
    return (lag_device){road, lag, 0, max_rows, compute, HEDDLE_BACKENDS};
}

void road_compare(const char *path, const hdl_request *requests, int n, int32_t max_rows, hdl_compute compute, float score_bound)
{
    static road_answer wanted[LAG_CASES], got[LAG_CASES];
    const lag_device cpu = {"cpu", 0, 0, max_rows, HDL_COMPUTE_F32, NULL}, device = road_device(-1, max_rows, compute);
    lag_engine l = lag_open(path, &cpu);
    lag_run_requests(&l, requests, n, road_take, wanted);
    lag_close(&l);
    l = lag_open(path, &device);
    lag_run_requests(&l, requests, n, road_take, got);
    lag_close(&l);
    for (int i = 0; i < n; i++) {
        cr_expect_eq(got[i].n, wanted[i].n, "request %d: %d hypotheses, wanted %d", i, got[i].n, wanted[i].n);
        for (int j = 0; j < wanted[i].n && j < got[i].n; j++) {
            const float score = wanted[i].score[j], bound = score_bound * fmaxf(1.0f, fabsf(score));
            cr_expect_str_eq(got[i].tokens[j], wanted[i].tokens[j], "request %d, hypothesis %d: \"%s\", wanted \"%s\"", i, j,
                             got[i].tokens[j], wanted[i].tokens[j]);
            cr_expect(fabsf(got[i].score[j] - score) <= bound, "request %d, hypothesis %d: score %.6f, wanted %.6f", i, j,
                      (double)got[i].score[j], (double)score);
        }
    }
}
