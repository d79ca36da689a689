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

// A matrix (inner × columns) in the layout that oneDNN likes best for y = x·M.
class PackedMatrix {
public:
    PackedMatrix(int64_t inner, int64_t columns, Format format);
    ~PackedMatrix();

    // Element (i, j) is source[i·row + j·column], fp32.
    void pack(const float* source, int64_t row, int64_t column);

    // x (rows × inner) in this format → y (rows × columns), or += where add; bias (columns) fp32 or null.
    // Both are dense: oneDNN has no fast product for rows with gaps.
    void multiply(const void* x, int64_t rows, void* y, Format y_format, const float* bias, bool add) const;

private:
    const int64_t inner_, columns_;
    const Format format_;
    struct Layout;
    std::unique_ptr<Layout> layout_;
};

// The weight (outputs × inputs) of a linear layer, for y = x·Wᵀ + bias and dx = dy·W.
class LinearWeight {
public:
    LinearWeight(int64_t outputs, int64_t inputs, Format format) : outputs(outputs), inputs(inputs), format(format) {}
    virtual ~LinearWeight() = default;

    // x (rows × inputs) in the weight's format → y (rows × outputs), or += where add; bias (outputs) fp32 or null.
    virtual void forward(const void* x, int64_t rows, void* y, Format y_format, const float* bias, bool add) const = 0;
    // dy (rows × outputs) in the weight's format → dx (rows × inputs), or += where add.
    virtual void backward(const void* dy, int64_t rows, void* dx, bool add) const = 0;
    // Whether every use costs work that does not depend on the number of rows.
    virtual bool expands() const { return false; }

    const int64_t outputs, inputs;
    const Format format;
};

// Packed once, for the forward pass and, where asked, for the gradient.
class PackedWeight final : public LinearWeight {
public:
    PackedWeight(int64_t outputs, int64_t inputs, Format format, bool backward);
    ~PackedWeight() override;

    // Room for the weight as fp32 (outputs × inputs), to be filled by the caller; pack() frees it.
    float* source();
    void pack();
    // The whole weight (outputs × inputs) at once; again after each step where it is trained.
    void pack(const float* source);

    void forward(const void* x, int64_t rows, void* y, Format y_format, const float* bias, bool add) const override;
    void backward(const void* dy, int64_t rows, void* dx, bool add) const override;

private:
    float* source_ = nullptr;
    PackedMatrix forward_;
    std::unique_ptr<PackedMatrix> backward_;
};

}
