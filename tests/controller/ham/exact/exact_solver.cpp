#include "tests/controller/ham/exact/exact_solver.h"

#include <glpk.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "controller/ham/score/plan_state.h"
#include "tests/controller/ham/exact/reachable.h"

namespace proteus::ham {
namespace {

/// Positions of VMs with anti-affinity beyond which all are taken to be reachable, and problems solved to tell a
/// cluster's best reachable plan.
constexpr std::size_t kReachableMax = 20'000;
constexpr int kProblemsMax = 400;
/// Of a VM that is nowhere: dearer than anything that a plan can save.
constexpr double kNowherePrice = 1e6;
constexpr int kRoundsMax = 400;
/// The bound is as good as found when it is so near to the master's value.
constexpr double kCloseEnough = 1e-4;
constexpr double kReducedCostMin = 1e-6;

/// A set of VMs on one host.
struct Column {
  std::size_t host = 0;
  std::vector<std::size_t> vms;  ///< ascending
  double cost = 0;
  bool memory_fits = true;
  bool operator<(const Column& other) const { return std::tie(host, vms) < std::tie(other.host, other.vms); }
};

/// Hosts that a VM may be on, where they are fewer than its own rules allow.
using Domains = std::map<std::size_t, std::set<std::size_t>>;

class Solver {
 public:
  Solver(const ClusterModel& model, const Domains& domains)
      : model_(model), domains_(domains), start_(model), problem_(glp_create_prob()), home_units_(model.hosts.size()) {
    glp_set_obj_dir(problem_, GLP_MIN);
    double vcpus_per_core = 1e6;
    for (const VmModel& vm : model.vms) {
      vcpus_per_core = std::min(vcpus_per_core, vm.state->allocation.vcpus / vm.demand->cpu_mean[0].p50);
      units_.push_back(static_cast<int>(std::lround(vm.demand->cpu_mean[0].p50 / kExactGrid_cores)));
    }
    for (std::size_t v = 0; v < units_.size(); ++v) home_units_[model.vms[v].host] += units_[v];
    for (std::size_t h = 0; h < model.hosts.size(); ++h) add_host_costs(h, vcpus_per_core);
    add_rows();
  }
  ~Solver() { glp_delete_prob(problem_); }
  Solver(const Solver&) = delete;
  Solver& operator=(const Solver&) = delete;

  ExactResult solve(const std::vector<std::size_t>& known, double known_cost, int nodes_max) {
    glp_term_out(GLP_OFF);
    std::vector<std::size_t> present;
    for (const VmModel& vm : model_.vms) present.push_back(vm.host);
    add_plan(present);
    add_plan(known);
    ExactResult result;
    result.optimum = known_cost;
    result.bound = generate(known_cost);
    result.hosts = known;
    choose(nodes_max, result.optimum, result.hosts);
    return result;
  }

 private:
  int vm_row(std::size_t v) const { return 1 + static_cast<int>(v); }
  int host_row(std::size_t h) const { return 1 + static_cast<int>(model_.vms.size() + h); }
  int apart_row(std::size_t rule, std::size_t h) const {
    return 1 + static_cast<int>(model_.vms.size() + model_.hosts.size() * (1 + rule) + h);
  }
  double broken_price() const { return model_.policy.prices.rule_violation_per_hour; }

  /// What the host costs by its load in units, up to the most that may be on it.
  void add_host_costs(std::size_t h, double vcpus_per_core) {
    const HostModel& host = model_.hosts[h];
    const double allowed = host.capacity_cores * (1 - host.cpu_headroom) - host.state->cpu_overhead_cores;
    allowed_units_.push_back(static_cast<int>(std::floor(allowed / kExactGrid_cores + 1e-6)));
    std::vector<double>& costs = costs_.emplace_back();
    for (int units = 0; units <= std::max(allowed_units_[h], home_units_[h]); ++units) {
      const double cores = units * kExactGrid_cores;
      Load load;
      load.vms = 1;
      load.vcpus = cores * vcpus_per_core;
      load.median.fill(cores);
      load.weighted.fill(cores);
      load.peak.median.fill(cores);
      const HostScore score = score_host(model_.policy, host, load);
      costs.push_back(score.performance() + score.utilisation());
    }
  }

