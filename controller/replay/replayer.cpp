#include "controller/replay/replayer.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>
#include <tuple>
#include <utility>

#include "controller/api/json_view.h"
#include "controller/pipeline_options.h"
#include "controller/replay/recording.h"
#include "controller/warm_up.h"

namespace proteus::replay {
namespace {

constexpr std::uint64_t kDifferencesMax = 100;
/// Between two inputs; of journal entries a controller lets no more wait for the disk.
constexpr std::size_t kOutputsMax = 100'000;
constexpr std::size_t kOutputBytesMax = std::size_t{256} << 20;

bool is_output(const store::JournalPayload& payload) {
  return std::holds_alternative<ham::Decision>(payload) || std::holds_alternative<drs::ActionRecord>(payload) ||
         std::holds_alternative<drs::Transition>(payload) || std::holds_alternative<Command>(payload) ||
         std::holds_alternative<ham::learning::Outcome>(payload);
}

std::string to_line(const store::JournalEntry& entry) {
  return api::to_json(entry).dump(-1, ' ', false, api::Json::error_handler_t::replace);
}

Error too_much(const char* what) {
  return {ErrorCode::kCorrupt, fmt::format("{}: no controller leaves as much", what)};
}

bool same_wish(const ham::Decision& a, const ham::Decision& b) {
  return store::encode({0, {}, wish_of(a)}) == store::encode({0, {}, wish_of(b)});
}

bool observes_some(const ham::Policy& policy) {
  return std::any_of(policy.automation_rules.begin(), policy.automation_rules.end(),
                     [](const ham::AutomationRule& rule) { return rule.level == ham::Automation::kObserve; });
}

constexpr std::size_t kTrimEvery = 10'000;
/// A frame is decoded against those before it, back to a keyframe.
constexpr Nanoseconds kDecodingSlack = std::chrono::hours(1);
constexpr std::uint64_t kNoLsn = std::numeric_limits<std::uint64_t>::max();

std::uint64_t rests_from(const store::Started& started) {
  std::uint64_t from = started.warm_from_lsn != 0 ? started.warm_from_lsn : kNoLsn;
  // What was not read again comes with the first cycle.
  const bool renewal = started.restored_from_lsn != 0;
  if (renewal || started.warm_through_lsn != 0) from = std::min(from, started.warm_through_lsn + 1);
  return from;
}

}  // namespace

ham::Decision wish_of(const ham::Decision& decision) {
  ham::Decision wish;
  for (const ham::Action& action : decision.chosen.actions) {
    ham::Action& wanted = wish.chosen.actions.emplace_back();
    wanted.vm = action.vm;
    wanted.host = action.host;
    wanted.operation = action.operation;
  }
  for (const ham::HelperChange& change : decision.helpers) {
    ham::HelperChange& wanted = wish.helpers.emplace_back();
    wanted.vm = change.vm;
    wanted.host = change.host;
    wanted.start = change.start;
  }
  for (const ham::PowerChange& change : decision.power) wish.power.push_back({change.host, change.awake, ""});
  return wish;
}

std::optional<std::vector<std::uint64_t>> beginnings_of(const std::string& path) {
  std::error_code ignored;
  if (path == kStandardInput || !std::filesystem::is_regular_file(path, ignored)) return std::nullopt;
  std::vector<std::uint64_t> beginnings;
  store::Store::Visitor visitor;
  visitor.journal = [&](const store::JournalEntry& entry) {
    if (const auto* started = std::get_if<store::Started>(&entry.payload)) beginnings.push_back(rests_from(*started));
    return true;
  };
  std::ignore = read_recording(path, visitor);  // where it is damaged the replay ends, too, and says so
  return beginnings;
}

Replayer::Replayer(ReplayOptions options) : options_(std::move(options)) {
  look_ahead();
}

void Replayer::look_ahead() {
  if (!options_.beginnings) return;
  const auto& beginnings = *options_.beginnings;
  needed_from_lsn_ = kNoLsn;
  for (std::size_t i = beginnings_over_; i < beginnings.size(); ++i) {
    needed_from_lsn_ = std::min(*needed_from_lsn_, beginnings[i]);
  }
  if (needed_from_lsn_ == kNoLsn) kept_ = {};
}

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
  if (pipeline_ == nullptr) return {};  // what of it the first beginning needs it takes from what is kept
  return add_pending(message.lsn, message.received, std::move(**sample));
}

