// Causal attention by segment over the output of the fused q/k/v layer.
#include "Nodes.h"
#include "Portable.h"

using namespace tokenmill;

namespace {

struct Shape { int64_t heads, kv_heads, head_dim; };

// Runs (segment, kv head) tasks, long segments first, each taken by the next free thread.
template <class Task> void run_tasks(const std::vector<int64_t>& starts, int64_t kv_heads, const Task& task) {
    const int64_t segments = static_cast<int64_t>(starts.size()) - 1;
    std::vector<int64_t> order(segments);
    for (int64_t i = 0; i < segments; i++) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return starts[a + 1] - starts[a] > starts[b + 1] - starts[b]; });
    std::atomic<int64_t> next{0};
    at::parallel_for(0, std::min<int64_t>(at::get_num_threads(), segments * kv_heads), 1, [&](int64_t, int64_t) {
        for (int64_t i; (i = next++) < segments * kv_heads;) task(order[i / kv_heads], i % kv_heads);
    });
}

// What a layer does beside its inputs, and the memory its tables lie in.
struct Options {
    float scale, softcap;
    int64_t window, short_positions;
    at::Tensor cosine, sine, long_cosine, long_sine;

    explicit Options(const tm_attention_options& o)
        : scale(o.scale), softcap(o.softcap), window(o.window), short_positions(o.short_positions),
          cosine(optional(o.cosine)), sine(optional(o.sine)), long_cosine(optional(o.long_cosine)), long_sine(optional(o.long_sine)) {}
    Options() = default;

    void check(int64_t positions, int64_t head_dim) const {
        check_table(cosine, sine, positions, head_dim);
        check_table(long_cosine, long_sine, positions, head_dim);
    }

    // The tables for a segment of so many positions.
    void choose(Attention& a, int64_t positions) const {
        const bool is_long = long_cosine.defined() && positions > short_positions;
        a.cosine = floats(is_long ? long_cosine : cosine);
        a.sine = floats(is_long ? long_sine : sine);
    }

  private:
    static void check_table(const at::Tensor& cosine, const at::Tensor& sine, int64_t positions, int64_t head_dim) {
        if (!cosine.defined()) return;
        TORCH_CHECK(cosine.dim() == 2 && cosine.size(0) >= positions && cosine.size(1) * 2 <= head_dim && sine.sizes() == cosine.sizes() && cosine.scalar_type() == at::kFloat,
                    "the rotary table holds ", cosine.size(0), " positions of ", cosine.size(1), " pairs, needed are ", positions, " of ", head_dim / 2);
    }
};

Shape shape_of(const at::Tensor& qkv, int64_t heads, int64_t kv_heads) {
    TORCH_CHECK(qkv.dim() == 2 && kv_heads > 0 && heads % kv_heads == 0 && qkv.size(1) % (heads + 2 * kv_heads) == 0, "queries, keys and values do not divide into heads");
    return {heads, kv_heads, qkv.size(1) / (heads + 2 * kv_heads)};
}

Attention over_rows(const at::Tensor& qkv, const Shape& shape, const std::vector<int64_t>& starts, const Options& options) {
    char* data = static_cast<char*>(qkv.data_ptr());
    const int64_t head_bytes = shape.head_dim * qkv.element_size();
    return {shape.heads, shape.kv_heads, shape.head_dim, options.cosine.defined() ? 2 * options.cosine.size(1) : 0, options.scale, options.softcap, options.window,
            starts.data(), starts.data(), nullptr, nullptr,
            data, data + shape.heads * head_bytes, data + (shape.heads + shape.kv_heads) * head_bytes, qkv.size(1), qkv.size(1), nullptr, nullptr};
}

struct AttentionNode : Node {
    at::Tensor qkv, log_sum_exp;
    std::vector<int64_t> starts;
    Shape shape;
    Options options;

    variable_list apply(variable_list&& grads) override {
        const at::Tensor grad_out = grads[0].contiguous();
        at::Tensor grad = at::empty_like(qkv);
        AttentionGradient work{over_rows(qkv, shape, starts, options), grad_out.data_ptr(), nullptr, nullptr, nullptr};
        const Attention places = over_rows(grad, shape, starts, options);
        work.forward.log_sum_exp = log_sum_exp.data_ptr<float>();
        work.grad_query = const_cast<void*>(places.query);
        work.grad_key = const_cast<void*>(places.key);
        work.grad_value = const_cast<void*>(places.value);
        const auto kernel = kernels().attention_gradient[index_of(format_of(qkv))];
        run_tasks(starts, shape.kv_heads, [&](int64_t segment, int64_t kv_head) {
            AttentionGradient task = work;
            options.choose(task.forward, starts[segment + 1] - starts[segment]);
            kernel(task, segment, kv_head);
        });
        return {grad};
    }