  bool may_be_on(std::size_t v, std::size_t h) const {
    const auto domain = domains_.find(v);
    return ham::may_be_on(model_, v, h) && (domain == domains_.end() || domain->second.contains(h));
  }

  void add_rows() {
    glp_add_rows(problem_, apart_row(model_.policy.affinity.size(), 0) - 1);
    for (std::size_t v = 0; v < model_.vms.size(); ++v) glp_set_row_bnds(problem_, vm_row(v), GLP_FX, 1, 1);
    for (std::size_t h = 0; h < model_.hosts.size(); ++h) glp_set_row_bnds(problem_, host_row(h), GLP_UP, 0, 1);
    for (std::size_t rule = 0; rule < model_.policy.affinity.size(); ++rule) {
      for (std::size_t h = 0; h < model_.hosts.size(); ++h) {
        // One of them may be there; each further one has its price.
        const int row = apart_row(rule, h);
        glp_set_row_bnds(problem_, row, GLP_UP, 0, 1);
        const int excess = glp_add_cols(problem_, 1);
        glp_set_col_bnds(problem_, excess, GLP_LO, 0, 0);
        glp_set_obj_coef(problem_, excess, broken_price());
        const int rows[] = {0, row};
        const double values[] = {0, -1};
        glp_set_mat_col(problem_, excess, 1, rows, values);
      }
    }
    first_nowhere_ = glp_add_cols(problem_, static_cast<int>(model_.vms.size()));
    for (std::size_t v = 0; v < model_.vms.size(); ++v) {
      const int index = first_nowhere_ + static_cast<int>(v);
      glp_set_col_bnds(problem_, index, GLP_LO, 0, 0);
      glp_set_obj_coef(problem_, index, kNowherePrice);
      const int rows[] = {0, vm_row(v)};
      const double values[] = {0, 1};
      glp_set_mat_col(problem_, index, 1, rows, values);
    }
    first_column_ = glp_get_num_cols(problem_) + 1;
  }

  /// Of the VM on the host, whatever else is there.
  double own_price(std::size_t v, std::size_t h) const {
    if (h != model_.vms[v].host) return start_.move_price(v);
    return broken_price() *
           (static_cast<int>(!model_.pins_allow(v, h)) + static_cast<int>(model_.hosts[h].state->maintenance));
  }

  void add_plan(const std::vector<std::size_t>& host_of) {
    for (std::size_t v = 0; v < host_of.size(); ++v) {
      if (!may_be_on(v, host_of[v])) return;
    }
    std::vector<std::vector<std::size_t>> sets(model_.hosts.size());
    for (std::size_t v = 0; v < host_of.size(); ++v) sets[host_of[v]].push_back(v);
    for (std::size_t h = 0; h < sets.size(); ++h) add_column(h, sets[h]);
  }

  void add_column(std::size_t h, const std::vector<std::size_t>& vms) {
    Column column{h, vms};
    int units = 0;
    std::int64_t memory = 0;
    bool arrives = false;
    std::vector<int> rows = {0, host_row(h)};
    for (const std::size_t v : vms) {
      units += units_[v];
      memory += model_.vms[v].state->allocation.memory_bytes;
      arrives = arrives || model_.vms[v].host != h;
      column.cost += own_price(v, h);
      rows.push_back(vm_row(v));
    }
    column.cost += vms.empty() ? 0 : costs_[h][static_cast<std::size_t>(units)];
    const HostModel& host = model_.hosts[h];
    column.memory_fits =
        !arrives || static_cast<double>(memory) <= static_cast<double>(host.memory_bytes) * (1 - host.memory_headroom);
    if (!columns_seen_.insert(column).second) return;
    std::vector<double> values(rows.size(), 1.0);
    for (std::size_t rule = 0; rule < model_.policy.affinity.size(); ++rule) {
      const std::vector<std::size_t>& of_rule = model_.rule_vms[rule];
      const auto count = std::count_if(of_rule.begin(), of_rule.end(),
                                       [&](std::size_t v) { return std::binary_search(vms.begin(), vms.end(), v); });
      if (count == 0) continue;
      rows.push_back(apart_row(rule, h));
      values.push_back(static_cast<double>(count));
    }
    const int index = glp_add_cols(problem_, 1);
    glp_set_col_bnds(problem_, index, GLP_LO, 0, 0);
    glp_set_obj_coef(problem_, index, column.cost);
    glp_set_mat_col(problem_, index, static_cast<int>(rows.size()) - 1, rows.data(), values.data());
    columns_.push_back(std::move(column));
  }