Status Replayer::add_pending(std::uint64_t lsn, Timestamp received, Sample sample) {
  pending_.push_back({lsn, received, std::move(sample)});
  pending_bytes_ += pending_.back().bytes();
  return pending_bytes_ <= options_.waiting_bytes_max ? Status() : too_much("telemetry without a cycle");
}

Status Replayer::add_ahead(const store::JournalEntry& entry) {
  ahead_.push_back(entry);
  ahead_bytes_ += store::encode(entry).size();
  return ahead_bytes_ <= options_.waiting_bytes_max ? Status() : too_much("states without a beginning");
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
  started_ = started;
  recorded_observes_ = policy->automation == ham::Automation::kObserve;
  recorded_tells_all_ = !recorded_observes_ && !observes_some(*policy);
  recorded_label_.reset();
  if (options_.policy) {
    met_observe_ = met_observe_ || recorded_observes_;
    policy = *options_.policy;
    policy->automation = ham::Automation::kRecommend;
    policy->automation_rules.clear();
    // What the recorded run did is not what this one does.
    started_.adopted.clear();
    started_.ended.clear();
    started_.emptying = started.restored_from_lsn != 0 && pipeline_ ? pipeline_->emptying() : std::vector<HostId>();
  }
  const bool renewal = started.restored_from_lsn != 0;
  if (pipeline_ == nullptr && !renewal && started.warm_through_lsn != 0) {
    if (Status refilled = refill(started.warm_through_lsn); !refilled) return refilled;
  }
  begun_ = time;
  step_ = options->view.forecast.step;
  warm_span_ = controller::warm_span(options->view.forecast);
  const std::vector<store::JournalEntry> ahead = std::exchange(ahead_, {});
  ahead_bytes_ = 0;
  // A renewal's pipeline was made before it was known what the run before would leave.
  pipeline_ =
      std::make_unique<controller::Pipeline>(*options, std::move(*policy), renewal ? store::Started{} : started_);
  restored_awaited_ = renewal ? 0 : started.restored_entries;
  if (!renewal) return restored_awaited_ == 0 ? warm_up() : Status();
  for (const store::JournalEntry& entry : ahead) {
    if (entry.lsn < started.restored_from_lsn || !store::is_state(entry.payload)) continue;
    if (Status taken = take_state(entry); !taken) return taken;
  }
  if (Status warm = warm_up(); !warm) return warm;
  for (const store::JournalEntry& entry : ahead) {
    const auto* signal = std::get_if<store::SignalInput>(&entry.payload);
    // One that finds no room found none in the controller either.
    if (signal != nullptr && entry.lsn >= started.restored_from_lsn) std::ignore = pipeline_->on_signal(signal->push);
  }
  return {};
}

Status Replayer::take_state(const store::JournalEntry& entry) {
  if (const auto* profile = std::get_if<store::ProfileState>(&entry.payload)) {
    return pipeline_->on_profile(*profile, entry.time);
  }
  pipeline_->on_restored(std::get<store::ForecastState>(entry.payload), entry.time);
  return {};
}

