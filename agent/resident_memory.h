#pragma once

#include <cstddef>
#include <string>

namespace proteus {

/// Makes all threads share one heap, which holds less that is free than a heap for each; they allocate little. What is
/// as large as a catalog lies outside of it and leaves with it; a tick's frame stays in it, as bringing its pages back
/// every second would cost more than they do. To be called before there are threads.
void keep_heap_small();

/// Gives back the memory that only starting needed: free heap, and code and constants of libraries (most of them
/// libvirt's and TLS's), which the kernel reads again from its page cache where they are needed after all. Mappings
/// that hold a page of our own (relocated, written to) are left alone, so that nothing can be lost. Returns: bytes of
/// mappings that were let go of. Thread: any; takes about a millisecond.
std::size_t release_start_up_memory();

}  // namespace proteus
