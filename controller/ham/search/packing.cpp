#include "controller/ham/search/packing.h"

#include <algorithm>
#include <cmath>

#include "controller/ham/rules/rule.h"

namespace proteus::ham {
namespace {

constexpr std::size_t kRuinedHostsMax = 3;
constexpr std::size_t kTakenOfHostMax = 4;
/// One place in so many is overlooked, so that the second best gets its turn.
constexpr std::size_t kBlink = 32;
/// How hot it begins and ends, as a share of what an average move costs.
constexpr double kHot = 0.5;
constexpr double kCold = 0.002;
/// Packings that cost less than the best and are refused, before the search gives up.
constexpr int kRefusalsMax = 300;
/// Costs nearer to each other than this are the same.
constexpr double kCostStep = 1e-7;

/// The host takes part in migrations, whatever is on it.
bool may_be_on(const PlanState& start, std::size_t v, std::size_t h) {
  const Change change{v, start.placement(v).on(h)};
  return !check_stale_target(start, change, false) && !check_in_flight_target(start, change, false) &&
         !check_maintenance(start, change, false) && !check_pin(start, change, false);
}

}  // namespace

Packing::Packing(const PlanState& plan, const std::vector<std::size_t>& movable, int moves_max, int moves_per_host_max)
    : model_(plan.model()),
      bins_(model_.hosts.size()),
      apart_counts_(model_.policy.affinity.size()),
      moves_(plan.migrations_planned()),
      moves_max_(moves_max),
      moves_per_host_max_(moves_per_host_max) {
  const PlanState start(model_);
  for (std::size_t h = 0; h < bins_.size(); ++h) {
    Bin& bin = bins_[h];
    bin.load = plan.load(h);
    bin.cost = price_of(h, bin.load);
    bin.migrations = plan.migrations_planned(h) + model_.hosts[h].migrations_running;
    bin.version = versions_++;
    for (const std::size_t v : plan.vms_on(h)) {
      bin.foreign += plan.moved(v) ? 1 : 0;
      for (const std::uint32_t rule : model_.vms[v].affinity) ++apart_counts_[rule][model_.zone(rule, h)];
    }
  }
  for (const std::size_t v : movable) {
    const VmModel& vm = model_.vms[v];
    Item item;
    item.vm = v;
    item.home = vm.host;
    item.host = plan.placement(v).host;
    item.load = plan.load_of_vm(v);
    item.move_price = plan.move_price(v);
    item.home_price =
        model_.policy.prices.rule_violation_per_hour * (static_cast<int>(!model_.pins_allow(v, item.home)) +
                                                        static_cast<int>(model_.hosts[item.home].state->maintenance));
    for (std::size_t h = 0; h < bins_.size(); ++h) item.may.push_back(h == item.home || may_be_on(start, v, h));
    item.apart = vm.affinity;
    bins_[item.host].items.push_back(items_.size());
    items_.push_back(std::move(item));
  }
  quotes_.assign(items_.size(), std::vector<Quote>(bins_.size()));
}

double Packing::price_of(std::size_t h, const Load& load) {
  ++evaluations_;
  const HostScore score = score_host(model_.policy, model_.hosts[h], load);
  return score.performance() + score.utilisation();
}

const Packing::Quote& Packing::quote(std::size_t i, std::size_t h) {
  Quote& quote = quotes_[i][h];
  const Bin& bin = bins_[h];
  if (quote.version == bin.version) return quote;
  const HostModel& host = model_.hosts[h];
  Load load = bin.load;
  load.add(items_[i].load, 1);
  quote.version = bin.version;
  quote.price = price_of(h, load) - bin.cost;
  const double peak = load.peak.most() + host.state->cpu_overhead_cores + host.transit_cpu_cores;
  quote.fits = peak <= host.capacity_cores * (1 - host.cpu_headroom) &&
               static_cast<double>(load.memory_bytes + host.transit_memory_bytes) <=
                   static_cast<double>(host.memory_bytes) * (1 - host.memory_headroom);
  return quote;
}

double Packing::apart_price(const Item& item, std::size_t h, bool& forbidden) const {
  double price = 0;
  for (const std::uint32_t index : item.apart) {
    const AffinityRule& rule = model_.policy.affinity[index];
    const auto there = apart_counts_[index].find(model_.zone(index, h));
    if (there == apart_counts_[index].end() || there->second == 0) continue;
    price += rule.hard ? model_.policy.prices.rule_violation_per_hour : rule.price_per_hour;
    if (rule.hard && model_.zone(index, h) != model_.zone(index, item.home)) forbidden = true;
  }
  return price;
}

void Packing::count(const Item& item, std::size_t h, int sign) {
  for (const std::uint32_t rule : item.apart) apart_counts_[rule][model_.zone(rule, h)] += sign;
  if (h == item.home) return;
  moves_ += sign;
  bins_[h].migrations += sign;
  bins_[item.home].migrations += sign;
  bins_[h].foreign += sign;
}

void Packing::touch(std::size_t h, Undo& undo) {
  const auto saved =
      std::find_if(undo.bins.begin(), undo.bins.end(), [h](const auto& entry) { return entry.first == h; });
  if (saved == undo.bins.end()) undo.bins.emplace_back(h, bins_[h]);
}

void Packing::take_out(std::size_t i, Undo& undo) {
  Item& item = items_[i];
  const std::size_t h = item.host;
  touch(h, undo);
  touch(item.home, undo);
  undo.items.emplace_back(i, h);
  Bin& bin = bins_[h];
  bin.items.erase(std::find(bin.items.begin(), bin.items.end(), i));
  bin.load.add(item.load, -1);
  bin.version = versions_++;
  const double before = bin.cost;
  bin.cost = price_of(h, bin.load);
  count(item, h, -1);
  bool forbidden = false;
  cost_ += bin.cost - before - apart_price(item, h, forbidden) - (h == item.home ? item.home_price : item.move_price);
  item.host = kNowhere;
}

bool Packing::put_back(std::size_t i, const Random& random_below, Undo& undo) {
  Item& item = items_[i];
  double least = 0;
  std::size_t best = kNowhere;
  const bool may_move = moves_ < moves_max_ && bins_[item.home].migrations < moves_per_host_max_;
  for (std::size_t h = 0; h < bins_.size(); ++h) {
    const bool moves = h != item.home;
    if (!item.may[h] || (moves && (!may_move || bins_[h].migrations >= moves_per_host_max_))) continue;
    bool forbidden = false;
    const double apart = apart_price(item, h, forbidden);
    if (forbidden) continue;
    const Quote& offer = quote(i, h);
    if (!offer.fits && (moves || bins_[h].foreign > 0)) continue;
    const double price = offer.price + apart + (moves ? item.move_price : item.home_price);
    if (best != kNowhere && (price >= least || random_below(kBlink) == 0)) continue;
    least = price;
    best = h;
  }
  if (best == kNowhere) return false;
  touch(best, undo);
  touch(item.home, undo);
  Bin& bin = bins_[best];
  bin.cost += quote(i, best).price;
  bin.load.add(item.load, 1);
  bin.version = versions_++;
  bin.items.push_back(i);
  count(item, best, 1);
  cost_ += least;
  item.host = best;
  return true;
}

void Packing::take_back(const Undo& undo) {
  // Counts that live outside the bins first.
  for (const auto& [i, host] : undo.items) {
    Item& item = items_[i];
    if (item.host != kNowhere) count(item, item.host, -1);
    item.host = host;
    count(item, host, 1);
  }
  for (const auto& [h, bin] : undo.bins) bins_[h] = bin;
}

void Packing::ruin(const Random& random_below, Undo& undo, std::vector<std::size_t>& out) {
  const std::size_t hosts = 1 + random_below(kRuinedHostsMax);
  for (std::size_t n = 0; n < hosts; ++n) {
    // A host is met as often as it has VMs.
    const std::size_t first = random_below(items_.size());
    if (items_[first].host == kNowhere) continue;
    const std::size_t h = items_[first].host;
    const std::size_t take = 1 + random_below(kTakenOfHostMax);
    std::size_t i = first;
    for (std::size_t taken = 0;;) {
      take_out(i, undo);
      out.push_back(i);
      if (++taken == take || bins_[h].items.empty()) break;
      i = bins_[h].items[random_below(bins_[h].items.size())];
    }
  }
  // In some order: large first, as it comes, or at random.
  switch (random_below(3)) {
    case 0:
      std::stable_sort(out.begin(), out.end(), [&](std::size_t a, std::size_t b) {
        return items_[a].load.median[0] > items_[b].load.median[0];
      });
      break;
    case 1: break;
    default:
      for (std::size_t i = out.size(); i > 1; --i) std::swap(out[i - 1], out[random_below(i)]);
  }
}

void Packing::improve(std::int64_t evaluations_max, const Random& random_below,
                      const std::function<bool(const Wishes&)>& accept) {
  if (items_.size() < 2 || bins_.size() < 2) return;
  double move_price = 0;
  for (const Item& item : items_) move_price += item.move_price / static_cast<double>(items_.size());
  std::vector<std::size_t> start;
  for (const Item& item : items_) start.push_back(item.host);
  cost_ = 0;
  double best_cost = 0;
  double refused_cost = 0;
  int refusals = 0;
  const std::int64_t begin = evaluations_;
  Undo undo;
  std::vector<std::size_t> out;
  while (evaluations_ - begin < evaluations_max && refusals < kRefusalsMax) {
    const double used = static_cast<double>(evaluations_ - begin) / static_cast<double>(evaluations_max);
    const double heat = move_price * kHot * std::pow(kCold / kHot, used);
    undo.bins.clear();
    undo.items.clear();
    out.clear();
    const double before = cost_;
    ruin(random_below, undo, out);
    const bool whole =
        std::all_of(out.begin(), out.end(), [&](std::size_t i) { return put_back(i, random_below, undo); });
    const double chance = (static_cast<double>(random_below(1 << 20)) + 1) / (1 << 20);
    if (!whole || cost_ > before - heat * std::log(chance)) {
      take_back(undo);
      cost_ = before;
      continue;
    }
    if (cost_ > best_cost - kCostStep || std::abs(cost_ - refused_cost) < kCostStep) continue;
    Wishes wishes;
    for (std::size_t i = 0; i < items_.size(); ++i) {
      if (items_[i].host != start[i]) wishes.emplace_back(items_[i].vm, items_[i].host);
    }
    if (accept(wishes)) {
      best_cost = cost_;
    } else {
      refused_cost = cost_;
      ++refusals;
    }
  }
}

}  // namespace proteus::ham
