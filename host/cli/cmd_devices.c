/* cmd_devices.c - heddle devices: what can compute here, and why something cannot. */
#include "cli_commands.h"
#include "json_text.h"

#include <heddle/device.h>

#include <string.h>

/* What only an open device tells: memory and native formats; zeros when it cannot be opened. */
static void ask(const hdl_device_entry *entry, hdl_device_info *info)
{
    hdl_device *device = NULL;
    if (entry->status != HDL_OK || hdl_device_open(entry->name, NULL, &device) != HDL_OK) return;
    if (hdl_device_describe(device, info) != HDL_OK) *info = (hdl_device_info)HDL_DEVICE_INFO_INIT;
    hdl_device_close(device);
}

/* The lines of what the backend would use, as strings; NULL: it uses nothing. */
static json_t *list_libraries(const char *lines)
{
    json_t *list = *lines != '\0' ? json_array() : NULL;
    char line[HDL_DEVICE_LIBRARIES_BYTES];
    for (size_t n; *lines != '\0'; lines += n + (lines[n] == '\n')) {
        n = strcspn(lines, "\n");
        memcpy(line, lines, n);
        line[n] = '\0';
        json_array_append_new(list, hdl__json_string(line));
    }
    return list;
}

static bool put_json(const hdl_device_entry *entry, const hdl_device_info *info, hdl__cli_text *text)
{
    json_t *object = json_object();
    bool works = entry->status == HDL_OK;
    json_object_set_new(object, "name", hdl__json_string(entry->name));
    json_object_set_new(object, "works", json_boolean(works));
    json_object_set_new(object, works ? "description" : "reason", hdl__json_string(entry->line));
    if (works) {
        json_object_set_new(object, "memory_bytes", json_integer((json_int_t)info->memory_bytes));
        json_object_set_new(object, "native_bf16", json_boolean(info->native_bf16));
    }
    json_t *libraries = list_libraries(entry->libraries);
    if (libraries != NULL) json_object_set_new(object, "libraries", libraries);
    return hdl__json_put(object, true, text);
}

static void put_line(const hdl_device_entry *entry, const hdl_device_info *info, hdl__cli_text *text)
{
    const double gibibyte = 1024.0 * 1024.0 * 1024.0;
    bool works = entry->status == HDL_OK;
    hdl__cli_text_printf(text, "%-8s %s%s", entry->name, works ? "" : "not usable: ", entry->line);
    if (works && info->memory_bytes)
        hdl__cli_text_printf(text, "; %.1f GiB memory", (double)info->memory_bytes / gibibyte);
    if (works && info->native_bf16) hdl__cli_text_puts(text, "; multiplies bf16 natively");
    hdl__cli_text_puts(text, "\n");
}

/* Under the device; not again under the next one of the same backend. */
static void put_libraries(const char *lines, char shown[HDL_DEVICE_LIBRARIES_BYTES], hdl__cli_text *text)
{
    if (strcmp(lines, shown) == 0) return;
    strcpy(shown, lines);
    for (size_t n; *lines != '\0'; lines += n + (lines[n] == '\n')) {
        n = strcspn(lines, "\n");
        hdl__cli_text_printf(text, "%-8s %.*s\n", "", (int)n, lines);
    }
}

int hdl__cmd_devices(const hdl__cli_options *options)
{
    hdl__cli_text text = { 0 };
    char shown[HDL_DEVICE_LIBRARIES_BYTES] = "";
    for (int32_t i = 0;; ++i) {
        hdl_device_entry entry = HDL_DEVICE_ENTRY_INIT;
        hdl_device_info info = HDL_DEVICE_INFO_INIT;
        if (hdl_device_list(NULL, i, &entry) != HDL_OK) break;
        ask(&entry, &info);
        if (!options->json) {
            put_line(&entry, &info, &text);
            put_libraries(entry.libraries, shown, &text);
        } else if (!put_json(&entry, &info, &text)) {
            text.failed = true;
        }
    }
    return hdl__output_print(&text);
}
