#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "controller/ham/learning/agent.h"
#include "tests/controller/ham/cluster.h"

namespace proteus::ham {

/// What the world does that the score knows nothing of.
struct WorldTruth {
  /// Cores that each VM of a host waits beside what the score's formulas say, for as long as the score looks ahead
  /// after a VM has arrived there.
  double arrival_harm_cores = 0;
  /// What VMs wait, of what the curve says.
  double waiting = 1;
};

/// A small cluster in which demand switches and decisions are carried out: decide() each minute, VMs that move arrive a
/// minute later, and what VMs wait follows the score's own curve and what the truth adds to it. The same seed gives the
/// same demand, whatever is decided.
class World {
 public:
  static constexpr int kHosts = 5;
  static constexpr int kVmsPerHost = 4;

  explicit World(std::uint64_t seed);

  /// agent: null: the rules alone.
  void run(int minutes, learning::Agent* agent);

  WorldTruth truth;
  /// What VMs waited since the last call, priced, and what moves cost by the score; currency.
  double take_cost() { return std::exchange(cost_, 0); }
  int moves() const { return moves_; }
  const std::vector<learning::Outcome>& outcomes() const { return outcomes_; }
  /// Everything that was decided, for comparing.
  const std::string& decided() const { return decided_; }

 private:
  struct Arrival {
    Action action;
    int minute = 0;
  };
  void pass_minute();
  void carry_out(const Decision& decision, learning::Agent* agent);

  Cluster cluster_;
  Policy policy_;
  std::mt19937_64 random_;
  std::vector<double> levels_;  ///< cores, by VM
  std::vector<Arrival> under_way_;
  std::map<HostId, int> harmed_until_;  ///< minute
  std::vector<learning::Outcome> outcomes_;
  std::string decided_;
  int minute_ = 0;
  int moves_ = 0;
  ActionId next_action_ = 1;
  double cost_ = 0;
};

}  // namespace proteus::ham
