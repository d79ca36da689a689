// Causal attention by segment. Idea: a segment's keys and values of one kv head are read once, rotated and widened to fp32;
// then every query head of the group walks the segment in blocks of rows with a small matrix product written for this shape.
// The gradient computes the probabilities again from the saved log-sum-exp (Dao et al., FlashAttention-2, 2023), so that
// nothing quadratic is kept. T is the format of activations.

constexpr int RowBlock = 32;            // queries at a time: their scores (RowBlock × keys) stay in L2

// C (m × n) = A·B, or += where add. A is read as a[i·row + p·column]; B (k × n) and C have contiguous rows; n is a multiple of W.
template <int M, int V> static inline void tile(int64_t k, const float* a, int64_t row, int64_t column, const float* b, int64_t b_stride, float* c, int64_t c_stride, bool add) {
    F sums[M][V];
    for (int i = 0; i < M; i++) for (int j = 0; j < V; j++) sums[i][j] = add ? load(c + i * c_stride + j * W) : F{};
    for (int64_t p = 0; p < k; p++) {
        F right[V];
        for (int j = 0; j < V; j++) right[j] = load(b + p * b_stride + j * W);
        for (int i = 0; i < M; i++) {
            const float left = a[i * row + p * column];
            for (int j = 0; j < V; j++) sums[i][j] += left * right[j];
        }
    }
    for (int i = 0; i < M; i++) for (int j = 0; j < V; j++) store(c + i * c_stride + j * W, sums[i][j]);
}

template <int V> static void columns(int64_t m, int64_t k, const float* a, int64_t row, int64_t column, const float* b, int64_t b_stride, float* c, int64_t c_stride, bool add) {
    constexpr int M = W == 16 ? 8 : 4;
    int64_t i = 0;
    for (; i + M <= m; i += M) tile<M, V>(k, a + i * row, row, column, b, b_stride, c + i * c_stride, c_stride, add);
    for (; i + 2 <= m; i += 2) tile<2, V>(k, a + i * row, row, column, b, b_stride, c + i * c_stride, c_stride, add);
    for (; i < m; i++) tile<1, V>(k, a + i * row, row, column, b, b_stride, c + i * c_stride, c_stride, add);
}

static void product(int64_t m, int64_t n, int64_t k, const float* a, int64_t row, int64_t column, const float* b, int64_t b_stride, float* c, int64_t c_stride, bool add) {
    int64_t j = 0;
    for (; j + 2 * W <= n; j += 2 * W) columns<2>(m, k, a, row, column, b + j, b_stride, c + j, c_stride, add);
    for (; j < n; j += W) columns<1>(m, k, a, row, column, b + j, b_stride, c + j, c_stride, add);
}

static inline int64_t padded(int64_t n) { return (n + W - 1) / W * W; }

// Rows of one head to fp32 with `stride` floats a row, the first `rotated` dimensions turned by position where tables are
// given, scaled, padded with zeros.
template <class T> static void read_head(const T* from, int64_t from_stride, int64_t rows, int64_t head_dim, int64_t rotated, const float* cosine, const float* sine, int64_t position, float scale, float* to, int64_t stride) {
    const int64_t half = cosine ? rotated / 2 : 0;
    for (int64_t r = 0; r < rows; r++, from += from_stride, to += stride) {
        const float* c = cosine + (position + r) * half;
        const float* s = sine + (position + r) * half;
        FOR_VECTORS(i, n, half) {
            const F x = load_some(from + i, n), y = load_some(from + half + i, n), cs = load_some(c + i, n), sn = load_some(s + i, n);
            store_some(to + i, (x * cs - y * sn) * scale, n);
            store_some(to + half + i, (y * cs + x * sn) * scale, n);
        }
        FOR_VECTORS(i, n, head_dim - 2 * half) store_some(to + 2 * half + i, load_some(from + 2 * half + i, n) * scale, n);
        for (int64_t i = head_dim; i < stride; i++) to[i] = 0;
    }
}

