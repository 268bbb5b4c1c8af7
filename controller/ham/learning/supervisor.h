#pragma once

#include <cstdint>

#include "controller/ham/learning/evaluation.h"

namespace proteus::ham::learning {

/// Whether what has been learned may act. It begins by watching: the rules decide alone, and what learning would have
/// done is valued beside them. It acts once the lower bound of its difference is above 0; it steps back, and begins to
/// watch anew, when what it holds back turns out to be worth having.
/// Deterministic. Thread: owned by one.
///
///   watching ──lower bound > 0──▶ acting ──fallen behind──▶ watching
class Supervisor {
 public:
  enum class Verdict : std::uint8_t { kStay, kAdopt, kStepBack };

  /// An occasion has been valued. scale: of the action, currency per hour, > 0.
  Verdict on_occasion(const Occasion& occasion, double scale);

  bool acting() const { return acting_; }
  const ConfidenceSequence& evaluation() const { return evaluation_; }
  /// Occasions on which both would have done otherwise, since the evaluation began.
  double parted() const { return parted_; }
  /// How far realised reward has fallen behind the rules', in [0, kFallMax).
  double fall() const { return fall_; }
  std::uint32_t adoptions() const { return adoptions_; }
  std::uint32_t retreats() const { return retreats_; }

  template <typename Archive>
  void archive(Archive& a) {
    auto acting = static_cast<std::uint8_t>(acting_);
    a(acting);
    if constexpr (Archive::kReading) acting_ = acting != 0;
    evaluation_.archive(a);
    a(parted_);
    a(fall_);
    a(adoptions_);
    a(retreats_);
  }

  /// Of the cumulative sum (Page, Continuous inspection schemes, 1954) of what the rules' choice was worth in the
  /// control group, relative to the action's scale, less kSlack: four actions or so that were fully worth it.
  static constexpr double kFallMax = 3.0;
  static constexpr double kSlack = 0.2;

 private:
  void begin_anew();

  bool acting_ = false;
  ConfidenceSequence evaluation_;
  double parted_ = 0;
  double fall_ = 0;
  std::uint32_t adoptions_ = 0;
  std::uint32_t retreats_ = 0;
};

}  // namespace proteus::ham::learning
