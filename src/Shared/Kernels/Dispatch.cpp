#include <atomic>
#include <cstring>
#include "Kernels.h"

namespace tokenmill {

namespace baseline { extern const Kernels table; }
namespace avx2 { extern const Kernels table; }
namespace avx512 { extern const Kernels table; }

static bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

static bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && has_avx2();
}

static std::atomic<const Kernels*> chosen{nullptr};

const Kernels& kernels() {
    if (const Kernels* table = chosen) return *table;
    chosen = has_avx512() ? &avx512::table : has_avx2() ? &avx2::table : &baseline::table;
    return *chosen;
}

bool use_kernels(const char* level) {
    if (!std::strcmp(level, "baseline")) chosen = &baseline::table;
    else if (!std::strcmp(level, "avx2") && has_avx2()) chosen = &avx2::table;
    else if (!std::strcmp(level, "avx512") && has_avx512()) chosen = &avx512::table;
    else return false;
    return true;
}

bool has_bfloat16() { return has_avx512(); }

// CPUID leaf 7: AVX512_BF16 is EAX bit 5 of subleaf 1, AMX-BF16 EDX bit 22 of subleaf 0.
bool has_fast_bfloat16() {
    unsigned a, b, c, d;
    if (!has_bfloat16()) return false;
    __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(0));
    const bool amx = d >> 22 & 1;
    if (a < 1) return amx;
    __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(1));
    return amx || (a >> 5 & 1);
}

}
