// Kernels that work row by row: norms, SwiGLU, cross-entropy. T is the format of activations.

template <class T> static void rms_norm(const RmsNorm& a, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
        const float* x = a.x + row * a.width;
        const T* delta = a.delta ? static_cast<const T*>(a.delta) + row * a.width : nullptr;
        float* total = a.sum ? a.sum + row * a.width : nullptr;
        T* out = static_cast<T*>(a.out) + row * a.width;
        F squares = {};
        FOR_VECTORS(i, n, a.width) {
            F v = load_some(x + i, n);
            if (delta) { v += load_some(delta + i, n); store_some(total + i, v, n); }
            squares += v * v;
        }
        const float rstd = 1.0f / __builtin_sqrtf(sum(squares) / a.width + a.epsilon);
        a.rstd[row] = rstd;
        const float* source = delta ? total : x;
        FOR_VECTORS(i, n, a.width) store_some(out + i, load_some(source + i, n) * rstd * load_some(a.weight + i, n), n);
    }
}

// With g = grad_out·weight and n the normalised stream: grad = rstd·(g − n·mean(g·n)).
template <class T> static void rms_norm_gradient(const RmsNormGradient& a, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
        const float* s = a.sum ? a.sum + row * a.width : nullptr;
        const T* out = static_cast<const T*>(a.out) + row * a.width;
        const T* grad = static_cast<const T*>(a.grad_out) + row * a.width;
        const float* grad_sum = a.grad_sum ? a.grad_sum + row * a.width : nullptr;
        const float rstd = a.rstd[row];
        const auto normalised = [&](int64_t i, int64_t n) { return s ? load_some(s + i, n) * rstd : load_some(out + i, n) * load_some(a.inverse_weight + i, n); };
        F products = {};
        FOR_VECTORS(i, n, a.width) products += load_some(grad + i, n) * load_some(a.weight + i, n) * normalised(i, n);
        const float along = sum(products) / a.width;
        float* grad_x = a.grad_x + row * a.width;
        T* grad_delta = a.grad_delta ? static_cast<T*>(a.grad_delta) + row * a.width : nullptr;
        FOR_VECTORS(i, n, a.width) {
            const F g = load_some(grad + i, n), v = normalised(i, n);
            F result = (g * load_some(a.weight + i, n) - v * along) * rstd;
            if (grad_sum) result += load_some(grad_sum + i, n);
            store_some(grad_x + i, result, n);
            if (grad_delta) store_some(grad_delta + i, result, n);
            if (a.grad_weight) store_some(a.grad_weight + i, load_some(a.grad_weight + i, n) + g * v, n);
        }
    }
}

template <class T> static void head_norm(const HeadNorm& a, int64_t begin, int64_t end) {
    const int64_t width = (a.heads + 2 * a.kv_heads) * a.head_dim;
    for (int64_t row = begin; row < end; row++) {
        const T* from = static_cast<const T*>(a.qkv) + row * width;
        T* to = static_cast<T*>(a.out) + row * width;
        for (int64_t head = 0; head < a.heads + a.kv_heads; head++, from += a.head_dim, to += a.head_dim) {
            const float* weight = head < a.heads ? a.query_weight : a.key_weight;
            F squares = {};
            FOR_VECTORS(i, n, a.head_dim) { const F v = load_some(from + i, n); squares += v * v; }
            const float rstd = 1.0f / __builtin_sqrtf(sum(squares) / a.head_dim + a.epsilon);
            FOR_VECTORS(i, n, a.head_dim) store_some(to + i, load_some(from + i, n) * rstd * load_some(weight + i, n), n);
        }
        __builtin_memcpy(to, from, a.kv_heads * a.head_dim * sizeof(T));
    }
}

