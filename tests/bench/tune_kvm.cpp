// Chooses the parameters of the policy `proteus-rules` on the KVM-cluster benchmark: one parameter after the other
// takes a value of its row of the table below if that makes the bill less by more than 1.64 standard errors (week
// against the same week), round after round until none changes. The bill is what is asked of the means: cost, and at
// the prices below what contention exceeds 0.30 % by and moves 150 a week. Weeks: `normal`, seeds 11 to 20, on the
// traces given, which are not the weeks that figures are judged by. It begins with the defaults in force.
//   tune_kvm DATA_DIR                              the search, a line for each set tried
//   tune_kvm DATA_DIR FIRST LAST [NAME=VALUE …]    one set, on seeds FIRST to LAST: the defaults but for what is named

#include <fmt/core.h>

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "controller/simulate/kvm/policies/ham_policy.h"
#include "controller/simulate/kvm/policies/outlook_sources.h"
#include "controller/simulate/kvm/run.h"
#include "tests/bench/interval.h"
#include "tests/bench/kvm_weeks.h"

namespace proteus::simulate::kvm {
namespace {

constexpr const char* kFirstSeed = "11";
constexpr const char* kLastSeed = "20";
constexpr double kContentionMax = 0.0030;
constexpr double kContentionPrice = 1e4;  ///< EUR for all of the VMs' time
constexpr double kMovesMax = 150;
constexpr double kMovePrice = 0.3;  ///< EUR
constexpr double kDoubt = 1.64;     ///< standard errors

struct Setup {
  HamOptions ham;
  RecentWeights recent;
};

using Member = std::variant<double ham::Prices::*, double ham::Limits::*, Nanoseconds ham::Limits::*,
                            int ham::Limits::*, double RecentWeights::*>;

struct Parameter {
  std::string_view name;
  std::vector<double> values;  ///< durations in hours
  Member member;
};

const std::vector<Parameter>& parameters() {
  using ham::Limits;
  using ham::Prices;
  static const std::vector<Parameter> kAll = {
      {"payback_h", {3, 6, 12}, &Limits::payback},
      {"gain_floor", {0.05, 0.08, 0.1, 0.12, 0.16}, &Limits::gain_floor},
      {"emptying_eur", {0.005, 0.0075, 0.01, 0.015}, &Limits::emptying_floor},
      {"gain_min", {0, 0.1}, &Limits::gain_min},
      {"cooldown_h", {0, 0.5, 2}, &Limits::cooldown},
      {"waiting_eur", {0.024, 0.048, 0.072, 0.096}, &Prices::waiting_per_vm_hour},
      {"shortage_eur", {3, 10, 30}, &Prices::memory_shortage_per_gib_hour},
      {"sleep_payback_h", {6, 12, 24}, &Limits::sleep_payback},
      {"awake_h", {6, 12, 24}, &Limits::awake_min},
      {"memory_headroom", {0, 0.07, 0.12}, &Limits::memory_headroom},
      {"memory_comfort", {0.75, 0.85, 0.95}, &Limits::memory_comfort},
      {"crowding_eur", {0.08, 0.15, 0.3}, &Prices::crowding_per_host_hour},
      {"memory_promise", {0.97, 1, 1.05, 1.08}, &Limits::memory_promise},
      {"memory_bursts", {0, 2, 3, 5}, &Limits::memory_bursts},
      {"now", {0.2, 0.4, 0.6}, &RecentWeights::now},
      {"hours", {0, 0.15, 0.3}, &RecentWeights::hours},
      {"season", {0, 0.25, 0.4}, &RecentWeights::season},
      {"week", {0.1, 0.2, 0.35}, &RecentWeights::week},
  };
  return kAll;
}

ham::Prices& owner(Setup& setup, double ham::Prices::*) {
  return setup.ham.prices;
}
template <typename T>
ham::Limits& owner(Setup& setup, T ham::Limits::*) {
  return setup.ham.limits;
}
RecentWeights& owner(Setup& setup, double RecentWeights::*) {
  return setup.recent;
}

/// False: it had that value.
bool set(Setup& setup, const Parameter& parameter, double value) {
  return std::visit(
      [&](auto member) {
        auto& present = owner(setup, member).*member;
        using Type = std::remove_reference_t<decltype(present)>;
        Type wanted;
        if constexpr (std::is_same_v<Type, Nanoseconds>) {
          wanted = from_seconds(value * 3600);
        } else {
          wanted = static_cast<Type>(value);
        }
        if (present == wanted) return false;
        present = wanted;
        return true;
      },
      parameter.member);
}

struct Week {
  Metrics metrics;
  double slowest_s = 0;  ///< decision
};

Week try_week(const Workload& workload, const Setup& setup) {
  HamPolicy policy(std::make_unique<RecentPaths>(setup.recent), setup.ham);
  const RunResult result = run(workload, policy);
  return {result.metrics, result.decision_cpu_s_max};
}

/// Of the means over the weeks, without one of them if it is among them.
double bill_of(const std::vector<Week>& weeks, std::size_t count, std::size_t without) {
  double cost = 0;
  double contention = 0;
  double moves = 0;
  double n = 0;
  for (std::size_t w = 0; w < count; ++w) {
    if (w == without) continue;
    const Metrics& m = weeks[w].metrics;
    cost += m.cost_eur;
    contention += m.contention_share;
    moves += m.migrations;
    ++n;
  }
  return cost / n + kContentionPrice * std::max(0.0, contention / n - kContentionMax) +
         kMovePrice * std::max(0.0, moves / n - kMovesMax);
}

double bill_of(const std::vector<Week>& weeks) {
  return bill_of(weeks, weeks.size(), weeks.size());
}

/// Weeks `first` to `last` (exclusive), a thread for each.
std::vector<Week> try_weeks(const std::vector<Workload>& weeks, std::size_t first, std::size_t last,
                            const Setup& setup) {
  std::vector<std::future<Week>> running;
  for (std::size_t w = first; w < last; ++w) {
    running.push_back(std::async(std::launch::async, [&, w] { return try_week(weeks[w], setup); }));
  }
  std::vector<Week> results;
  for (std::future<Week>& week : running) results.push_back(week.get());
  return results;
}

void print(const std::vector<Week>& weeks, const std::string& what) {
  Metrics sum;
  double slowest_s = 0;
  std::string each;
  for (const Week& week : weeks) {
    const Metrics& m = week.metrics;
    each += fmt::format(" {:.1f}", m.cost_eur);
    sum.cost_eur += m.cost_eur;
    sum.sla_eur += m.sla_eur;
    sum.energy_kwh += m.energy_kwh;
    sum.contention_share += m.contention_share;
    sum.disasters += m.disasters;
    sum.migrations += m.migrations;
    sum.mean_hosts_on += m.mean_hosts_on;
    sum.guest_swap_vm_s += m.guest_swap_vm_s;
    slowest_s = std::max(slowest_s, week.slowest_s);
  }
  const auto n = static_cast<double>(weeks.size());
  fmt::print(
      "{}: bill {:.2f}, {:.2f} EUR [{} ] SLA {:.2f}, {:.1f} kWh, contention {:.3f} %, {} disasters, {:.0f} moves, "
      "{:.2f} hosts on, guests short {:.0f} s, slowest decision {:.0f} ms\n",
      what, bill_of(weeks), sum.cost_eur / n, each, sum.sla_eur / n, sum.energy_kwh / n, 100 * sum.contention_share / n,
      sum.disasters, sum.migrations / n, sum.mean_hosts_on / n, sum.guest_swap_vm_s / n, slowest_s * 1e3);
}

/// What `weeks` cost more than the first of `reference`. Its error: jackknife, a week left out of both at a time (Efron
/// & Stein 1981).
Interval dearer(const std::vector<Week>& weeks, const std::vector<Week>& reference) {
  const std::size_t n = weeks.size();
  const double more = bill_of(weeks) - bill_of(reference, n, n);
  std::vector<double> pseudo;
  for (std::size_t w = 0; w < n; ++w) {
    const double rest = bill_of(weeks, n, w) - bill_of(reference, n, w);
    pseudo.push_back(static_cast<double>(n) * more - static_cast<double>(n - 1) * rest);
  }
  return {more, interval(pseudo).error, 0};
}

/// True if the set is better beyond doubt; then `best` is what it brought. Given up early: a set that is no better on
/// the first half.
bool better(const std::vector<Workload>& weeks, const Setup& setup, const std::string& what, std::vector<Week>& best) {
  const std::size_t half = weeks.size() / 2;
  std::vector<Week> tried = try_weeks(weeks, 0, half, setup);
  if (dearer(tried, best).mean < 0) {
    for (Week& week : try_weeks(weeks, half, weeks.size(), setup)) tried.push_back(std::move(week));
  }
  const Interval more = dearer(tried, best);
  print(tried, fmt::format("{}: {:+.2f} ± {:.2f} on {} weeks", what, more.mean, more.error, tried.size()));
  if (tried.size() < weeks.size() || more.mean >= -kDoubt * more.error) return false;
  fmt::print("adopted: {}\n", what);
  best = std::move(tried);
  return true;
}

void search(const std::vector<Workload>& weeks) {
  Setup setup;
  std::vector<Week> best = try_weeks(weeks, 0, weeks.size(), setup);
  print(best, "defaults");
  std::size_t since_change = 0;  // parameters
  for (std::size_t p = 0; since_change < parameters().size(); p = (p + 1) % parameters().size()) {
    const Parameter& parameter = parameters()[p];
    ++since_change;
    for (const double value : parameter.values) {
      Setup changed = setup;
      if (!set(changed, parameter, value)) continue;
      if (better(weeks, changed, fmt::format("{}={}", parameter.name, value), best)) {
        setup = changed;
        since_change = 0;
      }
      std::fflush(stdout);
    }
  }
}

/// text: NAME=VALUE
bool set(Setup& setup, std::string_view text) {
  const auto equals = text.find('=');
  for (const Parameter& parameter : parameters()) {
    if (equals == std::string_view::npos || parameter.name != text.substr(0, equals)) continue;
    set(setup, parameter, std::stod(std::string(text.substr(equals + 1))));
    return true;
  }
  fmt::print(stderr, "tune_kvm: no parameter '{}'\n", text);
  return false;
}

int tune(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments.size() == 2) {
    fmt::print(stderr, "usage: tune_kvm DATA_DIR [FIRST LAST [NAME=VALUE …]]\n");
    return 2;
  }
  const bool all = arguments.size() == 1;
  const std::string first = all ? kFirstSeed : arguments[1];
  const std::string last = all ? kLastSeed : arguments[2];
  const Result<Weeks> weeks = read_weeks(arguments[0], "normal", first, last);
  if (!weeks) {
    fmt::print(stderr, "tune_kvm: {}\n", weeks.error().message);
    return 1;
  }
  if (all) {
    search(weeks->list);
    return 0;
  }
  Setup setup;
  std::string what = fmt::format("seeds {} to {}", first, last);
  for (auto it = arguments.begin() + 3; it != arguments.end(); ++it) {
    what += " " + *it;
    if (!set(setup, *it)) return 2;
  }
  print(try_weeks(weeks->list, 0, weeks->list.size(), setup), what);
  return 0;
}

}  // namespace
}  // namespace proteus::simulate::kvm

int main(int argc, char** argv) {
  return proteus::simulate::kvm::tune({argv + 1, argv + argc});
}
