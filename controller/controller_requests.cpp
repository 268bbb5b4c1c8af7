// What other threads ask of a controller: each question is run by the pipeline's own thread, between its other work.

#include <fmt/core.h>

#include <chrono>
#include <future>
#include <utility>

#include "common/log.h"
#include "controller/controller.h"
#include "controller/kept_facts.h"

namespace proteus::controller {
namespace {

constexpr std::chrono::seconds kAskTimeout{5};
// Pushes of signals that are taken in a second; each is a synced write to the journal.
constexpr int kPushesPerSecondMax = 50;

}  // namespace

template <typename T>
Result<T> Controller::ask(std::function<Result<T>(Pipeline&)> question) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  std::future<Result<T>> answer = promise->get_future();
  const bool taken = queues_.requests.push(
      {[promise, question = std::move(question)](Pipeline& pipeline) { promise->set_value(question(pipeline)); }});
  if (!taken) return Error{ErrorCode::kUnavailable, "the controller is busy or stopping"};
  if (answer.wait_for(kAskTimeout) != std::future_status::ready) {
    return Error{ErrorCode::kDeadlineExceeded,
                 "the controller did not answer in time; what was asked may still happen"};
  }
  return answer.get();
}

Status Controller::submit(const store::OperatorInput& input) {
  const Result<bool> done = ask<bool>([this, input](Pipeline& pipeline) -> Result<bool> {
    using Kind = store::OperatorInput::Kind;
    const bool maintenance = input.kind == Kind::kMaintenanceOn || input.kind == Kind::kMaintenanceOff;
    if (maintenance) {
      const auto state = pipeline.last_state();
      if (!state || state->find_host(input.host) == nullptr) {
        return Error{ErrorCode::kNotFound, fmt::format("no host '{}' has reported", input.host.value)};
      }
    }
    // The kill switch works in any case; that it was pressed is journalled as soon as that is possible.
    const bool stops = input.kind == Kind::kPause;
    if (journal_failing_ && !stops) return Error{ErrorCode::kUnavailable, "the journal cannot be written now"};
    const Timestamp now = clock_.now();
    Result<PipelineOutput> output = pipeline.on_operator(input, now);
    if (!output) return output.error();
    if (maintenance) unwritten_meta_[kMaintenanceKey] = join_hosts(pipeline.view().maintenance());
    if (input.kind == Kind::kPause || input.kind == Kind::kResume) {
      unwritten_meta_[kPausedKey] = pipeline.paused() ? "yes" : "no";
    }
    const Status written = commit(input, std::move(*output), now);
    // Who asks next is to see it, though no cycle has run.
    const std::shared_ptr<const api::Snapshot> before = snapshot();
    publish_snapshot(before->cycle_time, before->cycle_duration);
    if (!written) {
      if (!stops) return written.error();
      log::warning("paused by {}, which waits to be journalled: {}", input.by, written.error().message);
    }
    return true;
  });
  return done ? Status() : Status(done.error());
}

Result<std::pair<VmId, std::string>> Controller::resolve(Pipeline& pipeline, const std::string& vm_name_or_uuid) {
  const VmId vm = pipeline.view().find_vm(vm_name_or_uuid);
  if (vm.empty()) return Error{ErrorCode::kNotFound, fmt::format("no VM '{}' has been seen", vm_name_or_uuid)};
  std::string name = vm_name_or_uuid;
  if (const auto state = pipeline.last_state()) {
    if (const ham::VmState* known = state->find_vm(vm)) name = known->name;
  }
  return std::pair(vm, name);
}

Status Controller::push(const forecast::SignalPush& push, const std::string& vm_name_or_uuid, const std::string& by) {
  const Result<bool> done = ask<bool>([this, push, vm_name_or_uuid, by](Pipeline& pipeline) -> Result<bool> {
    store::SignalInput input{push, by};
    const Timestamp now = clock_.now();
    if (Status good = forecast::check(push, now); !good) return good.error();
    if (!vm_name_or_uuid.empty()) {
      const Result<std::pair<VmId, std::string>> vm = resolve(pipeline, vm_name_or_uuid);
      if (!vm) return vm.error();
      input.push.vm = vm->first;
    }
    if (journal_failing_) return Error{ErrorCode::kUnavailable, "the journal cannot be written now"};
    const std::int64_t second = to_unix_ns(now) / 1'000'000'000;
    if (second != push_second_) pushes_in_second_ = 0;
    push_second_ = second;
    if (++pushes_in_second_ > kPushesPerSecondMax) {
      return Error{
          ErrorCode::kUnavailable,
          fmt::format("more than {} pushes of signals in a second; put more points into one", kPushesPerSecondMax)};
    }
    if (Status taken = pipeline.on_signal(input.push); !taken) return taken.error();
    if (renewal_ && !renewal_over_) renewal_signals_.push_back(input);
    if (Status written = commit(std::move(input), {}, now); !written) return written.error();
    return true;
  });
  return done ? Status() : Status(done.error());
}

Result<api::SeriesOutlook> Controller::outlook(const std::string& vm_name_or_uuid, forecast::Resource resource) {
  struct Known {
    VmId vm;
    std::string name;
    double cpu_speed;
  };
  const Result<Known> known = ask<Known>([vm_name_or_uuid](Pipeline& pipeline) -> Result<Known> {
    const Result<std::pair<VmId, std::string>> vm = resolve(pipeline, vm_name_or_uuid);
    if (!vm) return vm.error();
    return Known{vm->first, vm->second, pipeline.view().cpu_speed_of(vm->first)};
  });
  if (!known) return known.error();
  Result<forecast::SeriesReport> report = any_pipeline()->view().forecasts().report(known->vm, resource, clock_.now());
  if (!report) {
    return Error{ErrorCode::kNotFound,
                 fmt::format("{} of {} has not been measured yet", forecast::to_string(resource), known->name)};
  }
  // People think in the cores that the VM has.
  if (resource == forecast::Resource::kCpu) forecast::scale(*report, 1 / known->cpu_speed);
  return api::SeriesOutlook{known->vm, known->name, resource, std::move(*report)};
}

Result<std::vector<api::AccuracyReport>> Controller::accuracy(const std::string& vm_name_or_uuid) {
  using Names = std::map<VmId, std::string>;
  const Result<Names> names = ask<Names>([vm_name_or_uuid](Pipeline& pipeline) -> Result<Names> {
    if (!vm_name_or_uuid.empty()) {
      const Result<std::pair<VmId, std::string>> vm = resolve(pipeline, vm_name_or_uuid);
      if (!vm) return vm.error();
      return Names{*vm};
    }
    Names all;
    if (const auto state = pipeline.last_state()) {
      for (const ham::VmState& vm : state->vms) all.emplace(vm.id, vm.name);
    }
    return all;
  });
  if (!names) return names.error();
  std::vector<api::AccuracyReport> reports;
  for (auto& [key, accuracy] : any_pipeline()->view().forecasts().accuracies()) {
    const auto name = names->find(key.vm);
    if (name != names->end()) reports.push_back({key.vm, name->second, key.resource, std::move(accuracy)});
  }
  return reports;
}

}  // namespace proteus::controller
