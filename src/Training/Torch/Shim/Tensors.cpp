// Handles, gradients, and any ATen operator by name.
#include "Portable.h"
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/version.h>
#include <omp.h>

namespace tokenmill {
std::atomic<int64_t> live_handles{0};
thread_local std::string last_error;
std::atomic<bool> interrupted{false};
std::atomic<bool> replaces_kernels{false};
}

using namespace tokenmill;

static at::ScalarType to_torch(int32_t dtype) {
    switch (dtype) {
        case TM_FLOAT32: return at::kFloat;
        case TM_BFLOAT16: return at::kBFloat16;
        case TM_INT64: return at::kLong;
        case TM_FLOAT64: return at::kDouble;
        case TM_UINT8: return at::kByte;
        default: TORCH_CHECK(false, "unknown dtype ", dtype);
    }
}

static int32_t from_torch(at::ScalarType type) {
    for (int32_t dtype = TM_FLOAT32; dtype <= TM_UINT8; dtype++) if (to_torch(dtype) == type) return dtype;
    TORCH_CHECK(false, "a tensor of type ", type, " does not cross the border");
}

static constexpr const char* Portable = "libtorch";      // instead of a level of our kernels

const char* tm_error() { return last_error.c_str(); }

int tm_info(const char** level, const char** torch, int32_t* bfloat16, int32_t* fast_bfloat16) {
    return guarded([&] {
        *level = is_portable() ? Portable : kernels().level;
        *torch = TORCH_VERSION;
        *bfloat16 = has_bfloat16();
        *fast_bfloat16 = has_fast_bfloat16();
    });
}

int32_t tm_use_kernels(const char* level) {
    replaces_kernels = std::strcmp(level, Portable) == 0;
    return replaces_kernels || use_kernels(level);
}

// OpenMP's count belongs to the calling thread: call it on the thread that trains.
int tm_threads(int32_t count) {
    return guarded([&] { at::set_num_threads(count); omp_set_num_threads(count); });
}

int64_t tm_live_handles() { return live_handles; }

void tm_interrupt(int32_t value) { interrupted = value != 0; }

int tm_tensor_new(const void* data, int32_t dtype, const int64_t* shape, int32_t rank, tm_tensor* out) {
    return guarded([&] {
        const auto options = at::TensorOptions().dtype(to_torch(dtype));
        const at::IntArrayRef sizes(shape, rank);
        at::Tensor made = data ? at::empty(sizes, options) : at::zeros(sizes, options.device(device));
        if (data) std::memcpy(made.data_ptr(), data, made.nbytes());
        *out = handle(made.to(device));
    });
}

void tm_tensor_free(tm_tensor value) {
    if (!value) return;
    live_handles--;
    delete &tensor(value);
}

int tm_tensor_shape(tm_tensor value, int32_t* dtype, int32_t* rank, int64_t* shape8) {
    return guarded([&] {
        const at::Tensor& t = tensor(value);
        TORCH_CHECK(t.dim() <= 8, "tensors of more than 8 dimensions do not cross the border");
        *dtype = from_torch(t.scalar_type());
        *rank = static_cast<int32_t>(t.dim());
        std::copy(t.sizes().begin(), t.sizes().end(), shape8);
    });
}

int tm_tensor_read(tm_tensor value, void* to, int64_t bytes) {
    return guarded([&] {
        const at::Tensor t = tensor(value).detach().cpu().contiguous();
        TORCH_CHECK(static_cast<int64_t>(t.nbytes()) == bytes, "the tensor has ", t.nbytes(), " bytes, the target ", bytes);
        std::memcpy(to, t.data_ptr(), bytes);
    });
}

int tm_tensor_write(tm_tensor value, const void* from, int64_t bytes) {
    return guarded([&] {
        at::Tensor t = tensor(value).detach();
        TORCH_CHECK(t.is_contiguous() && static_cast<int64_t>(t.nbytes()) == bytes, "the tensor has ", t.nbytes(), " bytes, the source ", bytes);
        t.copy_(at::from_blob(const_cast<void*>(from), t.sizes(), t.scalar_type()));
    });
}

