#include "controller/simulate/kvm/policies/true_response.h"

#include <algorithm>
#include <cmath>

namespace proteus::simulate::kvm {
namespace {

constexpr int kSourcesMax = 256;
constexpr int kSteps = 98;
constexpr double kUtilisationMax = 0.98;

}  // namespace

TrueResponse::TrueResponse(const Workload& workload) : workload_(&workload) {
  for (const HostClass* host : workload.hosts) {
    std::vector<float>& table = tables_[host->cores];
    if (!table.empty()) continue;
    table.assign((kSourcesMax + 1) * (kSteps + 1), 0);
    for (int n = host->cores + 1; n <= kSourcesMax; ++n) {
      for (int i = 0; i <= kSteps; ++i) {
        const double sum = n * kUtilisationMax * i / kSteps;
        const double wait = run_queue_wait({sum, sum * sum / n}, host->cores);
        table[static_cast<std::size_t>(n * (kSteps + 1) + i)] = static_cast<float>(wait);
      }
    }
  }
}

double TrueResponse::wait(std::size_t host, const BusyFractions& busy) const {
  const int cores = workload_->hosts[host]->cores;
  if (busy.sum <= 0 || busy.squares <= 0) return 0;
  const double sources = std::max(1.0, std::floor(busy.sum * busy.sum / busy.squares + 0.5));
  if (sources <= cores) return 0;
  const double at = std::min(kUtilisationMax, busy.sum / sources) / kUtilisationMax * kSteps;
  const int i = std::min(static_cast<int>(at), kSteps - 1);
  const auto& table = tables_.at(cores);
  const auto row = static_cast<std::size_t>(std::min(static_cast<int>(sources), kSourcesMax) * (kSteps + 1) + i);
  return table[row] + (at - i) * (table[row + 1] - table[row]);
}

double TrueResponse::disk_stretch(std::size_t host, double load) const {
  return stretch(load) * workload_->hosts[host]->disk_latency_ms / 0.20;
}

}  // namespace proteus::simulate::kvm
