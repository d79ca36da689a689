#include "Memory.h"
#include <cstdint>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <unordered_map>
#include <sys/mman.h>

namespace tokenmill {

namespace {

constexpr size_t Alignment = 64;
constexpr size_t Smallest = 64 << 10;           // below this the C library is as good
constexpr size_t HugePage = 2 << 20, Growth = 64 << 20;
constexpr size_t MostAddressSpace = size_t{1} << 42;    // reserved, not used: less where a limit (ulimit -v) forbids it

size_t round_up(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

// Free blocks by address; neighbours are joined.
class Pool {
public:
    void* take(size_t bytes) {
        const std::lock_guard<std::mutex> lock(mutex_);
        auto place = find(bytes);
        if (place == free_.end()) {
            grow(bytes);
            place = find(bytes);
        }
        const uintptr_t block = place->first;
        const size_t left = place->second - bytes;
        free_.erase(place);
        if (left > 0) free_.emplace(block + bytes, left);
        used_.emplace(block, bytes);
        alive_ += bytes;
        if (alive_ > peak_) peak_ = alive_;
        return reinterpret_cast<void*>(block);
    }

    // False where the block is not from here.
    bool give(void* block) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const auto found = used_.find(reinterpret_cast<uintptr_t>(block));
        if (found == used_.end()) return false;
        add(found->first, found->second);
        alive_ -= found->second;
        used_.erase(found);
        return true;
    }

    size_t peak(bool restart) {
        const std::lock_guard<std::mutex> lock(mutex_);
        const size_t peak = peak_;
        if (restart) peak_ = alive_;
        return peak;
    }

private:
    std::map<uintptr_t, size_t>::iterator find(size_t bytes) {
        auto place = free_.begin();
        while (place != free_.end() && place->second < bytes) ++place;
        return place;
    }

    // The pool is one range that grows at its end: a free block there is only made longer, so that a batch larger than those
    // before it does not leave their memory behind as holes that it does not fit.
    void grow(size_t bytes) {
        if (!end_) {
            size_t space = MostAddressSpace;
            void* reserved;
            while ((reserved = mmap(nullptr, space, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) == MAP_FAILED) {
                if (space <= bytes) throw std::bad_alloc();
                space /= 2;
            }
            end_ = round_up(reinterpret_cast<uintptr_t>(reserved), HugePage);
            last_ = reinterpret_cast<uintptr_t>(reserved) + space;
        }
        const auto tail = free_.empty() ? free_.end() : std::prev(free_.end());
        const size_t have = tail != free_.end() && tail->first + tail->second == end_ ? tail->second : 0;
        const size_t size = round_up(bytes - have, Growth);
        if (size > last_ - end_ || mprotect(reinterpret_cast<void*>(end_), size, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
        madvise(reinterpret_cast<void*>(end_), size, MADV_HUGEPAGE);
        end_ += size;
        add(end_ - size, size);
    }

    void add(uintptr_t start, size_t size) {
        auto after = free_.lower_bound(start);
        if (after != free_.end() && start + size == after->first) {
            size += after->second;
            after = free_.erase(after);
        }
        if (after != free_.begin()) {
            const auto before = std::prev(after);
            if (before->first + before->second == start) {
                before->second += size;
                return;
            }
        }
        free_.emplace(start, size);
    }

    std::mutex mutex_;
    size_t alive_ = 0, peak_ = 0;
    uintptr_t end_ = 0, last_ = 0;              // of what is in use, and of what is reserved
    std::map<uintptr_t, size_t> free_;
    std::unordered_map<uintptr_t, size_t> used_;
};

Pool& pool() {
    static Pool* instance = new Pool();         // tensors outlive static destructors
    return *instance;
}

}

void* take_memory(size_t bytes) {
    if (bytes >= Smallest) return pool().take(round_up(bytes, Alignment));
    if (void* block = std::aligned_alloc(Alignment, round_up(bytes, Alignment))) return block;
    throw std::bad_alloc();
}

void give_memory(void* block) {
    if (!pool().give(block)) std::free(block);
}

size_t peak_memory(bool restart) { return pool().peak(restart); }

}
