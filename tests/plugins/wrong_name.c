/* wrong_name.c - a backend under another backend's file name. */
#include "plugin_base.h"

const hdl_backend *hdl_backend_v1(void)
{
    static hdl_backend table;
    table = base_table("other");
    return &table;
}
