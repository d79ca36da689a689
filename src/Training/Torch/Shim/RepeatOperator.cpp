// Activation checkpointing (Chen et al., 2016): a layer is computed without a record of its inside, and once more, with one,
// when its gradient is wanted. Between the two only its inputs are kept.
#include "Nodes.h"
#include <torch/csrc/autograd/autograd.h>

using namespace tokenmill;

namespace {

struct RepeatNode : Node {
    at::Tensor x, delta;                // delta may be undefined
    tm_repeat repeat;
    tm_release release;
    void* owner;

    ~RepeatNode() override { release(owner); }

    variable_list apply(variable_list&& grads) override {
        check_interrupted();
        at::AutoGradMode record(true);
        at::Tensor from = x.detach(), added = delta.defined() ? delta.detach() : delta;
        from.requires_grad_(task_should_compute_output(0));
        if (added.defined()) added.requires_grad_(task_should_compute_output(1));
        tm_tensor sum = nullptr, out = nullptr;
        const int failed = repeat(owner, handle(from), added.defined() ? handle(added) : nullptr, &sum, &out);
        if (failed) throw std::runtime_error(last_error.empty() ? "a layer could not be computed again" : last_error);
        const std::unique_ptr<at::Tensor> sum_holder(&tensor(sum)), out_holder(&tensor(out));
        live_handles -= 2;

        variable_list roots, slopes;
        for (int i = 0; i < 2; i++) {
            const at::Tensor& root = i == 0 ? *sum_holder : *out_holder;
            if (!grads[i].defined() || !root.requires_grad()) continue;
            roots.push_back(root);
            slopes.push_back(grads[i]);
        }
        if (!roots.empty()) torch::autograd::backward(roots, slopes);
        return {from.grad(), added.defined() ? added.grad() : at::Tensor()};
    }

    void release_variables() override { x = delta = at::Tensor(); }
};

}

int tm_repeated(tm_tensor x_handle, tm_tensor delta_handle, tm_tensor sum_handle, tm_tensor out_handle, tm_repeat repeat, tm_release release, void* owner, tm_tensor* sum_out, tm_tensor* out_out) {
    return guarded([&] {
        const at::Tensor x = tensor(x_handle), delta = optional(delta_handle);
        auto node = new_node<RepeatNode>();             // also where no input has a gradient: parameters inside have
        node->repeat = repeat;
        node->release = release;
        node->owner = owner;
        node->set_next_edges(edges_to({x, delta}));
        node->x = x.detach();
        if (delta.defined()) node->delta = delta.detach();
        at::Tensor sum = tensor(sum_handle).detach(), out = tensor(out_handle).detach();
        attach(sum, node);
        attach(out, node);
        *sum_out = handle(sum);
        *out_out = handle(out);
    });
}
