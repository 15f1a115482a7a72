/* op_attention.c - attention in double and naively in low precision, one query at a time. */
#include "op_attention.h"

#include <math.h>

void op_attend_double(const op_query *query, double *out, double *probs)
{
    double p[OP_MAX_KEYS], max = -INFINITY, sum = 0.0;
    for (int32_t j = 0; j < query->n_keys; j++) {
        p[j] = 0.0;
        for (int32_t d = 0; d < query->D; d++) p[j] += (double)query->q[d] * (double)query->k[j][d];
        p[j] *= (double)query->scale;
        if (p[j] > max) max = p[j];
    }
    for (int32_t j = 0; j < query->n_keys; j++) sum += p[j] = exp(p[j] - max);
    for (int32_t d = 0; d < query->D; d++) out[d] = 0.0;
    for (int32_t j = 0; j < query->n_keys; j++) {
        p[j] /= sum;
        if (probs != NULL) probs[j] = p[j];
        for (int32_t d = 0; d < query->D; d++) out[d] += p[j] * (double)query->v[j][d];
    }
}

static void attend_float(const op_world *w, const op_query *query, float *out)
{
    float p[OP_MAX_KEYS], max = -INFINITY, sum = 0.0f;
    for (int32_t j = 0; j < query->n_keys; j++) {
        p[j] = 0.0f;
        for (int32_t d = 0; d < query->D; d++) p[j] += query->q[d] * query->k[j][d];
        p[j] *= query->scale;
        if (p[j] > max) max = p[j];
    }
    for (int32_t j = 0; j < query->n_keys; j++) sum += p[j] = expf(p[j] - max);
    for (int32_t j = 0; j < query->n_keys; j++) p[j] /= sum;
    op_act_round(w, p, (size_t)query->n_keys);
    for (int32_t d = 0; d < query->D; d++) out[d] = 0.0f;
    for (int32_t j = 0; j < query->n_keys; j++)
        for (int32_t d = 0; d < query->D; d++) out[d] += p[j] * query->v[j][d];
    op_act_round(w, out, (size_t)query->D);
}

/* As op_noise, of values in act. */
static double act_noise(const op_world *w, const double *expected, size_t n)
{
    double worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        float raised = (float)expected[i] + 0.3f;
        op_act_round(w, &raised, 1);
        float back = raised - 0.3f;
        op_act_round(w, &back, 1);
        worst = fmax(worst, fabs((double)back - expected[i]));
    }
    return 2.0 * worst;
}

void op_attend_compare(const op_world *w, const op_query *query, const float *out, op_attend_error *error)
{
    double expected[OP_MAX_D];
    float naive[OP_MAX_D];
    op_attend_double(query, expected, NULL);
    attend_float(w, query, naive);
    const size_t D = (size_t)query->D;
    error->found = fmax(error->found, op_worst(out, expected, D));
    error->naive = fmax(error->naive, op_worst(naive, expected, D));
    error->noise = fmax(error->noise, act_noise(w, expected, D));
}

bool op_attend_is_small(const op_attend_error *error) { return error->found <= 2.0 * error->naive + error->noise; }
