// Matrix products over oneDNN. Weights are brought once into the layout that oneDNN likes best (measured up to twice as fast
// as handing it plain rows each time); products without weights (gradients of weights, LoRA's skinny ones) take any strides.
#pragma once
#include <memory>
#include "Kernels.h"

namespace tokenmill {

// A matrix of a product: element (i, j) lies at data[i·row + j·column].
struct Matrix {
    const void* data;
    Format format;
    int64_t rows, columns;
    int64_t row, column;
};

// c (a.rows × b.columns, contiguous columns, row stride c_row) = a·b, or += where add.
void multiply(const Matrix& a, const Matrix& b, void* c, Format c_format, int64_t c_row, bool add);

// A weight (outputs × inputs) packed for y = x·Wᵀ + bias and, where asked, for dx = dy·W.
class PackedWeight {
public:
    PackedWeight(int64_t outputs, int64_t inputs, Format format, bool backward);
    ~PackedWeight();

    // Room for the weight as fp32 (outputs × inputs), to be filled by the caller; pack() frees it.
    float* source();
    void pack();
    // The whole weight (outputs × inputs) at once; again after each step where it is trained.
    void pack(const float* source);

    // x (rows × inputs) in the weight's format → y (rows × outputs); bias (outputs) fp32 or null.
    void forward(const void* x, int64_t rows, void* y, Format y_format, const float* bias) const;
    // dy (rows × outputs) in the weight's format → dx (rows × inputs).
    void backward(const void* dy, int64_t rows, void* dx) const;

    const int64_t outputs, inputs;
    const Format format;
    int64_t size_bytes() const;

private:
    struct Packed;
    std::unique_ptr<Packed> packed_;
};

}
