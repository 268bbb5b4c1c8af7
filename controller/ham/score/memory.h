#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "controller/ham/score/plan_state.h"

namespace proteus::ham {

/// What a decision leaves for the next one of the same cluster under the same policy: demands and scores of VMs and
/// hosts of which nothing has changed that these are made of. With it decisions are the same, bit for bit, and cheaper.
/// Thread: owned by one.
struct Memory {
  // For ClusterModel.
  /// A decision begins. What is kept of other VMs and hosts than those of the state, in that order, is dropped.
  void begin(const ClusterState& state, const Horizon& horizon);
  std::shared_ptr<const Demand> demand_of(std::size_t v, const VmState& vm, const Horizon& horizon);
  // model: ready but for what is in flight and has moved.
  std::uint64_t version_of(std::size_t h, const HostModel& model);
  std::uint64_t version_of(std::size_t v, const VmModel& model, const ClusterModel& cluster);

  // For decide().
  /// The cluster as it is in the model, which must live as long as the plan is used.
  PlanState& plan_of(const ClusterModel& model);

 private:
  struct HostInputs {
    std::shared_ptr<const WaitTable> wait;
    profile::ResponseCurve storage{std::vector<profile::ResponseCurve::Knot>{}};
    profile::ResponseCurve network{std::vector<profile::ResponseCurve::Knot>{}};
    profile::ResponseCurve exits{std::vector<profile::ResponseCurve::Knot>{}};
    profile::ResponseCurve memory{std::vector<profile::ResponseCurve::Knot>{}};
    double curve_trust = 0;
    double capacity_cores = 0;
    double cpu_overhead_cores = 0;
    std::int64_t memory_bytes = 0;
    double memory_other_bytes = 0;
    double cpu_headroom = 0;
    double memory_headroom = 0;
    double idle_watts = 0;
    double peak_watts = 0;
    bool operator==(const HostInputs&) const = default;
  };
  /// Beside the demand.
  struct VmInputs {
    Allocation allocation;
    std::size_t host = kNowhere;
    bool active = false;
    double priority = 1;
    double reserved_cores = 0;
    std::optional<std::int64_t> memory_need_bytes;
    std::int64_t memory_resident_bytes = 0;
    double storage_requests_per_s = 0;
    double storage_lean_per_s = 0;
    double network_bytes_per_s = 0;
    double packets_per_s = 0;
    double exits_per_s = 0;
    std::size_t helper_host = kNowhere;
    double helper_speed = 0;  ///< of a core there
    bool operator==(const VmInputs&) const = default;
  };
  struct Host {
    HostId id;
    HostInputs inputs;
    std::uint64_t version = 0;
  };
  struct Vm {
    VmId id;
    std::uint64_t forecasts = 0;  ///< version
    std::int32_t vcpus = 0;
    bool running = false;
    std::shared_ptr<const Demand> demand;
    bool demand_kept = false;  ///< it is the one of the decision before
    VmInputs inputs;
    std::uint64_t version = 0;
  };

  std::vector<Host> hosts_;
  std::vector<Vm> vms_;
  Horizon horizon_;
  std::uint64_t versions_ = 0;  ///< given out so far
  std::optional<PlanState> plan_;
};

}  // namespace proteus::ham
