// What the shim's files share: handles, errors as strings, division of rows among threads.
#pragma once
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include "Shim.h"
#include "../../../Shared/Kernels/StoredWeight.h"

namespace tokenmill {

extern std::atomic<int64_t> live_handles;
extern thread_local std::string last_error;
extern std::atomic<bool> interrupted;

// Forward and backward pass look here once a layer, so that a stop takes effect within a fraction of a second.
inline void check_interrupted() {
    if (interrupted) throw std::runtime_error("interrupted");
}

inline at::Tensor& tensor(tm_tensor handle) { return *reinterpret_cast<at::Tensor*>(handle); }
inline at::Tensor optional(tm_tensor handle) { return handle ? tensor(handle) : at::Tensor(); }
inline tm_tensor handle(at::Tensor value) {
    live_handles++;
    return reinterpret_cast<tm_tensor>(new at::Tensor(std::move(value)));
}

// Where tensors are made.
extern at::Device device;

// Whether libtorch's operators (Portable.h) stand in for our kernels, which run on the CPU only.
extern std::atomic<bool> replaces_kernels;
inline bool is_portable() { return replaces_kernels || !device.is_cpu(); }

namespace portable { class Weight; }

// A weight in either form: as our products take it, or as libtorch's do.
using Weight = std::shared_ptr<LinearWeight>;
struct AnyWeight {
    Weight own;
    std::shared_ptr<portable::Weight> portable;
};

inline AnyWeight& any_weight(tm_weight handle) { return *reinterpret_cast<AnyWeight*>(handle); }
inline const Weight& weight_of(tm_weight handle) {
    TORCH_CHECK(any_weight(handle).own, "the weight was made for another device");
    return any_weight(handle).own;
}
inline const std::shared_ptr<portable::Weight>& portable_weight(tm_weight handle) {
    TORCH_CHECK(any_weight(handle).portable, "the weight was made for another device");
    return any_weight(handle).portable;
}
inline tm_weight handle(AnyWeight value) {
    live_handles++;
    return reinterpret_cast<tm_weight>(new AnyWeight(std::move(value)));
}

// splitmix64, by which masks follow from seed and place.
inline uint64_t mix(uint64_t z) {
    z += 0x9E3779B97F4A7C15ull;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

inline at::ScalarType scalar_type(Format format) { return format == Format::Float32 ? at::kFloat : at::kBFloat16; }
inline Format format_of(const at::Tensor& t) {
    if (t.scalar_type() == at::kFloat) return Format::Float32;
    TORCH_CHECK(t.scalar_type() == at::kBFloat16, "activations are float32 or bfloat16, not ", t.scalar_type());
    return Format::BFloat16;
}
inline int index_of(Format format) { return static_cast<int>(format); }

// Calls work(begin, end) for pieces of `rows`, on as many threads as pay for `row_cost` elements a row.
template <class Work> void divide(int64_t rows, int64_t row_cost, const Work& work) {
    at::parallel_for(0, rows, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, row_cost)), work);
}

template <class Body> int guarded(Body body) {
    try {
        body();
        return 0;
    } catch (const c10::OutOfMemoryError& e) {
        last_error = std::string("out of memory: ") + e.what_without_backtrace();
    } catch (const c10::Error& e) {
        last_error = e.what_without_backtrace();
    } catch (const std::exception& e) {
        last_error = e.what();
    }
    return -1;
}

}
