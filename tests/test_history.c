/* test_history.c - where the parts of a slot's history lie: apart, aligned, and no larger than said. */
#include <heddle/detail/history.h>

#include <criterion/criterion.h>

typedef struct part { const char *name; uint64_t begin, bytes, align; } part;

static void check_layout(const hdl_slot_options *o)
{
    const hdl_history_layout at = hdl_history_layout_of(o);
    const uint64_t K = (uint64_t)o->K, T = (uint64_t)o->T, S = (uint64_t)o->S;
    const bool align = (o->flags & HDL_SLOT_ALIGN) != 0;
    const part parts[] = {
        {"finished", at.finished, (uint64_t)o->n_pool * sizeof(hdl_finished), _Alignof(hdl_finished)},
        {"logprob", at.logprob, 4 * T * K, 4},
        {"tok", at.tok, 4 * T * K, 4},
        {"align", at.align, align ? 4 * T * K * S : 0, 4},
        {"parent", at.parent, T * K, 1},
        {"ancestor", at.ancestor, 2 * K * T, 1},
    };
    const size_t n = sizeof parts / sizeof parts[0];
    for (size_t i = 0; i < n; i++) {
        cr_expect_eq(parts[i].begin % parts[i].align, 0u, "K %d T %d: %s", o->K, o->T, parts[i].name);
        cr_expect_leq(parts[i].begin + parts[i].bytes, at.bytes, "K %d T %d: %s", o->K, o->T, parts[i].name);
        for (size_t j = 0; j < i; j++)
            cr_expect(parts[j].begin + parts[j].bytes <= parts[i].begin, "K %d T %d: %s overlaps %s", o->K, o->T,
                      parts[j].name, parts[i].name);
    }
    cr_expect_eq(at.bytes % HDL_HISTORY_ALIGN, 0u);
}

Test(history, parts_are_apart)
{
    static const int32_t beams[] = {1, 2, 3, 4, 7, 64}, lengths[] = {1, 2, 5, 17, 1024, 65536}, sources[] = {0, 1, 9, 1024};
    for (size_t k = 0; k < 6; k++)
        for (size_t t = 0; t < 6; t++)
            for (size_t s = 0; s < 4; s++)
                for (int with = 0; with < 2; with++) {
                    const hdl_slot_options o = {.K = beams[k], .n_pool = 2 * beams[k] + 1, .T = lengths[t], .S = sources[s],
                                                .flags = with ? HDL_SLOT_ALIGN : 0};
                    check_layout(&o);
                }
}

/* Rows of the ancestor table: one for every parity and beam. */
Test(history, ancestor_rows)
{
    static uint8_t history[4096];
    const hdl_slot_options o = {.K = 3, .n_pool = 6, .T = 10};
    const hdl_history_layout at = hdl_history_layout_of(&o);
    for (int32_t pos = 0; pos < 10; pos++)
        for (int32_t beam = 0; beam < 3; beam++)
            cr_expect_eq(hdl_ancestor_row(history, &at, &o, pos, beam),
                         history + at.ancestor + (size_t)(pos % 2) * 30 + (size_t)beam * 10);
}
