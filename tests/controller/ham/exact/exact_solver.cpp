#include "tests/controller/ham/exact/exact_solver.h"

#include <glpk.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "controller/ham/score/plan_state.h"

namespace proteus::ham {
namespace {

/// Utilisation up to which hosts are described, and how finely.
constexpr double kUtilisationMax = 3.0;
constexpr int kSamples = 960;
/// A piece may lie this much below the true cost [currency per hour].
constexpr double kPieceError = 0.02;

struct Line {
  double slope;
  double offset;
};

/// The fewest vCPUs that come with a core of demand.
double vcpus_per_core(const ClusterModel& model) {
  double least = 1e6;
  for (const VmModel& vm : model.vms) {
    least = std::min(least, vm.state->allocation.vcpus / vm.demand.cpu_mean[0].p50);
  }
  return least;
}

/// What host h costs with so much CPU load on it, at the least: as score_host() says, with as few vCPUs as may be.
double cost_of_load(const ClusterModel& model, std::size_t h, double cores) {
  Load load;
  load.vms = 1;
  load.vcpus = cores * vcpus_per_core(model);
  load.median.fill(cores);
  load.weighted.fill(cores);
  load.peak.median.fill(cores);
  const HostScore score = score_host(model.policy, model.hosts[h], load);
  return score.performance() + score.utilisation();
}

/// Lines whose maximum is below the host's cost everywhere and within kPieceError of its convex hull.
std::vector<Line> pieces(const ClusterModel& model, std::size_t h) {
  const double capacity = model.hosts[h].capacity_cores;
  std::vector<std::pair<double, double>> hull;
  for (int i = 0; i <= kSamples; ++i) {
    const double x = capacity * kUtilisationMax * i / kSamples;
    const std::pair point(x, cost_of_load(model, h, x));
    const auto above = [&] {
      const auto& [x1, y1] = hull[hull.size() - 2];
      const auto& [x2, y2] = hull.back();
      return (y2 - y1) * (point.first - x1) >= (point.second - y1) * (x2 - x1);
    };
    while (hull.size() >= 2 && above()) hull.pop_back();
    hull.push_back(point);
  }
  std::vector<Line> lines;
  for (std::size_t from = 0; from + 1 < hull.size();) {
    std::size_t to = from + 1;
    Line line{};
    // As long a chord as may be shifted down below the hull by no more than the error.
    for (std::size_t end = from + 1; end < hull.size(); ++end) {
      const double slope = (hull[end].second - hull[from].second) / (hull[end].first - hull[from].first);
      double offset = hull[from].second - slope * hull[from].first;
      double over = 0;
      for (std::size_t i = from; i <= end; ++i) {
        over = std::max(over, slope * hull[i].first + offset - hull[i].second);
      }
      if (end > from + 1 && over > kPieceError) break;
      // Between samples the cost is a little below its chord.
      const double middle = (hull[end - 1].first + hull[end].first) / 2;
      over = std::max(over, slope * middle + offset - cost_of_load(model, h, middle));
      line = {slope, offset - over};
      to = end;
    }
    lines.push_back(line);
    from = to;
  }
  return lines;
}

class Program {
 public:
  explicit Program(const ClusterModel& model) : model_(model), start_(model), problem_(glp_create_prob()) {
    glp_set_obj_dir(problem_, GLP_MIN);
    rows_ = {0};
    columns_ = {0};
    values_ = {0};
    add_places();
    for (std::size_t h = 0; h < model.hosts.size(); ++h) add_host(h);
    add_anti_affinity();
    glp_load_matrix(problem_, static_cast<int>(rows_.size()) - 1, rows_.data(), columns_.data(), values_.data());
  }
  ~Program() { glp_delete_prob(problem_); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  ExactResult solve(const std::vector<std::size_t>& known, double known_cost, int nodes_max) {
    glp_term_out(GLP_OFF);
    nodes_left_ = nodes_max;
    known_ = &known;
    glp_smcp simplex;
    glp_init_smcp(&simplex);
    simplex.msg_lev = GLP_MSG_ERR;
    ExactResult result;
    if (glp_simplex(problem_, &simplex) != 0 || glp_get_status(problem_) != GLP_OPT) return result;
    glp_iocp branch;
    glp_init_iocp(&branch);
    branch.msg_lev = GLP_MSG_ERR;
    branch.br_tech = GLP_BR_PCH;
    branch.bt_tech = GLP_BT_BLB;
    branch.mir_cuts = GLP_ON;
    branch.cov_cuts = GLP_ON;
    branch.mip_gap = 5e-4;
    branch.cb_func = [](glp_tree* tree, void* self) { static_cast<Program*>(self)->on_event(tree); };
    branch.cb_info = this;
    bound_ = glp_get_obj_val(problem_);
    const int ended = glp_intopt(problem_, &branch);
    const int status = glp_mip_status(problem_);
    result.found = status == GLP_OPT || status == GLP_FEAS;
    result.proven = ended == 0 && status == GLP_OPT;
    result.optimum = result.found ? glp_mip_obj_val(problem_) : known_cost;
    // Where the tree was cut short, what is left of it may hold plans as cheap as the best open node's bound.
    result.bound = result.proven ? result.optimum * (1 - branch.mip_gap) : std::min(bound_, result.optimum);
    if (!result.found) return result;
    for (std::size_t v = 0; v < model_.vms.size(); ++v) {
      for (const auto& [h, column] : places_[v]) {
        if (glp_mip_col_val(problem_, column) > 0.5) result.hosts.push_back(h);
      }
    }
    PlanState end(model_);
    for (std::size_t v = 0; v < result.hosts.size(); ++v) {
      if (result.hosts[v] != end.placement(v).host) end.apply({v, {result.hosts[v], end.placement(v).allocation}});
    }
    result.violations = end.hard_violations();
    return result;
  }

 private:
  void on_event(glp_tree* tree) {
    const int reason = glp_ios_reason(tree);
    if (reason == GLP_ISELECT || reason == GLP_IBRANCH) {
      if (const int best = glp_ios_best_node(tree); best != 0)
        bound_ = std::max(bound_, glp_ios_node_bound(tree, best));
    }
    if (reason == GLP_IHEUR && !told_) {
      told_ = true;
      std::vector<double> values(static_cast<std::size_t>(glp_get_num_cols(problem_)) + 1, 0.0);
      if (values_of_known(values)) glp_ios_heur_sol(tree, values.data());
    }
    if (reason == GLP_IBRANCH && --nodes_left_ <= 0) glp_ios_terminate(tree);
  }

  /// The known plan as values of all columns.
  bool values_of_known(std::vector<double>& values) const {
    std::vector<double> load(model_.hosts.size());
    std::vector<bool> foreign(model_.hosts.size());
    for (std::size_t v = 0; v < known_->size(); ++v) {
      const std::size_t h = (*known_)[v];
      const auto column = places_[v].find(h);
      if (column == places_[v].end()) return false;
      values[static_cast<std::size_t>(column->second)] = 1;
      load[h] += cores(v);
      foreign[h] = foreign[h] || h != model_.vms[v].host;
    }
    for (std::size_t h = 0; h < load.size(); ++h) {
      values[static_cast<std::size_t>(load_column_[h])] = load[h];
      double cost = 0;
      for (const Line& line : lines_[h]) cost = std::max(cost, line.slope * load[h] + line.offset);
      values[static_cast<std::size_t>(cost_column_[h])] = cost;
      if (foreign_column_[h] != 0) values[static_cast<std::size_t>(foreign_column_[h])] = foreign[h] ? 1 : 0;
    }
    for (const Excess& excess : excesses_) {
      int count = 0;
      for (const std::size_t v : excess.vms) count += (*known_)[v] == excess.host;
      values[static_cast<std::size_t>(excess.column)] = std::max(0, count - 1);
    }
    return true;
  }

  double cores(std::size_t v) const {
    return std::min(model_.vms[v].demand.cpu_mean[0].p50, model_.vms[v].state->allocation.cpu_limit_cores());
  }

  int add_column(double cost, std::optional<double> upper, bool integer) {
    const int column = glp_add_cols(problem_, 1);
    glp_set_col_bnds(problem_, column, upper ? GLP_DB : GLP_LO, 0, upper.value_or(0));
    glp_set_obj_coef(problem_, column, cost);
    if (integer) glp_set_col_kind(problem_, column, GLP_BV);
    return column;
  }
  int add_row(int kind, double low, double high) {
    const int row = glp_add_rows(problem_, 1);
    glp_set_row_bnds(problem_, row, kind, low, high);
    return row;
  }
  void set(int row, int column, double value) {
    rows_.push_back(row);
    columns_.push_back(column);
    values_.push_back(value);
  }

  void add_places() {
    const double violation = model_.policy.prices.rule_violation_per_hour;
    places_.resize(model_.vms.size());
    for (std::size_t v = 0; v < model_.vms.size(); ++v) {
      const VmModel& vm = model_.vms[v];
      const int row = add_row(GLP_FX, 1, 1);
      for (std::size_t h = 0; h < model_.hosts.size(); ++h) {
        const HostState& host = *model_.hosts[h].state;
        const bool stays = h == vm.host;
        if (!stays && (vm.state->unmovable || host.maintenance || !model_.pins_allow(v, h))) continue;
        double cost = 0;
        if (stays) {
          cost = violation * (static_cast<int>(host.maintenance) + static_cast<int>(!model_.pins_allow(v, h)));
        } else {
          cost = one_off(v);
        }
        const int column = add_column(cost, 1, true);
        places_[v].emplace(h, column);
        set(row, column, 1);
      }
    }
  }

  /// Price of moving the VM at all, as PlanState says, without the contention until it has arrived.
  double one_off(std::size_t v) const {
    const VmModel& vm = model_.vms[v];
    const Prices& prices = model_.policy.prices;
    return (prices.action_fixed + prices.migration_per_gib * vm.migration.copied_bytes / static_cast<double>(kGiB) +
            prices.downtime_per_second * vm.migration.downtime_s +
            prices.contention_per_core_hour * vm.demand.cpu_mean[0].p50 * vm.migration.throttled_s / 3600) /
           model_.payback_hours();
  }

  void add_host(std::size_t h) {
    const HostModel& host = model_.hosts[h];
    load_column_.push_back(add_column(0, std::nullopt, false));
    cost_column_.push_back(add_column(1, std::nullopt, false));
    lines_.push_back(pieces(model_, h));
    const int sum = add_row(GLP_FX, 0, 0);
    set(sum, load_column_[h], -1);
    const double allowed = host.capacity_cores * (1 - host.cpu_headroom) - host.state->cpu_overhead_cores;
    const double present = start_.cpu_peak_cores(h) - host.state->cpu_overhead_cores;
    const double memory_allowed = static_cast<double>(host.memory_bytes) * (1 - host.memory_headroom);
    const int memory = add_row(GLP_UP, 0, memory_allowed / static_cast<double>(kGiB));
    for (std::size_t v = 0; v < places_.size(); ++v) {
      const auto place = places_[v].find(h);
      if (place == places_[v].end()) continue;
      set(sum, place->second, cores(v));
      set(memory, place->second,
          static_cast<double>(model_.vms[v].state->allocation.memory_bytes) / static_cast<double>(kGiB));
    }
    for (const Line& line : lines_[h]) {
      const int row = add_row(GLP_LO, line.offset, 0);
      set(row, cost_column_[h], 1);
      set(row, load_column_[h], -line.slope);
    }
    if (present <= allowed) {
      foreign_column_.push_back(0);
      glp_set_col_bnds(problem_, load_column_[h], GLP_DB, 0, allowed + 1e-9);
      return;
    }
    // A host beyond its headroom may stay so, but then nothing comes to it.
    foreign_column_.push_back(add_column(0, 1, true));
    const int row = add_row(GLP_UP, 0, present);
    set(row, load_column_[h], 1);
    set(row, foreign_column_[h], present - allowed);
    for (std::size_t v = 0; v < places_.size(); ++v) {
      const auto place = places_[v].find(h);
      if (place == places_[v].end() || h == model_.vms[v].host) continue;
      const int comes = add_row(GLP_UP, 0, 0);
      set(comes, place->second, 1);
      set(comes, foreign_column_[h], -1);
    }
  }

  void add_anti_affinity() {
    for (std::uint32_t rule = 0; rule < model_.policy.affinity.size(); ++rule) {
      const AffinityRule& affinity = model_.policy.affinity[rule];
      const double price = affinity.hard ? model_.policy.prices.rule_violation_per_hour : affinity.price_per_hour;
      for (std::size_t h = 0; h < model_.hosts.size(); ++h) {
        Excess excess{h, 0, model_.rule_vms[rule]};
        const int row = add_row(GLP_UP, 0, 1);
        for (const std::size_t v : excess.vms) {
          if (const auto place = places_[v].find(h); place != places_[v].end()) set(row, place->second, 1);
        }
        excess.column = add_column(price, std::nullopt, false);
        set(row, excess.column, -1);
        excesses_.push_back(std::move(excess));
      }
    }
  }

  struct Excess {
    std::size_t host;
    int column;
    std::vector<std::size_t> vms;
  };

  const ClusterModel& model_;
  PlanState start_;
  glp_prob* problem_;
  std::vector<int> rows_, columns_;
  std::vector<double> values_;
  std::vector<std::map<std::size_t, int>> places_;  ///< [VM]: column by host
  std::vector<int> load_column_, cost_column_, foreign_column_;
  std::vector<std::vector<Line>> lines_;
  std::vector<Excess> excesses_;
  const std::vector<std::size_t>* known_ = nullptr;
  double bound_ = 0;
  int nodes_left_ = 0;
  bool told_ = false;
};

}  // namespace

ExactResult solve_exactly(const ClusterModel& model, const std::vector<std::size_t>& known, double known_cost,
                          int nodes_max) {
  ExactResult result = Program(model).solve(known, known_cost, nodes_max);
  glp_free_env();
  return result;
}

}  // namespace proteus::ham
