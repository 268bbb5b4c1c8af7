#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "controller/ham/score/plan_state.h"

namespace proteus::ham {

// Strategies only propose; rules forbid and the score decides. Each appends to `out`, the most generous proposal first.

/// What is given beyond forecast demand, so that the next small rise does not need another action.
constexpr double kRaiseMargin = 1.15;
/// A limit is raised at least by this factor, where there is room.
constexpr double kRaiseFactorMin = 1.25;
/// A limit is lowered only if it exceeds what a raise would have given by this factor, and by half at most: giving is
/// fast, taking is slow.
constexpr double kLowerFactor = 2.0;

/// More CPU for a VM whose p99 demand exceeds its own limit: quota up to the whole vCPU, then vCPUs up to its maximum.
/// Three sizes: for the p99, for the p90, and as much as its host has room for. A VM without a quota only gets vCPUs.
void propose_cpu_raise(const PlanState& plan, std::size_t vm, std::vector<Change>& out);
/// A larger balloon target for a guest whose p99 use leaves less than kMemorySpare.
void propose_memory_raise(const PlanState& plan, std::size_t vm, std::vector<Change>& out);
/// A smaller quota for a VM far above its need. A quota is never put on a VM that has none; vCPUs are taken away only
/// where a size rule for the VM says how few may remain, because guests take that badly. Not without a forecast.
void propose_cpu_lower(const PlanState& plan, std::size_t vm, std::vector<Change>& out);
/// A smaller balloon target. It gains only where the host has promised more than its memory headroom allows.
void propose_memory_lower(const PlanState& plan, std::size_t vm, std::vector<Change>& out);
/// The VM, as it is, on each of the hosts; and, if its limit is too low, with more CPU on arrival.
void propose_moves(const PlanState& plan, std::size_t vm, std::span<const std::size_t> targets,
                   std::vector<Change>& out);

/// A helper for the VM on each of the hosts, in place of the one that it has; nothing for a VM that may have none.
void propose_helpers(const PlanState& plan, std::size_t vm, std::span<const std::size_t> hosts,
                     std::vector<Change>& out);
/// No helper any more, for a VM that has one.
void propose_helper_end(const PlanState& plan, std::size_t vm, std::vector<Change>& out);

/// The smallest allocation of at least `cores` that hypervisor and size rules allow, in steps of 5 % of a vCPU. A quota
/// beyond `host_cores`, the host's capacity, is not given: a kernel refuses it where the host itself is limited.
/// Never takes vCPUs away.
Allocation with_cores(const VmModel& vm, Allocation allocation, double cores, double host_cores);
/// True if the VM's p99 demand exceeds its limit.
bool wants_cpu(const PlanState& plan, std::size_t vm);

}  // namespace proteus::ham
