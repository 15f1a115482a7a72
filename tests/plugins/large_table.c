/* large_table.c - a table of a newer header: it has more entries than this library knows. */
#include "plugin_base.h"

const hdl_backend *hdl_backend_v1(void)
{
    static struct { hdl_backend known; void *newer; } table;
    table.known = base_table("simt");
    table.known.struct_bytes = sizeof table;
    return &table.known;
}
