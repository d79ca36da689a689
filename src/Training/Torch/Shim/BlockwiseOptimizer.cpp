// AdamW whose moments take a byte an element: each block of 256 has a scale of its own and codes of a dynamic type, which
// spends its bits where they are needed (Dettmers et al., 2022: "8-bit optimizers via block-wise quantization"). What is
// ours: kept is the root of the second moment, whose range is half as wide; and codes are rounded stochastically, since an average
// that moves by a thousandth a step would never leave its code otherwise. The random number follows from step and place.
#include <array>
#include <cmath>
#include "Portable.h"

using namespace tokenmill;

namespace {

constexpr int64_t Block = 256;

// 2^Levels values: 0 and, for level i, 2^i midpoints of equal parts of [0.1, 1] times 10^(i + 1 − Levels), all divided by the
// greatest. The place of x among the codes is linear within a level and flatter in each higher one: the least of all levels' lines.
template <int Levels> struct Codes {
    std::vector<float> values{0};
    std::array<float, Levels> slope, offset;        // of a level: the place of x among the codes is slope·x + offset

    Codes() {
        const double greatest = 1 - 0.45 / (1 << (Levels - 1));
        for (int level = 0; level < Levels; level++) {
            const int parts = 1 << level;
            const double unit = std::pow(10.0, level + 1 - Levels) / greatest;
            slope[level] = static_cast<float>(parts / (0.9 * unit));
            offset[level] = static_cast<float>(values.size() - 0.5 - parts / 9.0);
            for (int part = 0; part < parts; part++) values.push_back(static_cast<float>((0.1 + 0.9 * (part + 0.5) / parts) * unit));
        }
    }
};

const Codes<7> mean_codes;                          // and a bit for the sign
const Codes<8> root_codes;

struct Update {
    float *parameter, *mean_scale, *root_scale;
    const float* gradient;
    uint8_t *mean, *root;
    float beta1, beta2, step, correction, epsilon, keep, gradient_scale;
    uint32_t seed;
    int64_t count;
};

// Two random numbers in [0, 1) for each element, of 16 bits each.
static inline __attribute__((always_inline)) void draw(uint32_t seed, int64_t size, float* first, float* second) {
#pragma omp simd
    for (int64_t i = 0; i < size; i++) {
        uint32_t z = seed + static_cast<uint32_t>(i) * 0x9E3779B9u;
        z = (z ^ z >> 16) * 0x21F0AAADu;
        z = (z ^ z >> 15) * 0x735A2D97u;
        z ^= z >> 15;
        first[i] = static_cast<float>(static_cast<int32_t>(z >> 16)) * (1.0f / 65536);
        second[i] = static_cast<float>(static_cast<int32_t>(z & 0xFFFF)) * (1.0f / 65536);
    }
}

// Codes below or above x·scale in [0, 1], so that each is right on average; never 0 for what is not 0.
template <int Levels> static inline __attribute__((always_inline)) void encode(const Codes<Levels>& codes, const float* x, float scale, const float* random, int64_t size, int32_t* out) {
    const int32_t last = static_cast<int32_t>(codes.values.size()) - 1;
#pragma omp simd
    for (int64_t i = 0; i < size; i++) {
        const float value = __builtin_fabsf(x[i]) * scale;
        float place = codes.slope[0] * value + codes.offset[0];
#pragma GCC unroll 8
        for (int level = 1; level < Levels; level++) place = std::min(place, codes.slope[level] * value + codes.offset[level]);
        const int32_t code = static_cast<int32_t>(place + random[i]);
        out[i] = static_cast<int32_t>(value > 0) * std::min(std::max(code, 1), last);
    }
}

__attribute__((target_clones("default", "avx2", "avx512f"))) void update_block(const Update& u, int64_t index) {
    const int64_t begin = index * Block, size = std::min(Block, u.count - begin);
    float m[Block], r[Block], for_mean[Block], for_root[Block], greatest_mean = 0, greatest_root = 0;
    uint8_t* mean = u.mean + begin;
    uint8_t* root = u.root + begin;
    const float mean_scale = u.mean_scale[index], root_scale = u.root_scale[index];
    for (int64_t i = 0; i < size; i++) {
        m[i] = mean_codes.values[mean[i] & 0x7F] * (mean[i] & 0x80 ? -mean_scale : mean_scale);
        r[i] = root_codes.values[root[i]] * root_scale;
    }
    const float* gradient = u.gradient + begin;
    float* parameter = u.parameter + begin;
#pragma omp simd reduction(max : greatest_mean, greatest_root)
    for (int64_t i = 0; i < size; i++) {
        const float g = gradient[i] * u.gradient_scale;
        m[i] = u.beta1 * m[i] + (1 - u.beta1) * g;
        r[i] = __builtin_sqrtf(u.beta2 * r[i] * r[i] + (1 - u.beta2) * g * g);
        parameter[i] = parameter[i] * u.keep - u.step * m[i] / (r[i] * u.correction + u.epsilon);
        greatest_mean = std::max(greatest_mean, __builtin_fabsf(m[i]));
        greatest_root = std::max(greatest_root, r[i]);
    }
    u.mean_scale[index] = greatest_mean;
    u.root_scale[index] = greatest_root;
    draw(u.seed + static_cast<uint32_t>(begin) * 0x9E3779B9u, size, for_mean, for_root);
    const float per_mean = greatest_mean > 0 ? 1 / greatest_mean : 0, per_root = greatest_root > 0 ? 1 / greatest_root : 0;
    int32_t mean_code[Block], root_code[Block];
    encode(mean_codes, m, per_mean, for_mean, size, mean_code);
    encode(root_codes, r, per_root, for_root, size, root_code);
    for (int64_t i = 0; i < size; i++) {
        mean[i] = static_cast<uint8_t>(mean_code[i] | (m[i] < 0 ? 0x80 : 0));
        root[i] = static_cast<uint8_t>(root_code[i]);
    }
}

// The same update in libtorch's operators, a block to a row; the last one is filled up with zeros. It draws the same numbers.
class PortableUpdate {
public:
    explicit PortableUpdate(const Update& factors) : u_(factors) {}

