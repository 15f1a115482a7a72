// simt_launch.h - launching a kernel, and the templates of the runtime's C++ header.
#ifndef HEDDLE_SIMT_LAUNCH_H
#define HEDDLE_SIMT_LAUNCH_H

#include "../simt_stream.h"

namespace simt {

// The arguments as the device would get them, byte for byte.
template <class... T> ArgumentImage argument_image(const std::tuple<T...> &values)
{
    ArgumentImage image;
    std::apply(
        [&](const T &...value) {
            (
                [&] {
                    static_assert(std::is_trivially_copyable_v<T>, "a kernel's argument is copied as bytes");
                    const size_t align = alignof(T), end = image.bytes.size();
                    const size_t at = (end + align - 1) / align * align;
                    image.bytes.resize(at + sizeof(T));
                    std::memcpy(image.bytes.data() + at, &value, sizeof(T));
                    image.parts.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(sizeof(T))});
                }(),
                ...);
        },
        values);
    return image;
}

} // namespace simt

template <class... Want, class... Give>
inline cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(Want...),
                                      Give &&...arguments)
{
    const std::tuple<std::decay_t<Want>...> values(std::forward<Give>(arguments)...);
    return simt::enqueue_launch(
        *config, nullptr, reinterpret_cast<const void *>(kernel),
        [kernel, values] { std::apply(kernel, values); }, simt::argument_image(values));
}

template <class T> inline cudaError_t cudaMalloc(T **pointer, size_t bytes)
{
    return ::cudaMalloc(reinterpret_cast<void **>(pointer), bytes);
}

template <class T>
inline cudaError_t cudaMallocHost(T **pointer, size_t bytes, unsigned flags = cudaHostAllocDefault)
{
    return ::cudaHostAlloc(reinterpret_cast<void **>(pointer), bytes, flags);
}

template <class T> inline cudaError_t cudaHostAlloc(T **pointer, size_t bytes, unsigned flags)
{
    return ::cudaHostAlloc(reinterpret_cast<void **>(pointer), bytes, flags);
}

template <class T> inline cudaError_t cudaMallocAsync(T **pointer, size_t bytes, cudaStream_t stream)
{
    return ::cudaMallocAsync(reinterpret_cast<void **>(pointer), bytes, stream);
}

inline cudaError_t cudaEventCreate(cudaEvent_t *event, unsigned flags)
{
    return ::cudaEventCreateWithFlags(event, flags);
}

template <class... T>
inline cudaError_t cudaFuncSetAttribute(void (*kernel)(T...), cudaFuncAttribute attribute, int value)
{
    return ::cudaFuncSetAttribute(reinterpret_cast<const void *>(kernel), attribute, value);
}

template <class... T>
inline cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, void (*kernel)(T...))
{
    return ::cudaFuncGetAttributes(attributes, reinterpret_cast<const void *>(kernel));
}

template <class... T>
inline cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, void (*kernel)(T...),
                                                                 int threads, size_t smem_bytes)
{
    return ::cudaOccupancyMaxActiveBlocksPerMultiprocessor(
        blocks, reinterpret_cast<const void *>(kernel), threads, smem_bytes);
}

#endif
