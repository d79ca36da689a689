// Causal attention by segment; see Portable.h.
#include <torch/version.h>
#include "Portable.h"

namespace tokenmill::portable {

namespace {

// Turns the heads of x (T, heads, headDim) by rows of the tables, which stand for segments longer than short_positions apart.
class Rotation {
public:
    explicit Rotation(const tm_attention_options& o) : cosine_(optional(o.cosine)), sine_(optional(o.sine)), short_positions_(o.short_positions) {
        if (!o.long_cosine) return;
        first_long_ = cosine_.size(0);
        cosine_ = at::cat({cosine_, tensor(o.long_cosine)});
        sine_ = at::cat({sine_, tensor(o.long_sine)});
    }

    // Adds the rows for positions [first, end) of a sequence of so many.
    void add(int64_t first, int64_t end, int64_t length) {
        const int64_t offset = length > short_positions_ ? first_long_ : 0;
        for (int64_t position = first; position < end; position++) rows_.push_back(offset + position);
    }

    at::Tensor turn(const at::Tensor& x) const {
        if (!cosine_.defined()) return x;
        const at::Tensor rows = indices(rows_), cosine = cosine_.index_select(0, rows).unsqueeze(1), sine = sine_.index_select(0, rows).unsqueeze(1);      // (T, 1, rotated/2)
        const int64_t half = cosine.size(2), rest = x.size(2) - 2 * half;
        const at::Tensor left = x.narrow(2, 0, half).to(at::kFloat), right = x.narrow(2, half, half).to(at::kFloat);
        std::vector<at::Tensor> parts{(left * cosine - right * sine).to(x.scalar_type()), (right * cosine + left * sine).to(x.scalar_type())};
        if (rest > 0) parts.push_back(x.narrow(2, 2 * half, rest));
        return at::cat(parts, 2);
    }

private:
    at::Tensor cosine_, sine_;
    int64_t short_positions_, first_long_ = 0;
    std::vector<int64_t> rows_;
};

// (queries, keys): what a query at position past + i sees.
at::Tensor visible(int64_t queries, int64_t keys, int64_t past, int64_t window) {
    const at::Tensor query = at::arange(past, past + queries, on_device(at::kLong)).unsqueeze(1), key = at::arange(keys, on_device(at::kLong)).unsqueeze(0);
    const at::Tensor before = key.le(query);
    return window > 0 ? before.logical_and(key.gt(query - window)) : before;
}

// Queries (sequences, queries, heads, headDim) behind `past` keys; keys and values (sequences, keys, kvHeads, headDim) → (sequences, queries, heads·headDim).
at::Tensor attend(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values, int64_t past, const tm_attention_options& options) {
    const int64_t group = queries.size(2) / keys.size(2), count = queries.size(1), key_count = keys.size(1);
    const at::Tensor q = queries.transpose(1, 2);
    at::Tensor k = keys.transpose(1, 2), v = values.transpose(1, 2), out;
    if (group > 1) {
        k = k.repeat_interleave(group, 1);
        v = v.repeat_interleave(group, 1);
    }
    const bool causal = past == 0 && !(options.window > 0 && options.window < key_count);
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 1)
    if (options.softcap == 0)                           // without a mask it takes the kernel that holds no scores in memory
        out = causal ? at::scaled_dot_product_attention(q, k, v, {}, 0, true, options.scale)
                     : at::scaled_dot_product_attention(q, k, v, visible(count, key_count, past, options.window).unsqueeze(0).unsqueeze(0), 0, false, options.scale);
#endif
    if (!out.defined()) {
        at::Tensor scores = at::matmul(q, k.transpose(2, 3)).to(at::kFloat) * options.scale;
        if (options.softcap > 0) scores = (scores / options.softcap).tanh() * options.softcap;
        scores = scores.masked_fill(visible(count, key_count, past, causal ? 0 : options.window).logical_not(), -std::numeric_limits<float>::infinity());
        out = at::matmul(at::softmax(scores, -1).to(v.scalar_type()), v);
    }
    return out.transpose(1, 2).reshape({q.size(0), count, -1});
}

// Segments [first, end) of an order by falling length, the last at least half as long as the first.
int64_t group_end(const std::vector<int64_t>& lengths, int64_t first) {
    int64_t end = first;
    while (end < static_cast<int64_t>(lengths.size()) && 2 * lengths[end] >= lengths[first]) end++;
    return end;
}

}