    void run(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& mean, at::Tensor& mean_scale, at::Tensor& root, at::Tensor& root_scale) const {
        at::NoGradGuard no_grad;
        const at::Tensor codes = rows(mean), magnitude = decoded(mean_codes, codes.bitwise_and(0x7F), mean_scale), g = rows(gradient) * u_.gradient_scale;
        const at::Tensor m = at::where(codes.ge(0x80), -magnitude, magnitude) * u_.beta1 + g * (1 - u_.beta1);
        const at::Tensor r = (decoded(root_codes, rows(root), root_scale).square() * u_.beta2 + g.square() * (1 - u_.beta2)).sqrt();
        put(rows(parameter) * u_.keep - m * u_.step / (r * u_.correction + u_.epsilon), parameter);
        mean_scale.copy_(m.abs().amax(1));
        root_scale.copy_(r.amax(1));
        const at::Tensor random = drawn(m.numel()).view(m.sizes());
        put(encoded(mean_codes, m, mean_scale, random.bitwise_right_shift(16)) + m.lt(0) * 0x80, mean);
        put(encoded(root_codes, r, root_scale, random.bitwise_and(0xFFFF)), root);
    }

private:
    at::Tensor rows(const at::Tensor& t) const { return at::constant_pad_nd(t.flatten(), {0, (Block - u_.count % Block) % Block}).view({-1, Block}); }
    void put(const at::Tensor& rows, at::Tensor& t) const { t.copy_(rows.flatten().narrow(0, 0, u_.count).view(t.sizes())); }

