// The border between C# and libtorch: plain C functions over handles. Every function returns 0, or −1 with the reason in
// tm_error() of the same thread. A handle is a heap-allocated at::Tensor or packed weight; it is counted and freed by its owner.
// Two ways in: tm_call reaches any ATen operator by name; the fused operators below are autograd nodes over our own kernels.
#pragma once
#include <cstdint>

#define TM_API extern "C" __attribute__((visibility("default")))

typedef struct tm_tensor_s* tm_tensor;
typedef struct tm_weight_s* tm_weight;

enum tm_dtype { TM_FLOAT32 = 0, TM_BFLOAT16 = 1, TM_INT64 = 2, TM_FLOAT64 = 3, TM_UINT8 = 4 };

// Argument or result of tm_call.
enum tm_kind { TM_NONE = 0, TM_TENSOR = 1, TM_INT = 2, TM_DOUBLE = 3, TM_BOOL = 4, TM_INTS = 5, TM_TENSORS = 6, TM_DTYPE = 7 };
struct tm_value {
    int32_t kind;
    int32_t count;              // of ints or tensors
    int64_t integer;
    double real;
    void* pointer;              // tm_tensor, int64_t[] or tm_tensor[]
};

// How queries and keys make scores. Tables may be null: no rotation. Segments longer than short_positions turn by the long tables, where there are any.
struct tm_attention_options {
    float scale, softcap;       // softcap 0: none
    int64_t window;             // 0: none
    tm_tensor cosine, sine;     // (positions, rotated/2), fp32
    tm_tensor long_cosine, long_sine;
    int64_t short_positions;
};

// One low-rank pair on rows [first, first + rows) of a linear layer's output: + scale·(x·aᵀ)·bᵀ.
struct tm_lora {
    tm_tensor a;                // (rank, inputs), fp32
    tm_tensor b;                // (rows, rank), fp32
    int64_t first, rows;
    float scale;
};

TM_API const char* tm_error();
TM_API int tm_info(const char** kernels, const char** torch, int32_t* has_bfloat16, int32_t* has_fast_bfloat16);
TM_API int32_t tm_use_kernels(const char* level);       // 0 where this CPU lacks the level; "libtorch": none of ours, libtorch's operators
TM_API int tm_gpus(int32_t* supported, int32_t* count);     // whether this libtorch knows CUDA, and how many GPUs it sees
TM_API int tm_use_device(int32_t gpu);                  // tensors and weights are made there from now on; negative: the CPU
TM_API int tm_threads(int32_t count);
TM_API int64_t tm_live_handles();

// The most bytes of tensors and weights that were alive at once since the last restart of the count.
TM_API int64_t tm_peak_memory(int restart);
TM_API int64_t tm_peak_device_memory();                 // the most that was taken of the GPU at once; -1 on the CPU, and before libtorch 2.9
TM_API void tm_interrupt(int32_t interrupted);        // from any thread: layers fail with "interrupted" until it is taken back

TM_API int tm_tensor_new(const void* data, int32_t dtype, const int64_t* shape, int32_t rank, tm_tensor* out);   // data may be null: zeros
TM_API void tm_tensor_free(tm_tensor tensor);
TM_API int tm_tensor_shape(tm_tensor tensor, int32_t* dtype, int32_t* rank, int64_t* shape8);
TM_API int tm_tensor_read(tm_tensor tensor, void* to, int64_t bytes);
TM_API int tm_tensor_write(tm_tensor tensor, const void* from, int64_t bytes);
TM_API int tm_require_grad(tm_tensor tensor);
TM_API int tm_grad(tm_tensor tensor, tm_tensor* out);            // null where there is none
TM_API int tm_clear_grad(tm_tensor tensor);
TM_API int tm_backward(tm_tensor output, tm_tensor gradient);       // gradient of what is to be minimised by output, of its shape
TM_API int tm_grad_mode(int32_t enabled);
TM_API int tm_call(const char* name, const char* overload, const tm_value* arguments, int32_t count, tm_value* results, int32_t capacity, int32_t* result_count);