template <class T> static void head_norm_gradient(const HeadNorm& a, int64_t begin, int64_t end) {
    const int64_t width = (a.heads + 2 * a.kv_heads) * a.head_dim;
    for (int64_t row = begin; row < end; row++) {
        const T* from = static_cast<const T*>(a.qkv) + row * width;
        const T* grad = static_cast<const T*>(a.grad_out) + row * width;
        T* to = static_cast<T*>(a.out) + row * width;
        for (int64_t head = 0; head < a.heads + a.kv_heads; head++, from += a.head_dim, to += a.head_dim, grad += a.head_dim) {
            const float* weight = head < a.heads ? a.query_weight : a.key_weight;
            float* grad_weight = head < a.heads ? a.grad_query_weight : a.grad_key_weight;
            F squares = {}, products = {};
            FOR_VECTORS(i, n, a.head_dim) {
                const F v = load_some(from + i, n);
                squares += v * v;
                products += load_some(grad + i, n) * load_some(weight + i, n) * v;
            }
            const float rstd = 1.0f / __builtin_sqrtf(sum(squares) / a.head_dim + a.epsilon);
            const float along = sum(products) / a.head_dim * rstd * rstd * rstd;
            FOR_VECTORS(i, n, a.head_dim) {
                const F g = load_some(grad + i, n), v = load_some(from + i, n);
                store_some(to + i, g * load_some(weight + i, n) * rstd - v * along, n);
                if (grad_weight) store_some(grad_weight + i, load_some(grad_weight + i, n) + g * v * rstd, n);
            }
        }
        __builtin_memcpy(to, grad, a.kv_heads * a.head_dim * sizeof(T));
    }
}

// d silu(g) = σ(g)·(1 + g·(1 − σ(g)))
struct Silu {
    static F value(F g) { return g / (1.0f + exponential(-g)); }
    static F slope(F g, F& value) {
        const F sigmoid = 1.0f / (1.0f + exponential(-g));
        value = g * sigmoid;
        return sigmoid * (1.0f + g * (1.0f - sigmoid));
    }
};

// GELU in its tanh form, ½·g·(1 + tanh z) = g·σ(2z) with z = √(2/π)·(g + 0.044715·g³).
struct GeluTanh {
    static F sigmoid(F g) { return 1.0f / (1.0f + exponential(g * (1.0f + g * g * 0.044715f) * -1.5957691216f)); }
    static F value(F g) { return g * sigmoid(g); }
    static F slope(F g, F& value) {
        const F s = sigmoid(g);
        value = g * s;
        return s + value * (1.0f - s) * (1.0f + g * g * 0.134145f) * 1.5957691216f;
    }
};

template <class T, class A> static void gated_unit(const GatedUnit& a, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
        const T* gate = static_cast<const T*>(a.gate_up) + row * 2 * a.width;
        const T* up = gate + a.width;
        T* out = static_cast<T*>(a.out) + row * a.width;
        FOR_VECTORS(i, n, a.width) store_some(out + i, A::value(load_some(gate + i, n)) * load_some(up + i, n), n);
    }
}

template <class T, class A> static void gated_unit_gradient(const GatedUnit& a, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
        const T* gate = static_cast<const T*>(a.gate_up) + row * 2 * a.width;
        const T* grad = static_cast<const T*>(a.grad_out) + row * a.width;
        T* grad_gate = static_cast<T*>(a.grad_gate_up) + row * 2 * a.width;
        FOR_VECTORS(i, n, a.width) {
            const F u = load_some(gate + a.width + i, n), d = load_some(grad + i, n);
            F value;
            const F slope = A::slope(load_some(gate + i, n), value);
            store_some(grad_gate + i, d * u * slope, n);
            store_some(grad_gate + a.width + i, d * value, n);
        }
    }
}

template <class T> static void swiglu(const GatedUnit& a, int64_t begin, int64_t end) { gated_unit<T, Silu>(a, begin, end); }
template <class T> static void swiglu_gradient(const GatedUnit& a, int64_t begin, int64_t end) { gated_unit_gradient<T, Silu>(a, begin, end); }
template <class T> static void geglu(const GatedUnit& a, int64_t begin, int64_t end) { gated_unit<T, GeluTanh>(a, begin, end); }
template <class T> static void geglu_gradient(const GatedUnit& a, int64_t begin, int64_t end) { gated_unit_gradient<T, GeluTanh>(a, begin, end); }

