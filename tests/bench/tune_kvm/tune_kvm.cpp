// Chooses the parameters of the policy `proteus-rules` on the KVM-cluster benchmark: one parameter after the other
// takes a value of its row in parameters.cpp if that makes the bill (results.h) less by more than 1.64 standard errors,
// week against the same week, round after round until none changes. Weeks: `normal`, seeds 1 to 20, on the traces
// given. It begins with what is in force.
//   tune_kvm search DATA_DIR [RESULTS [NAME …]]      a line for each set tried; RESULTS: goes on with what is there;
//                                                    NAME: of these parameters only
//   tune_kvm try DATA_DIR FIRST LAST [NAME=VALUE …]  one set, on seeds FIRST to LAST: what is in force but for these

#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/kvm_weeks.h"
#include "tests/bench/tune_kvm/results.h"

namespace proteus::simulate::kvm {
namespace {

constexpr const char* kFirstSeed = "1";
constexpr const char* kLastSeed = "20";
constexpr std::size_t kStride = 5;  ///< weeks that come one after the other differ by so much
constexpr double kDoubt = 1.64;     ///< standard errors
/// A set that is no better on so many weeks is given up.
constexpr std::array<std::size_t, 3> kStages = {5, 10, 20};

std::vector<SeededWorkload> seeded(const Weeks& weeks, std::size_t stride) {
  std::vector<SeededWorkload> all;
  for (std::size_t begin = 0; begin < stride; ++begin) {
    for (std::size_t w = begin; w < weeks.list.size(); w += stride) {
      all.push_back({weeks.first_seed + w, &weeks.list[w]});
    }
  }
  return all;
}

class Search {
 public:
  Search(std::vector<SeededWorkload> weeks, Results results, std::vector<Parameter> parameters)
      : weeks_(std::move(weeks)), results_(std::move(results)), parameters_(std::move(parameters)) {}

  void run() {
    best_ = results_.of(weeks_, setup_);
    fmt::print("in force: {}\n", summary(best_));
    std::size_t since_change = 0;  // parameters
    for (std::size_t p = 0; since_change < parameters_.size(); p = (p + 1) % parameters_.size()) {
      ++since_change;
      for (const double value : parameters_[p].values) {
        if (adopt(parameters_[p], value)) since_change = 0;
        std::fflush(stdout);
      }
    }
    fmt::print("chosen: {}\n{}\n", describe(setup_), summary(best_));
  }

 private:
  bool adopt(const Parameter& parameter, double value) {
    Setup changed = setup_;
    if (!set(changed, parameter, value)) return false;
    std::vector<Week> tried;
    Interval more;
    for (const std::size_t stage : kStages) {
      tried = results_.of({weeks_.begin(), weeks_.begin() + static_cast<std::ptrdiff_t>(stage)}, changed);
      more = dearer(tried, best_);
      if (more.mean >= 0) break;
    }
    const bool better = tried.size() == weeks_.size() && more.mean < -kDoubt * more.error;
    fmt::print("{}{}={}: {:+.2f} ± {:.2f} on {} weeks: {}\n", better ? "adopted: " : "", parameter.name, value,
               more.mean, more.error, tried.size(), summary(tried));
    if (!better) return false;
    setup_ = changed;
    best_ = std::move(tried);
    return true;
  }

  std::vector<SeededWorkload> weeks_;
  Results results_;
  std::vector<Parameter> parameters_;
  Setup setup_;
  std::vector<Week> best_;  ///< of setup_
};

int fail(const std::string& message, int code) {
  fmt::print(stderr, "tune_kvm: {}\n", message);
  return code;
}

int search(const std::vector<std::string>& arguments) {
  const Result<Weeks> weeks = read_weeks(arguments[1], "normal", kFirstSeed, kLastSeed);
  if (!weeks) return fail(weeks.error().message, 1);
  Result<Results> results = Results::open(arguments.size() > 2 ? arguments[2] : "");
  if (!results) return fail(results.error().message, 1);
  std::vector<Parameter> chosen = parameters();
  if (arguments.size() > 3) {
    const std::set<std::string_view> names(arguments.begin() + 3, arguments.end());
    std::erase_if(chosen, [&](const Parameter& parameter) { return !names.contains(parameter.name); });
    if (chosen.size() != names.size()) return fail("no such parameter among those named", 2);
  }
  Search(seeded(*weeks, kStride), std::move(*results), std::move(chosen)).run();
  return 0;
}

int try_one(const std::vector<std::string>& arguments) {
  const Result<Weeks> weeks = read_weeks(arguments[1], "normal", arguments[2], arguments[3]);
  if (!weeks) return fail(weeks.error().message, 1);
  Setup setup;
  for (auto it = arguments.begin() + 4; it != arguments.end(); ++it) {
    if (!set(setup, *it)) return fail("no parameter and value: " + *it, 2);
  }
  Result<Results> results = Results::open("");
  const std::vector<Week> tried = results->of(seeded(*weeks, 1), setup);
  for (std::size_t w = 0; w < tried.size(); ++w) {
    fmt::print("seed {}: {:.2f} EUR, contention {:.3f} %, {} moves\n", weeks->first_seed + w, tried[w].cost_eur,
               100 * tried[w].contention_share, tried[w].moves);
  }
  fmt::print("{}\n", summary(tried));
  return 0;
}

int tune(const std::vector<std::string>& arguments) {
  const std::string what = arguments.empty() ? "" : arguments[0];
  if (what == "search" && arguments.size() >= 2) return search(arguments);
  if (what == "try" && arguments.size() >= 4) return try_one(arguments);
  fmt::print(stderr, "usage: tune_kvm search DATA_DIR [RESULTS [NAME …]] | try DATA_DIR FIRST LAST [NAME=VALUE …]\n");
  return 2;
}

}  // namespace
}  // namespace proteus::simulate::kvm

int main(int argc, char** argv) {
  return proteus::simulate::kvm::tune({argv + 1, argv + argc});
}
