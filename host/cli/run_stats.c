/* run_stats.c - what a run did, as one JSON object in a file. */
#include "run_stats.h"
#include "json_text.h"

#include <stdio.h>
#include <string.h>

uint64_t hdl__stats_peak_bytes(void)
{
    enum { KIBIBYTE = 1024 };
    char line[256];
    unsigned long long kib = 0;
    FILE *file = fopen("/proc/self/status", "re");
    if (!file) return 0;
    while (fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %llu kB", &kib) == 1) break;
    fclose(file);
    return kib * KIBIBYTE;
}

static void set_count(json_t *object, const char *name, uint64_t value)
{
    json_object_set_new(object, name, json_integer((json_int_t)value));
}

/* What each device has done, in the order in which they were asked for. */
static json_t *list_devices(hdl_translator *translator, int32_t n)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < n; i++) {
        hdl_device_stats stats = HDL_DEVICE_STATS_INIT;
        if (hdl_translator_get_device_stats(translator, i, &stats) != HDL_OK) continue;
        json_t *object = json_object();
        json_object_set_new(object, "name", hdl__json_string(stats.name));
        json_object_set_new(object, "description", hdl__json_string(stats.description));
        set_count(object, "sentences", stats.sentences);
        set_count(object, "target_tokens", stats.target_tokens);
        set_count(object, "steps", stats.steps);
        set_count(object, "rows", stats.rows);
        json_object_set_new(object, "lost", json_boolean(stats.lost));
        if (stats.library_weights + stats.refused_weights > 0) {
            set_count(object, "library_weights", (uint64_t)stats.library_weights);
            set_count(object, "refused_weights", (uint64_t)stats.refused_weights);
        }
        json_array_append_new(list, object);
    }
    return list;
}

int hdl__stats_write(hdl__output *output, hdl_translator *translator, uint64_t lines, double seconds)
{
    hdl_translator_stats stats = HDL_TRANSLATOR_STATS_INIT;
    hdl_status status = hdl_translator_get_stats(translator, &stats);
    if (status != HDL_OK) return hdl__cli_failed(status);
    json_t *object = json_object();
    set_count(object, "lines", lines);
    set_count(object, "sentences", stats.sentences);
    set_count(object, "source_tokens", stats.source_tokens);
    set_count(object, "target_tokens", stats.target_tokens);
    json_object_set_new(object, "seconds", json_real(seconds));
    json_object_set_new(object, "tokens_per_second",
                        json_real(seconds > 0 ? (double)stats.target_tokens / seconds : 0));
    set_count(object, "peak_memory_bytes", hdl__stats_peak_bytes());
    set_count(object, "weight_bytes", stats.weight_bytes);
    set_count(object, "pool_bytes", stats.pool_bytes);
    set_count(object, "steps", stats.steps);
    set_count(object, "rows", stats.rows);
    set_count(object, "launches", stats.launches);
    set_count(object, "encoder_passes", stats.encoder_passes);
    set_count(object, "padded_rows", stats.padded_rows);
    set_count(object, "copied_bytes", stats.copied_bytes);
    set_count(object, "allocations", stats.allocations);
    set_count(object, "restarts", stats.restarts);
    set_count(object, "lanes", (uint64_t)stats.lanes);
    json_object_set_new(object, "compute", hdl__json_string(stats.compute ? stats.compute : ""));
    json_object_set_new(object, "device", hdl__json_string(stats.device ? stats.device : ""));
    json_object_set_new(object, "devices", list_devices(translator, stats.n_devices));
    hdl__cli_text text = { 0 };
    bool ok = hdl__json_put(object, false, &text) && !text.failed;
    hdl__output_begin(output);
    if (ok) hdl__output_add(output, text.data, text.n);
    hdl__cli_text_free(&text);
    int code = hdl__output_close(output);
    return ok ? code : hdl__cli_error("out of memory");
}
