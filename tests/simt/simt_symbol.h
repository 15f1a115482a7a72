// simt_symbol.h - names for code addresses: the function, the source line, a kernel's own name.
#ifndef HEDDLE_SIMT_SYMBOL_H
#define HEDDLE_SIMT_SYMBOL_H

#include <string>

namespace simt {

// "file.cu:45" of the call that returns to `pc`: the innermost inlined frame that is not in the
// stand-in's own headers. "?" without debug information. Looked up once an address.
const std::string &source_line(const void *pc);

// The whole chain of inlined frames around that call, innermost first, "file:line" joined by '|'.
const std::string &source_chain(const void *pc);

// Whether two calls stand in the same source line, seen through every inlined frame: a compiler
// may have made two copies of one call.
bool same_source_line(const void *pc1, const void *pc2);

// The name of the function at `function`, without namespaces of the kernels and without parameters:
// "norm_residual<float>". An address in hexadecimal when it has no symbol.
const char *function_name(const void *function);

} // namespace simt

#endif