    void release_variables() override {
        qkv = log_sum_exp = at::Tensor();
        options = Options();
    }
};

}

int tm_attention(tm_tensor qkv_handle, int64_t heads, int64_t kv_heads, const int64_t* starts, int32_t segments, const tm_attention_options* given, tm_tensor* out_out) {
    return guarded([&] {
        const at::Tensor input = tensor(qkv_handle);
        const Options options(*given);
        const Shape shape = shape_of(input, heads, kv_heads);
        const std::vector<int64_t> bounds(starts, starts + segments + 1);
        int64_t longest = 0;
        for (int32_t i = 0; i < segments; i++) {
            TORCH_CHECK(bounds[i + 1] > bounds[i], "segments are not empty and lie in order");
            longest = std::max(longest, bounds[i + 1] - bounds[i]);
        }
        TORCH_CHECK(bounds.front() == 0 && bounds.back() == input.size(0), "segments cover all tokens");
        options.check(longest, shape.head_dim);

        if (is_portable()) {
            *out_out = handle(portable::attention(input, heads, kv_heads, bounds, *given));
            return;
        }
        auto node = make_node<AttentionNode>({input});
        const at::Tensor qkv = plain(input);
        at::Tensor out = empty({qkv.size(0), heads * shape.head_dim}, format_of(qkv));
        at::Tensor log_sum_exp = node ? empty({qkv.size(0), heads}, at::kFloat) : at::Tensor();
        Attention work = over_rows(qkv, shape, bounds, options);
        work.out = out.data_ptr();
        if (node) work.log_sum_exp = log_sum_exp.data_ptr<float>();
        const auto kernel = kernels().attention[index_of(format_of(qkv))];
        run_tasks(bounds, kv_heads, [&](int64_t segment, int64_t kv_head) {
            Attention task = work;
            options.choose(task, bounds[segment + 1] - bounds[segment]);
            kernel(task, segment, kv_head);
        });
        if (node) {
            node->qkv = qkv;
            node->options = options;
            node->log_sum_exp = log_sum_exp;
            node->starts = bounds;
            node->shape = shape;
            attach(out, node);
        }
        *out_out = handle(out);
    });
}

// Rows of the cache hold keys and values as they come out of the layer, not rotated. No gradient.
int tm_attention_cached(tm_tensor qkv_handle, int64_t heads, int64_t kv_heads, tm_tensor cache_handle, int64_t past, const tm_attention_options* given, tm_tensor* out_out) {
    return guarded([&] {
        const at::Tensor qkv = plain(tensor(qkv_handle));
        const Options options(*given);
        at::Tensor& cache = tensor(cache_handle);
        const Shape shape = shape_of(qkv, heads, kv_heads);
        const int64_t tokens = qkv.size(0), row = 2 * kv_heads * shape.head_dim;
        TORCH_CHECK(cache.dim() == 2 && cache.is_contiguous() && cache.size(1) == row && cache.scalar_type() == qkv.scalar_type() && past >= 0 && past + tokens <= cache.size(0),
                    "the cache holds ", cache.size(0), " rows, needed are ", past + tokens);
        options.check(past + tokens, shape.head_dim);
        if (is_portable()) {
            *out_out = handle(portable::attention_cached(qkv, heads, kv_heads, cache, past, *given));
            return;
        }
        cache.narrow(0, past, tokens).copy_(qkv.narrow(1, heads * shape.head_dim, row));

        at::Tensor out = empty({tokens, heads * shape.head_dim}, format_of(qkv));
        const std::vector<int64_t> query_starts{0, tokens}, key_starts{0, past + tokens};
        Attention work = over_rows(qkv, shape, query_starts, options);
        options.choose(work, past + tokens);
        work.key_starts = key_starts.data();
        work.key = cache.data_ptr();
        work.value = static_cast<char*>(cache.data_ptr()) + kv_heads * shape.head_dim * cache.element_size();
        work.key_stride = row;
        work.out = out.data_ptr();
        const auto kernel = kernels().attention[index_of(format_of(qkv))];
        run_tasks(query_starts, kv_heads, [&](int64_t segment, int64_t kv_head) { kernel(work, segment, kv_head); });
        *out_out = handle(out);
    });
}
