#include "Products.h"
#include "Memory.h"
#include <list>
#include <map>
#include <stdexcept>
#include <tuple>
#include <dnnl.hpp>

namespace tokenmill {

using dnnl::memory;

static dnnl::engine& engine() {
    // oneDNN keeps 1,024 primitives of its own beside ours; it needs its store for what packs weights alone.
    static dnnl::engine cpu = (dnnl::set_primitive_cache_capacity(32), dnnl::engine(dnnl::engine::kind::cpu, 0));
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

// Products of one thread by shape, the one used longest ago makes room: the number of tokens differs from batch to batch, and
// each product holds 0.1 MB and more of state and compiled code. Layers of one pass share them, so that few are enough.
template <class Key> class Recent {
public:
    template <class Make> const Product& get(const Key& key, Make make) {
        const auto found = by_key_.find(key);
        if (found != by_key_.end()) {
            order_.splice(order_.begin(), order_, found->second);
            return found->second->second;
        }
        if (order_.size() >= 128) {
            by_key_.erase(order_.back().first);
            order_.pop_back();
        }
        order_.emplace_front(key, make());
        by_key_.emplace(key, order_.begin());
        return order_.front().second;
    }
private:
    std::list<std::pair<Key, Product>> order_;
    std::map<Key, typename std::list<std::pair<Key, Product>>::iterator> by_key_;
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

struct PackedMatrix::Layout {
    std::unique_ptr<Block> block;
    memory packed;
};

// The layout is chosen for this many rows; oneDNN's layouts depend on the matrix's shape, not on it.
static constexpr int64_t TypicalRows = 512;

PackedMatrix::PackedMatrix(int64_t inner, int64_t columns, Format format) : inner_(inner), columns_(columns), format_(format), layout_(std::make_unique<Layout>()) {}

PackedMatrix::~PackedMatrix() = default;

void PackedMatrix::pack(const float* source, int64_t row, int64_t column) {
    if (!layout_->packed) {
        using Key = std::tuple<Format, int64_t, int64_t>;
        static thread_local Recent<Key> recent;
        const Product& product = recent.get(Key{format_, inner_, columns_}, [&] {
            const memory::desc any(memory::dims{inner_, columns_}, type(format_), memory::format_tag::any);
            return make(plain(format_, TypicalRows, inner_, inner_, 1), any, nullptr, plain(format_, TypicalRows, columns_, columns_, 1), false);
        });
        const memory::desc chosen = product.description.weights_desc();
        layout_->block = std::make_unique<Block>(chosen.get_size());
        layout_->packed = memory(chosen, engine(), layout_->block->data);
    }
    dnnl::stream stream(engine());
    memory from(plain(Format::Float32, inner_, columns_, row, column), engine(), const_cast<float*>(source));
    dnnl::reorder(from, layout_->packed).execute(stream, from, layout_->packed);
    stream.wait();
}

void PackedMatrix::multiply(const void* x, int64_t rows, void* y, Format y_format, const float* bias, bool add) const {
    using Key = std::tuple<Format, Format, bool, bool, int64_t, int64_t, int64_t>;
    static thread_local Recent<Key> recent;
    const Product& product = recent.get(Key{format_, y_format, bias != nullptr, add, rows, inner_, columns_}, [&] {
        const auto bias_desc = plain(Format::Float32, 1, columns_, columns_, 1);
        return make(plain(format_, rows, inner_, inner_, 1), layout_->packed.get_desc(), bias ? &bias_desc : nullptr, plain(y_format, rows, columns_, columns_, 1), add);
    });
    run(product, x, layout_->packed.get_data_handle(), bias, y);
}

PackedWeight::PackedWeight(int64_t outputs, int64_t inputs, Format format, bool backward)
    : LinearWeight(outputs, inputs, format), forward_(inputs, outputs, format) {
    if (backward) backward_ = std::make_unique<PackedMatrix>(outputs, inputs, format);
}

PackedWeight::~PackedWeight() {
    if (source_) give_memory(source_);
}

float* PackedWeight::source() {
    if (!source_) source_ = static_cast<float*>(take_memory(outputs * inputs * sizeof(float)));
    return source_;
}

void PackedWeight::pack() {
    pack(source());
    give_memory(source_);
    source_ = nullptr;
}

void PackedWeight::pack(const float* source) {
    forward_.pack(source, 1, inputs);
    if (backward_) backward_->pack(source, inputs, 1);
}

void PackedWeight::forward(const void* x, int64_t rows, void* y, Format y_format, const float* bias, bool add) const {
    forward_.multiply(x, rows, y, y_format, bias, add);
}

void PackedWeight::backward(const void* dy, int64_t rows, void* dx, bool add) const {
    if (!backward_) throw std::logic_error("this weight was not packed for a gradient");
    backward_->multiply(dy, rows, dx, format, nullptr, add);
}

}
