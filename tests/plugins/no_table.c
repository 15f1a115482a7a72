/* no_table.c - returns nothing. */
#include <heddle/backend.h>

HDL_API const hdl_backend *hdl_backend_v1(void);

const hdl_backend *hdl_backend_v1(void) { return NULL; }