// The gradient of read_head: rotated back and scaled.
template <class T> static void write_head(const float* from, int64_t stride, int64_t rows, int64_t head_dim, int64_t rotated, const float* cosine, const float* sine, int64_t position, float scale, T* to, int64_t to_stride) {
    const int64_t half = cosine ? rotated / 2 : 0;
    for (int64_t r = 0; r < rows; r++, from += stride, to += to_stride) {
        const float* c = cosine + (position + r) * half;
        const float* s = sine + (position + r) * half;
        FOR_VECTORS(i, n, half) {
            const F x = load_some(from + i, n), y = load_some(from + half + i, n), cs = load_some(c + i, n), sn = load_some(s + i, n);
            store_some(to + i, (x * cs + y * sn) * scale, n);
            store_some(to + half + i, (y * cs - x * sn) * scale, n);
        }
        FOR_VECTORS(i, n, head_dim - 2 * half) store_some(to + 2 * half + i, load_some(from + 2 * half + i, n) * scale, n);
    }
}

static void transpose(const float* from, int64_t rows, int64_t width, int64_t stride, float* to, int64_t to_stride) {
    for (int64_t r0 = 0; r0 < rows; r0 += 16)
        for (int64_t i = 0; i < width; i++)
            for (int64_t r = r0; r < rows && r < r0 + 16; r++) to[i * to_stride + r] = from[r * stride + i];
    for (int64_t i = 0; i < width; i++) for (int64_t r = rows; r < to_stride; r++) to[i * to_stride + r] = 0;
}

// First key that the query at a position sees.
static inline int64_t first_seen(const Attention& a, int64_t position) { return a.window > 0 && position >= a.window ? position - a.window + 1 : 0; }

static inline F hyperbolic_tangent(F x) { return 1.0f - 2.0f / (exponential(x * 2.0f) + 1.0f); }

