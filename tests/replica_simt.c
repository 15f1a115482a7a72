/* replica_simt.c - opens, reads and compares replicas on the stand-in. */
#include "replica_simt.h"

#include "engine_fixture.h"
#include "simt_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PARTS = 256, LEAST_PARTS = 30 };    /* of tiny-a's network: far more, and fewer, than it holds */

replica_calls replica_hooks;
char replica_last_info[640];

static void find_hook(const char *name, void *hook)
{
    void *symbol = op_symbol("simt", name);
    cr_assert_not_null(symbol, "%s", name);
    memcpy(hook, &symbol, sizeof symbol);
}

bool replica_have_simt(void)
{
    hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
    hdl_device *device = NULL;
    places.library_dir = HEDDLE_BACKENDS;
    const bool found = hdl_device_open("simt", &places, &device) == HDL_OK;
    if (!found) printf("skipped: %s\n", hdl_error_detail());
    hdl_device_close(device);
    if (!found) return false;
    find_hook("simt_used_bytes", &replica_hooks.used_bytes);
    find_hook("simt_faults", &replica_hooks.faults);
    find_hook("simt_reset", &replica_hooks.reset);
    find_hook("simt_set_capability", &replica_hooks.set_capability);
    set_devices(DEVICES);
    return true;
}

void replica_expect_clean(void)
{
    if (replica_hooks.faults == NULL) return;
    cr_expect_eq(replica_hooks.faults(), 0u, "%d faults", (int)replica_hooks.faults());
    for (int i = 0; i < DEVICES; i++)
        cr_expect_eq(replica_hooks.used_bytes(i), 0u, "%d bytes stay on device %d", (int)replica_hooks.used_bytes(i), i);
}

hdl_model *replica_load(const char *path)
{
    hdl_model *model = NULL;
    char full[1024];
    snprintf(full, sizeof full, "%s/%s", HEDDLE_SOURCE_DIR, path);
    cr_assert_eq(hdl_model_load(full, NULL, &model), HDL_OK, "%s", hdl_error_detail());
    return model;
}

hdl_model *replica_load_tiny(void) { return replica_load(TINY); }

static void keep_info(hdl_log_level level, const char *line, void *user)
{
    (void)user;
    if (level == HDL_LOG_INFO) snprintf(replica_last_info, sizeof replica_last_info, "%s", line);
}

hdl_status replica_acquire(hdl_model *model, hdl_compute compute, const char *folder, hdl__network **networks)
{
    hdl_device_options places = HDL_DEVICE_OPTIONS_INIT;
    hdl__device_set set;
    const hdl__network_options o = {.device_options = &places, .compute = compute, .max_positions = POSITIONS};
    places.library_dir = folder;
    hdl_log_set(keep_info, HDL_LOG_INFO, NULL);
    cr_assert_eq(hdl__device_set_read("simt:0,1,2", &places, &set), HDL_OK, "%s", hdl_error_detail());
    return hdl__network_acquire_all(model, &o, &set, networks);
}

typedef struct part_list { hdl__network_part parts[MOST_PARTS]; int n; } part_list;

static void list_part(const hdl__network_part *part, void *user)
{
    part_list *list = user;
    cr_assert(list->n < MOST_PARTS);
    list->parts[list->n++] = *part;
}

static bool is_there(const hdl__network_part *p)
{
    return p->weight != NULL ? *p->weight != NULL : p->embedding != NULL ? *p->embedding != NULL : *p->floats != NULL;
}

static size_t size_of(const hdl__network_part *p)
{
    return p->floats != NULL ? (size_t)p->n_floats : (size_t)p->rows * (size_t)p->columns;
}

static void run_gemm(hdl_stream *stream, const hdl__network_part *p, const float *unit, float *y)
{
    hdl_gemm_args a = HDL_GEMM_ARGS_INIT;
    a.x = unit;
    a.w = *p->weight;
    a.y = y;
    a.M = a.K = p->columns;
    a.ldx = p->columns;
    a.N = p->rows;
    a.ldy = p->rows;
    cr_assert_eq(hdl_gemm(stream, &a), HDL_OK, "%s", hdl_error_detail());
}

