#include "controller/forecast/global/objective.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace proteus::forecast::global {

namespace {

constexpr double kLossFloor = 1e-3;     ///< of the benchmark's relative scores, SM
constexpr double kReferenceMin = 0.01;  ///< so that a series that hardly moves does not outweigh all others, SM
constexpr std::size_t kReference = 1;   ///< the anchor of the seasonal autoregression, in steps and maxima alike

float pinball(float level, float error) {
  return error > 0 ? level * error : (level - 1) * error;
}

/// 2 · mean pinball loss over the levels, u.
float row_loss(const float* levels, float value) {
  float sum = 0;
  for (std::size_t k = 0; k < kLevels.size(); ++k) {
    sum += pinball(static_cast<float>(kLevels[k]), value - std::sinh(std::clamp(levels[k], -12.0F, 12.0F)));
  }
  return 2 * sum / kLevels.size();
}

/// Mean loss by series and class of row (band of steps ahead, or window), in units of SM.
class Losses {
 public:
  Losses(const TrainingSet& set, std::size_t classes)
      : classes_(classes),
        cells_((set.series.empty() ? 0 : *std::max_element(set.series.begin(), set.series.end()) + 1U) * classes) {}
  void add(std::size_t series, std::size_t of, double loss) {
    cells_[series * classes_ + of].sum += loss;
    cells_[series * classes_ + of].count += 1;
  }
  double mean(std::size_t series, std::size_t of) const {
    const Cell& cell = cells_[series * classes_ + of];
    return cell.sum / cell.count;
  }
  /// By class: the mean over series of ln(loss); 0 if no series has the class.
  std::vector<double> scores() const {
    std::vector<double> sums(classes_, 0.0);
    std::vector<double> present(classes_, 0.0);
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      if (cells_[i].count == 0) continue;
      sums[i % classes_] += std::log(cells_[i].sum / cells_[i].count + kLossFloor);
      ++present[i % classes_];
    }
    for (std::size_t c = 0; c < classes_; ++c) sums[c] /= std::max(present[c], 1.0);
    return sums;
  }

 private:
  struct Cell {
    double sum = 0;
    double count = 0;
  };
  std::size_t classes_;
  std::vector<Cell> cells_;
};

/// Weights that make a row's pinball loss relative to the reference's mean loss in the same series and class.
/// of_row(r): its class; share(r): its part of the class within a window.
std::vector<float> relative_weights(const TrainingSet& set, const TrainingRows& rows, std::span<const float> values,
                                    std::size_t classes, auto&& of_row, auto&& share) {
  Losses losses(set, classes);
  for (std::size_t r = 0; r < values.size(); ++r) {
    const std::size_t window = r / rows.per_window;
    const float* anchor = rows.anchor.data() + (r * rows.anchors + kReference) * kLevels.size();
    losses.add(set.series[window], of_row(r), row_loss(anchor, values[r]) * set.unit[window]);
  }
  std::vector<float> weights(values.size());
  for (std::size_t r = 0; r < values.size(); ++r) {
    const std::size_t window = r / rows.per_window;
    const double reference = losses.mean(set.series[window], of_row(r)) + kReferenceMin;
    weights[r] = static_cast<float>(set.unit[window] / reference * share(r));
  }
  return weights;
}

/// Mean weighted pinball loss of a batch, and its gradient.
double batch_loss(std::span<const std::size_t> windows, std::size_t per_window, std::span<const float> values,
                  std::span<const float> weights, const ConstMatrix& levels, const Matrix& d_levels) {
  const float scale = 2.0F / kLevels.size() / static_cast<float>(windows.size());
  double sum = 0;
  for (std::size_t w = 0; w < windows.size(); ++w) {
    for (std::size_t i = 0; i < per_window; ++i) {
      const std::size_t row = windows[w] * per_window + i;
      const float weight = weights[row] * scale;
      for (std::size_t k = 0; k < kLevels.size(); ++k) {
        const std::size_t at = (w * per_window + i) * kLevels.size() + k;
        const float z = std::clamp(levels.data[at], -12.0F, 12.0F);
        const float grown = std::exp(z);
        const float error = values[row] - (grown - 1 / grown) / 2;
        const auto level = static_cast<float>(kLevels[k]);
        sum += static_cast<double>(weight * pinball(level, error));
        if (d_levels.data != nullptr) {
          d_levels.data[at] = weight * (error > 0 ? -level : 1 - level) * (grown + 1 / grown) / 2;
        }
      }
    }
  }
  return sum;
}

std::vector<double> scores_of(const TrainingSet& set, std::size_t per_window, std::span<const float> values,
                              std::size_t classes, const ConstMatrix& levels, auto&& of_row) {
  Losses losses(set, classes);
  for (std::size_t r = 0; r < levels.rows; ++r) {
    Levels sorted;
    std::copy_n(levels.data + r * kLevels.size(), kLevels.size(), sorted.begin());
    std::sort(sorted.begin(), sorted.end());
    losses.add(set.series[r / per_window], of_row(r), row_loss(sorted.data(), values[r]) * set.unit[r / per_window]);
  }
  return losses.scores();
}

double sum_of(const std::vector<double>& scores) {
  return std::accumulate(scores.begin(), scores.end(), 0.0);
}

}  // namespace

StepObjective::StepObjective(const TrainingSet& set) : set_(set) {
  std::array<std::size_t, kBands> rows{};  // of a window
  for (std::size_t r = 0; r < set.steps.per_window && r < set.step_ahead.size(); ++r)
    ++rows[band_of(set.step_ahead[r])];
  const auto band = [&](std::size_t r) { return band_of(set.step_ahead[r]); };
  weight_ = relative_weights(set, set.steps, set.step_value, kBands, band,
                             [&](std::size_t r) { return 1.0 / static_cast<double>(rows[band(r)]); });
}

double StepObjective::loss(std::span<const std::size_t> windows, const ConstMatrix& levels, const Matrix& d_levels) {
  return batch_loss(windows, set_.steps.per_window, set_.step_value, weight_, levels, d_levels);
}

std::array<double, kBands> StepObjective::band_scores(const ConstMatrix& levels) const {
  const std::vector<double> scores = scores_of(set_, set_.steps.per_window, set_.step_value, kBands, levels,
                                               [&](std::size_t r) { return band_of(set_.step_ahead[r]); });
  std::array<double, kBands> result{};
  std::copy(scores.begin(), scores.end(), result.begin());
  return result;
}

double StepObjective::score(const ConstMatrix& levels) const {
  const std::array<double, kBands> scores = band_scores(levels);
  return std::accumulate(scores.begin(), scores.end(), 0.0);
}

MaxObjective::MaxObjective(const TrainingSet& set) : set_(set), top_(set.windows * kWindows.size()) {
  for (std::size_t r = 0; r < top_.size(); ++r) {
    const float* future = set.future.data() + r / kWindows.size() * kHorizon;
    top_[r] = *std::max_element(future, future + kWindows[r % kWindows.size()]);
  }
  weight_ = relative_weights(
      set, set.maxima, top_, kWindows.size(), [](std::size_t r) { return r % kWindows.size(); },
      [](std::size_t) { return 1.0; });
}

double MaxObjective::loss(std::span<const std::size_t> windows, const ConstMatrix& levels, const Matrix& d_levels) {
  return batch_loss(windows, kWindows.size(), top_, weight_, levels, d_levels);
}

double MaxObjective::score(const ConstMatrix& levels) const {
  return sum_of(scores_of(set_, kWindows.size(), top_, kWindows.size(), levels,
                          [](std::size_t r) { return r % kWindows.size(); }));
}

}  // namespace proteus::forecast::global