template <class T> static void cross_entropy(const CrossEntropy& a, int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row++) {
        const float* logits = a.logits + row * a.vocabulary;
        const int64_t target = a.targets[row];
        // 1. greatest logit; padding a short last vector with zeros must not count as a logit
        F greatest_of = splat(logits[0]);
        const int64_t whole = a.vocabulary / W * W;
        for (int64_t i = 0; i < whole; i += W) greatest_of = max(greatest_of, load(logits + i));
        float greatest = greatest_of[0];
        for (int i = 1; i < W; i++) greatest = greatest_of[i] > greatest ? greatest_of[i] : greatest;
        for (int64_t i = whole; i < a.vocabulary; i++) greatest = logits[i] > greatest ? logits[i] : greatest;
        // 2. sum of exponentials, in pieces so that a large vocabulary loses nothing to rounding
        double total = 0;
        for (int64_t piece = 0; piece < whole; piece += 1024) {
            F part = {};
            const int64_t stop = piece + 1024 < whole ? piece + 1024 : whole;
            for (int64_t i = piece; i < stop; i += W) part += exponential(load(logits + i) - greatest);
            total += sum(part);
        }
        for (int64_t i = whole; i < a.vocabulary; i++) total += exponential(splat(logits[i] - greatest))[0];
        const double log_total = __builtin_log(total);
        a.likelihood[row] = a.loss[row] = log_total + greatest - logits[target];
        a.correct[row] = logits[target] >= greatest;
        if (a.smoothing != 0) {
            double all = 0;
            for (int64_t piece = 0; piece < a.vocabulary; piece += 1024) {
                F part = {};
                const int64_t stop = piece + 1024 < a.vocabulary ? piece + 1024 : a.vocabulary;
                for (int64_t i = piece; i < stop; i += W) part += load_some(logits + i, stop - i < W ? stop - i : W);
                all += sum(part);
            }
            a.loss[row] = log_total + greatest - (1 - a.smoothing) * logits[target] - a.smoothing * all / a.vocabulary;
        }
        // 3. gradient
        if (!a.grad_logits) continue;
        T* grad = static_cast<T*>(a.grad_logits) + row * a.vocabulary;
        const float shift = static_cast<float>(greatest + log_total), scale = a.scale ? a.scale[row] : 1.0f, spread = a.smoothing / a.vocabulary;
        FOR_VECTORS(i, n, a.vocabulary) store_some(grad + i, (exponential(load_some(logits + i, n) - shift) - spread) * scale, n);
        const float probability = exponential(splat(logits[target] - shift))[0];
        T at[W];
        store(at, splat((probability - spread - (1.0f - a.smoothing)) * scale));
        grad[target] = at[0];
    }
}

static void adamw(const AdamW& a, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i += W) {
        const int64_t n = end - i < W ? end - i : W;
        const F g = load_some(a.gradient + i, n) * a.grad_scale;
        const F m = load_some(a.mean + i, n) * a.beta1 + g * a.rest1;
        const F v = load_some(a.square + i, n) * a.beta2 + g * g * a.rest2;
        F divisor;
        for (int k = 0; k < W; k++) divisor[k] = __builtin_sqrtf(v[k]);
        store_some(a.mean + i, m, n);
        store_some(a.square + i, v, n);
        store_some(a.parameter + i, load_some(a.parameter + i, n) * a.keep - m * a.step / (divisor * a.root + a.epsilon), n);
    }
}

static double sum_of_squares(const float* values, int64_t begin, int64_t end) {
    double total = 0;
    for (int64_t i = begin; i < end; i++) total += static_cast<double>(values[i]) * values[i];
    return total;
}

static void to_bfloat16(const float* from, bfloat16* to, int64_t begin, int64_t end, float scale) {
    for (int64_t i = begin; i < end; i += W) {
        const int64_t n = end - i < W ? end - i : W;
        store_some(to + i, load_some(from + i, n) * scale, n);
    }
}
