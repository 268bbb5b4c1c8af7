#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace proteus::ham::learning {

/// An agent's figures, for people.
struct Report {
  bool acting = false;
  std::uint64_t revision = 0;
  double evidence = 0;        ///< outcomes that count, older ones less
  std::size_t following = 0;  ///< actions whose outcome is awaited
  double calibration = 1;     ///< Follower::calibration()
  double occasions = 0;       ///< valued since the evaluation began
  double parted = 0;          ///< on so many of them both would have done otherwise
  double mean = 0;            ///< of what the learned choice was worth more, currency per hour and occasion
  double lower = 0;           ///< its bound; −infinity: too few occasions
  double fall = 0;            ///< Supervisor::fall()
  std::uint32_t adoptions = 0;
  std::uint32_t retreats = 0;
  std::vector<double> coefficients;  ///< by feature; share of an action's scale
};

}  // namespace proteus::ham::learning
