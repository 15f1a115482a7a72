/* network_replica.c - a network's copies on other devices: the same shapes, and every block copied by the devices' group. */
#include "model/network_replica.h"

#include "device/device_group.h"

typedef struct part_list { hdl__network_part *parts; int32_t n; } part_list;

static void count_part(const hdl__network_part *part, void *n)
{
    (void)part;
    ++*(int32_t *)n;
}

static void add_part(const hdl__network_part *part, void *list)
{
    part_list *l = list;
    l->parts[l->n++] = *part;
}

static hdl_status copy_shape(const hdl__stack *from, hdl__stack *to)
{
    hdl_status status = HDL_OK;
    to->config = from->config;
    to->n_positions = from->n_positions;
    to->borrows_positions = from->borrows_positions;
    to->layers = hdl__calloc((size_t)from->config.n_layers, sizeof *to->layers);
    HDL_CHECK(to->layers != NULL, HDL_ENOMEM, "no memory for %d layers", from->config.n_layers);
    for (int32_t i = 0; i < from->config.n_layers; i++) {
        hdl__layer *a = &to->layers[i];
        hdl__layer b = from->layers[i];
        hdl__linear *ours[] = {&a->qkv, &a->self_out, &a->cross_q, &a->cross_kv, &a->cross_out, &a->up, &a->down};
        const hdl__linear *theirs[] = {&b.qkv, &b.self_out, &b.cross_q, &b.cross_kv, &b.cross_out, &b.up, &b.down};
        for (size_t j = 0; j < sizeof ours / sizeof ours[0]; j++)
            *ours[j] = (hdl__linear){.N = theirs[j]->N, .K = theirs[j]->K};
        a->glu = b.glu;
    }
done:
    return status;
}

/* A network with the shape of `from` and nothing on its device yet. */
static hdl_status begin_copy(hdl__network *from, const hdl__network_options *options, const char *name, hdl__network **out)
{
    hdl_status status = HDL_OK;
    hdl__network_options own = *options;
    own.device = name;
    HDL_TRY(hdl__network_begin(from->model, &own, out));
    hdl__network *n = *out;
    n->compute = from->compute;
    n->act = from->act;
    n->bytes = from->bytes;
    n->output = (hdl__linear){.N = from->output.N, .K = from->output.K};
    hdl__device_set_lag(n->device, hdl__device_lag(from->device));
    HDL_TRY(copy_shape(&from->encoder, &n->encoder));
    HDL_TRY(copy_shape(&from->decoder, &n->decoder));
done:
    return status;
}

/* Part p of the first of `n` networks to the others. */
static hdl_status copy_part(hdl__group *group, const part_list *lists, int32_t n, int32_t p)
{
    hdl_status status = HDL_OK;
    const hdl__network_part *from = &lists[0].parts[p];
    hdl_weight *weights[HDL_MOST_REPLICAS];
    hdl_embedding *embeddings[HDL_MOST_REPLICAS];
    void *blocks[HDL_MOST_REPLICAS];
    if (from->weight != NULL && *from->weight != NULL) {
        HDL_TRY(hdl__group_weight(group, *from->weight, weights));
        for (int32_t i = 1; i < n; i++) *lists[i].parts[p].weight = weights[i];
    } else if (from->embedding != NULL && *from->embedding != NULL) {
        HDL_TRY(hdl__group_embedding(group, *from->embedding, embeddings));
        for (int32_t i = 1; i < n; i++) *lists[i].parts[p].embedding = embeddings[i];
    } else if (from->floats != NULL && *from->floats != NULL) {
        HDL_TRY(hdl__group_block(group, *from->floats, (size_t)from->n_floats * sizeof(float), blocks));
        for (int32_t i = 1; i < n; i++) *lists[i].parts[p].floats = blocks[i];
    }
done:
    return status;
}

static hdl_status copy_parts(hdl__network *const *networks, int32_t n)
{
    hdl_status status = HDL_OK;
    hdl_device *devices[HDL_MOST_REPLICAS];
    part_list lists[HDL_MOST_REPLICAS];
    hdl__network_part *parts = NULL;
    hdl__group *group = NULL;
    char first[HDL_DEVICE_NAME_BYTES], name[HDL_DEVICE_NAME_BYTES];
    int32_t n_parts = 0;
    hdl__network_visit(networks[0], count_part, &n_parts);
    parts = hdl__calloc((size_t)n * (size_t)n_parts, sizeof *parts);
    HDL_CHECK(parts != NULL, HDL_ENOMEM, "no memory for lists of %d blocks", n * n_parts);
    for (int32_t i = 0; i < n; i++) {
        devices[i] = networks[i]->device;
        lists[i] = (part_list){parts + (size_t)i * (size_t)n_parts, 0};
        hdl__network_visit(networks[i], add_part, &lists[i]);
    }
    HDL_TRY(hdl__group_open(devices, n, &group));
    for (int32_t p = 0; p < n_parts; p++) HDL_TRY(copy_part(group, lists, n, p));
    hdl__device_name_of(devices[0], first);
    for (int32_t i = 1; i < n; i++) {
        hdl__device_name_of(devices[i], name);
        hdl__log(HDL_LOG_INFO, "weights of %s copied to %s: %s", first, name, hdl__group_way(group));
    }
done:
    hdl__group_close(group);
    hdl__free(parts);
    return status;
}

hdl_status hdl__network_copy(hdl__network *from, const hdl__network_options *options, const char *const *names, int32_t n,
                             hdl__network **out)
{
    hdl_status status = HDL_OK;
    hdl__network *all[HDL_MOST_REPLICAS] = {from};
    for (int32_t i = 0; i < n; i++) {
        all[1 + i] = NULL;
        HDL_TRY(begin_copy(from, options, names[i], &all[1 + i]));
    }
    HDL_TRY(copy_parts(all, n + 1));
    for (int32_t i = 0; i < n; i++) {
        if (all[1 + i]->decoder.borrows_positions) all[1 + i]->decoder.positions = all[1 + i]->encoder.positions;
        out[i] = all[1 + i];
        all[1 + i] = NULL;
    }
done:
    for (int32_t i = 0; i < n; i++) hdl__network_free(all[1 + i]);
    return status;
}
