/* plugin.h - backends that live in libraries of their own: finding, checking, remembering them. */
#ifndef HEDDLE_HOST_PLUGIN_H
#define HEDDLE_HOST_PLUGIN_H

#include "base/status.h"

#include <heddle/backend.h>

/*
 * The table of "cuda" or "simt". The first success is remembered for the life of the process, whatever library_dir
 * a later caller names; a failure is not, so that a library may be put in place. Any thread. HDL_EBACKEND says
 * which of these it is: no library (the places tried), a library that the loader refuses (its words), one that is
 * no backend, one built for another ABI.
 */
hdl_status hdl__plugin_table(const char *name, const char *library_dir, const hdl_backend **table);

/* The work behind it, for any file name; nothing is remembered. A library that was opened is never closed, accepted
 * or not. */
hdl_status hdl__plugin_load(const char *name, const char *file, const char *library_dir, const hdl_backend **table);

/* Test hook: the table that "cuda" or "simt" gets from now on, as if its library had been loaded. NULL: look for the library again. */
void hdl__plugin_provide(const char *name, const hdl_backend *table);

#endif
