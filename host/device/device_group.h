/*
 * device_group.h - devices of one backend that hold the same weights: what is packed on the first is copied to the others.
 */
#ifndef HEDDLE_HOST_DEVICE_GROUP_H
#define HEDDLE_HOST_DEVICE_GROUP_H

#include "device/device_state.h"

typedef struct hdl__group hdl__group;

/* 2 to HDL_MOST_REPLICAS open devices, each once; they outlive the group. HDL_ENOSUPPORT: the backend has no copies, or the devices are unlike. */
hdl_status  hdl__group_open(hdl_device *const *devices, int32_t n, hdl__group **out);
void        hdl__group_close(hdl__group *group);        /* NULL is fine */
/* How it copies, in words; lives as long as the group. */
const char *hdl__group_way(const hdl__group *group);

/*
 * to[i], i from 1, becomes a copy on device i of what lies on device 0; they are to be closed or freed there. On failure nothing stays, and the
 * line says on which device memory was out.
 */
hdl_status hdl__group_weight(hdl__group *group, const hdl_weight *from, hdl_weight **to);
hdl_status hdl__group_embedding(hdl__group *group, const hdl_embedding *from, hdl_embedding **to);
hdl_status hdl__group_block(hdl__group *group, void *from, size_t bytes, void **to);

#endif
