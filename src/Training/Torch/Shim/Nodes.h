// What the fused operators' gradients share. Each operator computes its output with our kernels and, where a gradient is
// wanted, hangs a node into autograd's graph. A node keeps inputs or what it made for itself, never its own output: no cycles.
#pragma once
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/variable.h>
#include <ATen/core/grad_mode.h>
#include <torch/version.h>
#include "Handles.h"

namespace tokenmill {

using torch::autograd::Node;
using torch::autograd::variable_list;

inline bool wants_gradient(const std::vector<at::Tensor>& inputs) {
    if (!at::GradMode::is_enabled()) return false;
    for (const auto& input : inputs) if (input.defined() && input.requires_grad()) return true;
    return false;
}

// libtorch 2 counts references to nodes inside them, libtorch 1 beside them.
#if TORCH_VERSION_MAJOR >= 2
template <class N> using Owner = c10::intrusive_ptr<N>;
template <class N> Owner<N> new_node() { return c10::make_intrusive<N>(); }
#else
template <class N> using Owner = std::shared_ptr<N>;
template <class N> Owner<N> new_node() { return Owner<N>(new N(), torch::autograd::deleteNode); }
#endif

inline torch::autograd::edge_list edges_to(const std::vector<at::Tensor>& inputs) {
    torch::autograd::edge_list edges;
    for (const auto& input : inputs)
        edges.push_back(input.defined() && input.requires_grad() ? torch::autograd::impl::gradient_edge(input) : torch::autograd::Edge());
    return edges;
}

// A node whose gradients go to `inputs` in this order (undefined ones are places without a gradient), or null.
template <class N> Owner<N> make_node(const std::vector<at::Tensor>& inputs) {
    if (!wants_gradient(inputs)) return Owner<N>();
    auto node = new_node<N>();
    node->set_next_edges(edges_to(inputs));
    return node;
}

template <class N> void attach(at::Tensor& output, const Owner<N>& node) {
    if (!node) return;
    const auto number = node->add_input_metadata(output);
    torch::autograd::impl::set_gradient_edge(output, torch::autograd::Edge(node, static_cast<uint32_t>(number)));
}

// A cheap operator whose output a later node needs again: it is computed a second time instead of kept.
struct RepeatableNode : Node {
    virtual at::Tensor output() const = 0;
};

inline at::Tensor empty(at::IntArrayRef shape, at::ScalarType type) { return at::empty(shape, at::TensorOptions().dtype(type)); }
inline at::Tensor empty(at::IntArrayRef shape, Format format) { return empty(shape, scalar_type(format)); }
inline at::Tensor plain(const at::Tensor& t) { return t.detach().contiguous(); }
inline const float* floats(const at::Tensor& t) { return t.defined() ? t.data_ptr<float>() : nullptr; }

// Sums gradients of a weight of `width` over rows: each thread into its own copy. work(begin, end, copy).
template <class Work> at::Tensor sum_over_rows(int64_t rows, int64_t width, const Work& work) {
    const int64_t pieces = std::max<int64_t>(1, std::min<int64_t>(at::get_num_threads(), rows));
    at::Tensor copies = at::zeros({pieces, width}, at::kFloat);
    at::parallel_for(0, pieces, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) work(rows * i / pieces, rows * (i + 1) / pieces, copies.data_ptr<float>() + i * width);
    });
    return copies.sum(0);
}

}
