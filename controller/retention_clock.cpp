#include "controller/retention_clock.h"

namespace proteus::controller {
namespace {

constexpr Nanoseconds kJump = std::chrono::minutes(10);
/// A controller that was down for longer waits with deleting.
constexpr Nanoseconds kDownMax = std::chrono::hours(24 * 7);
constexpr Nanoseconds kProbation = std::chrono::hours(24);

}  // namespace

bool RetentionClock::Reading::leads_to(const Reading& later) const {
  const Nanoseconds off = (later.wall - wall) - (later.steady - steady);
  return off <= kJump && off >= -kJump;
}

bool RetentionClock::believes(Timestamp now, Nanoseconds steady) {
  const Reading reading{now, steady};
  const bool follows =
      trusted_ ? trusted_->leads_to(reading) : !newest_ || (now >= *newest_ - kJump && now <= *newest_ + kDownMax);
  const bool proven = suspect_ && suspect_->leads_to(reading) && steady - suspect_->steady >= kProbation;
  if (follows || proven) {
    trusted_ = reading;
    suspect_.reset();
    return true;
  }
  if (!suspect_ || !suspect_->leads_to(reading)) suspect_ = reading;
  return false;
}

}  // namespace proteus::controller
