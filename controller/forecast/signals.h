#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "controller/forecast/calendar.h"
#include "controller/forecast/covariates.h"

namespace proteus::forecast {

/// Values of one metric, as an application pushes them. Points may lie in the future: what is planned.
struct SignalPush {
  struct Point {
    Timestamp time;
    double value = 0;  ///< finite
    bool operator==(const Point&) const = default;
  };
  std::string name;    ///< 1 to 64 letters, digits, '_', '.', '-'
  VmId vm;             ///< whose demand it bears on; empty: everybody's
  Nanoseconds lead{};  ///< so much later demand follows it
  std::vector<Point> points;
  bool operator==(const SignalPush&) const = default;
};

/// Limits of what is taken.
inline constexpr std::size_t kPushedPointsMax = 500;    ///< in one push
inline constexpr std::size_t kSignalsPerScopeMax = 16;  ///< of one VM, or of everybody
inline constexpr Nanoseconds kSignalLeadMax = std::chrono::hours(24);
inline constexpr Nanoseconds kSignalAheadMax = std::chrono::hours(24 * 7);  ///< of a point before `now`, or after

/// Whether a push is well formed; what it says nothing about is whether there is room for its signal.
/// Errors: kInvalidArgument.
Status check(const SignalPush& push, Timestamp now);

/// All external signals on one grid of steps: the calendar's entries, then the signals of everybody, then a VM's own.
/// A step's value is the mean of the points in it; between two points the earlier one holds; after the newest nothing
/// is known. Thread: owned by one.
class SignalBoard {
 public:
  /// Keeps history_steps of the past. calendar: may be null.
  SignalBoard(Nanoseconds step, int history_steps, std::shared_ptr<const Calendar> calendar);
  ~SignalBoard();

  void push(const SignalPush& push);
  void forget(const VmId& vm);
  /// Valid as long as the board. The same object for the same VM.
  const Covariates* of(const VmId& vm);
  /// Everything pushed that is still kept, as pushes that would bring it back.
  std::vector<SignalPush> kept() const;

 private:
  struct Signal;
  class View;
  using Signals = std::map<std::string, Signal>;

  void calendar_row(std::int64_t step, double* out) const;
  const Signals* find(const VmId& vm) const;

  const Nanoseconds step_;
  const std::int64_t history_steps_;
  const std::shared_ptr<const Calendar> calendar_;
  std::map<VmId, Signals> signals_;  // by VM; empty: of everybody
  std::map<VmId, std::unique_ptr<View>> views_;
  std::uint64_t version_ = 0;  // of the set of signals
  // Rows of the calendar by step, a ring of more steps than any model reads at a time.
  mutable std::vector<double> rows_;
  mutable std::vector<std::int64_t> row_steps_;
};

}  // namespace proteus::forecast
