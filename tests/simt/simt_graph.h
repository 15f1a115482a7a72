// simt_graph.h - handles of graphs, and their replay.
#pragma once
#include "simt_capture.h"

namespace simt {

cudaGraph_t adopt_graph(std::unique_ptr<Graph> graph);
cudaError_t drop_graph(cudaGraph_t handle);
cudaError_t count_nodes(cudaGraph_t handle, std::size_t *count);
cudaError_t instantiate_graph(cudaGraph_t handle, int device, cudaGraphExec_t *exec);
cudaError_t drop_exec(cudaGraphExec_t handle);
bool is_exec(cudaGraphExec_t handle);
cudaError_t launch_exec(cudaGraphExec_t handle, Stream *stream);

} // namespace simt
