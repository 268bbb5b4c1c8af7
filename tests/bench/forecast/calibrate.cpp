#include "tests/bench/forecast/calibrate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "controller/forecast/global/ensemble.h"
#include "controller/forecast/global/reservation.h"

namespace proteus::bench {

using namespace forecast::global;

namespace {

constexpr double kLossFloor = 1e-3;  // of the protocol's relative scores

float from_z(float z) {
  return std::sinh(std::clamp(z, -12.0F, 12.0F));
}

/// Ascending, in u.
Levels row_of(const std::vector<float>& levels, std::size_t row) {
  Levels result;
  for (std::size_t k = 0; k < kLevels.size(); ++k) result[k] = from_z(levels[row * kLevels.size() + k]);
  std::sort(result.begin(), result.end());
  return result;
}

bool covered(float value, float bound) {
  return value <= bound + 1e-6F * std::max(1.0F, std::abs(bound));
}

double loss_of(const Levels& levels, float value) {
  double sum = 0;
  for (std::size_t k = 0; k < kLevels.size(); ++k) {
    const double error = value - levels[k];
    sum += 2 * (error > 0 ? kLevels[k] * error : (kLevels[k] - 1) * error) / kLevels.size();
  }
  return sum;
}

/// Every way to give tenths to the members that take part.
void each_share(std::size_t member, int left, std::array<float, kMembers>& shares, const std::array<bool, kMembers>& in,
                const std::function<void(const std::array<float, kMembers>&)>& visit) {
  if (member == kMembers) {
    if (left == 0) visit(shares);
    return;
  }
  for (int tenths = 0; tenths <= (in[member] ? left : 0); ++tenths) {
    shares[member] = static_cast<float>(tenths) / 10;
    each_share(member + 1, left - tenths, shares, in, visit);
  }
  shares[member] = 0;
}

}  // namespace

std::vector<Calibration> calibrate(const Answers& answers, std::size_t classes,
                                   const std::function<std::size_t(std::size_t)>& class_of) {
  std::vector<Calibration> result(classes);
  std::vector<std::vector<std::pair<Levels, float>>> rows(classes);
  for (std::size_t row = 0; row < answers.values.size(); ++row) {
    rows[class_of(row)].emplace_back(row_of(answers.levels, row), answers.values[row]);
  }
  for (std::size_t of = 0; of < classes; ++of) {
    for (std::size_t k = 0; k < kLevels.size(); ++k) {
      const auto share_below = [&](float factor) {
        double below = 0;
        for (const auto& [levels, value] : rows[of]) {
          if (covered(value, levels[1] + factor * (levels[k] - levels[1]))) ++below;
        }
        return below / static_cast<double>(rows[of].size());
      };
      float low = 0.3F;
      float high = 3;
      for (int step = 0; step < 16 && k != 1; ++step) {
        const float middle = (low + high) / 2;
        const bool too_many = share_below(middle) > kLevels[k];
        // Below the median a wider distance covers less.
        (too_many == (k > 1) ? high : low) = middle;
      }
      result[of][k] = k == 1 ? 1 : (low + high) / 2;
    }
  }
  return result;
}

SharesFound find_shares(const TrainingSet& set, const std::array<std::vector<float>, kMembers>& members) {
  SharesFound found;
  std::array<bool, kMembers> in{};
  std::array<std::vector<Levels>, kMembers> rows;
  for (std::size_t m = 0; m < kMembers; ++m) {
    in[m] = !members[m].empty();
    for (std::size_t row = 0; in[m] && row < set.step_value.size(); ++row) rows[m].push_back(row_of(members[m], row));
  }
  const std::size_t series_count = *std::max_element(set.series.begin(), set.series.end()) + std::size_t{1};
  for (std::size_t band = 0; band < kBands; ++band) {
    double best = 1e300;
    std::array<float, kMembers> shares{};
    std::vector<std::pair<double, double>> series(series_count);  // loss, count
    each_share(0, 10, shares, in, [&](const std::array<float, kMembers>& tried) {
      std::fill(series.begin(), series.end(), std::pair<double, double>{});
      for (std::size_t row = 0; row < set.step_value.size(); ++row) {
        if (band_of(set.step_ahead[row]) != band) continue;
        Levels mixed{};
        for (std::size_t m = 0; m < kMembers; ++m) {
          if (tried[m] == 0) continue;
          for (std::size_t k = 0; k < kLevels.size(); ++k) mixed[k] += tried[m] * rows[m][row][k];
        }
        const std::size_t window = row / set.steps.per_window;
        auto& [loss, count] = series[set.series[window]];
        loss += loss_of(mixed, set.step_value[row]) * static_cast<double>(set.unit[window]);
        ++count;
      }
      double score = 0;
      double present = 0;
      for (const auto& [loss, count] : series) {
        if (count == 0) continue;
        score += std::log(loss / count + kLossFloor);
        ++present;
      }
      score /= present;
      if (score < best) {
        best = score;
        found.shares[band] = tried;
      }
    });
    found.score += best;
  }
  return found;
}

Result<std::array<float, kWindows.size()>> find_prices(const std::vector<TrainingSeries>& series, Weights weights) {
  constexpr std::array<double, kWindows.size()> kAbove = {0.03, 0.01};
  constexpr std::size_t kOriginsEach = 8;
  constexpr std::size_t kApart = 41;
  struct Case {
    Path steps;
    double unit;
    std::span<const double> actual;
  };
  std::vector<Case> cases;
  const auto shared = std::make_shared<const Weights>(std::move(weights));
  Forecaster forecaster(shared);
  for (const TrainingSeries& one : series) {
    const double unit = daily_difference(one.values);
    for (std::size_t n = 0; n < kOriginsEach; ++n) {
      const std::size_t origin = one.values.size() - kHorizon - n * kApart;
      std::vector<Past::Companion> companions = one.companions;
      for (Past::Companion& companion : companions) companion.values = companion.values.first(origin);
      Past past{.kind = one.kind, .values = one.values.first(origin), .companions = companions, .next_epoch_s = {}};
      if (one.start_epoch_s) past.next_epoch_s = *one.start_epoch_s + 300 * static_cast<std::int64_t>(origin);
      Ensemble ensemble(shared, {true, true, true, true});
      Result<EnsembleForecast> made = ensemble.forecast(forecaster, past, static_cast<std::int64_t>(origin));
      if (!made) return made.error();
      cases.push_back({std::move(made->steps), unit, one.values.subspan(origin, kHorizon)});
    }
  }
  std::array<float, kWindows.size()> prices{};
  for (std::size_t w = 0; w < kWindows.size(); ++w) {
    double low = 0;  // of ln price
    double high = 14;
    for (int step = 0; step < 12; ++step) {
      const double middle = (low + high) / 2;
      double above = 0;
      for (const Case& one : cases) {
        const double reserved = reservation(std::span(one.steps).first(kWindows[w]), one.unit, std::exp(middle));
        for (std::size_t h = 0; h < kWindows[w]; ++h) above += one.actual[h] > reserved * (1 + 1e-6) + 1e-6 ? 1 : 0;
      }
      above /= static_cast<double>(cases.size() * kWindows[w]);
      (above > kAbove[w] ? low : high) = middle;
    }
    prices[w] = static_cast<float>(std::exp(high));
  }
  return prices;
}

}  // namespace proteus::bench
