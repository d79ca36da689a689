// The output layer with its loss; see Portable.h, and HeadOperator.cpp for why logits exist only for a few rows at a time and
// when gradients are computed.
#include "Nodes.h"
#include "Portable.h"

namespace tokenmill::portable {

namespace {

constexpr int64_t LogitBytes = 192 << 20;               // as fp32 at once

at::Tensor capped(const at::Tensor& logits, float softcap) { return softcap > 0 ? (logits / softcap).tanh_().mul_(softcap) : logits; }

struct Head {
    at::Tensor hidden, targets;     // (rows, inputs), (rows)
    SharedWeight weight;
    float smoothing, softcap;       // softcap 0: none

    // Losses, −log p of the targets and whether they are the likeliest, for rows [first, first + count); and the gradient by the logits.
    struct Piece { at::Tensor losses, likelihoods, correct, grad_logits; };

    Piece piece(const at::Tensor& matrix, int64_t first, int64_t count, bool gradient) const {
        const at::Tensor wanted = targets.narrow(0, first, count).unsqueeze(1);
        const at::Tensor logits = capped(hidden.narrow(0, first, count).mm(matrix.t()).to(at::kFloat), softcap);
        at::Tensor log_p = at::log_softmax(logits, 1);
        Piece made;
        made.likelihoods = -log_p.gather(1, wanted).squeeze(1);
        made.losses = smoothing == 0 ? made.likelihoods : made.likelihoods * (1 - smoothing) - log_p.mean(1) * smoothing;
        made.correct = logits.gather(1, wanted).squeeze(1).ge(logits.amax(1));
        if (!gradient) return made;
        made.grad_logits = log_p.exp_().sub_(smoothing / weight->outputs);
        made.grad_logits.scatter_add_(1, wanted, at::full_like(wanted, smoothing - 1, on_device(at::kFloat)));
        if (softcap > 0) made.grad_logits.mul_(1 - (logits / softcap).square());
        return made;
    }

    // use(matrix, first, count) for each piece of rows.
    template <class Use> void pieces(const Use& use) const {
        const at::Tensor matrix = weight->values();
        const int64_t rows = hidden.size(0), most = std::max<int64_t>(1, LogitBytes / (4 * weight->outputs));
        for (int64_t first = 0; first < rows; first += most) {
            check_interrupted();
            use(matrix, first, std::min(most, rows - first));
        }
    }
};

struct HeadLossNode : Node {
    at::Tensor grad_hidden;         // for factors of 1, where the head is frozen
    Head head;                      // where it is trained

    variable_list apply(variable_list&& grads) override {
        const at::Tensor factors = grads[0].unsqueeze(1);
        if (grad_hidden.defined()) return {(grad_hidden * factors).to(grad_hidden.scalar_type()), at::Tensor()};
        std::vector<at::Tensor> to_hidden;
        at::Tensor to_master = at::zeros({head.weight->outputs, head.weight->inputs}, on_device(at::kFloat));
        head.pieces([&](const at::Tensor& matrix, int64_t first, int64_t count) {
            const at::Tensor slopes = (head.piece(matrix, first, count, true).grad_logits * factors.narrow(0, first, count)).to(head.weight->type);
            to_hidden.push_back(slopes.mm(matrix));
            to_master.add_(slopes.t().mm(head.hidden.narrow(0, first, count)));
        });
        return {at::cat(to_hidden), to_master};
    }

    void release_variables() override { grad_hidden = head.hidden = head.targets = at::Tensor(); }
};

template <class T> void read(const at::Tensor& from, T* to, at::ScalarType type) {
    const at::Tensor values = from.to(at::kCPU, type).contiguous();
    std::memcpy(to, values.data_ptr(), values.nbytes());
}

}

at::Tensor head_loss(const at::Tensor& hidden, const SharedWeight& weight, const at::Tensor& master, const int64_t* targets, float smoothing, float softcap, double* losses, double* likelihoods, uint8_t* correct) {
    auto node = make_node<HeadLossNode>({hidden, master});
    at::NoGradGuard no_grad;
    Head head{hidden.detach(), indices(std::vector<int64_t>(targets, targets + hidden.size(0))), weight, smoothing, softcap};
    const bool trained = node && master.defined() && master.requires_grad(), frozen = node && !trained;
    std::vector<at::Tensor> all_losses, all_likelihoods, all_correct, to_hidden;
    head.pieces([&](const at::Tensor& matrix, int64_t first, int64_t count) {
        const Head::Piece piece = head.piece(matrix, first, count, frozen);
        all_losses.push_back(piece.losses);
        all_likelihoods.push_back(piece.likelihoods);
        all_correct.push_back(piece.correct);
        if (frozen) to_hidden.push_back(piece.grad_logits.to(weight->type).mm(matrix));
    });
    at::Tensor made = at::cat(all_losses);
    read(made, losses, at::kDouble);
    read(at::cat(all_likelihoods), likelihoods, at::kDouble);
    read(at::cat(all_correct), correct, at::kByte);
    if (frozen) node->grad_hidden = at::cat(to_hidden);
    if (trained) node->head = std::move(head);
    attach(made, node);
    return made;
}

at::Tensor logits(const at::Tensor& hidden, const Weight& weight, float softcap) { return capped(hidden.mm(weight.values().t()).to(at::kFloat), softcap); }

}
