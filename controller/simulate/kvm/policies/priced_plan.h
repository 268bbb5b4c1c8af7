#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "controller/simulate/kvm/policies/outlook.h"
#include "controller/simulate/kvm/policies/response.h"
#include "controller/simulate/kvm/policy.h"

namespace proteus::simulate::kvm {

struct PlanOptions {
  double memory_limit = 1.0;      ///< share of a host's memory that may be planned
  double memory_comfort = 0.85;   ///< beyond this share guests may find no room to grow
  double crowding_eur = 0.15;     ///< an hour, for a host planned to its comfort and once more its memory
  double contention_eur = 0.004;  ///< for a VM and tick in which it waits or lacks CPU, whatever its value
};

/// Where every VM shall be and what that is expected to cost an hour of the outlook, in EUR: power, loss of performance
/// beyond what is free, disasters. Changes are priced by looking at the hosts that they touch. Lives for one step.
class PricedPlan {
 public:
  /// Starts where the migrations under way will lead. All three outlive the plan.
  PricedPlan(const Console& console, const Outlook& outlook, const Response& response,
             const std::vector<double>& need_mib, PlanOptions options);

  int host_of(int v) const { return host_of_[static_cast<std::size_t>(v)]; }
  const std::vector<int>& vms_on(int h) const { return vms_on_[static_cast<std::size_t>(h)]; }
  bool on(int h) const { return on_[static_cast<std::size_t>(h)]; }
  void set_on(int h, bool on) { on_[static_cast<std::size_t>(h)] = on; }

  /// Of a host with its VMs; power at rest is left out.
  double cost(int h) const { return prices_[static_cast<std::size_t>(h)].total(); }
  /// Of that, what is not power: what moving VMs away could save at most.
  double pain(int h) const { return prices_[static_cast<std::size_t>(h)].pain_eur; }
  double cost_without(int h, int v) const;
  double cost_with(int h, int v) const;
  /// What it costs more that a VM is not with its partner, an hour.
  double apart_price(int v) const;
  /// Hard rules and memory: the VM may be planned there.
  bool allowed(int v, int h) const;
  void move(int v, int h);
  /// Mean demand over the outlook, of capacity.
  double utilisation(int h) const { return prices_[static_cast<std::size_t>(h)].utilisation; }

 private:
  struct Price {
    double power_eur = 0;
    double pain_eur = 0;
    double utilisation = 0;
    double total() const { return power_eur + pain_eur; }
  };
  Price price(int h, const std::vector<int>& vms) const;

  /// What does not change while plans are tried; copies of a plan share it.
  struct Facts {
    const Console& console;
    const Outlook& outlook;
    const Response& response;
    PlanOptions options;
    std::vector<float> resident_mib;   ///< [vm · cells + cell] as it will have grown by then
    std::vector<float> disk_share;     ///< likewise, of the VM's time
    std::vector<float> network_share;  ///< likewise
    std::vector<double> peak_mib;      ///< [vm] what it holds or may need
    std::vector<char> sensitive;       ///< [vm] loses something even on a host without contention
  };
  static void add_vm(Facts& facts, std::size_t v);

  std::shared_ptr<const Facts> facts_;
  std::vector<int> host_of_;
  std::vector<std::vector<int>> vms_on_;
  std::vector<char> on_;
  std::vector<Price> prices_;
};

}  // namespace proteus::simulate::kvm
