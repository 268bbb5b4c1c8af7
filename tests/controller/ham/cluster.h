#pragma once

#include <string>
#include <vector>

#include "controller/ham/decision.h"

namespace proteus::ham {

/// Small clusters as values, for tests.
struct Cluster {
  ClusterState state;

  Cluster();
  HostState& host(const std::string& id, double cores, std::int64_t memory_bytes = 64 * kGiB);
  /// A running VM; its name is also its id. quota_cores < 0: none. No forecast yet.
  VmState& vm(const std::string& name, const std::string& host, int vcpus, double quota_cores = -1,
              std::int64_t memory_bytes = kGiB);
  VmState& find(const std::string& name);
  HostState& find_host(const std::string& id);
  /// Sorts by id, as decide() wants it, and sets what hosts have available. To be called last.
  const ClusterState& ready();
};

constexpr Nanoseconds kStep = std::chrono::minutes(1);
constexpr int kHorizonSteps = 30;

/// The same demand in every step: p50 = cores, p90 and p99 as given by their distance from it.
forecast::Forecast flat_forecast(Timestamp now, double cores, double spread90 = 0.02, double spread99 = 0.04);
/// p50 goes from `from` to `to` over the horizon, in equal steps.
forecast::Forecast ramp_forecast(Timestamp now, double from, double to, Nanoseconds step = kStep,
                                 double spread90 = 0.02, double spread99 = 0.04);
void set_cpu(VmState& vm, forecast::Forecast forecast);
/// Demand now and forecast alike.
void set_flat_cpu(VmState& vm, Timestamp now, double cores);
void set_memory(VmState& vm, Timestamp now, std::int64_t bytes);

/// A host that waits little until 80 % and ever more beyond, as measured hosts do.
profile::ResponseCurve knee_curve();

/// Everything in a decision, for comparing and for reading.
std::string dump(const Decision& decision);

/// The cluster after all of the candidate's actions have succeeded.
void carry_out(ClusterState& state, const std::vector<Action>& actions);

int count_migrations(const std::vector<Action>& actions);
/// "web1->h2" for each migration, in order.
std::vector<std::string> moves_of(const Candidate& candidate);
/// The decision has a rejection by a rule whose name begins so.
bool rejects(const Decision& decision, const std::string& rule);

/// A policy under which everything may happen at once, so that tests see what the search wants.
Policy eager_policy();

}  // namespace proteus::ham