int tm_require_grad(tm_tensor value) { return guarded([&] { tensor(value).requires_grad_(true); }); }

int tm_grad(tm_tensor value, tm_tensor* out) {
    return guarded([&] {
        const at::Tensor& grad = tensor(value).grad();
        *out = grad.defined() ? handle(grad) : nullptr;
    });
}

int tm_clear_grad(tm_tensor value) { return guarded([&] { tensor(value).mutable_grad() = at::Tensor(); }); }

int tm_backward(tm_tensor output, tm_tensor gradient) { return guarded([&] { torch::autograd::backward({tensor(output)}, {tensor(gradient)}); }); }

int tm_grad_mode(int32_t enabled) { return guarded([&] { at::GradMode::set_enabled(enabled != 0); }); }

static c10::IValue to_ivalue(const tm_value& value) {
    switch (value.kind) {
        case TM_NONE: return c10::IValue();
        case TM_TENSOR: return tensor(static_cast<tm_tensor>(value.pointer));
        case TM_INT: return value.integer;
        case TM_DOUBLE: return value.real;
        case TM_BOOL: return value.integer != 0;
        case TM_DTYPE: return static_cast<int64_t>(to_torch(static_cast<int32_t>(value.integer)));
        case TM_INTS: {
            const auto* ints = static_cast<const int64_t*>(value.pointer);
            return std::vector<int64_t>(ints, ints + value.count);
        }
        case TM_TENSORS: {
            std::vector<at::Tensor> tensors;
            for (int32_t i = 0; i < value.count; i++) tensors.push_back(tensor(static_cast<tm_tensor*>(value.pointer)[i]));
            return tensors;
        }
        default: TORCH_CHECK(false, "unknown kind of argument ", value.kind);
    }
}

int tm_call(const char* name, const char* overload, const tm_value* arguments, int32_t count, tm_value* results, int32_t capacity, int32_t* result_count) {
    return guarded([&] {
        const auto op = c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
        torch::jit::Stack stack;
        for (int32_t i = 0; i < count; i++) stack.push_back(to_ivalue(arguments[i]));
        op.callBoxed(&stack);
        TORCH_CHECK(static_cast<int32_t>(stack.size()) <= capacity, name, " gives ", stack.size(), " results, more than asked for");
        *result_count = static_cast<int32_t>(stack.size());
        for (size_t i = 0; i < stack.size(); i++) {
            results[i] = tm_value{};
            if (stack[i].isTensor()) { results[i].kind = TM_TENSOR; results[i].pointer = handle(stack[i].toTensor()); }
            else if (stack[i].isInt()) { results[i].kind = TM_INT; results[i].integer = stack[i].toInt(); }
            else if (stack[i].isDouble()) { results[i].kind = TM_DOUBLE; results[i].real = stack[i].toDouble(); }
            else if (stack[i].isBool()) { results[i].kind = TM_BOOL; results[i].integer = stack[i].toBool(); }
            else TORCH_CHECK(false, name, " gives a ", stack[i].tagKind(), ", which does not cross the border");
        }
    });
}

static Format to_format(int32_t dtype) {
    TORCH_CHECK(dtype == TM_FLOAT32 || dtype == TM_BFLOAT16, "weights are float32 or bfloat16");
    return dtype == TM_FLOAT32 ? Format::Float32 : Format::BFloat16;
}

static PackedWeight& packed(tm_weight handle) {
    auto* weight = dynamic_cast<PackedWeight*>(weight_of(handle).get());
    TORCH_CHECK(weight, "a stored weight is not packed");
    return *weight;
}

static portable::ResidentWeight& resident(tm_weight handle) {
    auto* weight = dynamic_cast<portable::ResidentWeight*>(portable_weight(handle).get());
    TORCH_CHECK(weight, "a stored weight is not packed");
    return *weight;
}

