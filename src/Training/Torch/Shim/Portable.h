// The fused operators over libtorch's own, for devices that our kernels do not run on: the same arithmetic in the same number
// formats, with gradients by autograd. They run on the CPU as well, where tests hold them against the references of our kernels.
#pragma once
#include <ATen/core/grad_mode.h>
#include "Handles.h"

namespace tokenmill::portable {

// The weight (outputs × inputs) of a linear layer.
class Weight {
public:
    Weight(int64_t outputs, int64_t inputs, at::ScalarType type) : outputs(outputs), inputs(inputs), type(type) {}
    virtual ~Weight() = default;

    // In `type`, on the device.
    virtual at::Tensor values() const = 0;

    const int64_t outputs, inputs;
    const at::ScalarType type;
};

using SharedWeight = std::shared_ptr<const Weight>;

// Whole on the device.
class ResidentWeight final : public Weight {
public:
    using Weight::Weight;
    at::Tensor values() const override { return values_; }

    // Room for the weight as fp32 in the machine's memory, to be filled by the caller; pack() takes it to the device and frees it.
    float* source();
    void pack();
    // From its fp32 master; again after each step where it is trained.
    void pack(const at::Tensor& master);

private:
    at::Tensor source_, values_;
};

// As small as its owner keeps it in the machine's memory; expanded there, and taken to the device, whenever it is used.
class StoredWeight final : public Weight {
public:
    StoredWeight(int64_t outputs, int64_t inputs, at::ScalarType type, tm_expand expand, void* owner) : Weight(outputs, inputs, type), expand_(expand), owner_(owner) {}
    at::Tensor values() const override;

private:
    const tm_expand expand_;
    void* const owner_;
};

std::pair<at::Tensor, at::Tensor> rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, float epsilon, at::ScalarType type);
at::Tensor head_norm(const at::Tensor& qkv, const at::Tensor& query_weight, const at::Tensor& key_weight, int64_t heads, int64_t kv_heads, float epsilon);
at::Tensor gated_unit(const at::Tensor& gate_up, int32_t activation);
at::Tensor linear(const at::Tensor& x, const SharedWeight& weight, const at::Tensor& master, const at::Tensor& bias, const tm_lora* adapters, int32_t count, double dropout, uint64_t seed);
at::Tensor attention(const at::Tensor& qkv, int64_t heads, int64_t kv_heads, const std::vector<int64_t>& starts, const tm_attention_options& options);
at::Tensor attention_cached(const at::Tensor& qkv, int64_t heads, int64_t kv_heads, at::Tensor& cache, int64_t past, const tm_attention_options& options);

// Losses (rows), to go backward from; the numbers go to the arrays.
at::Tensor head_loss(const at::Tensor& hidden, const SharedWeight& weight, const at::Tensor& master, const int64_t* targets, float smoothing, float softcap, double* losses, double* likelihoods, uint8_t* correct);
at::Tensor logits(const at::Tensor& hidden, const Weight& weight, float softcap);

// The factors are those of AdamW in Kernels.h, which says what it computes.
void adamw(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& mean, at::Tensor& square, const AdamW& factors);

// Whole numbers as a tensor on the device.
inline at::Tensor indices(const std::vector<int64_t>& values) {
    return at::from_blob(const_cast<int64_t*>(values.data()), {static_cast<int64_t>(values.size())}, at::kLong).to(device, at::kLong, false, true);
}

inline at::TensorOptions on_device(at::ScalarType type) { return at::TensorOptions().dtype(type).device(device); }

}
