#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "common/kpi.h"

/// The values of a series gathered into steps of equal length: what roll-ups hold and queries answer.
/// Thread: pure; an object belongs to one.
namespace proteus::store {

/// Steps of step_us from from_us on, until to_us. from_us < to_us, step_us > 0; the last step may be cut.
struct StepGrid {
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;
  std::int64_t step_us = 0;

  std::size_t size() const { return static_cast<std::size_t>((to_us - from_us + step_us - 1) / step_us); }
  bool holds(std::int64_t time_us) const { return time_us >= from_us && time_us < to_us; }
  /// Those that are over once no value in front of later_us follows.
  std::size_t complete_at(std::int64_t later_us) const {
    const std::int64_t least_us = std::clamp(later_us, from_us, to_us);
    return least_us == to_us ? size() : step_of(least_us);
  }
  std::size_t step_of(std::int64_t time_us) const { return static_cast<std::size_t>((time_us - from_us) / step_us); }
};

/// A counter that was not seen for longer has no rate over the gap.
constexpr std::int64_t kGapUs = 5 * 60 * 1'000'000LL;

__extension__ using Int128 = __int128;
/// Sums of what 64 bits hold, which a month of bytes of memory does not fit into.
inline double to_double(Int128 sum) {
  const auto low = static_cast<std::int64_t>(sum);
  return low == sum ? static_cast<double>(low) : static_cast<double>(sum);  // the latter is slow
}

/// One step of one series. Of a gauge: its values. Of a counter or bucket: `sum` is the increase between neighbours, of
/// which the later lies in the step, `weight` the microseconds between them, min, max and p95 are rates per second,
/// rounded; over a step down, which is a counter that began anew, there is neither. Nothing was measured where weight
/// is 0.
struct StepFigures {
  Int128 sum = 0;
  std::int64_t weight = 0;  ///< values of a gauge; microseconds of a counter
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::int64_t last = 0;  ///< of a gauge
  std::int64_t p95 = 0;   ///< nearest rank; only if it was asked for
  bool overflow = false;  ///< a part of it is of a roll-up that 64 bits did not hold the sum of: that is no figure

  /// Joins the figures of another part of the same step, which is later. p95 becomes meaningless.
  void join(const StepFigures& later);
};

/// What is computed beyond sum, weight and last.
struct StepWants {
  bool extremes = false;
  bool p95 = false;
  bool whole = false;  ///< and p95 of all steps together, for StepCollector::whole()
};

/// Ticks of a window as steps see them, shared by the series of its pages. Those outside [from_us, to_us) and outside
/// the grid are in no step, but a counter's increase may begin at them. run: of the host's clock (page_scan.h); no
/// increase leads from one to another.
struct StepTicks {
  StepTicks(const StepGrid& grid, std::int64_t from_us, std::int64_t to_us, std::vector<std::int64_t> times_us,
            std::uint32_t run = 0);

