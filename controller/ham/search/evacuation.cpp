#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <optional>

#include "controller/ham/search/workspace.h"

namespace proteus::ham {
namespace {

constexpr std::size_t kStuckNamedMax = 8;

/// The first rule that keeps the VM from the host and will go on doing so: what only takes turns does not.
const Rule* lasting_obstacle(const PlanState& plan, const Change& move) {
  for (const Rule& rule : rules()) {
    if (!only_waits(rule.name) && forbids(rule, plan, move)) return &rule;
  }
  return nullptr;
}

}  // namespace

void check_evacuations(const PlanState& plan, RejectionLog& log) {
  const ClusterModel& model = plan.model();
  std::optional<PlanState> trial;  // all hosts in maintenance together: they compete for the same room
  for (std::size_t h = 0; h < model.hosts.size(); ++h) {
    if (!model.hosts[h].state->maintenance || plan.vms_on(h).empty()) continue;
    if (!trial) trial.emplace(plan);
    std::vector<std::size_t> vms = plan.vms_on(h);
    // The largest first, each where least is left beside it: best fit decreasing.
    std::stable_sort(vms.begin(), vms.end(), [&](std::size_t a, std::size_t b) {
      return plan.placement(a).allocation.memory_bytes > plan.placement(b).allocation.memory_bytes;
    });
    std::vector<std::size_t> targets(model.hosts.size());
    std::iota(targets.begin(), targets.end(), 0);
    std::string stuck;
    std::size_t stuck_count = 0;
    std::int64_t stuck_bytes = 0;
    for (const std::size_t v : vms) {
      std::stable_sort(targets.begin(), targets.end(), [&](std::size_t a, std::size_t b) {
        return trial->memory_free_bytes(a) < trial->memory_free_bytes(b);
      });
      const Rule* obstacle = nullptr;
      std::optional<Change> refused;
      bool placed = false;
      for (const std::size_t target : targets) {
        if (target == h) continue;
        const Change move{v, plan.placement(v).on(target)};
        const Rule* against = lasting_obstacle(*trial, move);
        if (against == nullptr) {
          trial->apply(move);
          placed = true;
          break;
        }
        // The roomiest host that is not in maintenance itself tells most.
        if (!refused || !model.hosts[target].state->maintenance) {
          obstacle = against;
          refused = move;
        }
      }
      if (placed) continue;
      ++stuck_count;
      stuck_bytes += plan.placement(v).allocation.memory_bytes;
      if (stuck_count > kStuckNamedMax) continue;
      std::string why = "there is no other host";
      if (refused) {
        const auto refusal = obstacle->check(*trial, *refused, true);
        why = fmt::format("{}: {}", refusal->rule, refusal->reason);
      }
      stuck += fmt::format("{}{} ({})", stuck.empty() ? "" : "; ", name_of(plan, v), why);
    }
    if (stuck_count == 0) continue;
    if (stuck_count > kStuckNamedMax) stuck += fmt::format("; and {} more", stuck_count - kStuckNamedMax);
    log.add_first({fmt::format("evacuate {}", host_name(plan, h)), "maintenance",
                   fmt::format("{} of {} VMs find no other host, {:.1f} GiB of memory in all: {}", stuck_count,
                               vms.size(), static_cast<double>(stuck_bytes) / static_cast<double>(kGiB), stuck)});
  }
}

}  // namespace proteus::ham
