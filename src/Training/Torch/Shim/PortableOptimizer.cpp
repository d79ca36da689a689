// AdamW; see Portable.h.
#include "Portable.h"

namespace tokenmill::portable {

void adamw(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& mean, at::Tensor& square, const AdamW& factors) {
    at::NoGradGuard no_grad;
    const at::Tensor g = factors.grad_scale == 1 ? gradient : gradient * factors.grad_scale;
    mean.mul_(factors.beta1).add_(g, factors.rest1);
    square.mul_(factors.beta2).addcmul_(g, g, factors.rest2);
    parameter.mul_(factors.keep).addcdiv_(mean, square.sqrt().mul_(factors.root).add_(factors.epsilon), -factors.step);
}

}
