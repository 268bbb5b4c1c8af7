#include "controller/simulate/kvm/policies/priced_plan.h"

#include <algorithm>
#include <utility>

#include "controller/simulate/kvm/metrics.h"

namespace proteus::simulate::kvm {
namespace {

constexpr double kTicksPerHour = 3600.0 / kTick_s;
constexpr double kSwapSlope = 20;
constexpr double kGuestSwapSlope = 10;
constexpr double kContended = 0.05;
constexpr double kNoticeable = 0.05;  ///< share of a VM's time
constexpr double kCalm = 0.97;
constexpr double kCalmDisk = 1.6;
constexpr double kKillExcess = 0.10;
constexpr double kDisaster_eur = 30;

std::size_t index(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

void PricedPlan::add_vm(Facts& facts, std::size_t v) {
  const Console& console = facts.console;
  const Outlook& outlook = facts.outlook;
  const std::size_t cells = outlook.cells();
  const VmState& state = console.vm(static_cast<int>(v));
  for (std::size_t p = 0; p < outlook.paths; ++p) {
    auto resident = static_cast<float>(state.resident_mib);
    for (std::size_t i = 0; i < outlook.ticks; ++i) {
      const std::size_t at = v * cells + p * outlook.ticks + i;
      resident = std::min(static_cast<float>(state.balloon_mib), std::max(resident, outlook.need_mib[at]));
      facts.resident_mib[at] = resident;
    }
  }
  double slowest_mhz = console.host_class(0).core_mhz;
  for (std::size_t h = 1; h < console.host_count(); ++h) {
    slowest_mhz = std::min(slowest_mhz, console.host_class(static_cast<int>(h)).core_mhz);
  }
  const double least_mhz = console.vcpus(static_cast<int>(v)) * slowest_mhz;
  for (std::size_t at = v * cells; at < (v + 1) * cells; ++at) {
    facts.disk_share[at] = static_cast<float>(facts.response.disk_share(outlook.disk_kbs[at]));
    facts.network_share[at] = static_cast<float>(facts.response.network_share(outlook.network_kbs[at]));
    if (outlook.cpu_mhz[at] > least_mhz || facts.disk_share[at] > kNoticeable ||
        facts.network_share[at] > kNoticeable || outlook.need_mib[at] > facts.resident_mib[at]) {
      facts.sensitive[v] = 1;
    }
  }
}

PricedPlan::PricedPlan(const Console& console, const Outlook& outlook, const Response& response,
                       const std::vector<double>& need_mib, PlanOptions options)
    : host_of_(console.vm_count(), kNever),
      vms_on_(console.host_count()),
      on_(console.host_count()),
      prices_(console.host_count()) {
  const std::size_t cells = outlook.vms * outlook.cells();
  auto facts = std::make_shared<Facts>(
      Facts{console, outlook, response, options, std::vector<float>(cells), std::vector<float>(cells),
            std::vector<float>(cells), std::vector<double>(console.vm_count()), std::vector<char>(console.vm_count())});
  for (std::size_t h = 0; h < console.host_count(); ++h) on_[h] = console.host(static_cast<int>(h)).power == Power::kOn;
  for (std::size_t v = 0; v < console.vm_count(); ++v) {
    const VmState& state = console.vm(static_cast<int>(v));
    if (!state.present) continue;
    host_of_[v] = state.migrating() ? state.target : state.host;
    vms_on_[index(host_of_[v])].push_back(static_cast<int>(v));
    facts->peak_mib[v] = std::max(state.resident_mib, need_mib[v]);
    add_vm(*facts, v);
  }
  facts_ = std::move(facts);
  for (std::size_t h = 0; h < prices_.size(); ++h) prices_[h] = price(static_cast<int>(h), vms_on_[h]);
}

namespace {

/// What the VMs of one host ask for in a cell.
struct Sums {
  explicit Sums(std::size_t cells)
      : demand_mhz(cells), squares(cells), disk_kbs(cells), network_kbs(cells), memory_mib(cells) {}
  std::vector<float> demand_mhz;
  std::vector<float> squares;
  std::vector<float> disk_kbs;
  std::vector<float> network_kbs;
  std::vector<float> memory_mib;
};

/// MHz that each vCPU gets at most where the VMs of a host ask for more than it has. demands: MHz and vCPUs.
double fair_level(std::vector<std::pair<double, int>>& demands, double capacity_mhz) {
  std::sort(demands.begin(), demands.end(),
            [](const auto& a, const auto& b) { return a.first * b.second < b.first * a.second; });
  double vcpus = 0;
  for (const auto& demand : demands) vcpus += demand.second;
  double left = capacity_mhz;
  for (const auto& [mhz, count] : demands) {
    const double level = left / vcpus;
    if (mhz > level * count) return level;
    left -= mhz;
    vcpus -= count;
  }
  return capacity_mhz;
}

}  // namespace

PricedPlan::Price PricedPlan::price(int h, const std::vector<int>& vms) const {
  if (vms.empty()) return {};
  const Facts& facts = *facts_;
  const Outlook& outlook = facts.outlook;
  const HostClass& host = facts.console.host_class(h);
  const std::size_t cells = outlook.cells();
  Sums sums(cells);
  double planned_mib = 0;
  for (const int vm : vms) {
    planned_mib += facts.peak_mib[index(vm)] + kVmOverhead_mib;
    const std::size_t base = index(vm) * cells;
    const auto most = static_cast<float>(facts.console.vcpus(vm) * host.core_mhz);
    const float per_vcpu = 1.0F / static_cast<float>(facts.console.vcpus(vm));
    for (std::size_t i = 0; i < cells; ++i) {
      const float demand = std::min(outlook.cpu_mhz[base + i], most);
      sums.demand_mhz[i] += demand;
      sums.squares[i] += demand * demand * per_vcpu;
      sums.disk_kbs[i] += outlook.disk_kbs[base + i];
      sums.network_kbs[i] += outlook.network_kbs[base + i];
      sums.memory_mib[i] += facts.resident_mib[base + i] + static_cast<float>(kVmOverhead_mib);
    }
  }
  const double capacity = host.cpu_mhz();
  double used = 0;
  double asked = 0;
  double lost_value = 0;
  double disasters = 0;
  double contended = 0;
  for (std::size_t i = 0; i < cells; ++i) {
    const double weight = outlook.weights[i / outlook.ticks];
    const double demand = sums.demand_mhz[i];
    asked += weight * demand / capacity;
    used += weight * std::min(1.0, demand / capacity);
    const double wait =
        facts.response.wait(index(h), {demand / host.core_mhz, sums.squares[i] / (host.core_mhz * host.core_mhz)});
    const double disk = facts.response.disk_stretch(index(h), sums.disk_kbs[i] / host.disk_kbs);
    const double network = facts.response.network_stretch(index(h), sums.network_kbs[i] / host.network_kbs);
    const double excess = std::max(0.0, sums.memory_mib[i] / host.memory_mib - 1);
    if (excess > kKillExcess) disasters += weight;
    if (wait > kContended) contended += weight * static_cast<double>(vms.size());
    const double common = (1 - wait) / (1 + kSwapSlope * excess);
    const bool calm = common > kCalm && demand <= capacity && disk < kCalmDisk;
    double level = host.core_mhz;
    if (demand > capacity) {
      std::vector<std::pair<double, int>> demands;
      for (const int vm : vms) {
        const int vcpus = facts.console.vcpus(vm);
        demands.emplace_back(std::min<double>(outlook.cpu_mhz[index(vm) * cells + i], vcpus * host.core_mhz), vcpus);
      }
      level = std::min(level, fair_level(demands, capacity));
    }
    for (const int vm : vms) {
      if (calm && facts.sensitive[index(vm)] == 0) continue;
      const std::size_t at = index(vm) * cells + i;
      double performance = common;
      const double most = facts.console.vcpus(vm) * level;
      if (outlook.cpu_mhz[at] > most) {
        performance *= most / outlook.cpu_mhz[at];
        if (wait <= kContended && most < (1 - kContended) * outlook.cpu_mhz[at]) contended += weight;
      }
      performance *= io_factor(facts.disk_share[at], disk) * io_factor(facts.network_share[at], network);
      const double need = outlook.need_mib[at];
      if (need > facts.resident_mib[at]) performance /= 1 + kGuestSwapSlope * (need - facts.resident_mib[at]) / need;
      lost_value += weight * facts.console.value(vm) * std::max(0.0, 1 - performance - kLossFree);
    }
  }
  Price price;
  const auto ticks = static_cast<double>(outlook.ticks);
  price.power_eur = (host.peak_w - host.idle_w) * used / ticks / 1000 * kEnergyPrice_eur_kwh;
  price.pain_eur =
      kLossPrice * lost_value / ticks +
      (facts.options.contention_eur * contended + kDisaster_eur * disasters) * kTicksPerHour / ticks +
      facts.options.crowding_eur * std::max(0.0, planned_mib / host.memory_mib - facts.options.memory_comfort);
  price.utilisation = asked / ticks;
  return price;
}

double PricedPlan::cost_without(int h, int v) const {
  std::vector<int> vms = vms_on(h);
  vms.erase(std::find(vms.begin(), vms.end(), v));
  return price(h, vms).total();
}

double PricedPlan::cost_with(int h, int v) const {
  std::vector<int> vms = vms_on(h);
  vms.push_back(v);
  return price(h, vms).total();
}

double PricedPlan::apart_price(int v) const {
  const int partner = facts_->console.partner(v);
  if (partner == kNever || !facts_->console.vm(partner).present) return 0;
  constexpr double kApartLoss = 0.07;  // a tenth, less the part that is free
  return kLossPrice * (facts_->console.value(v) + facts_->console.value(partner)) * kApartLoss;
}

bool PricedPlan::allowed(int v, int h) const {
  if (facts_->console.pinned(v) || !on(h)) return false;
  double memory_mib = facts_->peak_mib[index(v)] + kVmOverhead_mib;
  for (const int other : vms_on(h)) memory_mib += facts_->peak_mib[index(other)] + kVmOverhead_mib;
  if (memory_mib > facts_->options.memory_limit * facts_->console.host_class(h).memory_mib) return false;
  const int group = facts_->console.group(v);
  if (group == kNever) return true;
  for (const int other : vms_on(h)) {
    if (other != v && facts_->console.group(other) == group) return false;
  }
  return true;
}

void PricedPlan::move(int v, int h) {
  const int from = host_of(v);
  auto& old = vms_on_[index(from)];
  old.erase(std::find(old.begin(), old.end(), v));
  vms_on_[index(h)].push_back(v);
  host_of_[index(v)] = h;
  for (const int host : {from, h}) prices_[index(host)] = price(host, vms_on_[index(host)]);
}

}  // namespace proteus::simulate::kvm
