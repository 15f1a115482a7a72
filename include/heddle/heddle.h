/*
 * heddle.h - umbrella of the stable tier: everything a program needs to translate.
 *
 * Reading order: base.h (status, dtypes), model.h (load), translator.h (translate), tokenizer.h, device.h. The op headers
 * (gemm.h, attention.h, norm.h, embed.h, search.h, backend.h) are for those who use single kernels; they may still change.
 *
 * The whole life, as compiled in examples/translate.c:
 *
 *     hdl_model *model;                                            // what never changes
 *     hdl_translator *translator;                                  // what runs
 *     hdl_results *results;
 *     const char *lines[] = { "Good morning.", "How are you?" };
 *     if (hdl_model_load("models/en-de", NULL, &model) != HDL_OK) return fail(hdl_error_detail());
 *     if (hdl_translator_open(model, NULL, &translator) != HDL_OK) return fail(hdl_error_detail());
 *     if (hdl_translate(translator, lines, 2, NULL, &results) != HDL_OK) return fail(hdl_error_detail());
 *     puts(hdl_results_get(results, 0)->hypotheses[0].text);       // Guten Morgen!
 *     hdl_results_free(results);
 *     hdl_translator_close(translator, 0);
 *     hdl_model_close(model);
 *
 * Dimension letters, the same everywhere:
 *     B sentences   S source tokens   T target tokens (Tq, Tk in attention)   H heads   Hkv key/value heads   D head dimension
 *     E = H * D model width   F feed-forward width   V vocabulary   L layers   K beam width   M rows   N outputs of a product
 *
 * Rules: every function that can fail returns hdl_status, leaves its results untouched on failure and records one line for
 * hdl_error_detail(). The library never prints, exits or aborts. After fork(), the child may not use translators made before it (HDL_ESTATE).
 *
 * Structs that begin with struct_bytes are set up with their _INIT macro and only grow at their end, so that program and library may be of
 * different ages. What an older program's struct lacks has its _INIT value; of a struct that the library fills it fills what the program's
 * has room for. A newer program works with an older library as long as what that does not know is 0, else HDL_EINVAL names both sizes; what
 * it cannot fill stays as the program left it. They end where their last field ends (a field named reserved stays 0), since an initialiser
 * leaves anything in padding.
 */
#ifndef HEDDLE_H
#define HEDDLE_H

#include <heddle/base.h>
#include <heddle/device.h>
#include <heddle/model.h>
#include <heddle/tokenizer.h>
#include <heddle/translator.h>

#endif /* HEDDLE_H */
