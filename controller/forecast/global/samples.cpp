#include "controller/forecast/global/samples.h"

#include <cmath>

namespace proteus::forecast::global {

namespace {

constexpr std::size_t kLanes = 8;

template <class Term>
float sum_of(std::size_t count, const Term& term) {
  std::array<float, kLanes> lanes{};
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += term(i + lane);
  }
  float rest = 0;
  for (; i < count; ++i) rest += term(i);
  return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7])) + rest;
}

}  // namespace

float dot(std::span<const float> a, std::span<const float> b) {
  return sum_of(a.size(), [&](std::size_t i) { return a[i] * b[i]; });
}

float mean(std::span<const float> values) {
  if (values.empty()) return 0;
  return sum_of(values.size(), [&](std::size_t i) { return values[i]; }) / static_cast<float>(values.size());
}

float standard_deviation(std::span<const float> values) {
  if (values.empty()) return 0;
  const float centre = mean(values);
  const float squares =
      sum_of(values.size(), [&](std::size_t i) { return (values[i] - centre) * (values[i] - centre); });
  return std::sqrt(squares / static_cast<float>(values.size()));
}

}  // namespace proteus::forecast::global