template <class T> static void attention(const Attention& a, int64_t segment, int64_t kv_head) {
    static thread_local Scratch scratch;
    const int64_t first_query = a.query_starts[segment], queries = a.query_starts[segment + 1] - first_query;
    const int64_t first_key = a.key_starts[segment], keys = a.key_starts[segment + 1] - first_key;
    const int64_t past = keys - queries, group = a.heads / a.kv_heads;
    const int64_t d = padded(a.head_dim), k = padded(keys);

    float* key = scratch.take(keys * d + d * k + keys * d + RowBlock * (k + 2 * d));   // (keys, d)
    float* key_transposed = key + keys * d;                                            // (d, k)
    float* value = key_transposed + d * k;                                             // (keys, d)
    float* scores = value + keys * d;                                                  // (RowBlock, k)
    float* query = scores + RowBlock * k;                                              // (RowBlock, d)
    float* out = query + RowBlock * d;                                                 // (RowBlock, d)

    const T* keys_from = static_cast<const T*>(a.key) + first_key * a.key_stride + kv_head * a.head_dim;
    const T* values_from = static_cast<const T*>(a.value) + first_key * a.key_stride + kv_head * a.head_dim;
    read_head(keys_from, a.key_stride, keys, a.head_dim, a.rotated, a.cosine, a.sine, 0, 1.0f, key, d);
    transpose(key, keys, d, d, key_transposed, k);
    read_head<T>(values_from, a.key_stride, keys, a.head_dim, 0, nullptr, nullptr, 0, 1.0f, value, d);

    for (int64_t head = kv_head * group; head < (kv_head + 1) * group; head++) {
        for (int64_t first = 0; first < queries; first += RowBlock) {
            const int64_t rows = queries - first < RowBlock ? queries - first : RowBlock;
            // The rows of the block see no keys before `start` and none from `seen` on, both at a vector's border.
            const int64_t start = first_seen(a, past + first) / W * W, last = past + first + rows, seen = padded(last) < k ? padded(last) : k;
            const T* from = static_cast<const T*>(a.query) + (first_query + first) * a.query_stride + head * a.head_dim;
            read_head(from, a.query_stride, rows, a.head_dim, a.rotated, a.cosine, a.sine, past + first, a.scale, query, d);
            product(rows, seen - start, d, query, d, 1, key_transposed + start, k, scores + start, k, false);
            for (int64_t r = 0; r < rows; r++) {
                float* row = scores + r * k;
                const int64_t visible = past + first + r + 1, hidden = first_seen(a, past + first + r);
                if (a.softcap > 0) for (int64_t i = start; i < seen; i += W) store(row + i, hyperbolic_tangent(load(row + i) * (1.0f / a.softcap)) * a.softcap);
                for (int64_t i = start; i < hidden; i++) row[i] = -__builtin_inff();
                for (int64_t i = visible; i < seen; i++) row[i] = -__builtin_inff();
                F greatest_of = load(row + start);
                for (int64_t i = start + W; i < seen; i += W) greatest_of = max(greatest_of, load(row + i));
                float greatest = greatest_of[0];
                for (int i = 1; i < W; i++) greatest = greatest_of[i] > greatest ? greatest_of[i] : greatest;
                for (int64_t i = start; i < visible; i += W) store(row + i, exponential(load(row + i) - greatest));
                for (int64_t i = start; i < hidden; i++) row[i] = 0;
                for (int64_t i = visible; i < seen; i++) row[i] = 0;
                F total_of = {};
                for (int64_t i = start; i < seen; i += W) total_of += load(row + i);
                const float total = sum(total_of);
                for (int64_t i = start; i < seen; i += W) store(row + i, load(row + i) * (1.0f / total));
                if (a.log_sum_exp) a.log_sum_exp[(first_query + first + r) * a.heads + head] = greatest + __builtin_logf(total);
            }
            product(rows, d, last - start, scores + start, k, 1, value + start * d, d, out, d, false);
            T* to = static_cast<T*>(a.out) + (first_query + first) * a.heads * a.head_dim + head * a.head_dim;
            write_head<T>(out, d, rows, a.head_dim, 0, nullptr, nullptr, 0, 1.0f, to, a.heads * a.head_dim);
        }
    }
}

