#include "Products.h"
#include "Memory.h"
#include <map>
#include <stdexcept>
#include <tuple>
#include <dnnl.hpp>

namespace tokenmill {

using dnnl::memory;

static dnnl::engine& engine() {
    static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    return cpu;
}

static memory::data_type type(Format format) { return format == Format::Float32 ? memory::data_type::f32 : memory::data_type::bf16; }

static memory::desc plain(Format format, int64_t rows, int64_t columns, int64_t row, int64_t column) {
    return memory::desc(memory::dims{rows, columns}, type(format), memory::dims{row, column});
}

struct Block {
    explicit Block(size_t bytes) : data(take_memory(bytes)) {}
    ~Block() { give_memory(data); }
    Block(const Block&) = delete;
    void* const data;
};

// One primitive with its memory descriptions; making one costs 0.03–0.5 ms, so that they are kept by shape.
struct Product {
    dnnl::matmul::primitive_desc description;
    dnnl::matmul primitive;
};

static Product make(const memory::desc& a, const memory::desc& b, const memory::desc* bias, const memory::desc& c, bool add) {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);       // else each kept primitive holds megabytes of its own
    if (add) {
        dnnl::post_ops operations;
        operations.append_sum(1.0f);
        attributes.set_post_ops(operations);
    }
    auto product = bias ? dnnl::matmul::desc(a, b, *bias, c) : dnnl::matmul::desc(a, b, c);
    dnnl::matmul::primitive_desc description(product, attributes, engine());
    return {description, dnnl::matmul(description)};
}

static void run(const Product& product, const void* a, const void* b, const void* bias, void* c) {
    static thread_local dnnl::stream stream(engine());
    auto at = [](const memory::desc& desc, const void* data) { return memory(desc, engine(), const_cast<void*>(data)); };
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, at(product.description.src_desc(), a)},
        {DNNL_ARG_WEIGHTS, at(product.description.weights_desc(), b)},
        {DNNL_ARG_DST, at(product.description.dst_desc(), c)},
    };
    static thread_local std::unique_ptr<Block> scratch;
    static thread_local size_t scratch_bytes = 0;
    const memory::desc needed = product.description.scratchpad_desc();
    if (needed.get_size() > scratch_bytes) {
        scratch.reset();
        scratch_bytes = 0;
        scratch = std::make_unique<Block>(needed.get_size());
        scratch_bytes = needed.get_size();
    }
    if (scratch) arguments.emplace(DNNL_ARG_SCRATCHPAD, memory(needed, engine(), scratch->data));
    if (bias) arguments.emplace(DNNL_ARG_BIAS, at(product.description.query_md(dnnl::query::weights_md, 1), bias));
    product.primitive.execute(stream, arguments);
    stream.wait();
}

// Shapes of one thread's recent products; emptied when full, since the number of tokens differs from batch to batch.
template <class Key> class Recent {
public:
    template <class Make> const Product& get(const Key& key, Make make) {
        auto found = products_.find(key);
        if (found != products_.end()) return found->second;
        if (products_.size() >= 512) products_.clear();
        return products_.emplace(key, make()).first->second;
    }
private:
    std::map<Key, Product> products_;
};

void multiply(const Matrix& a, const Matrix& b, void* c, Format c_format, int64_t c_row, bool add) {
    using Key = std::tuple<Format, Format, bool, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;
    static thread_local Recent<Key> recent;
    const Key key{a.format, c_format, add, a.rows, b.columns, a.columns, a.row, a.column, b.row, b.column, c_row};
    const Product& product = recent.get(key, [&] {
        return make(plain(a.format, a.rows, a.columns, a.row, a.column), plain(b.format, b.rows, b.columns, b.row, b.column), nullptr,
                    plain(c_format, a.rows, b.columns, c_row, 1), add);
    });
    run(product, a.data, b.data, nullptr, c);
}

struct PackedWeight::Packed {
    std::unique_ptr<Block> source;      // until pack()
    std::unique_ptr<Block> forward_block, backward_block;
    memory forward, backward;
    bool wants_backward;
};

// The packed layout is chosen for this many rows; oneDNN's layouts depend on the weight's shape, not on it.
static constexpr int64_t TypicalRows = 512;

PackedWeight::PackedWeight(int64_t outputs, int64_t inputs, Format format, bool backward)
    : outputs(outputs), inputs(inputs), format(format), packed_(std::make_unique<Packed>()) {
    packed_->wants_backward = backward;
}

PackedWeight::~PackedWeight() = default;

float* PackedWeight::source() {
    if (!packed_->source) packed_->source = std::make_unique<Block>(outputs * inputs * sizeof(float));
    return static_cast<float*>(packed_->source->data);
}

void PackedWeight::pack() {
    pack(source());
    packed_->source.reset();
}

void PackedWeight::pack(const float* source) {
    dnnl::stream stream(engine());
    auto lay = [&](memory& packed, std::unique_ptr<Block>& block, int64_t rows_in, int64_t columns_out, const memory::desc& layout) {
        if (!packed) {
            const memory::desc any(memory::dims{rows_in, columns_out}, type(format), memory::format_tag::any);
            const auto product = make(plain(format, TypicalRows, rows_in, rows_in, 1), any, nullptr, plain(format, TypicalRows, columns_out, columns_out, 1), false);
            const memory::desc chosen = product.description.weights_desc();
            block = std::make_unique<Block>(chosen.get_size());
            packed = memory(chosen, engine(), block->data);
        }
        memory from(layout, engine(), const_cast<float*>(source));
        dnnl::reorder(from, packed).execute(stream, from, packed);
        stream.wait();
    };
    lay(packed_->forward, packed_->forward_block, inputs, outputs, plain(Format::Float32, inputs, outputs, 1, inputs));
    if (packed_->wants_backward) lay(packed_->backward, packed_->backward_block, outputs, inputs, plain(Format::Float32, outputs, inputs, inputs, 1));
}

void PackedWeight::forward(const void* x, int64_t rows, void* y, Format y_format, const float* bias) const {
    using Key = std::tuple<Format, Format, bool, int64_t, int64_t, int64_t>;
    static thread_local Recent<Key> recent;
    const Product& product = recent.get(Key{format, y_format, bias != nullptr, rows, inputs, outputs}, [&] {
        const auto bias_desc = plain(Format::Float32, 1, outputs, outputs, 1);
        return make(plain(format, rows, inputs, inputs, 1), packed_->forward.get_desc(), bias ? &bias_desc : nullptr, plain(y_format, rows, outputs, outputs, 1), false);
    });
    run(product, x, packed_->forward.get_data_handle(), bias, y);
}

void PackedWeight::backward(const void* dy, int64_t rows, void* dx) const {
    if (!packed_->wants_backward) throw std::logic_error("this weight was not packed for a gradient");
    using Key = std::tuple<Format, int64_t, int64_t, int64_t>;
    static thread_local Recent<Key> recent;
    const Product& product = recent.get(Key{format, rows, outputs, inputs}, [&] {
        return make(plain(format, rows, outputs, outputs, 1), packed_->backward.get_desc(), nullptr, plain(format, rows, inputs, inputs, 1), false);
    });
    run(product, dy, packed_->backward.get_data_handle(), nullptr, dx);
}

int64_t PackedWeight::size_bytes() const {
    int64_t bytes = 0;
    for (const memory* packed : {&packed_->forward, &packed_->backward}) if (*packed) bytes += packed->get_desc().get_size();
    return bytes;
}

}
