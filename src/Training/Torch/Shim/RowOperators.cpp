// Operators that work row by row: norms and gated units.
#include "Nodes.h"
#include "Portable.h"

using namespace tokenmill;

namespace {

// Norms of trained models are far from this; a weight of zero would lose the stream's value.
bool has_zero(const at::Tensor& weight) { return weight.abs().min().item<float>() < 1e-30f; }

// Gradients to x, delta and weight from those of sum and out.
struct RmsNormNode : Node {
    at::Tensor sum, out, rstd, weight, inverse_weight;      // sum only where a weight is zero
    bool has_delta;

    variable_list apply(variable_list&& grads) override {
        const int64_t rows = out.size(0), width = out.size(1);
        const Format format = format_of(out);
        const at::Tensor grad_sum = has_delta && grads[0].defined() ? grads[0].contiguous() : at::Tensor();
        const at::Tensor& from_out = grads[has_delta ? 1 : 0];
        const at::Tensor grad_out = from_out.defined() ? from_out.contiguous() : at::zeros({rows, width}, scalar_type(format));
        at::Tensor grad_x = empty({rows, width}, at::kFloat);
        at::Tensor grad_delta = has_delta ? empty({rows, width}, format) : at::Tensor();
        RmsNormGradient work{width, floats(sum), out.data_ptr(), rstd.data_ptr<float>(), weight.data_ptr<float>(), inverse_weight.data_ptr<float>(), grad_out.data_ptr(), floats(grad_sum),
                             grad_x.data_ptr<float>(), has_delta ? grad_delta.data_ptr() : nullptr, nullptr};
        const auto kernel = kernels().rms_norm_gradient[index_of(format)];
        if (!task_should_compute_output(2)) {
            divide(rows, width, [&](int64_t begin, int64_t end) { kernel(work, begin, end); });
            return {grad_x, grad_delta, at::Tensor()};
        }
        at::Tensor grad_weight = sum_over_rows(rows, width, [&](int64_t begin, int64_t end, float* copy) {
            RmsNormGradient part = work;
            part.grad_weight = copy;
            kernel(part, begin, end);
        });
        return {grad_x, grad_delta, grad_weight};
    }

    void release_variables() override { sum = out = rstd = weight = inverse_weight = at::Tensor(); }
};

struct HeadNormNode : Node {
    at::Tensor qkv, query_weight, key_weight;
    int64_t heads, kv_heads;
    float epsilon;

    variable_list apply(variable_list&& grads) override {
        const at::Tensor grad_out = grads[0].contiguous();
        const int64_t rows = qkv.size(0), head_dim = query_weight.numel();
        at::Tensor grad = at::empty_like(qkv);
        const HeadNorm work{heads, kv_heads, head_dim, epsilon, qkv.data_ptr(), query_weight.data_ptr<float>(), key_weight.data_ptr<float>(), grad.data_ptr(), grad_out.data_ptr(), nullptr, nullptr};
        const auto kernel = kernels().head_norm_gradient[index_of(format_of(qkv))];
        at::Tensor grad_weights = sum_over_rows(rows, 2 * head_dim, [&](int64_t begin, int64_t end, float* copy) {
            HeadNorm part = work;
            part.grad_query_weight = copy;
            part.grad_key_weight = copy + head_dim;
            kernel(part, begin, end);
        });
        return {grad, grad_weights.slice(0, 0, head_dim).clone(), grad_weights.slice(0, head_dim).clone()};
    }

    void release_variables() override { qkv = query_weight = key_weight = at::Tensor(); }
};

at::Tensor gated_unit(const at::Tensor& gate_up, int32_t activation) {
    const int64_t width = gate_up.size(1) / 2;
    at::Tensor out = empty({gate_up.size(0), width}, format_of(gate_up));
    const GatedUnit work{width, gate_up.data_ptr(), out.data_ptr(), nullptr, nullptr};
    const auto kernel = (activation == 0 ? kernels().swiglu : kernels().geglu)[index_of(format_of(gate_up))];
    divide(gate_up.size(0), 8 * width, [&](int64_t begin, int64_t end) { kernel(work, begin, end); });
    return out;
}

struct GatedUnitNode : RepeatableNode {
    at::Tensor gate_up;
    int32_t activation;

    at::Tensor output() const override { return gated_unit(gate_up, activation); }

    variable_list apply(variable_list&& grads) override {
        const at::Tensor grad_out = grads[0].contiguous();
        at::Tensor grad = at::empty_like(gate_up);
        const int64_t width = gate_up.size(1) / 2;
        const GatedUnit work{width, gate_up.data_ptr(), nullptr, grad_out.data_ptr(), grad.data_ptr()};
        const auto kernel = (activation == 0 ? kernels().swiglu_gradient : kernels().geglu_gradient)[index_of(format_of(gate_up))];
        divide(gate_up.size(0), 8 * width, [&](int64_t begin, int64_t end) { kernel(work, begin, end); });
        return {grad};
    }

