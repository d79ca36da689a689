// Norms and gated units; see Portable.h. Norms are computed in fp32 and rounded once.
#include "Portable.h"

namespace tokenmill::portable {

static at::Tensor normed(const at::Tensor& x, const at::Tensor& weight, float epsilon) {
    return x * x.square().mean(-1, true).add(epsilon).rsqrt() * weight;
}

std::pair<at::Tensor, at::Tensor> rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& weight, float epsilon, at::ScalarType type) {
    const at::Tensor sum = delta.defined() ? x + delta.to(at::kFloat) : x;
    return {sum, normed(sum, weight, epsilon).to(type)};
}

at::Tensor head_norm(const at::Tensor& qkv, const at::Tensor& query_weight, const at::Tensor& key_weight, int64_t heads, int64_t kv_heads, float epsilon) {
    const at::Tensor by_head = qkv.reshape({qkv.size(0), heads + 2 * kv_heads, -1});        // (T, all heads, headDim)
    const at::Tensor query = normed(by_head.narrow(1, 0, heads).to(at::kFloat), query_weight, epsilon).to(qkv.scalar_type());
    const at::Tensor key = normed(by_head.narrow(1, heads, kv_heads).to(at::kFloat), key_weight, epsilon).to(qkv.scalar_type());
    return at::cat({query, key, by_head.narrow(1, heads + kv_heads, kv_heads)}, 1).reshape(qkv.sizes());
}

at::Tensor gated_unit(const at::Tensor& gate_up, int32_t activation) {
    const int64_t width = gate_up.size(1) / 2;
    const at::Tensor gate = gate_up.narrow(1, 0, width), up = gate_up.narrow(1, width, width);
    return (activation == 0 ? at::silu(gate) : at::gelu(gate, "tanh")) * up;
}

}
