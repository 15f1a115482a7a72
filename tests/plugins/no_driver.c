/* no_driver.c - a machine without a driver. */
#include "plugin_base.h"

static hdl_status refuse(int index, const hdl_device_options *options, const hdl_backend_host *host,
                         hdl_backend_device **device)
{
    (void)index, (void)options, (void)device;
    return host->fail(HDL_EDEVICE, "cuda: no driver is installed");
}

const hdl_backend *hdl_backend_v1(void)
{
    static hdl_backend table;
    table = base_table("cuda");
    table.open = refuse;
    return &table;
}
