/* test_special_models.c - models with scaled outputs, without a start token, and forced language tokens. */
#include "engine_fixture.h"

#include "model/model_state.h"

#include <math.h>
#include <string.h>

#define MODEL "tests/data/goldens/tiny-a"

static const token_list source = {{"w18", "w17", "w3", "</s>"}, 4};

/* Opens the model as `change` leaves it. */
static engine open_changed(void (*change)(hdl__checkpoint *))
{
    engine e = {0};
    hdl_translator_options o = HDL_TRANSLATOR_OPTIONS_INIT;
    o.device = "cpu";
    o.threads = 1;
    cr_assert_eq(hdl_model_load(HEDDLE_SOURCE_DIR "/" MODEL, NULL, &e.model), HDL_OK, "%s", hdl_error_detail());
    change(&e.model->checkpoint);
    cr_assert_eq(hdl_translator_open(e.model, &o, &e.translator), HDL_OK, "%s", hdl_error_detail());
    return e;
}

static void leave_alone(hdl__checkpoint *c) { (void)c; }

/* Half the weights and no bias, but outputs scaled by two. */
static void scale_outputs(hdl__checkpoint *c)
{
    static float two = 2.0f;
    for (int32_t i = 0; i < c->n_params; i++)
        if (strcmp(c->params[i].name, "output.weight") == 0) {
            c->params[i].scale = &two;
            c->params[i].n_scale = 1;
        }
    c->config.output_scale = 2.0f;
}

static void drop_start(hdl__checkpoint *c) { c->config.start_id = -1; }

static hdl_request score_request(const token_list *target)
{
    hdl_request r = token_request(&source);
    r.kind = HDL_REQUEST_SCORE;
    r.target_tokens = target->items;
    r.n_target_tokens = target->n;
    return r;
}

Test(special_models, scaled_outputs)
{
    const token_list target = {{"w11", "w16", "w9"}, 3};
    const hdl_request r = score_request(&target);
    hdl_ticket *plain_ticket, *scaled_ticket;
    engine plain = open_changed(leave_alone), scaled = open_changed(scale_outputs);
    const hdl_result *a = run_request(&plain, &r, &plain_ticket), *b = run_request(&scaled, &r, &scaled_ticket);
    for (size_t i = 0; i < 4; i++)
        cr_expect_float_eq(a->hypotheses[0].logprobs[i], b->hypotheses[0].logprobs[i], 1e-5f, "token %zu", i);
    hdl_ticket_release(plain_ticket);
    hdl_ticket_release(scaled_ticket);
    close_engine(&plain);
    close_engine(&scaled);
}

/* The first forced token starts the decoder, so naming the usual start token gives the usual numbers. */
Test(special_models, no_start_token)
{
    const token_list usual = {{"w11", "w16"}, 2}, with_start = {{"<pad>", "w11", "w16"}, 3};
    hdl_ticket *ticket, *other;
    engine plain = open_changed(leave_alone), startless = open_changed(drop_start);
    hdl_request r = score_request(&usual);
    const hdl_result *a = run_request(&plain, &r, &ticket);
    r = score_request(&with_start);
    const hdl_result *b = run_request(&startless, &r, &other);
    cr_assert_eq(b->status, HDL_OK, "%s", b->detail);
    cr_assert_eq(b->hypotheses[0].n_tokens, 2u);
    cr_expect_eq(memcmp(a->hypotheses[0].logprobs, b->hypotheses[0].logprobs, 3 * sizeof(float)), 0);
    hdl_ticket_release(other);
    r = score_request(&usual);
    r.target_language = "<pad>";
    b = run_request(&startless, &r, &other);
    cr_expect_eq(memcmp(a->hypotheses[0].logprobs, b->hypotheses[0].logprobs, 3 * sizeof(float)), 0);
    hdl_ticket_release(other);
    r.kind = HDL_REQUEST_TRANSLATE;
    r.target_language = NULL;
    r.n_target_tokens = 0;
    b = run_request(&startless, &r, &other);
    cr_expect_eq(b->status, HDL_EINVAL);
    cr_expect(strstr(b->detail, "no start token") != NULL, "%s", b->detail);
    hdl_ticket_release(other);
    hdl_ticket_release(ticket);
    close_engine(&plain);
    close_engine(&startless);
}

/* A target language is certain: the sum is that of the shown log-probabilities. */
Test(special_models, language_token_in_scores)
{
    const token_list target = {{"w11", "w16"}, 2};
    hdl_ticket *ticket;
    engine e = open_changed(leave_alone);
    hdl_request r = score_request(&target);
    r.target_language = "w5";
    const hdl_result *result = run_request(&e, &r, &ticket);
    const hdl_hypothesis *h = &result->hypotheses[0];
    float sum = 0.0f;
    for (size_t i = 0; i < h->n_logprobs; i++) sum += h->logprobs[i];
    cr_expect_eq(h->n_logprobs, 3u);
    cr_expect_float_eq(sum, h->sum, 1e-5f);
    cr_expect_float_eq(result->perplexity, expf(-sum / 3.0f), 1e-3f);
    hdl_ticket_release(ticket);
    close_engine(&e);
}
