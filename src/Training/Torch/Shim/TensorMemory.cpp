// libtorch takes the memory of its CPU tensors from our pool.
#include <c10/core/CPUAllocator.h>
#include <torch/version.h>
#include "../../../Shared/Kernels/Memory.h"
#include "Shim.h"

namespace {

struct TensorMemory final : c10::Allocator {
#if TORCH_VERSION_MAJOR >= 2
    c10::DataPtr allocate(size_t bytes) override { return taken(bytes); }
    void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
#else
    c10::DataPtr allocate(size_t bytes) const override { return taken(bytes); }
#endif
    c10::DeleterFnPtr raw_deleter() const override { return &give; }

    static c10::DataPtr taken(size_t bytes) {
        void* block = bytes == 0 ? nullptr : tokenmill::take_memory(bytes);
        return {block, block, &give, c10::Device(c10::DeviceType::CPU)};
    }

    static void give(void* block) {
        if (block) tokenmill::give_memory(block);
    }
};

TensorMemory memory;
const bool installed = (c10::SetCPUAllocator(&memory, 1), true);

}

int64_t tm_peak_memory(int restart) { return static_cast<int64_t>(tokenmill::peak_memory(restart != 0)); }
