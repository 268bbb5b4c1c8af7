#include "controller/ham/learning/supervisor.h"

#include <algorithm>

namespace proteus::ham::learning {
namespace {

/// One lucky occasion is no reason to act, however narrow the bound.
constexpr double kPartedMin = 10;

}  // namespace

void Supervisor::begin_anew() {
  evaluation_ = {};
  parted_ = 0;
  fall_ = 0;
}

Supervisor::Verdict Supervisor::on_occasion(const Occasion& occasion, double scale) {
  evaluation_.add(difference(occasion));
  if (occasion.rules_act == occasion.learned_act) return Verdict::kStay;
  parted_ += 1;
  if (!acting_) {
    if (parted_ < kPartedMin || evaluation_.lower() <= 0) return Verdict::kStay;
    acting_ = true;
    ++adoptions_;
    begin_anew();
    return Verdict::kAdopt;
  }
  if (!occasion.realised) return Verdict::kStay;
  const double behind = *occasion.realised / scale * (occasion.rules_act ? 1 : -1);
  fall_ = std::max(0.0, fall_ + std::clamp(behind, -1.0, 1.0) - kSlack);
  if (fall_ < kFallMax) return Verdict::kStay;
  acting_ = false;
  ++retreats_;
  begin_anew();
  return Verdict::kStepBack;
}

}  // namespace proteus::ham::learning
