/* translate.c - the whole life in ten lines: load, open, translate, print, close. Run it where models/en-de is. */
#include <heddle/heddle.h>

#include <stdio.h>

static int fail(const char *detail)
{
    fprintf(stderr, "translate: %s\n", detail);
    return 1;
}

int main(void)
{
    hdl_model *model;                                            // what never changes
    hdl_translator *translator;                                  // what runs
    hdl_results *results;
    const char *lines[] = { "Good morning.", "How are you?" };
    if (hdl_model_load("models/en-de", NULL, &model) != HDL_OK) return fail(hdl_error_detail());
    if (hdl_translator_open(model, NULL, &translator) != HDL_OK) return fail(hdl_error_detail());
    if (hdl_translate(translator, lines, 2, NULL, &results) != HDL_OK) return fail(hdl_error_detail());
    puts(hdl_results_get(results, 0)->hypotheses[0].text);       // Guten Morgen!
    hdl_results_free(results);
    hdl_translator_close(translator, 0);
    hdl_model_close(model);
    return 0;
}
