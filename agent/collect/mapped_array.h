#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

namespace proteus::collect {

/// A mapped BPF array of T; user space sees the kernel's own memory. Thread: owned by one.
template <typename T>
class MappedArray {
 public:
  MappedArray() = default;
  MappedArray(const MappedArray&) = delete;
  MappedArray& operator=(const MappedArray&) = delete;
  ~MappedArray() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
  }

  /// Once. False with errno if the map cannot be mapped.
  bool map(int fd, std::size_t count) {
    const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    bytes_ = (count * sizeof(T) + page - 1) / page * page;
    void* address = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (address == MAP_FAILED) return false;
    data_ = static_cast<T*>(address);
    return true;
  }
  T& operator[](std::size_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// A counter that the kernel may be adding to now.
template <typename Word>
std::int64_t counted(const Word& counter) {
  return static_cast<std::int64_t>(__atomic_load_n(&counter, __ATOMIC_RELAXED));
}

}  // namespace proteus::collect
