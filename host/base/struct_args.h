/*
 * struct_args.h - structs of callers that were built against an older or a newer header than this library.
 *
 * A public struct of options, arguments or answers begins with struct_bytes, which its _INIT macro sets to the size that
 * the caller knows, and only ever grows at its end, by whole words of 8 bytes, so that no padding ends it. What a
 * shorter struct lacks has its _INIT value; what a longer one holds beyond ours must be 0, which means the default of
 * whatever it is.
 */
#ifndef HEDDLE_HOST_STRUCT_ARGS_H
#define HEDDLE_HOST_STRUCT_ARGS_H

#include "base/status.h"

/*
 * A struct that the library reads: `given` itself where it has the `bytes` that we know; else `whole`, which has become
 * what the caller gave over `defaults`, the type's _INIT. NULL, with words for HDL_EINVAL: no args, a size that no header
 * has set, a part that we do not know.
 */
const void *hdl__struct_read(const char *what, const void *given, const void *defaults, void *whole, size_t bytes);

/* A struct that the library fills: checks its size, before anything is done. */
hdl_status hdl__struct_room(const char *what, const void *given);
/* Fills what both sides know; struct_bytes, and what we do not know, stay as they are. */
void hdl__struct_write(void *given, const void *found, size_t bytes);

#endif