// With P the probabilities: dP = dO·Vᵀ, dS = P∘(dP − rowsum(P∘dP)), dQ = dS·K, dK = dSᵀ·Q, dV = Pᵀ·dO.
// A cap on the scores multiplies dS by 1 − tanh².
template <class T> static void attention_gradient(const AttentionGradient& g, int64_t segment, int64_t kv_head) {
    static thread_local Scratch scratch;
    const Attention& a = g.forward;
    const int64_t first_query = a.query_starts[segment], queries = a.query_starts[segment + 1] - first_query;
    const int64_t first_key = a.key_starts[segment], keys = a.key_starts[segment + 1] - first_key;
    const int64_t past = keys - queries, group = a.heads / a.kv_heads;
    const int64_t d = padded(a.head_dim), k = padded(keys);

    float* key = scratch.take(4 * keys * d + 2 * d * k + RowBlock * (2 * k + 3 * d) + k);   // (keys, d)
    float* value = key + keys * d;                                                      // (keys, d)
    float* grad_key = value + keys * d;                                                 // (keys, d)
    float* grad_value = grad_key + keys * d;                                            // (keys, d)
    float* key_transposed = grad_value + keys * d;                                      // (d, k)
    float* value_transposed = key_transposed + d * k;                                   // (d, k)
    float* probability = value_transposed + d * k;                                      // (RowBlock, k)
    float* grad_score = probability + RowBlock * k;                                     // (RowBlock, k)
    float* query = grad_score + RowBlock * k;                                           // (RowBlock, d)
    float* grad_out = query + RowBlock * d;                                             // (RowBlock, d)
    float* grad_query = grad_out + RowBlock * d;                                        // (RowBlock, d)
    float* slope = grad_query + RowBlock * d;                                           // (k), of the cap

    const int64_t key_offset = first_key * a.key_stride + kv_head * a.head_dim;
    read_head(static_cast<const T*>(a.key) + key_offset, a.key_stride, keys, a.head_dim, a.rotated, a.cosine, a.sine, 0, 1.0f, key, d);
    read_head<T>(static_cast<const T*>(a.value) + key_offset, a.key_stride, keys, a.head_dim, 0, nullptr, nullptr, 0, 1.0f, value, d);
    transpose(key, keys, d, d, key_transposed, k);
    transpose(value, keys, d, d, value_transposed, k);
    __builtin_memset(grad_key, 0, 2 * keys * d * sizeof(float));

    for (int64_t head = kv_head * group; head < (kv_head + 1) * group; head++) {
        for (int64_t first = 0; first < queries; first += RowBlock) {
            const int64_t rows = queries - first < RowBlock ? queries - first : RowBlock;
            const int64_t start = first_seen(a, past + first) / W * W, last = past + first + rows, seen = padded(last) < k ? padded(last) : k;
            const int64_t query_offset = (first_query + first) * a.query_stride + head * a.head_dim;
            const int64_t out_stride = a.heads * a.head_dim, out_offset = (first_query + first) * out_stride + head * a.head_dim;
            read_head(static_cast<const T*>(a.query) + query_offset, a.query_stride, rows, a.head_dim, a.rotated, a.cosine, a.sine, past + first, a.scale, query, d);
            read_head<T>(static_cast<const T*>(g.grad_out) + out_offset, out_stride, rows, a.head_dim, 0, nullptr, nullptr, 0, 1.0f, grad_out, d);
            product(rows, seen - start, d, query, d, 1, key_transposed + start, k, probability + start, k, false);
            product(rows, seen - start, d, grad_out, d, 1, value_transposed + start, k, grad_score + start, k, false);
            for (int64_t r = 0; r < rows; r++) {
                float* p = probability + r * k;
                float* s = grad_score + r * k;
                const int64_t visible = past + first + r + 1, hidden = first_seen(a, past + first + r);
                const float log_sum_exp = a.log_sum_exp[(first_query + first + r) * a.heads + head];
                if (a.softcap > 0)
                    for (int64_t i = start; i < seen; i += W) {
                        const F t = hyperbolic_tangent(load(p + i) * (1.0f / a.softcap));
                        store(p + i, t * a.softcap);
                        store(slope + i, 1.0f - t * t);
                    }
                for (int64_t i = start; i < visible; i += W) store(p + i, exponential(load(p + i) - log_sum_exp));
                for (int64_t i = start; i < hidden; i++) p[i] = 0;
                for (int64_t i = visible; i < seen; i++) p[i] = 0;
                F along_of = {};
                for (int64_t i = start; i < seen; i += W) along_of += load(p + i) * load(s + i);
                const float along = sum(along_of);
                for (int64_t i = start; i < seen; i += W) store(s + i, load(p + i) * (load(s + i) - along));
                if (a.softcap > 0) for (int64_t i = start; i < seen; i += W) store(s + i, load(s + i) * load(slope + i));
            }
            product(rows, d, last - start, grad_score + start, k, 1, key + start * d, d, grad_query, d, false);
            write_head(grad_query, d, rows, a.head_dim, a.rotated, a.cosine, a.sine, past + first, a.scale, static_cast<T*>(g.grad_query) + query_offset, a.query_stride);
            product(last - start, d, rows, grad_score + start, 1, k, query, d, grad_key + start * d, d, true);
            product(last - start, d, rows, probability + start, 1, k, grad_out, d, grad_value + start * d, d, true);
        }
    }
    write_head(grad_key, d, keys, a.head_dim, a.rotated, a.cosine, a.sine, 0, 1.0f, static_cast<T*>(g.grad_key) + key_offset, a.key_stride);
    write_head<T>(grad_value, d, keys, a.head_dim, 0, nullptr, nullptr, 0, 1.0f, static_cast<T*>(g.grad_value) + key_offset, a.key_stride);
}
