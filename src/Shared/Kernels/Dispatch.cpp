#include <cstdlib>
#include <cstring>
#include "Kernels.h"

namespace tokenmill {

namespace baseline { extern const Kernels table; }
namespace avx2 { extern const Kernels table; }
namespace avx512 { extern const Kernels table; }

static const Kernels& choose() {
    const bool has_avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const char* asked = std::getenv("TOKENMILL_KERNELS");
    if (asked && !std::strcmp(asked, "baseline")) return baseline::table;
    if (has_avx512 && !(asked && !std::strcmp(asked, "avx2"))) return avx512::table;
    return has_avx2 ? avx2::table : baseline::table;
}

const Kernels& kernels() {
    static const Kernels& chosen = choose();
    return chosen;
}

bool has_bfloat16() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

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
