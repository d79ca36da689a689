// One instruction set's copy of all kernels: compiled with -DTOKENMILL_LEVEL=name -DTOKENMILL_WIDTH=floats and that set's
// machine flags. Everything is static or in the level's namespace and uses no inline function of the standard library: the
// linker could otherwise keep this copy for code that runs on lesser CPUs.
#include <cstdint>
#include <cstdlib>
#include "Kernels.h"

namespace tokenmill::TOKENMILL_LEVEL {
#include "Vector.h"
#include "RowKernels.inl"
#include "Attention.inl"

#define TOKENMILL_TEXT2(x) #x
#define TOKENMILL_TEXT(x) TOKENMILL_TEXT2(x)
#define BOTH(kernel) { kernel<float>, kernel<bfloat16> }

extern const Kernels table;
const Kernels table = {
    TOKENMILL_TEXT(TOKENMILL_LEVEL),
    BOTH(rms_norm), BOTH(rms_norm_gradient), BOTH(head_norm), BOTH(head_norm_gradient),
    BOTH(swiglu), BOTH(swiglu_gradient), BOTH(geglu), BOTH(geglu_gradient),
    BOTH(cross_entropy), BOTH(attention), BOTH(attention_gradient),
    adamw, sum_of_squares, to_bfloat16,
};
}
