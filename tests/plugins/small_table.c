/* small_table.c - a table that ends before its last entries. */
#include "plugin_base.h"

const hdl_backend *hdl_backend_v1(void)
{
    static hdl_backend table;
    table = base_table("simt");
    table.struct_bytes = offsetof(hdl_backend, gemm);
    return &table;
}
