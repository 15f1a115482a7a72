/* result_hash.c - FNV-1a over the bits of a result. */
#include "result_hash.h"

static uint64_t add_bytes(uint64_t hash, const void *data, size_t n)
{
    const unsigned char *bytes = data;
    for (size_t i = 0; i < n; i++) hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t add_hypothesis(uint64_t hash, const hdl_hypothesis *h)
{
    hash = add_bytes(hash, &h->n_tokens, sizeof h->n_tokens);
    hash = add_bytes(hash, h->ids, h->n_tokens * sizeof *h->ids);
    hash = add_bytes(hash, h->logprobs, h->n_logprobs * sizeof *h->logprobs);
    hash = add_bytes(hash, &h->sum, sizeof h->sum);
    hash = add_bytes(hash, &h->score, sizeof h->score);
    hash = add_bytes(hash, &h->finish, sizeof h->finish);
    if (h->alignment != NULL) hash = add_bytes(hash, h->alignment, h->n_rows * h->n_columns * sizeof *h->alignment);
    return hash;
}

uint64_t hash_result(const hdl_result *result)
{
    uint64_t hash = 0xcbf29ce484222325u;
    hash = add_bytes(hash, &result->status, sizeof result->status);
    hash = add_bytes(hash, &result->n_hypotheses, sizeof result->n_hypotheses);
    for (size_t i = 0; i < result->n_hypotheses; i++) hash = add_hypothesis(hash, &result->hypotheses[i]);
    return hash;
}

uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}
