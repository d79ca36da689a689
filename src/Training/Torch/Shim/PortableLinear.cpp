// Linear layers with low-rank adapters; see Portable.h. What is said in LinearOperator.cpp of rounding holds here too: what
// adapters add is put down first, and the product with the weight is added to it before it is rounded.
#include "Nodes.h"
#include "Portable.h"

namespace tokenmill::portable {

namespace {

constexpr int64_t ExpandedBytes = 64 << 20;             // of a stored weight, as fp32 in the machine's memory at once

// x·Wᵀ + added. Keeps x only where the weight is trained, and of a stored weight nothing.
struct ProductNode : Node {
    at::Tensor x;
    SharedWeight weight;

    // Gradients to x, added and master.
    variable_list apply(variable_list&& grads) override {
        check_interrupted();
        const at::Tensor& dy = grads[0];
        variable_list out(3);
        if (task_should_compute_output(0)) out[0] = dy.mm(weight->values());
        if (task_should_compute_output(1)) out[1] = dy;
        if (task_should_compute_output(2)) out[2] = dy.t().mm(x).to(at::kFloat);
        return out;
    }

    void release_variables() override {
        x = at::Tensor();
        weight = nullptr;
    }
};

at::Tensor product(const at::Tensor& x, const SharedWeight& weight, const at::Tensor& added, const at::Tensor& master) {
    auto node = make_node<ProductNode>({x, added, master});
    at::NoGradGuard no_grad;
    const at::Tensor transposed = weight->values().t();
    at::Tensor y = added.defined() ? at::addmm(added, x, transposed) : x.mm(transposed);
    if (node) {
        node->weight = weight;
        if (master.defined() && master.requires_grad()) node->x = x.detach();
        attach(y, node);
    }
    return y;
}

at::Tensor shifted(const at::Tensor& z, int64_t bits) { return at::bitwise_right_shift(z, bits).bitwise_and_((int64_t{1} << (64 - bits)) - 1); }

// The masks of our kernels, number by number: splitmix64 of seed and place, in the wrapping arithmetic of 64-bit integers.
at::Tensor dropped(const at::Tensor& x, double probability, uint64_t seed) {
    constexpr uint64_t sign = uint64_t{1} << 63;        // turned over, signed numbers compare as unsigned ones
    const auto scalar = [](uint64_t value) { return static_cast<int64_t>(value); };
    at::Tensor z = at::arange(x.numel(), on_device(at::kLong)).add_(scalar(seed + 0x9E3779B97F4A7C15ull));
    z = z.bitwise_xor_(shifted(z, 30)).mul_(scalar(0xBF58476D1CE4E5B9ull));
    z = z.bitwise_xor_(shifted(z, 27)).mul_(scalar(0x94D049BB133111EBull));
    z = z.bitwise_xor_(shifted(z, 31)).bitwise_xor_(scalar(sign));
    const uint64_t threshold = static_cast<uint64_t>(probability * 18446744073709551616.0);
    const at::Tensor kept = z.ge(scalar(threshold ^ sign)).to(at::kFloat).mul_(1 / (1 - probability));
    return x * kept.view(x.sizes()).to(x.scalar_type());
}

}

float* ResidentWeight::source() {
    source_ = at::empty({outputs, inputs}, at::kFloat);
    return source_.data_ptr<float>();
}

void ResidentWeight::pack() {
    values_ = source_.to(device, type);
    source_ = at::Tensor();
}

void ResidentWeight::pack(const at::Tensor& master) { values_ = master.detach().to(type); }

at::Tensor StoredWeight::values() const {
    const int64_t most = std::clamp<int64_t>(ExpandedBytes / (4 * inputs), 1, outputs);
    at::Tensor values = at::empty({outputs, inputs}, on_device(type)), piece = at::empty({most, inputs}, at::kFloat);
    for (int64_t first = 0; first < outputs; first += most) {
        const int64_t rows = std::min(most, outputs - first);
        TORCH_CHECK(expand_(owner_, first, rows, piece.data_ptr<float>()) == 0, "a stored weight could not be expanded");
        values.narrow(0, first, rows).copy_(piece.narrow(0, 0, rows));
    }
    return values;
}

at::Tensor linear(const at::Tensor& x, const SharedWeight& weight, const at::Tensor& master, const at::Tensor& bias, const tm_lora* adapters, int32_t count, double dropout, uint64_t seed) {
    check_interrupted();
    std::vector<at::Tensor> a, columns;                 // columns of the output, from the left; zeros where there is no adapter
    for (int32_t i = 0; i < count; i++) a.push_back(tensor(adapters[i].a).to(weight->type));
    const at::Tensor u = count > 0 && dropout == 0 ? at::linear(x, at::cat(a)) : at::Tensor();              // (T, all ranks)
    int64_t rank = 0, column = 0;
    const auto fill = [&](int64_t until) { if (until > column) columns.push_back(at::zeros({x.size(0), until - column}, x.options())); };
    for (int32_t i = 0; i < count; i++) {
        const tm_lora& part = adapters[i];
        const at::Tensor of_part = dropout == 0 ? u.narrow(1, rank, a[i].size(0)) : at::linear(dropped(x, dropout, mix(seed + i)), a[i]);
        fill(part.first);
        columns.push_back(at::linear(of_part, (tensor(part.b) * part.scale).to(weight->type)));
        rank += a[i].size(0);
        column = part.first + part.rows;
    }
    if (count > 0) fill(weight->outputs);
    const at::Tensor y = product(x, weight, count > 0 ? at::cat(columns, 1) : at::Tensor(), master);
    return bias.defined() ? (y + bias).to(y.scalar_type()) : y;
}

}
