// The device that tensors are made on. CUDA is reached through libtorch's device-neutral interface alone: the binding compiles
// without CUDA's headers, and takes part of whatever the libtorch it is loaded with can do.
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/version.h>
#include "Handles.h"

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 9)
#include <c10/core/CachingDeviceAllocator.h>
#define TOKENMILL_MEASURES_DEVICE
#endif

namespace tokenmill {
at::Device device(at::kCPU);
}

using namespace tokenmill;

int tm_gpus(int32_t* supported, int32_t* count) {
    return guarded([&] {
        *supported = c10::impl::hasDeviceGuardImpl(at::kCUDA);
        *count = *supported ? c10::impl::getDeviceGuardImpl(at::kCUDA)->deviceCount() : 0;
    });
}

int tm_use_device(int32_t gpu) {
    return guarded([&] { device = gpu < 0 ? at::Device(at::kCPU) : at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(gpu)); });
}

int64_t tm_peak_device_memory() {
#ifdef TOKENMILL_MEASURES_DEVICE
    if (auto* allocator = device.is_cpu() ? nullptr : dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(device.type())))
        return allocator->getDeviceStats(device.index()).reserved_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)].peak;
#endif
    return -1;
}
