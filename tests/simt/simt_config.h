// simt_config.h - what the environment says about the devices that the stand-in plays.
#pragma once
#include <cstddef>
#include <cstdint>

namespace simt {

constexpr int kMaxDevices = 4; // more than one, so that replicas can be tested

enum class StreamPolicy { lazy, random, eager };   // when queued work runs
enum class PageablePolicy { staged, late, drawn }; // when an asynchronous copy touches pageable memory

struct Config {
    int devices;               // 0: none
    bool driver;               // false: every call answers "no driver"
    std::size_t memory_bytes;  // of each device
    int multiprocessors;
    std::size_t shared_bytes;  // that a block may ask for
    std::uint64_t seed;
    StreamPolicy streams;
    PageablePolicy pageable;
};

// Read from the environment at the first call; simt_set_devices and simt_set_streams change it.
Config &config();

// Numbers from the seed: below `n`, which is at least 1.
std::uint32_t draw(std::uint32_t n);

} // namespace simt
