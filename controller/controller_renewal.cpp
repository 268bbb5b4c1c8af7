// How a controller's run is renewed: docs/architecture.md says why.
#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>

#include "common/log.h"
#include "controller/controller.h"

namespace proteus::controller {
namespace {

// What a migration has disturbed is not taken for a VM's own, and how it went is followed for a minute
// (profile/move_accuracy.h); that is not carried over, so it must have passed.
constexpr Nanoseconds kCalm = std::chrono::seconds(70);
// Of a run that is due, attempts to renew it are so far apart at least, as a share of raw_retention; each that fails
// doubles that, up to a quarter, since its states take room.
constexpr int kAttemptsApart = 32;
constexpr int kAttemptsApartMost = 4;
// A clock that is put right by less does not end a renewal.
constexpr Nanoseconds kClockStepMax = std::chrono::minutes(1);
// More samples are not kept for a renewal that does not get on.
constexpr std::size_t kKeptSamplesMax = 100'000;
constexpr std::size_t kEndedKept = 200;

/// About: a catalog counts with its first sample, and later ones share it.
std::size_t memory_kept(const ingest::Ingested& item) {
  return ingest::memory_of(item.sample) + item.catalog_bytes;
}

}  // namespace

std::shared_ptr<const Pipeline> Controller::any_pipeline() const {
  const std::lock_guard lock(pipeline_mutex_);
  return pipeline_;
}

void Controller::begin_renewal(Timestamp now) {
  if (options_.raw_retention <= Nanoseconds{0} || renewal_ || journal_failing_ || frames_through_lsn_ == 0) return;
  // A clock that was set back must not keep a run from ever growing old.
  run_begun_ = std::min(run_begun_, now);
  if (now - run_begun_ < options_.raw_retention / 4) return;
  // The open steps of the forecasts must be in what is read again.
  if (options_.raw_retention < 6 * options_.pipeline.view.forecast.step) return;
  const int apart = std::max(kAttemptsApartMost, kAttemptsApart >> std::max(0, renewals_failed_count_ - 1));
  if (renewal_failed_ && now >= *renewal_failed_ && now - *renewal_failed_ < options_.raw_retention / apart) return;
  renewal_begun_ = now;
  renewal_from_lsn_ = last_journal_lsn_ + 1;
  Renewal::Input input;
  input.options = options_.pipeline;
  input.current = pipeline_;
  input.profile = pipeline_->view().saved_profile(now);
  input.begun = now;
  input.span_max = std::min(options_.raw_retention / 2, warm_span(options_.pipeline.view.forecast));
  input.rounds_begun = pipeline_->view().forecasts().rounds_begun();
  input.taken_through_lsn = frames_through_lsn_;
  input.on_forecasts_done = [this] { wakeup_.notify(); };
  renewal_over_ = false;
  renewal_ = std::make_unique<Renewal>(std::move(input), store_);
}

/// Nothing is under way that a renewal would have to find out about.
bool Controller::calm(Timestamp now) const {
  const drs::Executor& executor = pipeline_->executor();
  if (!executor.quiet()) return false;
  return std::none_of(executor.actions().begin(), executor.actions().end(), [&](const auto& action) {
    const std::optional<Timestamp>& ended = action.second.ended_at;
    return ended && now >= *ended && now - *ended < kCalm;
  });
}

void Controller::follow_renewal(Timestamp now) {
  if (!renewal_) return;
  const auto give_up = [&](const std::string& why) {
    log::warning("the run is not renewed yet: {}; it goes on as it is, and that is tried again later", why);
    renewal_problem_ = why;
    renewal_failed_ = now;
    renewals_failed_count_ = std::min(renewals_failed_count_ + 1, kAttemptsApart);
    end_renewal();
    renewal_->stop();
  };
  if (const std::optional<std::string> ended = renewal_->ended()) {
    if (!renewal_over_) give_up(*ended);
    renewal_.reset();
    return;
  }
  if (renewal_over_) return;
  // The states and the telemetry that it rests on are kept for so long only.
  const Nanoseconds time_max = std::min<Nanoseconds>(options_.raw_retention / 2, kRenewalTimeMax);
  if (now - renewal_begun_ >= time_max) return give_up("it has taken too long");
  if (renewal_begun_ - now >= kClockStepMax) return give_up("the clock was set back");
  renewal_->set_taken_through(frames_through_lsn_);
  if (!keeping_samples_ && renewal_->near()) {
    keeping_samples_ = true;
    renewal_->set_keep_from(frames_through_lsn_);
  }
  const std::uint64_t through = renewal_->through_lsn();
  while (!kept_samples_.empty() && kept_samples_.front().lsn <= through) {
    kept_samples_bytes_ -= memory_kept(kept_samples_.front());
    kept_samples_.pop_front();
  }
  if (kept_samples_full_)
    return give_up("it does not catch up with telemetry, and what comes meanwhile is too much to be kept");
  if (journal_failing_ || !renewal_->ready()) return;
  // An action that is under way would have to be asked about; there is no hurry, but an end to waiting.
  if (!renewal_ready_) renewal_ready_ = now;
  if (!calm(now) && now - *renewal_ready_ < time_max / 2) return;
  if (std::optional<Renewal::Made> made = renewal_->try_take()) take_over(std::move(*made), now);
}

void Controller::take_over(Renewal::Made made, Timestamp now) {
  const auto begun = std::chrono::steady_clock::now();
  const drs::Executor& executor = pipeline_->executor();
  store::Started started = started_;  // of the same process: the same policy, options and term
  started.next_action_id = executor.next_action_id();
  started.next_command_id = executor.next_command_id();
  started.maintenance = pipeline_->view().maintenance();
  started.paused = pipeline_->paused();
  started.adopted.clear();
  for (const auto& [id, record] : executor.actions()) {
    if (!drs::is_final(record.state)) {
      started.adopted.push_back(record);
    } else {
      ended_before_.push_back(record);
    }
  }
  while (ended_before_.size() > kEndedKept) ended_before_.pop_front();
  started.ended = pipeline_->view().ended();
  started.missing = pipeline_->view().missing();
  started.emptying = pipeline_->emptying();
  started.commandable = pipeline_->commandable();
  started.restored_entries = made.restored_entries;
  started.restored_from_lsn = renewal_from_lsn_;
  started.warm_from_lsn = made.warm_from_lsn;
  started.warm_through_lsn = made.warm_through_lsn;
  started.warm_in_steps = true;

  // As a replay does it, in the same order.
  Pipeline& next = *made.pipeline;
  next.begin(started);
  for (const store::SignalInput& signal : renewal_signals_) {
    // There was room in the run before; should there be none in this one, a replay finds none either.
    std::ignore = next.on_signal(signal.push);
  }
  unwritten_.push_back({0, now, started});
  if (pipeline_->learning() != nullptr) {
    store::LearningState learned{pipeline_->learning()->save()};
    if (Status restored = next.on_learned(learned); !restored) {
      log::warning("{}: it is learned anew", restored.error().message);
    } else {
      unwritten_.push_back({0, now, std::move(learned)});
    }
    learning_changes_ = next.learning()->changes();
  }
  for (const ingest::Ingested& item : kept_samples_) {
    if (item.lsn > made.warm_through_lsn) next.on_sample(item.sample, item.received);
  }
  next.count_on_from(*pipeline_);
  shed_before_ += pipeline_->view().forecasts().shed_count();
  started_ = std::move(started);
  run_begun_ = now;
  renewal_failed_.reset();
  renewal_problem_.clear();
  renewals_failed_count_ = 0;
  std::shared_ptr<Pipeline> former = std::move(made.pipeline);
  {
    const std::lock_guard lock(pipeline_mutex_);
    std::swap(former, pipeline_);
  }
  // Nothing has been sent or decided in between: what cannot be written now waits like any other input.
  if (Status written = flush(); !written) {
    log::error("the renewal waits to be journalled: {}", written.error().message);
  }
  const auto took = std::chrono::steady_clock::now() - begun;
  log::info("the run is renewed: {} states and the telemetry from lsn {} on, made in {:.1f} s; taken over in {:.1f} ms",
            started_.restored_entries, started_.warm_from_lsn, to_seconds(made.took),
            std::chrono::duration<double, std::milli>(took).count());
  renewal_->retire(std::move(former));
  end_renewal();
}

void Controller::end_renewal() {
  renewal_over_ = true;
  renewal_ready_.reset();
  renewal_signals_.clear();
  kept_samples_.clear();
  kept_samples_bytes_ = 0;
  kept_samples_full_ = false;
  keeping_samples_ = false;
}

/// One that is not kept would be missing: then all of them are of no use.
void Controller::keep(const ingest::Ingested& item) {
  if (kept_samples_full_) return;
  kept_samples_bytes_ += memory_kept(item);
  kept_samples_.push_back(item);
  kept_samples_full_ = kept_samples_.size() > kKeptSamplesMax || kept_samples_bytes_ > options_.kept_samples_bytes_max;
  if (!kept_samples_full_) return;
  kept_samples_.clear();
  kept_samples_bytes_ = 0;
}

}  // namespace proteus::controller
