#pragma once

#include <map>
#include <vector>

#include "controller/simulate/kvm/policies/response.h"
#include "controller/simulate/kvm/workload.h"

namespace proteus::simulate::kvm {

/// The simulator's own formulas, for baselines that are allowed to know them.
class TrueResponse final : public Response {
 public:
  explicit TrueResponse(const Workload& workload);
  double wait(std::size_t host, const BusyFractions& busy) const override;
  double disk_stretch(std::size_t host, double load) const override;
  double network_stretch(std::size_t host, double load) const override { return stretch_at(host, load); }
  double disk_share(double disk_kbs) const override { return disk_kbs / (disk_kbs + 50000); }
  double network_share(double network_kbs) const override { return network_kbs / (network_kbs + 20000); }

 private:
  static double stretch_at(std::size_t /*host*/, double load) { return stretch(load); }

  const Workload* workload_;
  /// Per number of cores: the queue's wait by number of sources and utilisation, interpolated along the latter.
  std::map<int, std::vector<float>> tables_;
};

}  // namespace proteus::simulate::kvm
