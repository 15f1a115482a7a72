/* cpu_table.h - the one name by which the runtime reaches the backend that is linked in. */
#ifndef HEDDLE_HOST_CPU_TABLE_H
#define HEDDLE_HOST_CPU_TABLE_H

#include <heddle/backend.h>

/* The CPU backend's table. Static, never NULL. */
const hdl_backend *hdl__cpu_backend(void);

#endif
