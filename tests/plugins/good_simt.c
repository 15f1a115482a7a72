/* good_simt.c - a plug-in that is accepted as simt. */
#include "plugin_base.h"

const hdl_backend *hdl_backend_v1(void)
{
    static hdl_backend table;
    table = base_table("simt");
    return &table;
}
