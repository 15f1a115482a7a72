/*
 * device_names.h - names of devices: one, as hdl_device_open takes it, or several of one kind, as a translator does.
 */
#ifndef HEDDLE_HOST_DEVICE_NAMES_H
#define HEDDLE_HOST_DEVICE_NAMES_H

#include "base/status.h"

#include <heddle/backend.h>

#define HDL__DEVICE_NAMES "cpu, cuda, cuda:N, simt, simt:N, auto (a translator also takes cuda:0,1 and cuda:all)"

/* Ranges; device_open.c. */
hdl_status hdl__device_options_check(const hdl_device_options *options);

/* One name taken apart. "auto" is none: what it stands for is known when it has been opened. */
typedef struct hdl__device_name {
    const char *kind;           /* "cpu", "cuda" or "simt"; static */
    int         index;
} hdl__device_name;

typedef struct hdl__device_set {
    int32_t n;                  /* 1 to HDL_MOST_REPLICAS */
    char    names[HDL_MOST_REPLICAS][HDL_DEVICE_NAME_BYTES];    /* each as hdl_device_open takes it; several: "cuda:0" and the like */
} hdl__device_set;

/* "cuda:1" -> cuda, 1; "simt" -> simt, 0. HDL_EINVAL: unknown, a number out of range, several devices. */
hdl_status hdl__device_name_read(const char *name, hdl__device_name *out);

/*
 * What hdl_translator_options.device holds: one name, "cuda:0,1", "cuda:0,cuda:1" or "cuda:all", which opens all that
 * there are and keeps those that work. `options` have the size that we know, or are NULL.
 * HDL_EINVAL names what is wrong; whether a device is there shows when it is opened.
 */
hdl_status hdl__device_set_read(const char *list, const hdl_device_options *options, hdl__device_set *out);

#endif
