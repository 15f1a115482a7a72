/* device_list.c - every device that could be opened, and why the others cannot. */
#include "device/device_state.h"

#include "base/struct_args.h"
#include "device/plugin.h"

#include <stdio.h>
#include <string.h>

/* Asked of the backend, not of the device: where none works the libraries may still be there. */
static void ask_libraries(const char *name, const hdl_device_options *options, hdl_device_entry *entry)
{
    const hdl_backend *table = NULL;
    const char *library_dir = options != NULL ? options->library_dir : NULL;
    const char *plugin = strncmp(name, "cuda", strlen("cuda")) == 0 ? "cuda" : name;
    entry->libraries[0] = '\0';
    if (strcmp(name, "cpu") == 0 || hdl__plugin_table(plugin, library_dir, &table) != HDL_OK) return;
    if (table->libraries != NULL) table->libraries(library_dir, entry->libraries, sizeof entry->libraries);
}

static void try_device(const char *name, const hdl_device_options *options, hdl_device_entry *entry)
{
    hdl_device *device = NULL;
    snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->status = hdl_device_open(name, options, &device);
    snprintf(entry->line, sizeof entry->line, "%s",
             entry->status == HDL_OK ? device->info.description : hdl_error_detail());
    hdl_device_close(device);
    ask_libraries(name, options, entry);
}

hdl_status hdl_device_list(const hdl_device_options *options, int32_t i, hdl_device_entry *entry)
{
    hdl_status status = HDL_OK;
    hdl_device_entry found = HDL_DEVICE_ENTRY_INIT;
    static const hdl_device_options defaults = HDL_DEVICE_OPTIONS_INIT;
    hdl_device_options whole;
    HDL_CHECK(entry != NULL, HDL_EINVAL, "device list: entry is NULL");
    HDL_TRY(hdl__struct_room("device list: entry", entry));
    if (options != NULL) {
        options = hdl__struct_read("device list: options", options, &defaults, &whole, sizeof whole);
        if (options == NULL) return HDL_EINVAL;
    }
    HDL_CHECK(i >= 0, HDL_EINVAL, "device list: i = %d, allowed 0 and more", i);
    if (i == 0) {
        try_device("cpu", options, &found);
    } else {
        int32_t n_cuda = 0;
        for (; n_cuda < i; n_cuda++) {      /* the first that fails ends their row */
            char name[HDL_DEVICE_NAME_BYTES + 1];
            snprintf(name, sizeof name, "cuda:%d", n_cuda);
            try_device(name, options, &found);
            if (found.status != HDL_OK) break;
        }
        int32_t simt = n_cuda == 0 ? 2 : n_cuda + 1;
        HDL_CHECK(i <= simt, HDL_EINVAL, "device list: i = %d, allowed 0 to %d", i, simt);
        if (n_cuda < i && i == simt) try_device("simt", options, &found);
        if (n_cuda == 0 && i < simt) snprintf(found.name, sizeof found.name, "cuda");
    }
    hdl__struct_write(entry, &found, sizeof found);
done:
    return status;
}