/// What a later run of the recording may warm up from. As it came off the wire: decoded it is many times larger.
void Replayer::keep(const store::RawMessage& message, bool catalog) {
  if (needed_from_lsn_ == kNoLsn) return;
  kept_.push_back({message.lsn, message.received, message.host, message.bytes, catalog});
  if (kept_.size() < 2 * kept_after_trim_ + kTrimEvery) return;
  if (needed_from_lsn_) {
    const auto first = first_kept(*needed_from_lsn_);
    const Timestamp oldest = (first != kept_.end() ? first->received : message.received) - kDecodingSlack;
    std::erase_if(kept_, [&](const Kept& kept) {
      return !kept.catalog && kept.lsn < *needed_from_lsn_ && kept.received < oldest;
    });
  } else if (warm_span_) {
    const Timestamp oldest = message.received - *warm_span_ - controller::kRenewalTimeMax - kDecodingSlack;
    std::erase_if(kept_, [&](const Kept& kept) { return !kept.catalog && kept.received < oldest; });
  } else {
    return;
  }
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

std::vector<Replayer::Kept>::const_iterator Replayer::first_kept(std::uint64_t lsn) const {
  return std::find_if(kept_.begin(), kept_.end(), [lsn](const Kept& kept) { return kept.lsn >= lsn; });
}

/// Kept messages from `lsn` on, in front of them those that decoding them takes, until the visitor returns false.
template <typename Visit>
void Replayer::visit_kept(std::uint64_t lsn, Visit visit) const {
  const auto first = first_kept(lsn);
  if (first == kept_.end()) return;
  const Timestamp oldest = first->received - kDecodingSlack;
  for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
    if (kept < first && !kept->catalog && kept->received < oldest) continue;
    if (!visit(*kept)) return;
  }
}

/// The controller warmed its forecasts from what was stored before it began.
Status Replayer::warm_up() {
  const std::uint64_t through = started_.warm_through_lsn;
  if (started_.restored_from_lsn != 0) {
    if (Status refilled = refill(through); !refilled) return refilled;
  } else {
    std::erase_if(pending_, [&](const Pending& frame) {
      const bool read_again = through == 0 || frame.lsn <= through;
      if (read_again) pending_bytes_ -= frame.bytes();
      return read_again;
    });
  }
  if (started_.warm_from_lsn != 0) {
    controller::WarmUp warm_up(*pipeline_, started_.warm_from_lsn, step_, started_.warm_in_steps);
    visit_kept(started_.warm_from_lsn, [&](const Kept& message) {
      if (through != 0 && message.lsn > through) return false;
      const bool later = through == 0 && message.lsn >= started_.warm_from_lsn && message.received >= begun_;
      if (!later) warm_up.take(message.lsn, message.received, message.host, message.bytes);
      return true;
    });
  }
  pipeline_->begin(started_);
  ++beginnings_over_;
  look_ahead();
  return {};
}

/// What a run has not read again comes with its first cycle; of a renewal, though the run before has taken it in.
Status Replayer::refill(std::uint64_t through_lsn) {
  pending_.clear();
  pending_bytes_ = 0;
  Status filled;
  wire::TelemetryReader reader;  // that of what goes on to come has read all of it, and goes on from there
  visit_kept(through_lsn + 1, [&](const Kept& message) {
    Result<std::optional<Sample>> sample = reader.read(message.host, message.bytes);
    if (message.lsn > through_lsn && sample && *sample) {
      filled = add_pending(message.lsn, message.received, std::move(**sample));
    }
    return filled.has_value();
  });
  return filled;
}

void Replayer::put_out(controller::PipelineOutput output, Timestamp time) {
  for (store::JournalPayload& payload : output.journal) {
    if (std::holds_alternative<ham::Decision>(payload)) ++decisions_;
    if (std::holds_alternative<drs::ActionRecord>(payload)) ++actions_;
    store::JournalEntry entry{0, time, std::move(payload)};
    if (options_.output) options_.output(entry);
    if (options_.diff && !options_.policy) replayed_.push_back(std::move(entry));
  }
}

void Replayer::run_cycle(const store::Cycle& cycle, Timestamp time) {
  if (options_.before_cycle) options_.before_cycle(time);
  const auto later = std::find_if(pending_.begin(), pending_.end(),
                                  [&](const Pending& frame) { return frame.lsn > cycle.frames_through_lsn; });
  for (auto frame = pending_.begin(); frame != later; ++frame) {
    pipeline_->on_sample(frame->sample, frame->received);
    pending_bytes_ -= frame->bytes();
  }
  pending_.erase(pending_.begin(), later);
  ++cycles_;
  const std::shared_ptr<const ham::Decision> before = pipeline_->last_decision();
  put_out(pipeline_->run_cycle(cycle, time), time);
  const ham::Decision& decision = *pipeline_->last_decision();
  unanswered_ = before == nullptr || before->chosen.label != decision.chosen.label;
  if (options_.decided) options_.decided(decision);
}

