#include "tests/controller/ham/exact/reachable.h"

#include <algorithm>
#include <set>
#include <utility>

#include "controller/ham/score/plan_state.h"

namespace proteus::ham {

bool may_be_on(const ClusterModel& model, std::size_t v, std::size_t h) {
  const VmModel& vm = model.vms[v];
  if (h == vm.host) return true;
  return !vm.state->unmovable && !model.hosts[h].state->maintenance && model.pins_allow(v, h);
}

std::optional<Reachable> find_reachable(const ClusterModel& model, std::size_t states_max) {
  Reachable result;
  std::set<std::size_t> vms;
  for (const std::vector<std::size_t>& of_rule : model.rule_vms) vms.insert(of_rule.begin(), of_rule.end());
  result.vms.assign(vms.begin(), vms.end());
  std::vector<std::size_t> start;
  for (const std::size_t v : result.vms) start.push_back(model.vms[v].host);
  // Positions in `vms` that each must be apart from.
  std::vector<std::vector<std::size_t>> apart(result.vms.size());
  for (std::size_t i = 0; i < apart.size(); ++i) {
    for (std::size_t j = 0; j < apart.size(); ++j) {
      const auto shared = [&](const std::vector<std::size_t>& of_rule) {
        return std::binary_search(of_rule.begin(), of_rule.end(), result.vms[i]) &&
               std::binary_search(of_rule.begin(), of_rule.end(), result.vms[j]);
      };
      if (i != j && std::any_of(model.rule_vms.begin(), model.rule_vms.end(), shared)) apart[i].push_back(j);
    }
  }
  // Dijkstra: all moves are paid; then those that go straight are taken off.
  const PlanState prices(model);
  std::set<std::pair<double, std::vector<std::size_t>>> open;
  result.stops_price.emplace(start, 0);
  open.emplace(0, start);
  while (!open.empty()) {
    const auto [paid, from] = *open.begin();
    open.erase(open.begin());
    for (std::size_t i = 0; i < from.size(); ++i) {
      const double price = paid + prices.move_price(result.vms[i]);
      for (std::size_t h = 0; h < model.hosts.size(); ++h) {
        if (h == from[i] || !may_be_on(model, result.vms[i], h)) continue;
        // Home again from elsewhere is a move like any other: not where it must not be.
        if (model.hosts[h].state->maintenance || !model.pins_allow(result.vms[i], h)) continue;
        if (std::any_of(apart[i].begin(), apart[i].end(), [&](std::size_t j) { return from[j] == h; })) continue;
        std::vector<std::size_t> to = from;
        to[i] = h;
        const auto [known, is_new] = result.stops_price.emplace(to, price);
        if (result.stops_price.size() > states_max) return std::nullopt;
        if (!is_new) {
          if (known->second <= price) continue;
          open.erase({known->second, to});
          known->second = price;
        }
        open.emplace(price, std::move(to));
      }
    }
  }
  for (auto& [hosts, price] : result.stops_price) {
    for (std::size_t i = 0; i < hosts.size(); ++i) {
      if (hosts[i] != start[i]) price -= prices.move_price(result.vms[i]);
    }
  }
  return result;
}

}  // namespace proteus::ham
