// simt_config.cc - the environment, read once; the stream of random numbers behind every choice of the host side.
#include "simt_config.h"
#include "simt_grid.h"
#include "simt_hooks.h"
#include <cstdlib>
#include <cstring>
#include <random>

namespace simt {
namespace {

constexpr std::size_t kDefaultMemory = std::size_t(2) << 30;
constexpr std::size_t kSmallestMemory = std::size_t(1) << 20;
constexpr std::size_t kLargestMemory = std::size_t(16) << 30; // the reservation is a multiple of it
constexpr int kDefaultMultiprocessors = 8; // few, so that persistent kernels stay quick; more than one, so that they share

std::mt19937_64 &generator()
{
    static std::mt19937_64 *const numbers = new std::mt19937_64(1);
    return *numbers;
}

std::uint64_t number(const char *name, std::uint64_t otherwise)
{
    const char *text = std::getenv(name);
    return text && *text ? std::strtoull(text, nullptr, 0) : otherwise;
}

bool says(const char *text, const char *word) { return text && std::strcmp(text, word) == 0; }

// Work delayed to the last moment finds most, so every other seed does that.
StreamPolicy stream_policy(const char *text, std::uint64_t seed)
{
    if (says(text, "lazy")) return StreamPolicy::lazy;
    if (says(text, "random")) return StreamPolicy::random;
    if (says(text, "eager")) return StreamPolicy::eager;
    return seed % 2 ? StreamPolicy::lazy : StreamPolicy::random;
}

std::size_t clamp(std::size_t value, std::size_t low, std::size_t high)
{
    return value < low ? low : value > high ? high : value;
}

Config read_environment()
{
    Config c{};
    c.seed = number("SIMT_SEED", 1);
    c.devices = int(clamp(std::size_t(number("SIMT_DEVICES", 1)), 0, kMaxDevices));
    c.driver = !says(std::getenv("SIMT_DRIVER"), "none");
    c.memory_bytes = clamp(std::size_t(number("SIMT_MEMORY", kDefaultMemory)), kSmallestMemory, kLargestMemory);
    c.multiprocessors = int(clamp(std::size_t(number("SIMT_SMS", kDefaultMultiprocessors)), 1, 1024));
    c.shared_bytes = kMaxSharedBytes;
    c.streams = stream_policy(std::getenv("SIMT_STREAMS"), c.seed);
    const char *pageable = std::getenv("SIMT_PAGEABLE");
    c.pageable = says(pageable, "staged") ? PageablePolicy::staged
                 : says(pageable, "late") ? PageablePolicy::late
                                          : PageablePolicy::drawn;
    generator().seed(c.seed);
    return c;
}

} // namespace

Config &config()
{
    static Config c = read_environment();
    return c;
}

std::uint32_t draw(std::uint32_t n)
{
    config();
    return std::uint32_t(generator()() % n);
}

} // namespace simt

extern "C" void simt_set_devices(int count)
{
    simt::config().driver = count >= 0;
    simt::config().devices = count < 0 ? 0 : count > simt::kMaxDevices ? simt::kMaxDevices : count;
}

extern "C" void simt_set_shared_limit(size_t bytes)
{
    simt::config().shared_bytes = bytes == 0 || bytes > simt::kMaxSharedBytes ? simt::kMaxSharedBytes : bytes;
}

extern "C" void simt_set_streams(uint64_t seed, const char *policy)
{
    simt::config().seed = seed;
    simt::config().streams = simt::stream_policy(policy, seed);
    simt::generator().seed(seed);
}