TM_API int tm_weight_new(int64_t outputs, int64_t inputs, int32_t dtype, int32_t backward, tm_weight* out);
// A weight that its owner keeps in a form of its own: expand writes rows [first, first + rows) as fp32 and gives 0.
typedef int32_t (*tm_expand)(void* owner, int64_t first, int64_t rows, float* target);
TM_API int tm_weight_stored(int64_t outputs, int64_t inputs, int32_t dtype, tm_expand expand, void* owner, tm_weight* out);
TM_API void tm_weight_free(tm_weight weight);
TM_API int tm_weight_source(tm_weight weight, float** out);       // (outputs, inputs) to fill; tm_weight_pack frees it
TM_API int tm_weight_pack(tm_weight weight);
TM_API int tm_weight_repack(tm_weight weight, tm_tensor master);

// Fused operators. Activations have one dtype (fp32 or bf16), the residual stream is fp32. Tensors called nullable may be null.
TM_API int tm_rms_norm(tm_tensor x, tm_tensor delta_nullable, tm_tensor weight, float epsilon, int32_t dtype, tm_tensor* sum_nullable, tm_tensor* out);
TM_API int tm_head_norm(tm_tensor qkv, tm_tensor query_weight, tm_tensor key_weight, int64_t heads, int64_t kv_heads, float epsilon, tm_tensor* out);
TM_API int tm_linear(tm_tensor x, tm_weight weight, tm_tensor master_nullable, tm_tensor bias_nullable, const tm_lora* adapters, int32_t count, float dropout, uint64_t seed, tm_tensor* out);
TM_API int tm_scale_outputs(tm_tensor x, tm_tensor factor, tm_tensor bias_nullable, tm_tensor* out);
TM_API int tm_gated_unit(tm_tensor gate_up, int32_t activation, tm_tensor* out);      // 0: SiLU, 1: GELU (tanh)
TM_API int tm_attention(tm_tensor qkv, int64_t heads, int64_t kv_heads, const int64_t* starts, int32_t segments, const tm_attention_options* options, tm_tensor* out);
TM_API int tm_attention_cached(tm_tensor qkv, int64_t heads, int64_t kv_heads, tm_tensor cache, int64_t past, const tm_attention_options* options, tm_tensor* out);
TM_API int tm_head_loss(tm_tensor hidden, tm_weight head, tm_tensor master_nullable, const int64_t* targets, float smoothing, float softcap, tm_tensor* losses, double* loss_values, double* likelihoods, uint8_t* correct);
TM_API int tm_logits(tm_tensor hidden, tm_weight head, float softcap, tm_tensor* out);      // fp32

// Marks sum and out, computed from x and delta without a record, as outputs of a pass that repeat makes again when the gradient
// is wanted: it takes over two handles and gives two. release(owner) follows when it will not be called any more.
typedef int32_t (*tm_repeat)(void* owner, tm_tensor x, tm_tensor delta_nullable, tm_tensor* sum, tm_tensor* out);
typedef void (*tm_release)(void* owner);
TM_API int tm_repeated(tm_tensor x, tm_tensor delta_nullable, tm_tensor sum, tm_tensor out, tm_repeat repeat, tm_release release, void* owner, tm_tensor* sum_marked, tm_tensor* out_marked);

TM_API int tm_sum_of_squares(tm_tensor values, double* out);
TM_API int tm_adamw(tm_tensor parameter, tm_tensor gradient, tm_tensor mean, tm_tensor square, double learning_rate, double beta1, double beta2, double epsilon, double weight_decay, double grad_scale, int64_t step);
TM_API int tm_adamw8bit(tm_tensor parameter, tm_tensor gradient, tm_tensor mean, tm_tensor mean_scale, tm_tensor root, tm_tensor root_scale, double learning_rate, double beta1, double beta2, double epsilon, double weight_decay, double grad_scale, int64_t step, uint64_t seed);   // codes are uint8
