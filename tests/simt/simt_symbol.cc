// simt_symbol.cc - code addresses looked up with gcc's libbacktrace, each once.
//
// Look-ups run on a thread of their own: a fiber's stack is too small for reading debug information.
#include "simt_symbol.h"

#include <backtrace.h>
#include <cstring>
#include <cxxabi.h>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace simt {
namespace {

struct Place {
    std::string line, chain;
};

std::mutex lock;
backtrace_state *state = nullptr;
std::unordered_map<const void *, Place> places;         // never erased: references are given out
std::unordered_map<const void *, std::string> functions;

void ignore_error(void *, const char *, int) {}

const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Files in which a kernel's own call is only carried on: the stand-in's headers, the wrappers of raw
// instructions, the toolkit's and the compiler's.
bool carries_on(const char *path)
{
    const char *name = base_name(path);
    return strcmp(name, "cuda_runtime.h") == 0 || strncmp(name, "simt_", 5) == 0 ||
           strcmp(name, "ptx.cuh") == 0 || strstr(path, "/cuda") || strncmp(path, "/usr/", 5) == 0;
}

int add_frame(void *data, uintptr_t, const char *file, int line, const char *)
{
    if (!file) return 0;
    Place *place = static_cast<Place *>(data);
    const std::string text = std::string(base_name(file)) + ":" + std::to_string(line);
    place->chain += place->chain.empty() ? text : "|" + text;
    if (place->line.empty() && !carries_on(file)) place->line = text;
    return 0;
}

void keep_symbol(void *data, uintptr_t, const char *name, uintptr_t, uintptr_t)
{
    if (name) *static_cast<std::string *>(data) = name;
}

backtrace_state *ready_state()
{
    const int threaded = 1;
    if (!state) state = backtrace_create_state(nullptr, threaded, ignore_error, nullptr);
    return state;
}

template <class Look> void on_own_thread(Look look)
{
    std::thread(look).join();
}

const Place &place_of(const void *pc)
{
    const std::lock_guard<std::mutex> hold(lock);
    auto found = places.find(pc);
    if (found != places.end()) return found->second;

    Place place;
    on_own_thread([&] {
        // A return address is already behind the call.
        const uintptr_t call = reinterpret_cast<uintptr_t>(pc) - 1;
        backtrace_pcinfo(ready_state(), call, add_frame, ignore_error, &place);
    });
    if (place.line.empty()) place.line = place.chain.empty() ? "?" : place.chain;
    return places.emplace(pc, std::move(place)).first->second;
}

// "void hdl::(anonymous namespace)::norm<float, 4>(Args)" -> "norm<float, 4>".
std::string short_name(const std::string &full)
{
    size_t begin = 0, end = full.size();
    int depth = 0;
    for (size_t i = 0; i < full.size(); i++) {
        const char c = full[i];
        if (full.compare(i, 21, "(anonymous namespace)") == 0) {
            i += 20;
            continue;
        }
        if (c == '(' && depth == 0) {
            end = i;
            break;
        }
        depth += (c == '<') - (c == '>');
        if (depth == 0 && (c == ' ' || (c == ':' && i > 0 && full[i - 1] == ':'))) begin = i + 1;
    }
    if (begin >= end) return full;

    std::string name;
    for (size_t i = begin, nested = 0; i < end; i++) { // casts and scopes in template arguments
        nested += full[i] == '(';
        if (nested == 0) name += full[i];
        if (full[i] == ')') nested--;
    }
    return name;
}

std::string look_up_function(const void *function)
{
    std::string name;
    on_own_thread([&] {
        backtrace_syminfo(ready_state(), reinterpret_cast<uintptr_t>(function), keep_symbol, ignore_error,
                          &name);
    });
    if (name.empty()) {
        char hexadecimal[32];
        snprintf(hexadecimal, sizeof hexadecimal, "%p", function);
        return hexadecimal;
    }
    int status      = 0;
    char *demangled = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
    if (status == 0 && demangled) name = short_name(demangled);
    free(demangled);
    return name;
}

} // namespace

const std::string &source_line(const void *pc) { return place_of(pc).line; }
const std::string &source_chain(const void *pc) { return place_of(pc).chain; }

bool same_source_line(const void *pc1, const void *pc2)
{
    return pc1 == pc2 || source_chain(pc1) == source_chain(pc2);
}

const char *function_name(const void *function)
{
    const std::lock_guard<std::mutex> hold(lock);
    auto found = functions.find(function);
    if (found == functions.end())
        found = functions.emplace(function, look_up_function(function)).first;
    return found->second.c_str();
}

} // namespace simt
