// The output layer with its loss. Logits (tokens × vocabulary) are the largest thing in a small model: they exist only for a
// few rows at a time. The gradient is computed in the same pass, while the logits of those rows are at hand, and scaled later.
#include "Nodes.h"

using namespace tokenmill;

namespace {

constexpr int64_t RowsAtOnce = 128;

struct HeadLossNode : Node {
    at::Tensor grad_hidden, grad_master;

    variable_list apply(variable_list&& grads) override {
        const float factor = grads[0].item<float>();
        if (factor != 1) {
            grad_hidden.mul_(factor);
            if (grad_master.defined()) grad_master.mul_(factor);
        }
        return {std::move(grad_hidden), std::move(grad_master)};
    }

    void release_variables() override { grad_hidden = grad_master = at::Tensor(); }
};

}

int tm_head_loss(tm_tensor hidden_handle, tm_weight head_handle, tm_tensor master_handle, const int64_t* targets, float scale, tm_tensor* loss_out, double* row_losses, uint8_t* correct) {
    return guarded([&] {
        const at::Tensor input = tensor(hidden_handle), master = optional(master_handle);
        const Weight head = packed(head_handle);
        TORCH_CHECK(input.dim() == 2 && input.size(1) == head->inputs && format_of(input) == head->format, "the head takes (tokens, ", head->inputs, ") in its own format");
        const int64_t rows = input.size(0), vocabulary = head->outputs;
        for (int64_t i = 0; i < rows; i++) TORCH_CHECK(targets[i] >= 0 && targets[i] < vocabulary, "target ", targets[i], " is no token of ", vocabulary);
        auto node = make_node<HeadLossNode>({input, master});
        at::NoGradGuard no_grad;

        const at::Tensor hidden = plain(input);
        const Format format = head->format;
        const int64_t most = std::min(RowsAtOnce, rows);
        at::Tensor logits = empty({most, vocabulary}, at::kFloat), grad_logits, grad_hidden, grad_master;
        if (node) {
            grad_logits = empty({most, vocabulary}, format);
            grad_hidden = empty({rows, head->inputs}, format);
            if (master.defined() && master.requires_grad()) grad_master = at::zeros({vocabulary, head->inputs}, at::kFloat);
        }
        for (int64_t first = 0; first < rows; first += RowsAtOnce) {
            const int64_t count = std::min(RowsAtOnce, rows - first);
            const char* from = static_cast<const char*>(hidden.data_ptr()) + first * head->inputs * size_of(format);
            head->forward(from, count, logits.data_ptr(), Format::Float32, nullptr);
            const CrossEntropy work{vocabulary, scale, logits.data_ptr<float>(), targets + first, node ? grad_logits.data_ptr() : nullptr, row_losses + first, correct + first};
            divide(count, 8 * vocabulary, [&](int64_t begin, int64_t end) { kernels().cross_entropy[index_of(format)](work, begin, end); });
            if (!node) continue;
            head->backward(grad_logits.data_ptr(), count, static_cast<char*>(grad_hidden.data_ptr()) + first * head->inputs * size_of(format));
            if (grad_master.defined()) {
                const Matrix by_vocabulary{grad_logits.data_ptr(), format, vocabulary, count, 1, vocabulary}, by_row{from, format, count, head->inputs, head->inputs, 1};
                multiply(by_vocabulary, by_row, grad_master.data_ptr(), Format::Float32, head->inputs, first > 0);
            }
        }
        double total = 0;
        for (int64_t i = 0; i < rows; i++) total += row_losses[i];
        at::Tensor loss = at::full({}, total * scale, at::TensorOptions().dtype(at::kFloat));
        if (node) {
            node->grad_hidden = grad_hidden;
            node->grad_master = grad_master;
            attach(loss, node);
        }
        *loss_out = handle(loss);
    });
}

int tm_logits(tm_tensor hidden_handle, tm_weight head_handle, tm_tensor* out_out) {
    return guarded([&] {
        const at::Tensor hidden = plain(tensor(hidden_handle));
        const Weight head = packed(head_handle);
        TORCH_CHECK(hidden.dim() == 2 && hidden.size(1) == head->inputs && format_of(hidden) == head->format, "the head takes (tokens, ", head->inputs, ") in its own format");
        at::Tensor logits = empty({hidden.size(0), head->outputs}, at::kFloat);
        head->forward(hidden.data_ptr(), hidden.size(0), logits.data_ptr(), Format::Float32, nullptr);
        *out_out = handle(logits);
    });
}
