// A frozen weight that stays as small as its owner keeps it (quantised) and is expanded whenever it is used, some rows at a
// time, so that never more than one piece of one layer is there in full.
#pragma once
#include "Products.h"

namespace tokenmill {

// Writes rows [first, first + rows) of the weight as fp32; 0, or another number where it cannot.
using Expand = int32_t (*)(void* owner, int64_t first, int64_t rows, float* target);

class StoredWeight final : public LinearWeight {
public:
    StoredWeight(int64_t outputs, int64_t inputs, Format format, Expand expand, void* owner)
        : LinearWeight(outputs, inputs, format), expand_(expand), owner_(owner) {}

    void forward(const void* x, int64_t rows, void* y, Format y_format, const float* bias, bool add) const override;
    void backward(const void* dy, int64_t rows, void* dx, bool add) const override;
    bool expands() const override { return true; }

private:
    // use(first, count, values) for each piece: values (count × inputs).
    template <class Use> void pieces(const Use& use) const;

    const Expand expand_;
    void* const owner_;
};

}