  /// Adds columns until none would help, or the bound is close enough. Returns the bound.
  double generate(double known_cost) {
    glp_smcp simplex;
    glp_init_smcp(&simplex);
    simplex.msg_lev = GLP_MSG_OFF;
    double bound = 0;
    for (int round = 0; round < kRoundsMax; ++round) {
      if (glp_simplex(problem_, &simplex) != 0 || glp_get_status(problem_) != GLP_OPT) break;
      const double value = glp_get_obj_val(problem_);
      double lagrangian = value;
      const std::size_t before = columns_.size();
      for (std::size_t h = 0; h < model_.hosts.size(); ++h) {
        const double dual = glp_get_row_dual(problem_, host_row(h));
        lagrangian += std::min(0.0, std::min(price(h, true), price(h, false)) - dual);
      }
      bound = std::max(bound, lagrangian);
      if (columns_.size() == before) break;
      if (std::min(value, known_cost) - bound <= kCloseEnough * bound) break;
    }
    return bound;
  }

  /// The set of least reduced cost for the host; added to the master if it helps. arrivals: VMs from elsewhere may be
  /// in it, and then its headroom holds; else only those at home. Returns that cost without the host's own dual.
  double price(std::size_t h, bool arrivals) {
    struct Choice {
      std::size_t vm;
      double worth;
    };
    std::vector<Choice> choices;
    std::vector<std::size_t> always;
    int units = 0;
    double worth = 0;
    for (std::size_t v = 0; v < model_.vms.size(); ++v) {
      const bool home = model_.vms[v].host == h;
      if (!may_be_on(v, h) || (!arrivals && !home)) continue;
      double dual = glp_get_row_dual(problem_, vm_row(v)) - own_price(v, h);
      for (std::size_t rule = 0; rule < model_.policy.affinity.size(); ++rule) {
        const std::vector<std::size_t>& of_rule = model_.rule_vms[rule];
        if (std::binary_search(of_rule.begin(), of_rule.end(), v)) {
          dual += glp_get_row_dual(problem_, apart_row(rule, h));
        }
      }
      if (home && model_.vms[v].state->unmovable) {
        always.push_back(v);
        units += units_[v];
        worth += dual;
      } else if (dual > 0) {
        choices.push_back({v, dual});
      }
    }
    const int most = arrivals ? allowed_units_[h] : home_units_[h];
    if (units > most) return 1e30;
    const auto cells = static_cast<std::size_t>(most) + 1;
    // best[u]: the most that choices of u units together are worth.
    std::vector<double> best(cells, -1e30);
    best[static_cast<std::size_t>(units)] = worth;
    std::vector<std::vector<bool>> taken(choices.size(), std::vector<bool>(cells));
    for (std::size_t i = 0; i < choices.size(); ++i) {
      const auto size = static_cast<std::size_t>(units_[choices[i].vm]);
      for (std::size_t u = cells; u-- > size;) {
        const double with = best[u - size] + choices[i].worth;
        if (with <= best[u]) continue;
        best[u] = with;
        taken[i][u] = true;
      }
    }
    double least = 1e30;
    std::size_t at = 0;
    for (std::size_t u = 0; u < cells; ++u) {
      if (best[u] < -1e29) continue;
      const double cost = (u == 0 ? 0 : costs_[h][u]) - best[u];
      if (cost < least) {
        least = cost;
        at = u;
      }
    }
    if (least - glp_get_row_dual(problem_, host_row(h)) < -kReducedCostMin) {
      std::vector<std::size_t> vms = always;
      for (std::size_t i = choices.size(); i-- > 0;) {
        if (!taken[i][at]) continue;
        vms.push_back(choices[i].vm);
        at -= static_cast<std::size_t>(units_[choices[i].vm]);
      }
      std::sort(vms.begin(), vms.end());
      add_column(h, vms);
    }
    return least;
  }

