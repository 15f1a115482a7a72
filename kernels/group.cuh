/*
 * group.cuh - devices that hold copies of the same weights; the table's entries for them.
 */
#pragma once
#include "cuda_backend.cuh"

namespace hdl {

// group.cu
hdl_status  group_open(hdl_backend_device *const *devices, int32_t n, hdl_backend_group **);
void        group_close(hdl_backend_group *);
const char *group_way(const hdl_backend_group *);
hdl_status  group_broadcast(hdl_backend_group *, void *const *blocks, size_t bytes);
hdl_status  group_weight(hdl_backend_group *, const hdl_weight *, hdl_weight **copies);

int32_t             group_size(const hdl_backend_group *);
hdl_backend_device *group_member(const hdl_backend_group *, int32_t i);

// embed.cu
hdl_status group_embedding(hdl_backend_group *, const hdl_embedding *, hdl_embedding **copies);

}  // namespace hdl