// Segments of about the same length lie side by side in one call, padded at their ends by their last token: the causal mask
// hides the padding from all that count, and at most half of the work is wasted.
at::Tensor attention(const at::Tensor& qkv, int64_t heads, int64_t kv_heads, const std::vector<int64_t>& starts, const tm_attention_options& options) {
    const int64_t tokens = qkv.size(0), segments = static_cast<int64_t>(starts.size()) - 1;
    const auto length = [&](int64_t segment) { return starts[segment + 1] - starts[segment]; };
    Rotation rotation(options);
    for (int64_t s = 0; s < segments; s++) rotation.add(0, length(s), length(s));
    const at::Tensor by_head = qkv.reshape({tokens, heads + 2 * kv_heads, -1});             // (T, all heads, headDim)
    const at::Tensor q = rotation.turn(by_head.narrow(1, 0, heads)), k = rotation.turn(by_head.narrow(1, heads, kv_heads)), v = by_head.narrow(1, heads + kv_heads, kv_heads);
    if (segments == 1) return attend(q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), 0, options).squeeze(0);

    std::vector<int64_t> order(segments), lengths(segments), places(tokens);                // places: where a token's result lies
    for (int64_t s = 0; s < segments; s++) order[s] = s;
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return length(a) > length(b); });
    for (int64_t i = 0; i < segments; i++) lengths[i] = length(order[i]);
    std::vector<at::Tensor> results;
    int64_t place = 0;
    for (int64_t first = 0, end; first < segments; first = end) {
        end = group_end(lengths, first);
        const int64_t longest = lengths[first];
        std::vector<int64_t> rows;
        for (int64_t i = first; i < end; i++)
            for (int64_t t = 0; t < longest; t++, place++) {
                if (t < lengths[i]) places[starts[order[i]] + t] = place;
                rows.push_back(starts[order[i]] + std::min(t, lengths[i] - 1));
            }
        const at::Tensor from = indices(rows);
        const auto side_by_side = [&](const at::Tensor& x) { return x.index_select(0, from).view({end - first, longest, x.size(1), x.size(2)}); };
        results.push_back(attend(side_by_side(q), side_by_side(k), side_by_side(v), 0, options).flatten(0, 1));
    }
    return at::cat(results).index_select(0, indices(places));
}

at::Tensor attention_cached(const at::Tensor& qkv, int64_t heads, int64_t kv_heads, at::Tensor& cache, int64_t past, const tm_attention_options& options) {
    const int64_t tokens = qkv.size(0), all = past + tokens;
    const at::Tensor by_head = qkv.reshape({tokens, heads + 2 * kv_heads, -1});
    cache.narrow(0, past, tokens).copy_(by_head.narrow(1, heads, 2 * kv_heads).flatten(1));
    const at::Tensor kept = cache.narrow(0, 0, all).view({all, 2 * kv_heads, -1});
    Rotation of_queries(options), of_keys(options);
    of_queries.add(past, all, all);
    of_keys.add(0, all, all);
    const at::Tensor q = of_queries.turn(by_head.narrow(1, 0, heads)), k = of_keys.turn(kept.narrow(1, 0, kv_heads)), v = kept.narrow(1, kv_heads, kv_heads);
    return attend(q.unsqueeze(0), k.unsqueeze(0), v.unsqueeze(0), past, options).squeeze(0);
}

}
