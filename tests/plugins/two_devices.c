/* two_devices.c - a machine with two devices. */
#include "plugin_base.h"

static hdl_status open_one(int index, const hdl_device_options *options, const hdl_backend_host *host,
                           hdl_backend_device **device)
{
    if (index >= 2) return host->fail(HDL_EDEVICE, "cuda: no such device: there are 2");
    return base_open(index, options, host, device);
}

const hdl_backend *hdl_backend_v1(void)
{
    static hdl_backend table;
    table = base_table("cuda");
    table.open = open_one;
    return &table;
}
