/* mapped_file.h - a file's bytes, mapped read-only (regular files) or read whole (pipes and devices). */
#ifndef HEDDLE_HOST_MAPPED_FILE_H
#define HEDDLE_HOST_MAPPED_FILE_H

#include "base/status.h"

typedef struct hdl__file {
    const uint8_t *data;   /* NULL when empty */
    size_t         n;      /* bytes */
    int            mapped; /* 1: munmap on close; 0: heap or borrowed */
    int            owned;
} hdl__file;

/* HDL_EIO naming the path and the reason: missing, a directory, unreadable, empty is allowed. */
hdl_status hdl__file_open(const char *path, hdl__file *out);
/* Tells the kernel that pages [offset, offset + bytes) will not be needed soon (after packing). */
void hdl__file_release(const hdl__file *file, size_t offset, size_t bytes);
void hdl__file_close(hdl__file *file);    /* a zeroed one is fine */

#endif