  std::uint32_t run = 0;
  /// Steps in front of it get nothing from what follows this window. Where a clock was set back the windows of two of
  /// its runs lie between each other, and what was closed may be entered again.
  std::size_t complete = 0;
  /// Likewise within the window: steps in front of it are not entered by a tick that lies in front of the one before
  /// it.
  std::size_t rising = std::numeric_limits<std::size_t>::max();
  std::vector<std::int64_t> times_us;
  std::vector<std::int32_t> steps;  ///< of each tick; -1: none
  std::size_t steps_end = 0;        ///< behind the last of them
  /// Neighbouring ticks of one step, each close enough behind the one before it that a counter has a rate.
  struct Run {
    std::size_t before = 0;  ///< ends[before] is the tick in front of them
    std::size_t last = 0;    ///< ends[last] the last of them
    std::int32_t step = 0;
    std::int64_t weight_us = 0;  ///< between the two
  };
  std::vector<Run> runs;
  /// Between what ticks runs lie, and the first and the last tick; ascending. Of a counter that never falls no other
  /// value needs to be known.
  std::vector<std::uint32_t> ends;
};

/// Collects one series. Feed it in order of time.
class StepCollector {
 public:
  StepCollector(KpiKind kind, StepWants wants, const StepGrid& grid)
      : kind_(kind), wants_(wants), figures_(grid.size()) {}
  /// One that holds only the steps that have been made room for and not been given out.
  StepCollector(KpiKind kind, StepWants wants) : kind_(kind), wants_(wants) {}
  /// Between the two, its figures are in `room`. What many collectors take turns in stays in the processor's cache.
  void enter(std::vector<StepFigures>& room) {
    room.assign(figures_.begin(), figures_.end());
    figures_.swap(room);
  }
  void leave(std::vector<StepFigures>& room) {
    figures_.swap(room);
    figures_.assign(room.begin(), room.end());
  }
  /// Memory that it takes, but not between enter() and leave().
  std::size_t bytes() const {
    return figures_.capacity() * sizeof(StepFigures) +
           (ranked_.capacity() + ranked_before_.capacity() + waiting_count_) * sizeof(std::int64_t) +
           waiting_.size() * kWaitingBytes;
  }
  /// Room for the steps in front of `end`.
  void make_room(std::size_t end) { figures_.resize(std::max(end, first_ + figures_.size()) - first_); }
  /// Calls visit(first, figures) with the steps in front of `end` that it holds, and drops them. Nothing of them may
  /// follow.
  template <typename Visit>
  void give_out(std::size_t end, const Visit& visit) {
    if (end <= first_) return;
    complete_ = std::max(complete_, end);
    if (step_ >= 0 && static_cast<std::size_t>(step_) < end) close();
    settle_waiting(end);
    const std::size_t count = std::min(end - first_, figures_.size());
    if (count > 0) visit(first_, std::span<const StepFigures>(figures_.data(), count));
    figures_.erase(figures_.begin(), figures_.begin() + static_cast<std::ptrdiff_t>(count));
    first_ = end;
  }

  /// values[i] was measured at ticks.times_us[at[i]]; an empty `at` means one value for each tick.
  void add(const StepTicks& ticks, std::span<const std::int64_t> values, std::span<const std::uint32_t> at);
  /// The same for a counter that has a value at each tick, never falls and grows by what 64 bits hold, if neither
  /// extremes nor p95 are wanted. values[i] was measured at ticks.times_us[ticks.ends[i]].
  void add_ends(const StepTicks& ticks, std::span<const std::int64_t> values);
  /// Ends the last step. Call once.
  const std::vector<StepFigures>& finish();
  /// Ends the last step and gives the figures away, instead of finish().
  std::vector<StepFigures> take();
  /// All steps together, after finish(). Call once.
  StepFigures whole();

 private:
  /// What the map and its vectors' allocations take for a step that waits, beside its values.
  static constexpr std::size_t kWaitingBytes = 112;

  void add_gauge(const StepTicks& ticks, std::span<const std::int64_t> values, std::span<const std::uint32_t> at);
  void add_counter(const StepTicks& ticks, std::span<const std::int64_t> values, std::span<const std::uint32_t> at);
  void add_increase(std::int64_t value, std::int64_t time_us, std::int32_t step);
  void enter_run(std::uint32_t run);
  void open(std::int32_t step);
  void close();
  void settle(std::int32_t step, std::vector<std::int64_t>& ranked);
  void settle_waiting(std::size_t end);
  StepFigures& at(std::int32_t step) { return figures_[static_cast<std::size_t>(step) - first_]; }

  const KpiKind kind_;
  const StepWants wants_;
  std::size_t first_ = 0;  // step of the first of figures_
  std::vector<StepFigures> figures_;
  std::int32_t step_ = -1;                                     // under way
  std::vector<std::int64_t> ranked_;                           // of the step under way, for p95
  std::size_t complete_ = 0;                                   // steps in front of it are over once they are closed
  std::map<std::int32_t, std::vector<std::int64_t>> waiting_;  // as ranked_, of closed steps that are not over
  std::size_t waiting_count_ = 0;                              // values in them
  std::vector<std::int64_t> ranked_before_;                    // of the steps before it, if the whole is wanted
  std::optional<std::int64_t> before_;                         // a counter's last value
  std::int64_t before_us_ = 0;
  /// Where another run of the clock stands.
  struct Run {
    std::uint32_t run = 0;
    std::optional<std::int64_t> before;
    std::int64_t before_us = 0;
  };
  std::uint32_t run_ = 0;   // that the last value is of
  std::vector<Run> other_;  // runs
};

}  // namespace proteus::store
