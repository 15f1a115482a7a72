/* translate_sync.c - hdl_translate: submit all lines, wait for all. */
#include "runtime/translator_state.h"

#include <string.h>

struct hdl_results { hdl_ticket **tickets; const hdl_result **results; size_t n; };

hdl_status hdl_translate(hdl_translator *translator, const char *const *lines, size_t n, const hdl_search_options *search,
                         hdl_results **results)
{
    hdl_status status = HDL_OK, first = HDL_OK;
    hdl_results *r = NULL;
    HDL_CHECK(translator != NULL && results != NULL && (lines != NULL || n == 0), HDL_EINVAL,
              "hdl_translate: an argument is NULL");
    r = hdl__calloc(1, sizeof *r);
    HDL_CHECK(r != NULL, HDL_ENOMEM, "no memory for results");
    r->tickets = hdl__calloc(n, sizeof(hdl_ticket *));
    r->results = hdl__calloc(n, sizeof(const hdl_result *));
    HDL_CHECK(r->tickets != NULL && r->results != NULL, HDL_ENOMEM, "no memory for %zu results", n);
    for (size_t i = 0; i < n; i++, r->n++) {
        hdl_request request = HDL_REQUEST_INIT;
        HDL_CHECK(lines[i] != NULL, HDL_EINVAL, "hdl_translate: lines[%zu] is NULL", i);
        request.text = lines[i];
        request.n_bytes = strlen(lines[i]);
        request.search = search;
        request.line = i;
        request.wait = 1;
        HDL_TRY(hdl_translator_submit(translator, &request, &r->tickets[i]));
    }
    for (size_t i = 0; i < n; i++) {
        HDL_TRY(hdl_ticket_wait(r->tickets[i], -1, &r->results[i]));
        if (first == HDL_OK && r->results[i]->status != HDL_OK)
            first = hdl__fail(r->results[i]->status, "line %zu: %s", i, r->results[i]->detail);
    }
    *results = r;
    r = NULL;
done:
    hdl_results_free(r);
    return status != HDL_OK ? status : first;
}

const hdl_result *hdl_results_get(const hdl_results *results, size_t i)
{
    return results != NULL && i < results->n ? results->results[i] : NULL;
}

void hdl_results_free(hdl_results *results)
{
    if (results == NULL) return;
    for (size_t i = 0; i < results->n; i++) hdl_ticket_release(results->tickets[i]);
    hdl__free(results->tickets);
    hdl__free(results->results);
    hdl__free(results);
}
