// A linear layer over a packed weight with low-rank adapters on parts of its output:
// y = x·Wᵀ + bias;  y[:, part] += scale·(drop(x)·Aᵀ)·Bᵀ.
// What adapters add is small at first, often below the last digit of y in bfloat16: it is put down before the product with the
// weight is added to it, so that the sum is rounded once. So is their part of the gradient to x.
// The A of all parts lie below each other, so that one product serves q, k and v (gate and up). A and B are fp32 parameters;
// their products run in the activations' format and give fp32 gradients.
#include "Nodes.h"
#include "Portable.h"

using namespace tokenmill;

namespace {

struct Part {
    int64_t first, rows, rank, rank_offset;
    float scale;
    at::Tensor b;                   // (rows, rank) · scale, in the activations' format
};

Matrix matrix(const at::Tensor& t) { return {t.data_ptr(), format_of(t), t.size(0), t.size(1), t.stride(0), t.stride(1)}; }
Matrix columns(const Matrix& m, int64_t first, int64_t count) {
    return {static_cast<const char*>(m.data) + first * m.column * size_of(m.format), m.format, m.rows, count, m.row, m.column};
}
Matrix transposed(const Matrix& m) { return {m.data, m.format, m.columns, m.rows, m.column, m.row}; }
void* at_column(at::Tensor& t, int64_t column) { return static_cast<char*>(t.data_ptr()) + column * t.element_size(); }

at::Tensor converted(const at::Tensor& parameter, Format format, float scale) {
    const at::Tensor from = plain(parameter);
    TORCH_CHECK(from.scalar_type() == at::kFloat, "adapters are float32");
    if (format == Format::Float32) return scale == 1 ? from : from * scale;
    at::Tensor to = empty(from.sizes(), format);
    kernels().to_bfloat16(from.data_ptr<float>(), static_cast<bfloat16*>(to.data_ptr()), 0, from.numel(), scale);
    return to;
}

// The mask of an element follows from seed and place alone, so that the gradient makes the same one again.
at::Tensor dropped(const at::Tensor& x, double probability, uint64_t seed) {
    at::Tensor mask = empty(x.sizes(), at::kFloat);
    float* values = mask.data_ptr<float>();
    const uint64_t threshold = static_cast<uint64_t>(probability * 18446744073709551616.0);
    const float kept = static_cast<float>(1 / (1 - probability));
    at::parallel_for(0, mask.numel(), 1 << 14, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) values[i] = mix(seed + i) < threshold ? 0.0f : kept;
    });
    return x * mask.to(x.scalar_type());
}

struct LinearNode : Node {
    at::Tensor x, a, u;             // (T, inputs), (R, inputs), (T, R)
    const RepeatableNode* source = nullptr;     // gives x again where x is not kept; alive as long as this node, which points to it
    std::vector<Part> parts;
    Weight weight;
    double dropout;
    uint64_t seed;

    // Gradients to x, master, bias and each part's A and B.
    variable_list apply(variable_list&& grads) override {
        check_interrupted();
        at::Tensor dy = grads[0].contiguous();
        if (source) x = source->output();
        const int64_t tokens = x.size(0);
        const Format format = weight->format;
        variable_list out(3 + 2 * parts.size());

        at::Tensor dx;
        if (task_should_compute_output(0)) dx = empty({tokens, weight->inputs}, format);
        if (task_should_compute_output(1)) {
            out[1] = empty({weight->outputs, weight->inputs}, at::kFloat);
            multiply(transposed(matrix(dy)), matrix(x), out[1].data_ptr(), Format::Float32, weight->inputs, false);
        }
        if (task_should_compute_output(2)) out[2] = dy.sum(0, false, at::kFloat);

        if (!parts.empty()) {
            at::Tensor du = empty(u.sizes(), format);
            for (size_t p = 0; p < parts.size(); p++) {
                const Part& part = parts[p];
                const Matrix dy_part = columns(matrix(dy), part.first, part.rows);
                multiply(dy_part, matrix(part.b), at_column(du, part.rank_offset), format, du.size(1), false);
                at::Tensor db = empty({part.rows, part.rank}, at::kFloat);
                multiply(transposed(dy_part), columns(matrix(u), part.rank_offset, part.rank), db.data_ptr(), Format::Float32, part.rank, false);
                out[4 + 2 * p] = db.mul_(part.scale);
            }
            if (dropout == 0) {
                at::Tensor da = empty(a.sizes(), at::kFloat);
                multiply(transposed(matrix(du)), matrix(x), da.data_ptr(), Format::Float32, weight->inputs, false);
                for (size_t p = 0; p < parts.size(); p++) out[3 + 2 * p] = da.narrow(0, parts[p].rank_offset, parts[p].rank);
                if (dx.defined()) multiply(matrix(du), matrix(a), dx.data_ptr(), format, weight->inputs, false);
            } else {
                if (dx.defined()) dx.zero_();
                for (size_t p = 0; p < parts.size(); p++) {
                    const Part& part = parts[p];
                    const Matrix du_part = columns(matrix(du), part.rank_offset, part.rank);
                    at::Tensor da = empty({part.rank, weight->inputs}, at::kFloat);
                    multiply(transposed(du_part), matrix(dropped(x, dropout, mix(seed + p))), da.data_ptr(), Format::Float32, weight->inputs, false);
                    out[3 + 2 * p] = da;
                    if (!dx.defined()) continue;
                    at::Tensor through = empty({tokens, weight->inputs}, format);
                    multiply(du_part, matrix(a.narrow(0, part.rank_offset, part.rank)), through.data_ptr(), format, weight->inputs, false);
                    dx.add_(dropped(through, dropout, mix(seed + p)));
                }
            }
        }
        if (dx.defined()) weight->backward(dy.data_ptr(), tokens, dx.data_ptr(), !parts.empty());
        out[0] = dx;
        return out;
    }

