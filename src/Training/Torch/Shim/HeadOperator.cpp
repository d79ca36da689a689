// The output layer with its loss, one loss a row. Logits (rows × vocabulary) are the largest thing in a small model: they
// exist only for a few rows at a time. A frozen head's gradient is computed in the same pass, while the logits of those rows
// are at hand, for a factor of 1 a row: the real factors are known when the gradient arrives, and hidden's is linear in them.
// A trained head's own gradient sums over rows, so its logits are computed again then.
#include "Nodes.h"
#include "Portable.h"

using namespace tokenmill;

namespace {

constexpr int64_t RowsAtOnce = 128;
constexpr int64_t ExpandedLogitBytes = 192 << 20;       // a stored head is expanded for every piece: few large ones then

// Logits become softcap·tanh(logit/softcap), in place (Gemma 2).
void cap(at::Tensor& logits, float softcap) { logits.div_(softcap).tanh_().mul_(softcap); }

struct Head {
    at::Tensor hidden;              // (rows, inputs)
    Weight weight;
    std::vector<int64_t> targets;
    float smoothing, softcap;       // softcap 0: none

    // Logits and losses in pieces; use(first, count, grad_logits) after each where a gradient is wanted.
    template <class Use> void run(const float* scale, double* losses, double* likelihoods, uint8_t* correct, bool gradient, const Use& use) const {
        const int64_t rows = hidden.size(0), vocabulary = weight->outputs;
        const Format format = weight->format;
        const int64_t at_once = weight->expands() ? std::max(RowsAtOnce, ExpandedLogitBytes / (vocabulary * (4 + size_of(format)))) : RowsAtOnce, most = std::min(at_once, rows);
        at::Tensor logits = empty({most, vocabulary}, at::kFloat), grad_logits;
        if (gradient) grad_logits = empty({most, vocabulary}, format);
        for (int64_t first = 0; first < rows; first += at_once) {
            check_interrupted();
            const int64_t count = std::min(at_once, rows - first);
            weight->forward(rows_from(first), count, logits.data_ptr(), Format::Float32, nullptr, false);
            at::Tensor of_rows = logits.narrow(0, 0, count);
            if (softcap > 0) cap(of_rows, softcap);
            const CrossEntropy work{vocabulary, smoothing, scale ? scale + first : nullptr, logits.data_ptr<float>(), targets.data() + first,
                gradient ? grad_logits.data_ptr() : nullptr, losses + first, likelihoods + first, correct + first};
            divide(count, 8 * vocabulary, [&](int64_t begin, int64_t end) { kernels().cross_entropy[index_of(format)](work, begin, end); });
            if (gradient && softcap > 0) grad_logits.narrow(0, 0, count).mul_(1 - (of_rows / softcap).square());
            if (gradient) use(first, count, grad_logits.data_ptr());
        }
    }

    const char* rows_from(int64_t first) const { return static_cast<const char*>(hidden.data_ptr()) + first * weight->inputs * size_of(weight->format); }
};

void backward_rows(const Head& head, const void* grad_logits, int64_t first, int64_t count, at::Tensor& grad_hidden) {
    head.weight->backward(grad_logits, count, static_cast<char*>(grad_hidden.data_ptr()) + first * head.weight->inputs * size_of(head.weight->format), false);
}

struct HeadLossNode : Node {
    at::Tensor grad_hidden;         // for factors of 1, where the head is frozen
    Head head;                      // where it is trained

    variable_list apply(variable_list&& grads) override {
        const at::Tensor factors = grads[0].contiguous();
        if (grad_hidden.defined())
            return {at::mul(grad_hidden.to(at::kFloat), factors.unsqueeze(1)).to(grad_hidden.scalar_type()), at::Tensor()};

        const int64_t rows = head.hidden.size(0), vocabulary = head.weight->outputs, inputs = head.weight->inputs;
        const Format format = head.weight->format;
        std::vector<double> losses(2 * rows);
        std::vector<uint8_t> correct(rows);
        at::Tensor to_hidden = empty({rows, inputs}, format), to_master = empty({vocabulary, inputs}, at::kFloat);
        head.run(factors.data_ptr<float>(), losses.data(), losses.data() + rows, correct.data(), true, [&](int64_t first, int64_t count, void* grad_logits) {
            backward_rows(head, grad_logits, first, count, to_hidden);
            const Matrix by_vocabulary{grad_logits, format, vocabulary, count, 1, vocabulary}, by_row{head.rows_from(first), format, count, inputs, inputs, 1};
            multiply(by_vocabulary, by_row, to_master.data_ptr(), Format::Float32, inputs, first > 0);
        });
        return {to_hidden, to_master};
    }

    void release_variables() override { grad_hidden = head.hidden = at::Tensor(); }
};

}

int tm_head_loss(tm_tensor hidden_handle, tm_weight head_handle, tm_tensor master_handle, const int64_t* targets, float smoothing, float softcap, tm_tensor* losses_out, double* loss_values, double* likelihoods, uint8_t* correct) {
    return guarded([&] {
        const at::Tensor input = tensor(hidden_handle), master = optional(master_handle);
        if (is_portable()) {
            *losses_out = handle(portable::head_loss(input, portable_weight(head_handle), master, targets, smoothing, softcap, loss_values, likelihoods, correct));
            return;
        }
        const Weight weight = weight_of(head_handle);
        TORCH_CHECK(input.dim() == 2 && input.size(1) == weight->inputs && format_of(input) == weight->format, "the head takes (tokens, ", weight->inputs, ") in its own format");
        const int64_t rows = input.size(0);
        for (int64_t i = 0; i < rows; i++) TORCH_CHECK(targets[i] >= 0 && targets[i] < weight->outputs, "target ", targets[i], " is no token of ", weight->outputs);
        auto node = make_node<HeadLossNode>({input, master});
        at::NoGradGuard no_grad;

        Head head{plain(input), weight, std::vector<int64_t>(targets, targets + rows), smoothing, softcap};
        const bool trained = node && master.defined() && master.requires_grad(), frozen = node && !trained;
        at::Tensor grad_hidden;
        if (frozen) grad_hidden = empty({rows, weight->inputs}, weight->format);
        head.run(nullptr, loss_values, likelihoods, correct, frozen, [&](int64_t first, int64_t count, void* grad_logits) { backward_rows(head, grad_logits, first, count, grad_hidden); });

        at::Tensor losses = empty({rows}, at::kFloat);
        std::copy(loss_values, loss_values + rows, losses.data_ptr<float>());
        if (trained) node->head = std::move(head);
        if (frozen) node->grad_hidden = grad_hidden;
        attach(losses, node);
        *losses_out = handle(losses);
    });
}

int tm_logits(tm_tensor hidden_handle, tm_weight head_handle, float softcap, tm_tensor* out_out) {
    return guarded([&] {
        const at::Tensor hidden = plain(tensor(hidden_handle));
        if (is_portable()) {
            *out_out = handle(portable::logits(hidden, *portable_weight(head_handle), softcap));
            return;
        }
        const Weight head = weight_of(head_handle);
        TORCH_CHECK(hidden.dim() == 2 && hidden.size(1) == head->inputs && format_of(hidden) == head->format, "the head takes (tokens, ", head->inputs, ") in its own format");
        at::Tensor logits = empty({hidden.size(0), head->outputs}, at::kFloat);
        head->forward(hidden.data_ptr(), hidden.size(0), logits.data_ptr(), Format::Float32, nullptr, false);
        if (softcap > 0) cap(logits, softcap);
        *out_out = handle(logits);
    });
}
