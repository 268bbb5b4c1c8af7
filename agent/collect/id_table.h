#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace proteus::collect {

/// Values by process or thread id. The kernel gives ids out in sequence, so those that matter lie in few blocks, and a
/// look-up is two reads without a hash. Memory: kBlock values for each block of ids in use, 8 bytes for each below the
/// highest id. Thread: owned by one.
template <typename Value>
class IdTable {
 public:
  /// The value of the id; null if its block was never asked for by at(). A value that was not set is Value{}.
  Value* find(std::uint32_t id) {
    const std::size_t block = id / kBlock;
    return block < blocks_.size() && blocks_[block] ? &(*blocks_[block])[id % kBlock] : nullptr;
  }
  /// The value of the id will be asked for soon: the processor fetches it.
  void prefetch(std::uint32_t id) { __builtin_prefetch(find(id)); }
  /// id: below 2^24, which bounds the kernel's (PID_MAX_LIMIT, include/linux/threads.h: 2^22).
  Value& at(std::uint32_t id) {
    const std::size_t block = id / kBlock;
    if (block >= blocks_.size()) blocks_.resize(block + 1);
    if (!blocks_[block]) blocks_[block] = std::make_unique<Block>();
    return (*blocks_[block])[id % kBlock];
  }
  /// Sets to Value{} what `is_over` is true of; blocks without use are given back.
  template <typename IsOver>
  void clear_if(IsOver is_over) {
    for (auto& block : blocks_) {
      if (!block) continue;
      bool used = false;
      for (Value& value : *block) {
        if (is_over(value)) value = Value{};
        used |= value != Value{};
      }
      if (!used) block.reset();
    }
  }
  /// Blocks in use.
  std::size_t block_count() const {
    return static_cast<std::size_t>(
        std::count_if(blocks_.begin(), blocks_.end(), [](const auto& b) { return b != nullptr; }));
  }

 private:
  static constexpr std::size_t kBlock = 128;
  using Block = std::array<Value, kBlock>;

  std::vector<std::unique_ptr<Block>> blocks_;  // by id / kBlock
};

}  // namespace proteus::collect
