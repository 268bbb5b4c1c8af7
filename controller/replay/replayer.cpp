#include "controller/replay/replayer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/api/json_view.h"
#include "controller/pipeline_options.h"

namespace proteus::replay {
namespace {

constexpr std::size_t kDifferencesMax = 100;

bool is_output(const store::JournalPayload& payload) {
  return std::holds_alternative<ham::Decision>(payload) || std::holds_alternative<drs::ActionRecord>(payload) ||
         std::holds_alternative<drs::Transition>(payload) || std::holds_alternative<Command>(payload) ||
         std::holds_alternative<ham::learning::Outcome>(payload);
}

std::string to_line(const store::JournalEntry& entry) {
  return api::to_json(entry).dump(-1, ' ', false, api::Json::error_handler_t::replace);
}

constexpr std::size_t kTrimEvery = 10'000;
/// A frame is decoded against those before it, back to a keyframe.
constexpr Nanoseconds kDecodingSlack = std::chrono::minutes(10);

}  // namespace

Status Replayer::on_raw(const store::RawMessage& message) {
  Result<std::optional<Sample>> sample = reader_.read(message.host, message.bytes);
  if (!sample) {
    // A cut may begin between a frame and its base; the stream is whole again from its next keyframe.
    const ErrorCode code = sample.error().code;
    if (code == ErrorCode::kNotFound || code == ErrorCode::kFailedPrecondition) return {};
    return with_context(sample.error(), "telemetry of " + message.host.value);
  }
  keep(message, !*sample);
  if (!*sample) return {};
  ++frames_;
  note_names((**sample).catalog);
  pending_.push_back({message.lsn, message.received, std::move(**sample)});
  return {};
}

Status Replayer::begin(const store::Started& started, Timestamp time) {
  Result<controller::PipelineOptions> options = controller::parse_pipeline_options(started.options_toml);
  if (!options) return with_context(options.error(), "the recorded options");
  controller::use_networks(options_.networks, *options);
  if (Status read = controller::set_calendar(started.calendar_toml, "recorded calendar", *options); !read) {
    return read.error();
  }
  Result<ham::Policy> policy = ham::parse_policy(started.policy_toml, "recorded policy");
  if (!policy) return policy.error();
  if (options_.policy) {
    policy = *options_.policy;
    policy->automation = std::min(policy->automation, ham::Automation::kRecommend);
    store::Started bare = started;
    bare.adopted.clear();
    pipeline_ = std::make_unique<controller::Pipeline>(*options, std::move(*policy), bare);
  } else {
    pipeline_ = std::make_unique<controller::Pipeline>(*options, std::move(*policy), started);
  }
  begun_ = time;
  warm_from_lsn_ = started.warm_from_lsn;
  warm_span_ = options->view.forecast.step * options->view.forecast.history_steps;
  restored_awaited_ = started.restored_entries;
  if (restored_awaited_ == 0) warm_up();
  return {};
}

/// What a later run of the recording may warm up from. As it came off the wire: decoded it is many times larger.
void Replayer::keep(const store::RawMessage& message, bool catalog) {
  kept_.push_back({message.lsn, message.received, message.host, message.bytes, catalog});
  if (!warm_span_ || kept_.size() < 2 * kept_after_trim_ + kTrimEvery) return;
  const Timestamp oldest = message.received - *warm_span_ - kDecodingSlack;
  std::erase_if(kept_, [&](const Kept& kept) { return !kept.catalog && kept.received < oldest; });
  kept_after_trim_ = kept_.size();
}

void Replayer::note_names(const std::shared_ptr<const Catalog>& catalog) {
  std::shared_ptr<const Catalog>& noted = catalogs_[catalog->host];
  if (noted == catalog) return;
  noted = catalog;
  for (const Entity& entity : catalog->entities) {
    if (entity.kind == EntityKind::kVm) vm_names_[entity.uuid] = entity.name;
  }
}

/// The controller warmed its forecasts from what was stored before it began.
void Replayer::warm_up() {
  pending_.clear();
  if (warm_from_lsn_ == 0) return;
  wire::TelemetryReader reader;
  for (const Kept& message : kept_) {
    const Result<std::optional<Sample>> sample = reader.read(message.host, message.bytes);
    if (!sample || !*sample || message.lsn < warm_from_lsn_ || message.received >= begun_) continue;
    pipeline_->on_sample(**sample, message.received);
    pipeline_->catch_up();
  }
}

void Replayer::put_out(controller::PipelineOutput output, Timestamp time) {
  for (store::JournalPayload& payload : output.journal) {
    if (std::holds_alternative<ham::Decision>(payload)) ++decisions_;
    if (std::holds_alternative<drs::ActionRecord>(payload)) ++actions_;
    store::JournalEntry entry{0, time, std::move(payload)};
    if (options_.output) options_.output(entry);
    replayed_.push_back(std::move(entry));
  }
}

void Replayer::run_cycle(const store::Cycle& cycle, Timestamp time) {
  if (options_.before_cycle) options_.before_cycle(time);
  const auto later = std::find_if(pending_.begin(), pending_.end(),
                                  [&](const Pending& frame) { return frame.lsn > cycle.frames_through_lsn; });
  for (auto frame = pending_.begin(); frame != later; ++frame) pipeline_->on_sample(frame->sample, frame->received);
  pending_.erase(pending_.begin(), later);
  ++cycles_;
  put_out(pipeline_->run_cycle(cycle, time), time);
}

void Replayer::compare() {
  const std::size_t count = std::max(recorded_.size(), replayed_.size());
  for (std::size_t i = 0; i < count && differences_.size() < kDifferencesMax; ++i) {
    const store::JournalEntry* was = i < recorded_.size() ? &recorded_[i] : nullptr;
    const store::JournalEntry* is = i < replayed_.size() ? &replayed_[i] : nullptr;
    if (was != nullptr && is != nullptr && store::encode(*was) == store::encode(*is)) continue;
    differences_.push_back({was != nullptr ? was->time : is->time, was != nullptr ? to_line(*was) : "",
                            is != nullptr ? to_line(*is) : ""});
  }
  recorded_.clear();
  replayed_.clear();
}

Status Replayer::on_journal(const store::JournalEntry& entry) {
  if (is_output(entry.payload)) {
    if (pipeline_ != nullptr) recorded_.push_back({0, entry.time, entry.payload});
    return {};
  }
  compare();
  if (const auto* started = std::get_if<store::Started>(&entry.payload)) return begin(*started, entry.time);
  if (pipeline_ == nullptr) return {};  // before the first beginning in the file: nothing is known of that run's state
  if (const auto* cycle = std::get_if<store::Cycle>(&entry.payload)) {
    run_cycle(*cycle, entry.time);
  } else if (const auto* presence = std::get_if<store::AgentPresence>(&entry.payload)) {
    pipeline_->on_presence(*presence);
  } else if (const auto* state = std::get_if<store::ForecastState>(&entry.payload)) {
    pipeline_->on_restored(*state, entry.time);
    if (restored_awaited_ > 0 && --restored_awaited_ == 0) warm_up();
  } else if (const auto* profile = std::get_if<store::ProfileState>(&entry.payload)) {
    if (Status taken = pipeline_->on_profile(*profile, entry.time); !taken) return taken;
    if (restored_awaited_ > 0 && --restored_awaited_ == 0) warm_up();
  } else if (const auto* learned = std::get_if<store::LearningState>(&entry.payload)) {
    if (Status taken = pipeline_->on_learned(*learned); !taken) return with_context(taken.error(), "recorded learning");
  } else if (const auto* signal = std::get_if<store::SignalInput>(&entry.payload)) {
    if (Status taken = pipeline_->on_signal(signal->push); !taken) return taken;
  } else if (const auto* update = std::get_if<Update>(&entry.payload)) {
    if (!options_.policy) put_out(pipeline_->on_update(*update, entry.time), entry.time);
  } else if (const auto* input = std::get_if<store::OperatorInput>(&entry.payload)) {
    if (Result<controller::PipelineOutput> output = pipeline_->on_operator(*input, entry.time)) {
      put_out(std::move(*output), entry.time);
    }
  }
  return {};
}

}  // namespace proteus::replay
