// What learning is worth on a small virtual cluster whose truth differs from the score's formulas, beside the rules
// alone on the same demand: learning_effect FIRST_SEED LAST_SEED DAYS. Prints a line for each seed and the mean saving
// with its 95 % interval for each truth.

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tests/controller/ham/learning/world.h"

namespace proteus::ham {
namespace {

constexpr int kHour = 60;

struct Case {
  const char* name;
  WorldTruth first;
  WorldTruth second;  ///< from half the time on
};

constexpr Case kCases[] = {
    {"the score is right", {}, {}},
    {"moves hurt, 0.4 cores", {.arrival_harm_cores = 0.4, .waiting = 1}, {.arrival_harm_cores = 0.4, .waiting = 1}},
    {"moves hurt, 0.8 cores", {.arrival_harm_cores = 0.8, .waiting = 1}, {.arrival_harm_cores = 0.8, .waiting = 1}},
    {"they hurt, then pay", {.arrival_harm_cores = 0.8, .waiting = 1}, {.arrival_harm_cores = 0, .waiting = 5}},
};

/// Share of the rules' cost that learning saves.
double run(const Case& truth, std::uint64_t seed, int days) {
  World rules(seed);
  World learned(seed);
  learning::Agent agent;
  int adopted_h = -1;
  int retreated_h = -1;
  for (int hour = 0; hour < 24 * days; ++hour) {
    rules.truth = learned.truth = hour < 12 * days ? truth.first : truth.second;
    rules.run(kHour, nullptr);
    learned.run(kHour, &agent);
    if (adopted_h < 0 && agent.acting()) adopted_h = hour;
    if (retreated_h < 0 && agent.supervisor().retreats() > 0) retreated_h = hour;
  }
  const double alone = rules.take_cost();
  const double cost = learned.take_cost();
  const double saved = 1 - cost / alone;
  std::printf(
      "%-22s seed %llu: rules %8.0f, %4d moves; learning %8.0f, %4d moves; saved %+5.1f %%; acts from hour %d, steps "
      "back in hour %d\n",
      truth.name, static_cast<unsigned long long>(seed), alone, rules.moves(), cost, learned.moves(), 100 * saved,
      adopted_h, retreated_h);
  return saved;
}

int main_of(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: learning_effect FIRST_SEED LAST_SEED DAYS\n");
    return 2;
  }
  const auto first = std::strtoull(argv[1], nullptr, 10);
  const auto last = std::strtoull(argv[2], nullptr, 10);
  const int days = std::atoi(argv[3]);
  for (const Case& truth : kCases) {
    std::vector<double> saved;
    for (auto seed = first; seed <= last; ++seed) saved.push_back(run(truth, seed, days));
    double mean = 0;
    double squares = 0;
    for (const double s : saved) mean += s / static_cast<double>(saved.size());
    for (const double s : saved) squares += (s - mean) * (s - mean);
    const double count = static_cast<double>(saved.size());
    const double interval = count > 1 ? 1.96 * std::sqrt(squares / (count - 1) / count) : 0;
    std::printf("%-22s mean saving %+.2f %% ± %.2f over %zu seeds\n\n", truth.name, 100 * mean, 100 * interval,
                saved.size());
  }
  return 0;
}

}  // namespace
}  // namespace proteus::ham

int main(int argc, char** argv) {
  return proteus::ham::main_of(argc, argv);
}