    template <int Levels> static at::Tensor decoded(const Codes<Levels>& codes, const at::Tensor& places, const at::Tensor& scale) {
        const at::Tensor values = at::from_blob(const_cast<float*>(codes.values.data()), {static_cast<int64_t>(codes.values.size())}, at::kFloat).to(device);
        return values.index_select(0, places.flatten().to(at::kInt)).view(places.sizes()) * scale.unsqueeze(1);
    }

    template <int Levels> static at::Tensor encoded(const Codes<Levels>& codes, const at::Tensor& x, const at::Tensor& scale, const at::Tensor& random) {
        const at::Tensor value = x.abs() * at::where(scale.gt(0), scale.reciprocal(), at::zeros_like(scale)).unsqueeze(1);
        at::Tensor place = value * codes.slope[0] + codes.offset[0];
        for (int level = 1; level < Levels; level++) place = at::minimum(place, value * codes.slope[level] + codes.offset[level]);
        return (place + random.to(at::kFloat) * (1.0f / 65536)).to(at::kInt).clamp_(1, static_cast<int64_t>(codes.values.size()) - 1) * value.gt(0);
    }

    // 32 random bits for each element.
    at::Tensor drawn(int64_t count) const {
        constexpr int64_t mask = 0xFFFFFFFF;
        at::Tensor z = at::arange(count, portable::on_device(at::kLong)).mul_(int64_t{0x9E3779B9}).add_(static_cast<int64_t>(u_.seed)).bitwise_and_(mask);
        z = z.bitwise_xor_(z.bitwise_right_shift(16)).mul_(0x21F0AAAD).bitwise_and_(mask);
        z = z.bitwise_xor_(z.bitwise_right_shift(15)).mul_(0x735A2D97).bitwise_and_(mask);
        return z.bitwise_xor_(z.bitwise_right_shift(15));
    }

    const Update& u_;
};

}

int tm_adamw8bit(tm_tensor parameter, tm_tensor gradient, tm_tensor mean, tm_tensor mean_scale, tm_tensor root, tm_tensor root_scale, double learning_rate, double beta1, double beta2, double epsilon, double weight_decay, double grad_scale, int64_t step, uint64_t seed) {
    return guarded([&] {
        const at::Tensor grad = tensor(gradient).contiguous();
        const int64_t count = grad.numel(), blocks = (count + Block - 1) / Block;
        TORCH_CHECK(tensor(parameter).scalar_type() == at::kFloat && tensor(parameter).is_contiguous() && tensor(parameter).numel() == count && grad.scalar_type() == at::kFloat, "AdamW works on float32 tensors of one shape");
        for (const at::Tensor& codes : {tensor(mean), tensor(root)}) TORCH_CHECK(codes.scalar_type() == at::kByte && codes.is_contiguous() && codes.numel() == count, "a byte for each parameter");
        for (const at::Tensor& scales : {tensor(mean_scale), tensor(root_scale)}) TORCH_CHECK(scales.scalar_type() == at::kFloat && scales.is_contiguous() && scales.numel() == blocks, "a scale for each block of ", Block);
        Update update{
            nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
            static_cast<float>(beta1), static_cast<float>(beta2), static_cast<float>(learning_rate / (1 - std::pow(beta1, step))), static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, step))),
            static_cast<float>(epsilon), static_cast<float>(1 - learning_rate * weight_decay), static_cast<float>(grad_scale), static_cast<uint32_t>(seed), count,
        };
        if (is_portable()) {
            PortableUpdate(update).run(tensor(parameter), grad, tensor(mean), tensor(mean_scale), tensor(root), tensor(root_scale));
            return;
        }
        update.parameter = tensor(parameter).data_ptr<float>();
        update.mean_scale = tensor(mean_scale).data_ptr<float>();
        update.root_scale = tensor(root_scale).data_ptr<float>();
        update.gradient = grad.data_ptr<float>();
        update.mean = tensor(mean).data_ptr<uint8_t>();
        update.root = tensor(root).data_ptr<uint8_t>();
        divide(blocks, Block, [&](int64_t begin, int64_t end) { for (int64_t i = begin; i < end; i++) update_block(update, i); });
    });
}
