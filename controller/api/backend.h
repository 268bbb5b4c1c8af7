#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "controller/drs/action_record.h"
#include "controller/forecast/engine_pool.h"
#include "controller/ham/cluster_state.h"
#include "controller/ham/decision.h"
#include "controller/ham/learning/report.h"
#include "controller/ham/policy.h"
#include "controller/store/journal.h"
#include "controller/store/store.h"

namespace proteus::api {

/// What the controller knows after a cycle. Immutable: made by the pipeline's thread, read by any.
struct Snapshot {
  std::string controller;
  std::string version;
  Term term = 0;
  Timestamp started_at;
  Timestamp run_begun_at;                ///< then, or when the run was renewed last; recordings begin there
  std::string renewal_problem;           ///< why the last attempt to renew the run failed; empty: it did not
  std::uint64_t kept_samples_bytes = 0;  ///< memory of the samples that are kept for a renewal under way
  Timestamp cycle_time;
  std::uint64_t cycle = 0;
  Nanoseconds cycle_duration{};
  bool paused = false;
  std::string policy;
  ham::Automation automation = ham::Automation::kRecommend;
  std::shared_ptr<const ham::ClusterState> state;               ///< null before the first cycle
  std::shared_ptr<const ham::Decision> decision;                ///< null before the first cycle
  std::vector<drs::ActionRecord> actions;                       ///< open and lately ended, by id
  std::map<VmId, std::vector<std::int64_t>> run_queue_latency;  ///< dispatches by bucket, since the controller began
  std::optional<ham::learning::Report> learning;                ///< nullopt: it is off
  std::uint64_t frames_count = 0;
  std::uint64_t repeats_count = 0;
  std::uint64_t left_to_agents_count = 0;       ///< telemetry messages that found no room; agents send them again
  std::uint64_t words_dropped_count = 0;        ///< of agents, on commands: more than is taken of a host
  std::uint64_t refused_count = 0;              ///< messages that did not decode or came from the wrong host
  std::uint64_t refused_keys_count = 0;         ///< connections whose key is not authorised
  std::uint64_t words_passed_over_count = 0;    ///< of agents, on commands: repeats, or of none that is open
  std::uint64_t forecasts_behind = 0;           ///< rounds of forecasting under way or waiting
  std::uint64_t forecasts_shed_count = 0;       ///< observations dropped since forecasting lagged too far
  std::uint64_t surplus_connections_count = 0;  ///< refused, of keys that had too many
  std::uint64_t over_limit_count = 0;           ///< messages refused or left to agents: too much of a host in a day
  std::string over_limit_last;                  ///< which host, and of what; empty: none
  std::string ingest_problem;                   ///< why telemetry is not accepted now; empty: it is
  store::Store::Figures store;
};

/// One series with what is thought of its future.
struct SeriesOutlook {
  VmId vm;
  std::string vm_name;
  forecast::Resource resource{};
  forecast::SeriesReport report;
};

/// How the forecasts of one series have turned out.
struct AccuracyReport {
  VmId vm;
  std::string vm_name;
  forecast::Resource resource{};
  forecast::SeriesAccuracy accuracy;
};

/// The controller as the API sees it. Thread: every method from any.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::shared_ptr<const Snapshot> snapshot() const = 0;
  /// Takes a person's word, durably journalled when it returns. Errors: kNotFound, kFailedPrecondition, kUnavailable.
  virtual Status submit(const store::OperatorInput& input) = 0;
  /// Errors: kNotFound for an unknown VM or a series never observed, kUnavailable while stopping.
  virtual Result<SeriesOutlook> outlook(const std::string& vm_name_or_uuid, forecast::Resource resource) = 0;
  /// Values of an application's metric, for one VM or (empty) everybody; durably journalled when it returns.
  /// Errors: kInvalidArgument, kNotFound, kFailedPrecondition (no room for another signal), kUnavailable.
  virtual Status push(const forecast::SignalPush& push, const std::string& vm_name_or_uuid, const std::string& by) = 0;
  virtual Nanoseconds forecast_step() const = 0;
  /// Of one VM, or (empty) of all, by VM and resource. Errors: kNotFound, kUnavailable.
  virtual Result<std::vector<AccuracyReport>> accuracy(const std::string& vm_name_or_uuid) = 0;
  virtual const store::Store& store() const = 0;
};

}  // namespace proteus::api