  /// The cheapest plan that the columns make up, if it is cheaper than the best so far.
  void choose(int nodes_max, double& best_cost, std::vector<std::size_t>& best_hosts) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const int index = first_column_ + static_cast<int>(i);
      glp_set_col_kind(problem_, index, GLP_BV);
      if (!columns_[i].memory_fits) glp_set_col_bnds(problem_, index, GLP_FX, 0, 0);
    }
    for (std::size_t v = 0; v < model_.vms.size(); ++v) {
      glp_set_col_bnds(problem_, first_nowhere_ + static_cast<int>(v), GLP_FX, 0, 0);
    }
    glp_smcp simplex;
    glp_init_smcp(&simplex);
    simplex.msg_lev = GLP_MSG_OFF;
    if (glp_simplex(problem_, &simplex) != 0 || glp_get_status(problem_) != GLP_OPT) return;
    glp_iocp branch;
    glp_init_iocp(&branch);
    branch.msg_lev = GLP_MSG_OFF;
    branch.br_tech = GLP_BR_PCH;
    branch.bt_tech = GLP_BT_BLB;
    branch.mip_gap = kCloseEnough;
    nodes_left_ = nodes_max;
    branch.cb_info = this;
    branch.cb_func = [](glp_tree* tree, void* self) {
      if (glp_ios_reason(tree) == GLP_IBRANCH && --static_cast<Solver*>(self)->nodes_left_ <= 0) {
        glp_ios_terminate(tree);
      }
    };
    glp_intopt(problem_, &branch);
    const int status = glp_mip_status(problem_);
    if ((status != GLP_OPT && status != GLP_FEAS) || glp_mip_obj_val(problem_) >= best_cost) return;
    best_cost = glp_mip_obj_val(problem_);
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (glp_mip_col_val(problem_, first_column_ + static_cast<int>(i)) < 0.5) continue;
      for (const std::size_t v : columns_[i].vms) best_hosts[v] = columns_[i].host;
    }
  }

  const ClusterModel& model_;
  const Domains& domains_;
  PlanState start_;
  glp_prob* problem_;
  std::vector<int> units_;                  ///< by VM: its demand
  std::vector<int> home_units_;             ///< by host: of the VMs that are there now
  std::vector<int> allowed_units_;          ///< by host: within its headroom
  std::vector<std::vector<double>> costs_;  ///< [host][units]
  std::vector<Column> columns_;
  std::set<Column> columns_seen_;
  int first_nowhere_ = 1;  ///< columns that stand for a VM's being nowhere
  int first_column_ = 1;
  int nodes_left_ = 0;
};

/// Branch and bound over the hosts of VMs with anti-affinity, until the best plan is one that they can get to.
class ReachableSolver {
 public:
  ReachableSolver(const ClusterModel& model, int nodes_max)
      : model_(model), nodes_max_(nodes_max), reachable_(find_reachable(model, kReachableMax)) {}

