/* no_symbol.c - a library that is no backend. */
#include <heddle/base.h>

HDL_API int hdl_unrelated(void);

int hdl_unrelated(void) { return 0; }
