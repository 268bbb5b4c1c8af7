#include "controller/profile/move_accuracy.h"

#include <algorithm>
#include <cmath>

namespace proteus::profile {
namespace {

/// The copying's aftermath is not the host's doing; then it is followed for so long.
constexpr Nanoseconds kSettled = std::chrono::seconds(5);
constexpr Nanoseconds kFollowed = std::chrono::seconds(60);
/// Each move counts so much of the one after it: about the last fifty matter.
constexpr double kMemory = 0.98;
/// Before any move: a factor of e either way, which counts like so many moves.
constexpr double kPriorDeviation = 1.0;
constexpr double kPriorMoves = 4;
constexpr double kNormal90 = 1.645;

}  // namespace

MoveErrors::Interval MoveErrors::interval(double predicted, double relative_error) const {
  const double spread = kNormal90 * std::hypot(deviation, relative_error);
  const double centre = std::log(predicted + floor) + bias;
  return {std::max(0.0, std::exp(centre - spread) - floor), std::max(0.0, std::exp(centre + spread) - floor)};
}

void MoveAccuracy::arrived(const VmId& vm, const HostId& host, double predicted, Timestamp when) {
  followed_[vm] = {host, predicted, when + kSettled, 0, 0};
}

void MoveAccuracy::observe(const VmId& vm, const HostId& host, Timestamp time, double weight, double amount) {
  const auto found = followed_.find(vm);
  if (found == followed_.end()) return;
  Followed& followed = found->second;
  if (time < followed.from) return;
  if (host == followed.host && time - followed.from < kFollowed) {
    followed.weight += weight;
    followed.amount += amount;
    return;
  }
  // One that has moved on meanwhile tells what it has seen until then.
  close(followed);
  followed_.erase(found);
}

void MoveAccuracy::close(const Followed& followed) {
  if (followed.weight < unit_.weight_min) return;
  const double error =
      std::log(followed.amount / followed.weight + unit_.floor) - std::log(followed.predicted + unit_.floor);
  sums_ = {kMemory * sums_.weight + 1, kMemory * sums_.errors + error, kMemory * sums_.squares + error * error};
}

MoveErrors MoveAccuracy::errors() const {
  MoveErrors errors;
  errors.floor = unit_.floor;
  const double weight = sums_.weight + kPriorMoves;
  errors.moves = sums_.weight;
  errors.bias = sums_.errors / weight;
  const double variance = (sums_.squares + kPriorMoves * kPriorDeviation * kPriorDeviation) / weight;
  errors.deviation = std::sqrt(std::max(0.0, variance - errors.bias * errors.bias));
  return errors;
}

}  // namespace proteus::profile