  ExactResult solve(const std::vector<std::size_t>& known, double known_cost) {
    ExactResult result;
    result.optimum = known_cost;
    result.hosts = known;
    std::multimap<double, Domains> open;  // the least bound first
    open.emplace(0, Domains{});
    int problems = 0;
    for (; !open.empty() && open.begin()->first < result.optimum * (1 - kCloseEnough) && problems < kProblemsMax;
         ++problems) {
      const Domains domains = open.begin()->second;
      open.erase(open.begin());
      const ExactResult node = Solver(model_, domains).solve(known, known_cost, nodes_max_);
      if (problems == 0) result.in_any_order = node.optimum;
      const std::optional<double> stops_price = price_of_stops(node.hosts);
      if (stops_price && node.optimum + *stops_price < result.optimum) {
        result.optimum = node.optimum + *stops_price;
        result.hosts = node.hosts;
      }
      // Where its own stops are the cheapest that the domains leave, nothing better is in there.
      const double least = least_price_of_stops(domains);
      if (stops_price && *stops_price <= least + 1e-9) {
        closed_bound_ = std::min(closed_bound_, node.bound + least);
      } else {
        branch(domains, node.bound, open);
      }
    }
    result.bound = std::min({result.optimum, closed_bound_, open.empty() ? result.optimum : open.begin()->first});
    result.in_any_order = std::min(result.in_any_order, result.optimum);
    PlanState end(model_);
    for (std::size_t v = 0; v < result.hosts.size(); ++v) {
      if (result.hosts[v] != end.placement(v).host) end.apply({v, {result.hosts[v], end.placement(v).allocation}});
    }
    result.violations = end.hard_violations();
    return result;
  }

 private:
  /// Of the stops on the way to a plan; nullopt: there is no way.
  std::optional<double> price_of_stops(const std::vector<std::size_t>& hosts) const {
    if (!reachable_) return 0.0;
    std::vector<std::size_t> positions;
    for (const std::size_t v : reachable_->vms) positions.push_back(hosts[v]);
    const auto found = reachable_->stops_price.find(positions);
    if (found == reachable_->stops_price.end()) return std::nullopt;
    return found->second;
  }

  double least_price_of_stops(const Domains& domains) const {
    if (!reachable_) return 0;
    double least = std::numeric_limits<double>::infinity();
    for (const auto& [hosts, price] : reachable_->stops_price) {
      if (price < least && inside(domains, hosts)) least = price;
    }
    return least;
  }

  bool inside(const Domains& domains, const std::vector<std::size_t>& hosts) const {
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      const auto domain = domains.find(reachable_->vms[i]);
      if (domain != domains.end() && !domain->second.contains(hosts[i])) return false;
    }
    return true;
  }

  /// One problem for each host of the VM that has most to choose from; other VMs are left those hosts that they can get
  /// to beside it.
  void branch(const Domains& domains, double bound, std::multimap<double, Domains>& open) const {
    const Domains now = within(domains);
    if (now.empty()) return;
    std::size_t widest = now.begin()->first;
    for (const auto& [v, hosts] : now) {
      if (hosts.size() > now.at(widest).size()) widest = v;
    }
    for (const std::size_t h : now.at(widest)) {
      Domains part = now;
      part[widest] = {h};
      part = within(part);
      open.emplace(bound + least_price_of_stops(part), part);
    }
  }

  /// What of the domains can be reached; empty if nothing.
  Domains within(const Domains& domains) const {
    Domains left;
    for (const auto& [hosts, price] : reachable_->stops_price) {
      if (!inside(domains, hosts)) continue;
      for (std::size_t i = 0; i < hosts.size(); ++i) left[reachable_->vms[i]].insert(hosts[i]);
    }
    return left;
  }

  const ClusterModel& model_;
  int nodes_max_;
  std::optional<Reachable> reachable_;  ///< nullopt: too many to tell, all count as reachable
  double closed_bound_ = std::numeric_limits<double>::infinity();
};

}  // namespace

ExactResult solve_exactly(const ClusterModel& model, const std::vector<std::size_t>& known, double known_cost,
                          int nodes_max) {
  const ExactResult result = ReachableSolver(model, nodes_max).solve(known, known_cost);
  glp_free_env();
  return result;
}

}  // namespace proteus::ham
