// TokenMill's CPU kernels: plain C++ without libtorch, so that the trainer's shim and a runner of our own share them.
//
// Every kernel is written once (Vector.h and the .inl files), compiled once per instruction set (Level.cpp) and chosen at
// run time by kernels(). None of them starts a thread: each works on the rows, elements or tasks it is given, and the
// caller divides the work. All arithmetic is fp32; Format says how activations are stored.
#pragma once
#include <cstdint>

namespace tokenmill {

enum class Format : int32_t { Float32 = 0, BFloat16 = 1 };

struct bfloat16 { uint16_t bits; };

inline int64_t size_of(Format format) { return format == Format::Float32 ? 4 : 2; }

// Root-mean-square norm of a residual stream: sum = x + delta; out = sum · rstd · weight, rstd = 1/√(mean sum² + epsilon).
// The stream is fp32; delta and out have the activations' format. delta may be null (then sum is not written).
struct RmsNorm {
    int64_t width;
    float epsilon;
    const float* x;         // (rows, width)
    const void* delta;      // (rows, width) or null
    const float* weight;    // (width)
    float* sum;             // (rows, width) or null
    void* out;              // (rows, width)
    float* rstd;            // (rows)
};

// Gradient of the above. grad_x takes grad_sum in; grad_delta is the same numbers in the activations' format.
// The normalised stream, sum·rstd, comes back from out·inverse_weight: out is kept anyway as the next layer's input, sum is not.
struct RmsNormGradient {
    int64_t width;
    const float* sum;       // (rows, width), only where a weight of zero forbids the above; else null
    const void* out;        // (rows, width)
    const float* rstd;      // (rows)
    const float* weight;    // (width)
    const float* inverse_weight;
    const void* grad_out;   // (rows, width)
    const float* grad_sum;  // (rows, width) or null
    float* grad_x;          // (rows, width)
    void* grad_delta;       // (rows, width) or null
    float* grad_weight;     // (width), added to, or null
};

// Norm of each query and key head by itself (Qwen3). Rows of qkv hold (heads + 2·kv_heads) heads; values are copied.
struct HeadNorm {
    int64_t heads, kv_heads, head_dim;
    float epsilon;
    const void* qkv;             // (rows, (heads + 2·kv_heads)·head_dim)
    const float* query_weight;   // (head_dim)
    const float* key_weight;     // (head_dim)
    void* out;                   // as qkv; in the gradient: gradient of qkv
    const void* grad_out;        // gradient only
    float* grad_query_weight;    // gradient only, (head_dim), added to, or null
    float* grad_key_weight;
};

// activation(gate)·up, rows of gate_up hold gate then up. The kernel says which activation.
struct GatedUnit {
    int64_t width;               // of gate and of up
    const void* gate_up;         // (rows, 2·width)
    void* out;                   // (rows, width)
    const void* grad_out;        // gradient only
    void* grad_gate_up;          // gradient only
};

// Causal attention within segments, rotary embedding included: queries and keys are rotated as they are read, so that
// rotated copies are never stored. Query i of a segment with q queries and k keys stands at position k − q + i: in training
// q = k; with a cache the earlier keys come first.
// One task is one segment and one kv head with its group of query heads.
struct Attention {
    int64_t heads, kv_heads, head_dim;
    int64_t rotated;                // the first so many dimensions of a head turn: pairs (j, j + rotated/2)
    float scale;
    float softcap;                  // scores become softcap·tanh(score/softcap); 0: as they are
    int64_t window;                 // keys that a query sees, its own included; 0: all before it
    const int64_t* query_starts;    // (segments + 1)
    const int64_t* key_starts;      // (segments + 1)
    const float* cosine;            // (positions, rotated/2), or null: no rotation
    const float* sine;
    const void* query;              // row stride query_stride elements, heads side by side
    const void* key;                // row stride key_stride
    const void* value;              // row stride key_stride
    int64_t query_stride, key_stride;
    void* out;                      // (queries, heads·head_dim)
    float* log_sum_exp;             // (queries, heads), or null where no gradient follows
};

struct AttentionGradient {
    Attention forward;
    const void* grad_out;           // (queries, heads·head_dim)
    void* grad_query;               // strides as in the forward pass
    void* grad_key;
    void* grad_value;
};

// Cross-entropy of softmax(logits) with a target distribution: 1 − smoothing on the target, smoothing spread over the whole
// vocabulary (Szegedy et al., 2016). Where grad_logits is given also its gradient, (softmax − distribution)·scale of the row.
struct CrossEntropy {
    int64_t vocabulary;
    float smoothing;
    const float* scale;             // (rows), or null: 1
    const float* logits;            // (rows, vocabulary)
    const int64_t* targets;         // (rows)
    void* grad_logits;              // (rows, vocabulary) in the activations' format, or null
    double* loss;                   // (rows), not scaled
    double* likelihood;             // (rows): −log p(target), what the loss is without smoothing
    uint8_t* correct;               // (rows): the target has the greatest logit
};

// AdamW with decoupled weight decay on fp32 parameters (Loshchilov and Hutter, 2019):
// parameter = parameter·keep − step·mean / (√square·root + epsilon). The caller forms the factors, in double precision.
struct AdamW {
    float* parameter;
    const float* gradient;
    float* mean;
    float* square;
    float beta1, rest1, beta2, rest2;   // rest = 1 − beta
    float step;                         // learning rate / (1 − beta1ᵗ)
    float root;                         // 1 / √(1 − beta2ᵗ)
    float epsilon;
    float keep;                         // 1 − learning rate·weight decay
    float grad_scale;                   // clipping
};

struct Kernels {
    const char* level;
    // indexed by Format; [begin, end) are rows
    void (*rms_norm[2])(const RmsNorm&, int64_t begin, int64_t end);
    void (*rms_norm_gradient[2])(const RmsNormGradient&, int64_t begin, int64_t end);
    void (*head_norm[2])(const HeadNorm&, int64_t begin, int64_t end);
    void (*head_norm_gradient[2])(const HeadNorm&, int64_t begin, int64_t end);
    void (*swiglu[2])(const GatedUnit&, int64_t begin, int64_t end);
    void (*swiglu_gradient[2])(const GatedUnit&, int64_t begin, int64_t end);
    void (*geglu[2])(const GatedUnit&, int64_t begin, int64_t end);
    void (*geglu_gradient[2])(const GatedUnit&, int64_t begin, int64_t end);
    void (*cross_entropy[2])(const CrossEntropy&, int64_t begin, int64_t end);
    void (*attention[2])(const Attention&, int64_t segment, int64_t kv_head);
    void (*attention_gradient[2])(const AttentionGradient&, int64_t segment, int64_t kv_head);
    // [begin, end) are elements
    void (*adamw)(const AdamW&, int64_t begin, int64_t end);
    double (*sum_of_squares)(const float* values, int64_t begin, int64_t end);
    void (*to_bfloat16)(const float* from, bfloat16* to, int64_t begin, int64_t end, float scale);
};

// The table in use: the best this CPU has.
const Kernels& kernels();

// Takes another table (baseline, avx2, avx512), so that tests reach all of them; false where this CPU lacks it.
bool use_kernels(const char* level);

// Whether this CPU multiplies bfloat16 in hardware (AVX-512 BF16 or AMX).
bool has_fast_bfloat16();

// Whether bfloat16 products run at all (oneDNN needs AVX-512).
bool has_bfloat16();

}
