// One vector type per level, in GCC's vector extension: TOKENMILL_WIDTH floats. Included inside the level's namespace.

constexpr int W = TOKENMILL_WIDTH;
typedef float F __attribute__((vector_size(W * 4)));
typedef int32_t I __attribute__((vector_size(W * 4)));
typedef uint32_t U __attribute__((vector_size(W * 4)));
typedef uint16_t H __attribute__((vector_size(W * 2)));

static inline F splat(float value) { return value - F{}; }

static inline F load(const float* p) { F v; __builtin_memcpy(&v, p, sizeof v); return v; }
static inline void store(float* p, F v) { __builtin_memcpy(p, &v, sizeof v); }

static inline F load(const bfloat16* p) {
    H h;
    __builtin_memcpy(&h, p, sizeof h);
    return (F)(__builtin_convertvector(h, U) << 16);
}

// Rounds to nearest even. The hardware's NaN keeps its quiet bit through the addition.
static inline void store(bfloat16* p, F v) {
    U u = (U)v;
    u += 0x7fffu + ((u >> 16) & 1u);
    H h = __builtin_convertvector(u >> 16, H);
    __builtin_memcpy(p, &h, sizeof h);
}

// The last n < W elements of a row; the rest of the vector is zero.
template <class T> static inline F load(const T* p, int64_t n) {
    T padded[W] = {};
    __builtin_memcpy(padded, p, n * sizeof(T));
    return load(padded);
}
template <class T> static inline void store(T* p, F v, int64_t n) {
    T padded[W];
    store(padded, v);
    __builtin_memcpy(p, padded, n * sizeof(T));
}

static inline float sum(F v) { float s = 0; for (int i = 0; i < W; i++) s += v[i]; return s; }
static inline F max(F a, F b) { return a > b ? a : b; }

// e^x, at most 2 ulp off for −87 ≤ x ≤ 88; beyond, the value at the border. x = n·ln 2 + r, |r| ≤ ln 2 / 2, Taylor's
// polynomial of degree 7 in r. NaN stays NaN.
static inline F exponential(F x) {
    x = x < splat(-87.0f) ? splat(-87.0f) : x;
    x = x > splat(88.0f) ? splat(88.0f) : x;
    const F magic = splat(12582912.0f);                    // 1.5·2^23: adding it rounds to a whole number
    F n = (x * 1.44269504f + magic) - magic;
    F r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    F p = r * (1.0f / 5040) + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    I exponent = (__builtin_convertvector(n, I) + 127) << 23;
    return p * (F)exponent;
}

// Calls body(i, n) for vectors of a row: n = W, then once for what is left.
#define FOR_VECTORS(i, n, width) \
    for (int64_t i = 0, n = W; i < (width); i += W) if ((n = (width) - i < W ? (width) - i : W), true)

template <class T> static inline F load_some(const T* p, int64_t n) { return n == W ? load(p) : load(p, n); }
template <class T> static inline void store_some(T* p, F v, int64_t n) { if (n == W) store(p, v); else store(p, v, n); }

// Memory of one thread that grows and stays.
struct Scratch {
    float* memory = nullptr;
    int64_t capacity = 0;
    float* take(int64_t floats) {
        if (floats > capacity) {
            __builtin_free(memory);
            memory = static_cast<float*>(aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64));
            capacity = memory ? floats : 0;
            if (!memory) abort();
        }
        return memory;
    }
    ~Scratch() { __builtin_free(memory); }
};
