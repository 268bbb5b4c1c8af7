#pragma once

#include <span>
#include <vector>

namespace proteus::forecast::global {

/// A series' own scale, on which bursts of any size stay near: z = asinh((x − centre) / spread).
/// Source: Burbidge, Magee & Robb (1988); centre and spread as in the benchmark's ar_emp.
struct AsinhScale {
  double centre = 0;
  double spread = 1;

  /// values: oldest first, finite, at least two. Centre: the median of the newest `recent` values.
  static AsinhScale of(std::span<const double> values, std::size_t recent);
  float to_z(double value) const;
  /// z is cut to ±12.
  double from_z(float z) const;
  std::vector<float> to_z(std::span<const double> values) const;
};

}  // namespace proteus::forecast::global