    void release_variables() override { gate_up = at::Tensor(); }
};

}

int tm_rms_norm(tm_tensor x_handle, tm_tensor delta_handle, tm_tensor weight_handle, float epsilon, int32_t dtype, tm_tensor* sum_out, tm_tensor* out_out) {
    return guarded([&] {
        const at::Tensor x = tensor(x_handle), delta = optional(delta_handle), weight = tensor(weight_handle);
        const Format format = delta.defined() ? format_of(delta) : dtype == TM_FLOAT32 ? Format::Float32 : Format::BFloat16;
        TORCH_CHECK(x.dim() == 2 && x.scalar_type() == at::kFloat && weight.numel() == x.size(1) && weight.scalar_type() == at::kFloat, "the norm's stream and weight are float32 of one width");
        TORCH_CHECK(!delta.defined() || delta.sizes() == x.sizes(), "the stream and what is added to it differ in shape");
        if (is_portable()) {
            const auto [sum, out] = portable::rms_norm(x, delta, weight, epsilon, scalar_type(format));
            if (delta.defined()) *sum_out = handle(sum);
            *out_out = handle(out);
            return;
        }
        auto node = make_node<RmsNormNode>({x, delta, weight});
        const at::Tensor from = plain(x), added = delta.defined() ? plain(delta) : delta, scale = plain(weight);
        const int64_t rows = x.size(0), width = x.size(1);
        at::Tensor sum = delta.defined() ? empty({rows, width}, at::kFloat) : from;
        at::Tensor out = empty({rows, width}, format), rstd = empty({rows}, at::kFloat);
        const RmsNorm work{width, epsilon, from.data_ptr<float>(), delta.defined() ? added.data_ptr() : nullptr, scale.data_ptr<float>(),
                           delta.defined() ? sum.data_ptr<float>() : nullptr, out.data_ptr(), rstd.data_ptr<float>()};
        divide(rows, width, [&](int64_t begin, int64_t end) { kernels().rms_norm[index_of(format)](work, begin, end); });
        if (node) {
            if (has_zero(scale)) node->sum = sum.detach();
            node->out = out.detach();
            node->rstd = rstd;
            node->weight = scale;
            node->inverse_weight = scale.reciprocal();
            node->has_delta = delta.defined();
            if (delta.defined()) { sum = sum.detach(); attach(sum, node); }
            attach(out, node);
        }
        if (delta.defined()) *sum_out = handle(sum);
        *out_out = handle(out);
    });
}

int tm_head_norm(tm_tensor qkv_handle, tm_tensor query_weight_handle, tm_tensor key_weight_handle, int64_t heads, int64_t kv_heads, float epsilon, tm_tensor* out_out) {
    return guarded([&] {
        const at::Tensor qkv = tensor(qkv_handle), query_weight = tensor(query_weight_handle), key_weight = tensor(key_weight_handle);
        TORCH_CHECK(qkv.dim() == 2 && qkv.size(1) == (heads + 2 * kv_heads) * query_weight.numel() && query_weight.numel() == key_weight.numel(), "heads and their norms differ in shape");
        if (is_portable()) {
            *out_out = handle(portable::head_norm(qkv, query_weight, key_weight, heads, kv_heads, epsilon));
            return;
        }
        auto node = make_node<HeadNormNode>({qkv, query_weight, key_weight});
        const at::Tensor from = plain(qkv), query_scale = plain(query_weight), key_scale = plain(key_weight);
        at::Tensor out = at::empty_like(from);
        const HeadNorm work{heads, kv_heads, query_weight.numel(), epsilon, from.data_ptr(), query_scale.data_ptr<float>(), key_scale.data_ptr<float>(), out.data_ptr(), nullptr, nullptr, nullptr};
        divide(from.size(0), from.size(1), [&](int64_t begin, int64_t end) { kernels().head_norm[index_of(format_of(from))](work, begin, end); });
        if (node) {
            node->qkv = from;
            node->query_weight = query_scale;
            node->key_weight = key_scale;
            node->heads = heads;
            node->kv_heads = kv_heads;
            node->epsilon = epsilon;
            attach(out, node);
        }
        *out_out = handle(out);
    });
}

int tm_gated_unit(tm_tensor gate_up_handle, int32_t activation, tm_tensor* out_out) {
    return guarded([&] {
        const at::Tensor gate_up = tensor(gate_up_handle);
        TORCH_CHECK(gate_up.dim() == 2 && gate_up.size(1) % 2 == 0, "gate and up lie side by side");
        if (is_portable()) {
            *out_out = handle(portable::gated_unit(gate_up, activation));
            return;
        }
        auto node = make_node<GatedUnitNode>({gate_up});
        const at::Tensor from = plain(gate_up);
        at::Tensor out = gated_unit(from, activation);
        if (node) {
            node->gate_up = from;
            node->activation = activation;
            attach(out, node);
        }
        *out_out = handle(out);
    });
}