static void run_embed(hdl_stream *stream, const hdl__network_part *p, const int32_t *ids, float *y)
{
    hdl_embed_args a = HDL_EMBED_ARGS_INIT;
    a.table = *p->embedding;
    a.ids = ids;
    a.y = y;
    a.M = p->rows;
    a.E = p->columns;
    cr_assert_eq(hdl_embed(stream, &a), HDL_OK, "%s", hdl_error_detail());
}

/* What a part holds, as floats: rows of the unit matrix through a weight, all rows of an embedding, a vector itself. */
static void read_part(hdl_device *device, hdl_stream *stream, const hdl__network_part *p, float *out)
{
    const size_t bytes = size_of(p) * sizeof(float), K = (size_t)p->columns;
    const size_t input_bytes = p->weight != NULL ? K * K * sizeof(float) : (size_t)(p->rows + 1) * sizeof(int32_t);
    void *input = NULL, *y = NULL, *host = calloc(1, input_bytes);
    cr_assert_not_null(host);
    cr_assert_eq(hdl_device_alloc(device, input_bytes, &input), HDL_OK, "%s", hdl_error_detail());
    cr_assert_eq(hdl_device_alloc(device, bytes, &y), HDL_OK, "%s", hdl_error_detail());
    for (size_t i = 0; p->weight != NULL && i < K; i++) ((float *)host)[i * K + i] = 1.0f;
    for (int32_t i = 0; p->embedding != NULL && i < p->rows; i++) ((int32_t *)host)[i] = i;
    cr_assert_eq(hdl_stream_upload(stream, input, host, input_bytes), HDL_OK);
    if (p->weight != NULL) run_gemm(stream, p, input, y);
    if (p->embedding != NULL) run_embed(stream, p, input, y);
    cr_assert_eq(hdl_stream_download(stream, out, p->floats != NULL ? *p->floats : y, bytes), HDL_OK);
    cr_assert_eq(hdl_stream_wait(stream), HDL_OK, "%s", hdl_error_detail());
    hdl_device_free(device, input, input_bytes);
    hdl_device_free(device, y, bytes);
    free(host);
}

static void open_streams(hdl__network *const *networks, hdl_stream **streams)
{
    enum { WIDEST = 1024 };     /* of the models here */
    hdl_stream_limits limits = HDL_STREAM_LIMITS_INIT;
    limits.M = limits.K = limits.N = limits.V = WIDEST;
    for (int i = 0; i < DEVICES; i++) {
        cr_assert_eq(hdl_stream_create(networks[i]->device, &streams[i]), HDL_OK, "%s", hdl_error_detail());
        cr_assert_eq(hdl_stream_reserve(streams[i], &limits), HDL_OK, "%s", hdl_error_detail());
    }
}

/* Part p of all networks; 1 when the model has it. */
static int compare_part(hdl__network *const *networks, hdl_stream *const *streams, const part_list *lists, int p)
{
    const size_t n = size_of(&lists[0].parts[p]);
    if (!is_there(&lists[0].parts[p])) return 0;
    float *first = calloc(n, sizeof *first), *other = calloc(n, sizeof *other);
    cr_assert(first != NULL && other != NULL);
    for (int i = 0; i < DEVICES; i++) {
        cr_assert(is_there(&lists[i].parts[p]), "part %d is missing on device %d", p, i);
        read_part(networks[i]->device, streams[i], &lists[i].parts[p], i == 0 ? first : other);
        if (i > 0) cr_expect_arr_eq(first, other, n * sizeof *first, "part %d differs on device %d", p, i);
    }
    free(first);
    free(other);
    return 1;
}

void replica_compare(hdl__network *const *networks)
{
    static part_list lists[DEVICES];
    hdl_stream *streams[DEVICES];
    int n_read = 0;
    open_streams(networks, streams);
    for (int i = 0; i < DEVICES; i++) {
        lists[i].n = 0;
        hdl__network_visit(networks[i], list_part, &lists[i]);
        cr_assert_eq(lists[i].n, lists[0].n);
        cr_expect_eq(networks[i]->bytes, networks[0]->bytes);
        cr_expect_eq(networks[i]->compute, networks[0]->compute);
    }
    for (int p = 0; p < lists[0].n; p++) n_read += compare_part(networks, streams, lists, p);
    cr_expect_gt(n_read, LEAST_PARTS, "%d parts were read", n_read);
    for (int i = 0; i < DEVICES; i++) hdl_stream_close(streams[i]);
}
