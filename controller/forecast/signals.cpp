#include "controller/forecast/signals.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace proteus::forecast {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
constexpr std::string_view kNameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
constexpr std::size_t kNameMax = 64;
/// Steps beyond the history that a model may ask for: the longest horizon.
constexpr std::int64_t kAheadSteps = 1440;

std::int64_t step_of(Timestamp time, Nanoseconds step) {
  const std::int64_t ns = to_unix_ns(time);
  return ns >= 0 ? ns / step.count() : -1;
}

}  // namespace

Status check(const SignalPush& push, Timestamp now) {
  const auto wrong = [](std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; };
  if (push.name.empty() || push.name.size() > kNameMax ||
      push.name.find_first_not_of(kNameCharacters) != std::string::npos) {
    return wrong("a signal's name must be 1 to 64 letters, digits, dots, dashes or underscores");
  }
  if (push.lead < Nanoseconds{0} || push.lead > kSignalLeadMax) return wrong("a signal's lead must be 0 to 24 h");
  if (push.points.empty() || push.points.size() > kPushedPointsMax) {
    return wrong(fmt::format("a push must hold 1 to {} points", kPushedPointsMax));
  }
  for (const SignalPush::Point& point : push.points) {
    if (!std::isfinite(point.value) || std::abs(point.value) > 1e15) {
      return wrong(fmt::format("a value of '{}' is not a number of at most 1e15", push.name));
    }
    if (point.time < now - kSignalAheadMax || point.time > now + kSignalAheadMax) {
      return wrong(fmt::format("a point of '{}' is more than 7 days away", push.name));
    }
  }
  return {};
}

/// One metric: sum and count of its points by step.
struct SignalBoard::Signal {
  struct Cell {
    double sum = 0;
    int count = 0;
  };
  Nanoseconds lead{};
  std::map<std::int64_t, Cell> cells;

  /// Older ones go, but the newest of them stays: it still holds.
  void keep_from(std::int64_t step) {
    auto cut = cells.upper_bound(step);
    if (cut != cells.begin()) cells.erase(cells.begin(), std::prev(cut));
  }
  double at(std::int64_t step) const {
    if (cells.empty() || step > cells.rbegin()->first) return kUnknown;
    const auto next = cells.upper_bound(step);
    if (next == cells.begin()) return kUnknown;
    const Cell& cell = std::prev(next)->second;
    return cell.sum / cell.count;
  }
};

class SignalBoard::View final : public Covariates {
 public:
  View(const SignalBoard& board, VmId vm) : board_(board), vm_(std::move(vm)) {}

  const std::vector<std::string>& names() const override {
    if (version_ == board_.version_ && !stale_) return names_;
    names_.clear();
    if (board_.calendar_) {
      for (const Calendar::Entry& entry : board_.calendar_->entries) names_.push_back(entry.name);
    }
    for (const Signals* signals : scopes()) {
      for (const auto& [name, signal] : *signals) names_.push_back(name);
    }
    version_ = board_.version_;
    stale_ = false;
    return names_;
  }

  void at(Timestamp begin, std::span<double> out) const override {
    const std::int64_t step = step_of(begin, board_.step_);
    std::size_t i = 0;
    if (board_.calendar_ && !board_.calendar_->entries.empty()) {
      board_.calendar_row(step, out.data());
      i = board_.calendar_->entries.size();
    }
    for (const Signals* signals : scopes()) {
      for (const auto& [name, signal] : *signals) {
        if (i < out.size()) out[i++] = signal.at(step_of(begin - signal.lead, board_.step_));
      }
    }
  }

 private:
  /// Everybody's signals, then the VM's own.
  std::array<const Signals*, 2> scopes() const {
    static const Signals kNone;
    const Signals* everybody = board_.find(VmId());
    const Signals* own = vm_.empty() ? nullptr : board_.find(vm_);
    return {everybody != nullptr ? everybody : &kNone, own != nullptr ? own : &kNone};
  }

  const SignalBoard& board_;
  const VmId vm_;
  mutable std::vector<std::string> names_;
  mutable std::uint64_t version_ = 0;
  mutable bool stale_ = true;
};

SignalBoard::SignalBoard(Nanoseconds step, int history_steps, std::shared_ptr<const Calendar> calendar)
    : step_(step), history_steps_(history_steps), calendar_(std::move(calendar)) {}
SignalBoard::~SignalBoard() = default;

const SignalBoard::Signals* SignalBoard::find(const VmId& vm) const {
  const auto found = signals_.find(vm);
  return found == signals_.end() ? nullptr : &found->second;
}

void SignalBoard::push(const SignalPush& push) {
  if (push.points.empty()) return;
  const auto [signal, fresh] = signals_[push.vm].try_emplace(push.name);
  if (fresh) ++version_;
  signal->second.lead = push.lead;
  std::map<std::int64_t, Signal::Cell>& cells = signal->second.cells;
  for (const SignalPush::Point& point : push.points) {
    Signal::Cell& cell = cells[step_of(point.time, step_)];
    cell.sum += point.value;
    ++cell.count;
  }
  // As much as a series keeps, and what its lead and its plans reach beyond.
  signal->second.keep_from(cells.rbegin()->first - history_steps_ - (push.lead + kSignalAheadMax) / step_);
}

void SignalBoard::forget(const VmId& vm) {
  if (vm.empty()) return;
  views_.erase(vm);
  if (signals_.erase(vm) > 0) ++version_;
}

const Covariates* SignalBoard::of(const VmId& vm) {
  std::unique_ptr<View>& view = views_[vm];
  if (!view) view = std::make_unique<View>(*this, vm);
  return view.get();
}

std::vector<SignalPush> SignalBoard::kept() const {
  std::vector<SignalPush> pushes;
  for (const auto& [vm, signals] : signals_) {
    for (const auto& [name, signal] : signals) {
      SignalPush push{name, vm, signal.lead, {}};
      for (const auto& [step, cell] : signal.cells) {
        push.points.push_back({Timestamp{step * step_}, cell.sum / cell.count});
      }
      if (!push.points.empty()) pushes.push_back(std::move(push));
    }
  }
  return pushes;
}

void SignalBoard::calendar_row(std::int64_t step, double* out) const {
  const std::size_t width = calendar_->entries.size();
  const auto ring = static_cast<std::size_t>(history_steps_ + kAheadSteps);
  if (row_steps_.empty()) {
    row_steps_.assign(ring, -1);
    rows_.resize(ring * width);
  }
  const std::size_t slot = static_cast<std::size_t>(std::max<std::int64_t>(0, step)) % ring;
  double* row = rows_.data() + slot * width;
  if (row_steps_[slot] != step) {
    const Timestamp begin{step * step_};
    for (std::size_t i = 0; i < width; ++i) row[i] = calendar_->share(calendar_->entries[i], begin, begin + step_);
    row_steps_[slot] = step;
  }
  std::copy(row, row + width, out);
}

}  // namespace proteus::forecast
