#include "StoredWeight.h"
#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>
#include "Memory.h"

namespace tokenmill {

namespace {

constexpr int64_t PieceElements = 4 << 20;      // 16 MiB as fp32: stays in a shared cache
constexpr int64_t RowUnit = 64;                  // whole blocks of oneDNN's layouts: it fills others up by a slow path

struct Block {
    explicit Block(size_t bytes) : data(take_memory(bytes)) {}
    ~Block() { give_memory(data); }
    Block(const Block&) = delete;
    void* const data;
};

// Columns [first, first + count) of rows of `width`, to or from a dense copy.
void copy_columns(char* wide, char* dense, int64_t rows, int64_t width, int64_t first, int64_t count, int64_t size, bool out_of_wide) {
    for (int64_t row = 0; row < rows; row++) {
        char* place = wide + (row * width + first) * size;
        char* copy = dense + row * count * size;
        std::memcpy(out_of_wide ? copy : place, out_of_wide ? place : copy, count * size);
    }
}

void widen(const bfloat16* from, float* to, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const uint32_t bits = static_cast<uint32_t>(from[i].bits) << 16;
        std::memcpy(to + i, &bits, sizeof(float));
    }
}

}

template <class Use> void StoredWeight::pieces(const Use& use) const {
    const int64_t most = std::min(outputs, std::max<int64_t>(RowUnit, PieceElements / inputs / RowUnit * RowUnit));
    const Block values(most * inputs * sizeof(float));
    for (int64_t first = 0; first < outputs; first += most) {
        const int64_t count = std::min(most, outputs - first);
        if (expand_(owner_, first, count, static_cast<float*>(values.data)) != 0) throw std::runtime_error("a stored weight could not be expanded");
        use(first, count, static_cast<const float*>(values.data));
    }
}

void StoredWeight::forward(const void* x, int64_t rows, void* y, Format y_format, const float* bias, bool add) const {
    pieces([&](int64_t first, int64_t count, const float* values) {
        PackedMatrix piece(inputs, count, format);
        piece.pack(values, 1, inputs);
        if (count == outputs) return piece.multiply(x, rows, y, y_format, bias, add);
        const Block part(rows * count * size_of(y_format));
        if (add) copy_columns(static_cast<char*>(y), static_cast<char*>(part.data), rows, outputs, first, count, size_of(y_format), true);
        piece.multiply(x, rows, part.data, y_format, bias ? bias + first : nullptr, add);
        copy_columns(static_cast<char*>(y), static_cast<char*>(part.data), rows, outputs, first, count, size_of(y_format), false);
    });
}

void StoredWeight::backward(const void* dy, int64_t rows, void* dx, bool add) const {
    std::unique_ptr<Block> sums;                // of several pieces, in fp32: rounding each partial sum to bf16 would add up
    pieces([&](int64_t first, int64_t count, const float* values) {
        PackedMatrix piece(count, inputs, format);
        piece.pack(values, inputs, 1);
        if (count == outputs) return piece.multiply(dy, rows, dx, format, nullptr, add);
        const Block part(rows * count * size_of(format));
        copy_columns(static_cast<char*>(const_cast<void*>(dy)), static_cast<char*>(part.data), rows, outputs, first, count, size_of(format), true);
        if (format == Format::BFloat16 && !sums) {
            sums = std::make_unique<Block>(rows * inputs * sizeof(float));
            if (add) widen(static_cast<const bfloat16*>(dx), static_cast<float*>(sums->data), rows * inputs);
        }
        piece.multiply(part.data, rows, sums ? sums->data : dx, Format::Float32, nullptr, add || first > 0);
    });
    if (sums) kernels().to_bfloat16(static_cast<const float*>(sums->data), static_cast<bfloat16*>(dx), 0, rows * inputs, 1.0f);
}

}
