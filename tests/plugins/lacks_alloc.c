/* lacks_alloc.c - a table without memory. */
#include "plugin_base.h"

const hdl_backend *hdl_backend_v1(void)
{
    static hdl_backend table;
    table = base_table("simt");
    table.alloc = NULL;
    return &table;
}
