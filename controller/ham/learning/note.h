#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/units.h"

namespace proteus::ham::learning {

/// What learning tells apart: the strategies, a raise from a lowering.
enum class Kind : std::uint8_t { kRaise, kLower, kMigrate };
inline constexpr std::size_t kKindCount = 3;
const char* to_string(Kind kind);

inline constexpr std::size_t kFeatureCount = 16;
/// State of the cluster and action, as numbers without a unit, each within [-3, 3]. Meaning, one by one:
/// docs/learning.md.
using Features = std::array<double, kFeatureCount>;
/// [feature], for people.
extern const std::array<const char*, kFeatureCount> kFeatureNames;

/// What learning saw in an action when it was decided on: goes with it, and is journalled with it. Amounts are currency
/// per hour, counted from doing nothing.
struct Note {
  Kind kind = Kind::kRaise;
  Features features{};
  /// What the score expects of it: contention for CPUs, storage and network and work left undone that it takes away,
  /// less what it costs once. Without memory, exits, idle allocation, headroom and energy: those are prices of what is,
  /// not forecasts of what will be. Where the policy gives VMs' work a value: all that the score expects.
  double predicted = 0;
  double cost = 0;          ///< part of it: one-off prices but downtime and delay
  double copied_bytes = 0;  ///< that a migration is expected to copy; part of the cost
  double utilisation = 0;   ///< part of it where VMs' work has a value: counted as promised, nobody measures it
  double scale = 0;         ///< size of what it is about: errors are learned relative to it; > 0
  double gain = 0;          ///< by the score, all terms
  double required = 0;      ///< the gain asked for
  double mean = 0;          ///< what the model believed of realised − predicted
  double deviation = 0;     ///< standard deviation of that mean
  double correction = 0;    ///< what of the mean was certain
  bool learned_act = true;  ///< the action is worth taking with the correction, too
  bool control = false;     ///< its VM was in the control group, whose VMs the rules decide about alone
  double propensity = 1;    ///< with which it was taken
  bool preferred = true;    ///< the rules would have taken it; else it was drawn among what the score holds equal
  Nanoseconds horizon{};    ///< that the score looked ahead
  bool operator==(const Note&) const = default;

  double expected() const { return predicted + mean; }
};

}  // namespace proteus::ham::learning
