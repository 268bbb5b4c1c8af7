// How much what VMs did lately says of what they will do: the weights of the policy `proteus-rules`' paths
// (RecentWeights) on the KVM-cluster benchmark. VMs are thrown together into hosts of some size, and what waiting for
// such a host's CPUs costs over the next six hours is regressed, without a constant and with no weight below zero, on
// what it cost in each part of the past that a path may be made of. Printed: the weights, as they are and with a sum of
// 1, and the mean squared error beside the variance; costs are relative to their mean over the week before.
//   weigh_kvm DATA_DIR FIRST LAST     VMs of seeds FIRST to LAST of `normal`
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "controller/simulate/kvm/splitmix64.h"
#include "controller/simulate/kvm/workload.h"
#include "tests/bench/kvm_weeks.h"

namespace proteus::simulate::kvm {
namespace {

constexpr int kHostsPerSeed = 40;
constexpr int kAhead = 72;  ///< ticks
constexpr int kWeek = 7 * kDayTicks;

/// Ticks of the past, from and to so many before now.
struct Part {
  std::string_view name;
  int from;
  int to;
};
constexpr std::array kParts = {Part{"now", 3, 0},
                               Part{"hour", 12, 0},
                               Part{"hours", 36, 0},
                               Part{"season, yesterday", kDayTicks, kDayTicks - kAhead},
                               Part{"season, two days ago", 2 * kDayTicks, 2 * kDayTicks - kAhead},
                               Part{"season, a week ago", kWeek, kWeek - kAhead},
                               Part{"day", kDayTicks, 0},
                               Part{"week", kWeek, 0}};
using Row = std::array<double, kParts.size()>;

struct Samples {
  std::vector<Row> past;
  std::vector<double> came;
};

/// What waiting costs at so much of a host's CPU: nothing below 70 %, then ever more.
double waiting(double utilisation) {
  const double beyond = std::max(0.0, utilisation - 0.7);
  return beyond * beyond + 0.5 * std::max(0.0, utilisation - 1);
}

/// One host: some VMs, and a size at which they use a quarter to six tenths of it on the mean.
void add_host(const Workload& week, SplitMix64& random, Samples& samples) {
  std::vector<double> demand(kTraceTicks);
  for (std::uint64_t left = 8 + random.next() % 14; left > 0; --left) {
    const std::size_t vm = random.next() % week.vms.size();
    for (int t = 0; t < kTraceTicks; ++t) demand[static_cast<std::size_t>(t)] += week.sample(vm, Series::kCpu, t);
  }
  double mean = 0;
  for (int t = 0; t < kFirstTick; ++t) mean += demand[static_cast<std::size_t>(t)] / kFirstTick;
  const double capacity = mean / (0.25 + 0.35 * random.uniform());
  std::vector<double> sums{0};
  for (const double mhz : demand) sums.push_back(sums.back() + waiting(mhz / capacity));
  const auto cost = [&](int from, int to) {
    return (sums[static_cast<std::size_t>(to)] - sums[static_cast<std::size_t>(from)]) / (to - from);
  };
  for (int now = kFirstTick; now + kAhead < kTraceTicks; now += 12) {
    Row& row = samples.past.emplace_back();
    for (std::size_t p = 0; p < kParts.size(); ++p) row[p] = cost(now - kParts[p].from, now - kParts[p].to);
    samples.came.push_back(cost(now, now + kAhead));
  }
}

/// Least squares without weights below zero, by coordinate descent.
Row fit(const Samples& samples) {
  std::array<Row, kParts.size()> products{};
  Row right{};
  for (std::size_t r = 0; r < samples.past.size(); ++r) {
    const Row& row = samples.past[r];
    for (std::size_t i = 0; i < row.size(); ++i) {
      right[i] += row[i] * samples.came[r];
      for (std::size_t j = 0; j < row.size(); ++j) products[i][j] += row[i] * row[j];
    }
  }
  Row weights{};
  constexpr int kRounds = 20'000;
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < weights.size(); ++i) {
      double rest = right[i];
      for (std::size_t j = 0; j < weights.size(); ++j) rest -= j == i ? 0 : products[i][j] * weights[j];
      weights[i] = products[i][i] > 0 ? std::max(0.0, rest / products[i][i]) : 0;
    }
  }
  return weights;
}

int weigh(const std::vector<std::string>& arguments) {
  if (arguments.size() != 3) {
    fmt::print(stderr, "usage: weigh_kvm DATA_DIR FIRST LAST\n");
    return 2;
  }
  const Result<Weeks> weeks = read_weeks(arguments[0], "normal", arguments[1], arguments[2]);
  if (!weeks) {
    fmt::print(stderr, "weigh_kvm: {}\n", weeks.error().message);
    return 1;
  }
  Samples samples;
  SplitMix64 random(1);
  for (const Workload& week : weeks->list) {
    for (int host = 0; host < kHostsPerSeed; ++host) add_host(week, random, samples);
  }
  double usual = 0;
  for (const Row& row : samples.past) usual += row.back() / static_cast<double>(samples.past.size());
  for (Row& row : samples.past) {
    for (double& value : row) value /= usual;
  }
  for (double& value : samples.came) value /= usual;
  const Row weights = fit(samples);
  double sum = 0;
  for (const double weight : weights) sum += weight;
  for (std::size_t p = 0; p < weights.size(); ++p) {
    fmt::print("{:22} {:.3f} {:.3f}\n", kParts[p].name, weights[p], weights[p] / sum);
  }
  const auto n = static_cast<double>(samples.came.size());
  double mean = 0;
  for (const double came : samples.came) mean += came / n;
  double variance = 0;
  double error = 0;
  for (std::size_t r = 0; r < samples.came.size(); ++r) {
    double said = 0;
    for (std::size_t p = 0; p < weights.size(); ++p) said += weights[p] * samples.past[r][p];
    variance += (samples.came[r] - mean) * (samples.came[r] - mean) / n;
    error += (samples.came[r] - said) * (samples.came[r] - said) / n;
  }
  fmt::print("mean squared error {:.1f}, variance {:.1f}, {} samples\n", error, variance, samples.came.size());
  return 0;
}

}  // namespace
}  // namespace proteus::simulate::kvm

int main(int argc, char** argv) {
  return proteus::simulate::kvm::weigh({argv + 1, argv + argc});
}
