#pragma once

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "controller/ham/rules/rule.h"
#include "controller/ham/score/plan_state.h"
#include "controller/ham/search/search.h"

namespace proteus::ham {

/// The sufficient option to take: among those within 1 % of the best gain the cheapest, then the one with the fewest
/// changes, then the first proposed; nullptr: none is sufficient.
const Option* choose(const std::vector<Option>& options);

/// What the phases of one search share.
struct Workspace {
  Workspace(PlanState& plan, std::uint64_t seed);

  bool eligible(std::size_t vm) const { return model.vms[vm].active && model.vms[vm].automation == level; }
  /// Takes one from the budget; false: it is spent.
  bool spend();
  /// How many more migrations this plan may hold by the cluster's limits.
  int moves_left() const;
  /// No single move gains anything that costs more than this.
  double price_min() const;
  /// Its gain, corrected by what learning is certain of; what the score finds insufficient stays so.
  Option make_option(const Change& change, const Evaluation& evaluation, Step::Cause cause);
  /// choose() among options of one VM; where learning explores, one that is drawn among those that choose() holds
  /// equal, by the search's seed and the VM.
  const Option* pick(std::vector<Option>& options, std::size_t vm) const;
  /// Learning holds back a move of the VM.
  bool holds(std::size_t vm) const { return result.held.contains({vm, learning::Kind::kMigrate}); }
  /// The plan does more with the VM than moving it.
  bool settled(std::size_t vm) const { return reshaped[vm] || helped[vm]; }
  void remember(const std::vector<Option>& options);
  void take(const Option& option);
  void reject(const Change& change, const Refusal& refusal);
  /// Logs why the change is refused, formatted only if it is going to be kept.
  void reject_explained(const Change& change, Rule::Scope scope);
  /// Next number of the seed's sequence, below n.
  std::size_t random_below(std::size_t n);

  const Policy& policy() const { return model.policy; }

  PlanState& plan;
  const ClusterModel& model;
  const bool thorough;  ///< the cluster is small enough to try everything
  SearchResult result;
  Automation level = Automation::kAutomatic;
  std::vector<bool> reshaped;          ///< by VM: has been reshaped in this plan
  std::vector<bool> helped;            ///< by VM: its helper is started, ended or another in this plan
  std::vector<bool> opened;            ///< by host: without VMs, it is to get some
  std::vector<Change> blocked_raises;  ///< wanted, but for the host's headroom

 private:
  void correct(Option& option, const Change& change, const Evaluation& evaluation);

  const std::uint64_t seed_;
  std::uint64_t random_;
  double least_remembered_ = -std::numeric_limits<double>::infinity();  ///< what gains no more is not kept
};

// Phases, each in its own file. All leave a plan in which every step is allowed.

/// Mends broken hard rules and empties hosts in maintenance, in the fewest moves.
void repair(Workspace& w);
/// The best reshape of each VM, best first.
void reshape(Workspace& w);
/// Migrations that gain, best first, alone or together with the raise that needs their room.
void relieve(Workspace& w);
/// Other places for the VMs that move, exchanges and chains: local search around the plan so far.
void improve(Workspace& w);
/// Fills a host without VMs, asleep or not, if several VMs together gain more there than it draws.
void open_host(Workspace& w);
/// Empties hosts whose power costs more than their VMs do elsewhere.
void consolidate(Workspace& w);
/// Ends helpers that cost more than they save, that no rule is about any more or that are where they must not be.
void end_helpers(Workspace& w);
/// Starts helpers that gain, best first, and puts those elsewhere that gain more there.
void start_helpers(Workspace& w);
/// Sets balloon targets so that the guests of a host cannot outgrow it together, where the policy counts memory by what
/// guests need (Limits::memory_promise).
void share_memory(Workspace& w);
/// Which hosts the plan needs awake, and which may sleep after it.
void choose_power(Workspace& w);

/// A rule forbids the change, and not only for now: what takes several cycles asks no others.
bool lasting_refusal(const PlanState& plan, const Change& change);
/// What each host in maintenance cannot get rid of, whatever the limits on concurrency, goes to the log's front.
void check_evacuations(const PlanState& plan, RejectionLog& log);

}  // namespace proteus::ham
