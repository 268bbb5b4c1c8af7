#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace proteus::forecast {

/// A series' own scale, linear near the centre and logarithmic far from it, on which bursts of any size stay near:
/// z = asinh((x − centre) / spread). Source: Johnson (1949); Burbidge, Magee & Robb (1988); centre and spread as in the
/// benchmark's ar_emp.
struct AsinhScale {
  double centre = 0;
  double spread = 1;

  /// values: oldest first, finite, at least one. Centre: the median of the newest `recent` values. The spread takes
  /// those before them into account a little.
  static AsinhScale of(std::span<const double> values, std::size_t recent);
  double to_z(double value) const;
  /// z is cut to ±12: sinh of more is a number that no demand has.
  double from_z(double z) const;
};

/// The scale of `values` on which an autoregression is likelier than on their own, likelihoods being counted in their
/// own unit (Box & Cox, An Analysis of Transformations, 1964, with this scale for theirs, which knows no zero).
/// Nothing if their own is the likelier. values: finite, at least one.
std::optional<AsinhScale> likelier_scale(std::span<const double> values);

}  // namespace proteus::forecast