Status Replayer::on_output(const store::JournalEntry& entry) {
  if (pipeline_ == nullptr || !options_.diff) return {};
  if (!options_.policy) {
    recorded_.push_back({0, entry.time, entry.payload});
    recorded_bytes_ += store::encode(entry).size();
    if (recorded_.size() > kOutputsMax || recorded_bytes_ > kOutputBytesMax) {
      return too_much("decisions, steps and commands without an input");
    }
  } else if (!recorded_observes_ && std::holds_alternative<ham::Decision>(entry.payload)) {
    // By another policy nothing is carried out, so only what was wanted has a counterpart.
    compare_wish({0, entry.time, entry.payload});
  }
  return {};
}

void Replayer::compare_wish(const store::JournalEntry& recorded) {
  const auto& was = std::get<ham::Decision>(recorded.payload);
  unanswered_ = false;
  if (recorded_tells_all_) recorded_label_ = was.chosen.label;
  const std::shared_ptr<const ham::Decision> is = pipeline_->last_decision();
  if (is == nullptr) return add_difference(&recorded, nullptr);
  const store::JournalEntry replayed{0, is->time, *is};
  if (!same_wish(was, *is)) add_difference(&recorded, &replayed);
}

/// Where nothing was journalled the label was still the one before; of what it does not name nothing is known.
void Replayer::compare_silence() {
  if (!std::exchange(unanswered_, false) || !options_.diff || !recorded_label_) return;
  const ham::Decision& is = *pipeline_->last_decision();
  const store::JournalEntry replayed{0, is.time, is};
  if (is.chosen.label != *recorded_label_) add_difference(nullptr, &replayed);
}

void Replayer::compare() {
  if (options_.policy) return compare_silence();
  const std::size_t count = std::max(recorded_.size(), replayed_.size());
  for (std::size_t i = 0; i < count; ++i) {
    const store::JournalEntry* was = i < recorded_.size() ? &recorded_[i] : nullptr;
    const store::JournalEntry* is = i < replayed_.size() ? &replayed_[i] : nullptr;
    if (was == nullptr || is == nullptr || store::encode(*was) != store::encode(*is)) add_difference(was, is);
  }
  recorded_.clear();
  recorded_bytes_ = 0;
  replayed_.clear();
}

void Replayer::add_difference(const store::JournalEntry* recorded, const store::JournalEntry* replayed) {
  if (++differences_count_ > kDifferencesMax) return;
  differences_.push_back({recorded != nullptr ? recorded->time : replayed->time,
                          recorded != nullptr ? to_line(*recorded) : "",
                          replayed != nullptr ? to_line(*replayed) : ""});
}

Status Replayer::on_journal(const store::JournalEntry& entry) {
  if (is_output(entry.payload)) return on_output(entry);
  compare();
  const bool state = store::is_state(entry.payload);
  if (restored_awaited_ > 0 && state) {
    if (Status taken = take_state(entry); !taken) return taken;
    return --restored_awaited_ == 0 ? warm_up() : Status();
  }
  if (std::exchange(restored_awaited_, 0) > 0) {  // the other states have expired
    if (Status warm = warm_up(); !warm) return warm;
  }
  if (state || std::holds_alternative<store::SignalInput>(entry.payload)) {
    if (Status added = add_ahead(entry); !added) return added;
  }
  if (state) return {};
  if (const auto* started = std::get_if<store::Started>(&entry.payload)) return begin(*started, entry.time);
  if (pipeline_ == nullptr) return {};  // before the first beginning in the file: nothing is known of that run's state
  if (const auto* cycle = std::get_if<store::Cycle>(&entry.payload)) {
    run_cycle(*cycle, entry.time);
  } else if (const auto* presence = std::get_if<store::AgentPresence>(&entry.payload)) {
    pipeline_->on_presence(*presence);
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
