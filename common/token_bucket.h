#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

namespace proteus {

/// What one host, or whoever has a key, may cause: so much at once, and so much in a second from then on. Thread: owned
/// by one. M: a moment of the clock that counts the seconds; set back, it gives nothing.
template <typename M>
class BasicTokenBucket {
 public:
  using Moment = M;
  BasicTokenBucket(double most, double per_s) : most_(most), per_s_(per_s), left_(most) {}

  /// False: nothing is left. An amount that is larger than what is left is taken whole, and the next ones wait for it.
  bool take(double amount, Moment now) {
    if (counted_at_) left_ += std::max(0.0, std::chrono::duration<double>(now - *counted_at_).count()) * per_s_;
    counted_at_ = now;
    left_ = std::min(left_, most_);
    if (left_ <= 0) return false;
    left_ -= amount;
    return true;
  }

 private:
  double most_;
  double per_s_;
  double left_;
  std::optional<Moment> counted_at_;
};
using TokenBucket = BasicTokenBucket<std::chrono::steady_clock::time_point>;

}  // namespace proteus
