#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace proteus::simulate::planetlab {

/// Says whether a host is, or is about to be, overloaded. Source: Beloglazov & Buyya (2012), in CloudSim's rendering.
struct Detector {
  enum class Kind : std::uint8_t {
    kThr,  ///< a fixed threshold: `parameter`
    kIqr,  ///< a threshold lowered by `parameter` times the interquartile range of the host's past utilisation
    kMad,  ///< the same with the median absolute deviation
    kLr    ///< a straight line through the newest ten values, one step on, times `parameter`, reaches 1
  };
  /// Newest values of a VM's history that are looked at.
  static constexpr std::size_t kHistory = 30;

  Kind kind = Kind::kThr;
  double parameter = 0.8;

  bool needs_history() const { return kind != Kind::kThr; }
  /// requested: what the host's VMs ask for, as a share of its MIPS. history: their utilisation as a share of the
  /// host's MIPS, newest first; zeros at its end count as no history.
  bool overloaded(double requested, std::span<const double> history) const;
};

}  // namespace proteus::simulate::planetlab
