/* wrong_abi.c - built for another ABI; nothing past the first field can be trusted. */
#include "plugin_base.h"

const hdl_backend *hdl_backend_v1(void)
{
    static hdl_backend table;
    table = base_table("simt");
    table.abi = HDL_BACKEND_ABI + 1;
    table.name = (const char *)1;
    return &table;
}
