// A factor for each output of a layer, and a bias: y[t][o] = x[t][o]·factor[o] + bias[o]. Factors and bias are fp32, and so is
// the product before it is rounded: a magnitude that has moved by a thousandth must not round back to where it was.
#include "Nodes.h"

using namespace tokenmill;

namespace {

struct ScaleOutputsNode : Node {
    at::Tensor x, factor;

    variable_list apply(variable_list&& grads) override {
        const at::Tensor dy = grads[0].to(at::kFloat);
        variable_list out(3);
        if (task_should_compute_output(0)) out[0] = (dy * factor).to(x.scalar_type());
        if (task_should_compute_output(1)) out[1] = (dy * x).sum(0);
        if (task_should_compute_output(2)) out[2] = dy.sum(0);
        return out;
    }

    void release_variables() override { x = factor = at::Tensor(); }
};

}

int tm_scale_outputs(tm_tensor x_handle, tm_tensor factor_handle, tm_tensor bias_handle, tm_tensor* out_out) {
    return guarded([&] {
        const at::Tensor input = tensor(x_handle), factors = tensor(factor_handle), bias = optional(bias_handle);
        TORCH_CHECK(input.dim() == 2 && factors.dim() == 1 && factors.size(0) == input.size(1) && factors.scalar_type() == at::kFloat, "one float32 factor for each output");
        auto node = make_node<ScaleOutputsNode>({input, factors, bias});
        at::NoGradGuard no_grad;
        const at::Tensor x = plain(input), factor = plain(factors);
        at::Tensor y = x.to(at::kFloat) * factor;
        if (bias.defined()) y.add_(bias);
        y = y.to(x.scalar_type());
        if (node) {
            node->x = x;
            node->factor = factor;
            attach(y, node);
        }
        *out_out = handle(y);
    });
}
