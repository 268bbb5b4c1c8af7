#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/result.h"
#include "controller/simulate/kvm/workload.h"
#include "tests/bench/interval.h"
#include "tests/bench/tune_kvm/parameters.h"

namespace proteus::simulate::kvm {

/// What a week came to.
struct Week {
  double cost_eur = 0;
  double sla_eur = 0;
  double energy_kwh = 0;
  double contention_share = 0;
  double disasters = 0;
  double moves = 0;
  double hosts_on = 0;
  double slowest_s = 0;  ///< decision
};

/// What is asked of the means over weeks, as one sum: cost, and what contention exceeds 0.30 % by and moves 150 a week,
/// at prices of their own. without: a week that is left out; weeks.size(): none.
double bill_of(const std::vector<Week>& weeks, std::size_t without);
/// What `weeks` cost more than the first of `reference`. Its error: jackknife, a week left out of both at a time (Efron
/// & Stein 1981).
Interval dearer(const std::vector<Week>& weeks, const std::vector<Week>& reference);
/// The means, in a line.
std::string summary(const std::vector<Week>& weeks);

struct SeededWorkload {
  std::uint64_t seed = 0;
  const Workload* workload = nullptr;
};

/// Weeks that have been simulated, each by its set of parameters and its seed. Those in its file, of the same program,
/// are not simulated again: a search that was cut off goes on where it was. Thread: owned by one.
class Results {
 public:
  /// path: JSON lines; read, then added to. Empty: none is kept. Errors: kCorrupt with the line; kUnavailable.
  static Result<Results> open(const std::string& path);
  /// A thread for each week that is not known.
  std::vector<Week> of(const std::vector<SeededWorkload>& weeks, const Setup& setup);

 private:
  std::map<std::pair<std::string, std::uint64_t>, Week> known_;
  std::ofstream file_;
};

}  // namespace proteus::simulate::kvm