int tm_weight_new(int64_t outputs, int64_t inputs, int32_t dtype, int32_t backward, tm_weight* out) {
    return guarded([&] {
        const Format format = to_format(dtype);
        *out = is_portable() ? handle({nullptr, std::make_shared<portable::ResidentWeight>(outputs, inputs, scalar_type(format))})
                             : handle({std::make_shared<PackedWeight>(outputs, inputs, format, backward != 0), nullptr});
    });
}

int tm_weight_stored(int64_t outputs, int64_t inputs, int32_t dtype, tm_expand expand, void* owner, tm_weight* out) {
    return guarded([&] {
        const Format format = to_format(dtype);
        *out = is_portable() ? handle({nullptr, std::make_shared<portable::StoredWeight>(outputs, inputs, scalar_type(format), expand, owner)})
                             : handle({std::make_shared<StoredWeight>(outputs, inputs, format, expand, owner), nullptr});
    });
}

void tm_weight_free(tm_weight weight) {
    if (!weight) return;
    live_handles--;
    delete &any_weight(weight);
}

int tm_weight_source(tm_weight weight, float** out) { return guarded([&] { *out = is_portable() ? resident(weight).source() : packed(weight).source(); }); }

int tm_weight_pack(tm_weight weight) { return guarded([&] { is_portable() ? resident(weight).pack() : packed(weight).pack(); }); }

int tm_weight_repack(tm_weight weight, tm_tensor master) {
    return guarded([&] {
        const at::Tensor& t = tensor(master);
        if (is_portable()) {
            resident(weight).pack(t);
            return;
        }
        TORCH_CHECK(t.scalar_type() == at::kFloat && t.is_contiguous() && t.numel() == packed(weight).outputs * packed(weight).inputs, "the weight and its master differ in shape");
        packed(weight).pack(t.data_ptr<float>());
    });
}

int tm_sum_of_squares(tm_tensor values, double* out) {
    return guarded([&] {
        const at::Tensor t = tensor(values).detach().contiguous();
        TORCH_CHECK(t.scalar_type() == at::kFloat, "sum of squares of float32 only");
        if (is_portable()) {
            *out = t.square().sum(at::kDouble).item<double>();
            return;
        }
        constexpr int64_t piece = 1 << 16;                  // fixed, so that the sum does not depend on the number of threads
        std::vector<double> sums((t.numel() + piece - 1) / piece);
        at::parallel_for(0, sums.size(), 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; i++) sums[i] = kernels().sum_of_squares(t.data_ptr<float>(), i * piece, std::min(t.numel(), (i + 1) * piece));
        });
        *out = 0;
        for (double sum : sums) *out += sum;
    });
}

int tm_adamw(tm_tensor parameter, tm_tensor gradient, tm_tensor mean, tm_tensor square, double learning_rate, double beta1, double beta2, double epsilon, double weight_decay, double grad_scale, int64_t step) {
    return guarded([&] {
        const at::Tensor grad = tensor(gradient).contiguous();
        for (const at::Tensor& t : {tensor(parameter), tensor(mean), tensor(square), grad})
            TORCH_CHECK(t.scalar_type() == at::kFloat && t.is_contiguous() && t.numel() == grad.numel(), "AdamW works on float32 tensors of one shape");
        AdamW work{
            nullptr, nullptr, nullptr, nullptr,
            static_cast<float>(beta1), static_cast<float>(1 - beta1), static_cast<float>(beta2), static_cast<float>(1 - beta2),
            static_cast<float>(learning_rate / (1 - std::pow(beta1, step))), static_cast<float>(1 / std::sqrt(1 - std::pow(beta2, step))),
            static_cast<float>(epsilon), static_cast<float>(1 - learning_rate * weight_decay), static_cast<float>(grad_scale),
        };
        if (is_portable()) {
            portable::adamw(tensor(parameter), grad, tensor(mean), tensor(square), work);
            return;
        }
        work.parameter = tensor(parameter).data_ptr<float>();
        work.gradient = grad.data_ptr<float>();
        work.mean = tensor(mean).data_ptr<float>();
        work.square = tensor(square).data_ptr<float>();
        divide(grad.numel(), 1, [&](int64_t begin, int64_t end) { kernels().adamw(work, begin, end); });
    });
}
