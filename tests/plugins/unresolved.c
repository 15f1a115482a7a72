/* unresolved.c - needs a function that nobody has, so that the loader refuses it. */
#include <heddle/backend.h>

HDL_API const hdl_backend *hdl_backend_v1(void);
const hdl_backend *hdl_nobody_has_this(void);

const hdl_backend *hdl_backend_v1(void) { return hdl_nobody_has_this(); }
