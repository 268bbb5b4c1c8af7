#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "controller/cluster_view.h"
#include "controller/device_ticks.h"
#include "controller/frame_columns.h"
#include "controller/profile/wait_factor.h"

// What ClusterView keeps, for its own files.
namespace proteus::controller {

struct ClusterView::Host {
  std::shared_ptr<const Catalog> catalog;
  std::uint64_t catalog_serial = 0;  // of all catalogs that this object has seen
  HostColumns columns;
  std::vector<Vm*> vms;  // as in columns.vms; null: not looked up yet
  std::uint64_t boot_id = 0;
  Timestamp last_time{};
  Timestamp received{};
  bool commandable = false;
  bool maintenance = false;
  ham::HostState figures;               // cpu_overhead_cores: as last told
  double overhead_cores = 0;            // smoothed
  double tick_run = 0;                  // of all vCPUs in the frame at hand, ns
  double tick_wait = 0;                 // for a CPU, not for the VM's own quota
  profile::Contenders tick_contenders;  // its VMs, each with its demand, its own limit at most
  bool tick_whole = true;               // every VM that runs has said how long it ran and waited
  double step_run = 0;                  // likewise since the forecasts' step began
  double step_wait = 0;
  std::int64_t step = 0;
  DiskTick tick_disks;
  NetworkTick tick_network;
  ExitTick tick_exits;
  double storage_requests_per_s = 0;       // of all VMs in the frame at hand, each as it last was
  double last_storage_requests_per_s = 0;  // the same of the frame before
  bool fitted = false;                     // `answers` and `wait_factor` are in `figures`, as they were not long ago
  std::optional<profile::HostLearner> answers;
  std::optional<profile::CurveLearner> learner;
  profile::KeptCurve curve;
  std::optional<profile::WaitFactorLearner> wait_factor;  // there where learner is
  double learner_cores = 0;
  std::int64_t learner_wake_up_ns = 0;
  Timestamp learned_until{};    // telemetry received until then is in what was restored
  Timestamp disturbed_until{};  // by a migration; controller's clock
  Nanoseconds lag{};            // of the newest frame: received after it was measured, by two clocks
  Nanoseconds glanced_lag{};    // what it was when last looked at: once in a while, and when it had become another
  Timestamp glanced_at{};
  Nanoseconds steady_lag{};  // what it has been about, since then
  Timestamp steady_since{};
  Nanoseconds usual_lag{};      // the least, until another one is steady
  Timestamp unsettled_until{};  // until then it tells of the past, or a clock has been set; controller's clock

  bool settled() const { return received >= unsettled_until; }
  void begin_tick() {
    tick_run = tick_wait = storage_requests_per_s = 0;
    tick_contenders = {};
    tick_whole = true;
    tick_disks = {};
    tick_network = {};
    tick_exits = {};
  }
  void add(const NetworkTick& network, const DiskTick& disks, const ExitTick& exits) {
    tick_network.bytes += network.bytes;
    tick_network.packets += network.packets;
    tick_network.drops += network.drops;
    tick_disks.requests += disks.requests;
    tick_disks.time_s += disks.time_s;
    tick_exits.timed_count += exits.timed_count;
    tick_exits.time_s += exits.time_s;
  }
};

struct ClusterView::Vm {
  std::uint64_t serial = 0;  // of all VMs that this object has known
  forecast::EnginePool::Vm* forecasts = nullptr;
  ham::VmState state;             // without forecasts
  const Host* speaker = nullptr;  // the host that state.host names
  std::uint64_t listed_in = 0;    // the speaker's catalog that lists it
  Timestamp last_seen{};          // controller's clock
  double calm_demand_cores = 0;   // the last that no migration disturbed
  double storage_requests_per_s = 0;
  profile::SignatureLearner signature;
  std::vector<std::int64_t> latency;
  // Of the forecasts last told: what they are made of, and the number that says that they are the same.
  std::array<std::uint64_t, forecast::kResources.size()> told_rounds{};
  double told_speed = 0;
  std::uint64_t told_version = 0;

  /// A VM that its host no longer lists is gone from there.
  bool listed() const { return speaker != nullptr && listed_in == speaker->catalog_serial; }
};

/// A state that has been handed out before, and which VM it holds where, with which forecasts.
struct ClusterView::Written {
  struct Slot {
    std::uint64_t vm = 0;         ///< serial
    std::uint64_t listed_in = 0;  ///< the catalog that its names and labels are of
    double speed = 0;
    std::array<std::uint64_t, forecast::kResources.size()> rounds{};  ///< 0: to be written anew in any case
  };
  ham::ClusterState state;
  std::vector<Slot> slots;  ///< as in state.vms
};

/// Filled by whoever drops a state last, in any thread.
struct ClusterView::Spares {
  static constexpr std::size_t kCount = 2;  // one is read while the next is written

  std::mutex mutex;
  std::vector<std::unique_ptr<Written>> states;  // guarded by mutex

  std::unique_ptr<Written> take() {
    const std::lock_guard lock(mutex);
    if (states.empty()) return std::make_unique<Written>();
    std::unique_ptr<Written> spare = std::move(states.back());
    states.pop_back();
    return spare;
  }
  void give(std::unique_ptr<Written> written) {
    const std::lock_guard lock(mutex);
    if (states.size() < kCount) states.push_back(std::move(written));
  }
};

}  // namespace proteus::controller
