// Memory for tensors and packed weights. A training pass takes gigabytes in blocks of a few megabytes and gives them back in
// the opposite order, step after step. The C library returns such blocks to the system each time (a page fault for every
// 4 KiB of the next step) or scatters them; here they are kept, in huge pages, and the lowest free place that fits is taken,
// so that the process stays hardly larger than what is alive.
#pragma once
#include <cstddef>

namespace tokenmill {

// Aligned to 64 bytes, contents undefined. Throws std::bad_alloc. Any thread may take and give.
void* take_memory(size_t bytes);
void give_memory(void* block);

// The most that was taken from the pool at once since the last restart of the count.
size_t peak_memory(bool restart);

}
