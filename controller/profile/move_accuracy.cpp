#include "controller/profile/move_accuracy.h"

#include <algorithm>
#include <cmath>

namespace proteus::profile {
namespace {

/// The copying's aftermath is not the host's doing; then it is followed for so long.
constexpr Nanoseconds kSettled = std::chrono::seconds(5);
constexpr Nanoseconds kFollowed = std::chrono::seconds(60);
/// Who runs less meanwhile tells nothing about waiting.
constexpr double kRunMin_ns = 1e9;
/// Each move counts so much of the one after it: about the last fifty matter.
constexpr double kMemory = 0.98;
/// Before any move: a factor of e either way, which counts like so many moves.
constexpr double kPriorDeviation = 1.0;
constexpr double kPriorMoves = 4;
constexpr double kNormal90 = 1.645;

double log_ratio(double wait_ratio) {
  return std::log(wait_ratio + MoveErrors::kFloor);
}

}  // namespace

MoveErrors::Interval MoveErrors::interval(double predicted) const {
  const double centre = log_ratio(predicted) + bias;
  return {std::max(0.0, std::exp(centre - kNormal90 * deviation) - kFloor),
          std::max(0.0, std::exp(centre + kNormal90 * deviation) - kFloor)};
}

void MoveAccuracy::arrived(const VmId& vm, const HostId& host, double predicted, Timestamp when) {
  followed_[vm] = {host, predicted, when + kSettled, 0, 0};
}

void MoveAccuracy::observe(const VmId& vm, const HostId& host, Timestamp time, double run_ns, double wait_ns) {
  const auto found = followed_.find(vm);
  if (found == followed_.end()) return;
  Followed& followed = found->second;
  if (time < followed.from) return;
  if (host == followed.host && time - followed.from < kFollowed) {
    followed.run_ns += run_ns;
    followed.wait_ns += wait_ns;
    return;
  }
  // One that has moved on meanwhile tells what it has seen until then.
  close(followed);
  followed_.erase(found);
}

void MoveAccuracy::close(const Followed& followed) {
  if (followed.run_ns < kRunMin_ns) return;
  const double error = log_ratio(followed.wait_ns / followed.run_ns) - log_ratio(followed.predicted);
  weight_ = kMemory * weight_ + 1;
  sum_ = kMemory * sum_ + error;
  squares_ = kMemory * squares_ + error * error;
}

MoveErrors MoveAccuracy::errors() const {
  MoveErrors errors;
  const double weight = weight_ + kPriorMoves;
  errors.moves = weight_;
  errors.bias = sum_ / weight;
  const double variance = (squares_ + kPriorMoves * kPriorDeviation * kPriorDeviation) / weight;
  errors.deviation = std::sqrt(std::max(0.0, variance - errors.bias * errors.bias));
  return errors;
}

}  // namespace proteus::profile