    void release_variables() override {
        x = a = u = at::Tensor();
        parts.clear();
        weight = nullptr;
    }
};

}

int tm_linear(tm_tensor x_handle, tm_weight weight_handle, tm_tensor master_handle, tm_tensor bias_handle, const tm_lora* adapters, int32_t count, float dropout, uint64_t seed, tm_tensor* out_out) {
    return guarded([&] {
        check_interrupted();
        const at::Tensor input = tensor(x_handle), master = optional(master_handle), bias = optional(bias_handle);
        if (is_portable()) {
            *out_out = handle(portable::linear(input, portable_weight(weight_handle), master, bias, adapters, count, dropout, seed));
            return;
        }
        const Weight weight = weight_of(weight_handle);
        TORCH_CHECK(input.dim() == 2 && input.size(1) == weight->inputs && format_of(input) == weight->format, "the layer takes (tokens, ", weight->inputs, ") in its own format");
        std::vector<at::Tensor> inputs{input, master, bias};
        for (int32_t i = 0; i < count; i++) { inputs.push_back(tensor(adapters[i].a)); inputs.push_back(tensor(adapters[i].b)); }
        auto node = make_node<LinearNode>(inputs);
        at::NoGradGuard no_grad;

        const at::Tensor x = plain(input);
        const int64_t tokens = x.size(0);
        at::Tensor y = empty({tokens, weight->outputs}, weight->format);

        std::vector<Part> parts;
        std::vector<at::Tensor> all_a;
        int64_t ranks = 0, adapted = 0;
        for (int32_t i = 0; i < count; i++) {
            const at::Tensor a = tensor(adapters[i].a), b = tensor(adapters[i].b);
            TORCH_CHECK(a.dim() == 2 && b.dim() == 2 && a.size(1) == weight->inputs && b.size(0) == adapters[i].rows && a.size(0) == b.size(1), "an adapter does not fit its layer");
            parts.push_back({adapters[i].first, adapters[i].rows, a.size(0), ranks, adapters[i].scale, converted(b, weight->format, adapters[i].scale)});
            all_a.push_back(converted(a, weight->format, 1));
            ranks += a.size(0);
            adapted += adapters[i].rows;
        }
        at::Tensor a, u;
        if (count > 0) {
            a = count == 1 ? all_a[0] : at::cat(all_a);
            u = empty({tokens, ranks}, weight->format);
            if (adapted < weight->outputs) y.zero_();
            if (dropout == 0) multiply(matrix(x), transposed(matrix(a)), u.data_ptr(), weight->format, ranks, false);
            for (size_t p = 0; p < parts.size(); p++) {
                const Part& part = parts[p];
                if (dropout != 0)
                    multiply(matrix(dropped(x, dropout, mix(seed + p))), transposed(matrix(a.narrow(0, part.rank_offset, part.rank))), at_column(u, part.rank_offset), weight->format, ranks, false);
                multiply(columns(matrix(u), part.rank_offset, part.rank), transposed(matrix(part.b)), at_column(y, part.first), weight->format, weight->outputs, false);
            }
        }
        weight->forward(x.data_ptr(), tokens, y.data_ptr(), weight->format, floats(bias), count > 0);
        if (node) {
            node->source = dynamic_cast<const RepeatableNode*>(input.grad_fn().get());
            if (!node->source) node->x = x;
            node->a = a;
            node->u = u;
            node->parts = std::move(parts);
            node->weight = weight;
            node->dropout = dropout;
            node->seed = seed;
            attach(y, node);
        }
        *out_out = handle(y);
    });
}
