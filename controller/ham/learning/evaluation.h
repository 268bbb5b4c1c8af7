#pragma once

#include <optional>

namespace proteus::ham::learning {

/// One occasion on which an action could have been taken, as two policies would have had it. What an action is worth is
/// counted from doing nothing, which is worth 0.
struct Occasion {
  bool rules_act = false;
  bool learned_act = false;
  double propensity = 1;           ///< with which the action was taken by whoever decided, > 0
  double expected = 0;             ///< what the model thought it worth beforehand, currency per hour
  std::optional<double> realised;  ///< what it turned out to be worth; nullopt: it was not taken
};

/// Doubly robust estimate of what the learned choice is worth more than the rules' alone: right on the mean if either
/// the expectation or the propensity is. Currency per hour.
/// Source: Dudík, Langford, Li, Doubly robust policy evaluation and learning, ICML 2011.
double difference(const Occasion& occasion);

/// Mean of differences with a lower bound that holds at all times at once (95 %, one-sided), so that it may be looked
/// at after each. Thread: owned by one.
/// Sources: Robbins, Statistical methods related to the law of the iterated logarithm, 1970 (normal mixture);
/// Waudby-Smith et al., Time-uniform central limit theory and asymptotic confidence sequences, 2021; the use to let a
/// policy act only beyond its bound: Thomas, Theocharous, Ghavamzadeh, High confidence policy improvement, ICML 2015.
class ConfidenceSequence {
 public:
  void add(double value);
  double count() const { return count_; }
  double mean() const { return count_ > 0 ? sum_ / count_ : 0; }
  double lower() const { return mean() - radius(); }
  double upper() const { return mean() + radius(); }

  template <typename Archive>
  void archive(Archive& a) {
    a(count_);
    a(sum_);
    a(squares_);
  }

 private:
  double radius() const;

  double count_ = 0;
  double sum_ = 0;
  double squares_ = 0;
};

}  // namespace proteus::ham::learning
