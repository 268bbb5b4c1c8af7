// What a controller leaves in the store for the next start, and takes from there.
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "common/log.h"
#include "controller/controller.h"
#include "controller/forecast_store.h"
#include "controller/profile_store.h"

namespace proteus::controller {
namespace {

constexpr Nanoseconds kLearningKept = std::chrono::minutes(1);
// Budgets count moves of so long.
constexpr Nanoseconds kMovesCount = std::chrono::hours(1);
constexpr Nanoseconds kLifeMax = std::chrono::hours(24);
// A decision that is older says nothing of what is being done: one is journalled every minute.
constexpr Nanoseconds kEmptyingHolds = std::chrono::minutes(2);
constexpr const char* kLearningKey = "learning";  // in the store's models; ham::learning::Agent::save()

}  // namespace

Status Controller::look_back() {
  const Nanoseconds longest = std::max(kMovesCount, pipeline_->policy().limits.cooldown);
  const drs::ExecutorOptions& executor = options_.pipeline.executor;
  // What ended since may have been decided so much earlier.
  const Nanoseconds life = std::min(executor.approval_lifetime + executor.migrate_deadline, kLifeMax);
  std::map<ActionId, drs::ActionRecord> records;
  store::Store::Visitor visitor;
  visitor.journal = [&](const store::JournalEntry& entry) {
    if (const auto* record = std::get_if<drs::ActionRecord>(&entry.payload)) {
      records[record->action.id] = *record;
    } else if (const auto* transition = std::get_if<drs::Transition>(&entry.payload)) {
      const auto found = records.find(transition->action);
      // One that does not follow from what was seen is of an action that began too long ago.
      if (found != records.end()) std::ignore = drs::apply(found->second, *transition);
    } else if (const auto* started = std::get_if<store::Started>(&entry.payload)) {
      for (const drs::ActionRecord& open : started->adopted) records[open.action.id] = open;
      const bool holds = started_at_ - entry.time < kEmptyingHolds;
      started_.emptying = holds ? started->emptying : std::vector<HostId>();
    } else if (const auto* decision = std::get_if<ham::Decision>(&entry.payload)) {
      const bool holds = started_at_ - decision->time < kEmptyingHolds;
      started_.emptying = holds ? decision->emptying : std::vector<HostId>();
    }
    return true;
  };
  const Status read = store_.scan(started_at_ - longest - life, Timestamp::max(), visitor);
  if (!read) return with_context(read.error(), "look back");
  for (const auto& [id, record] : records) {
    if (!drs::is_final(record.state) || !record.executed_at || !record.ended_at) continue;
    if (started_at_ - *record.ended_at > longest) continue;
    const auto* move = std::get_if<Migrate>(&record.action.operation);
    started_.ended.push_back({record.action.vm, move != nullptr ? record.action.host : HostId(),
                              move != nullptr ? move->target : HostId(), *record.ended_at,
                              record.state == drs::ActionState::kVerified});
  }
  std::stable_sort(started_.ended.begin(), started_.ended.end(),
                   [](const auto& a, const auto& b) { return std::tie(a.vm, a.ended) < std::tie(b.vm, b.ended); });
  return {};
}

Status Controller::restore_forecasts() {
  Result<std::vector<store::ForecastState>> pieces = load_forecasts(store_, options_.pipeline.view.forecast);
  if (!pieces) {
    log::warning("what is stored of the forecasts is not used: {}; they warm up from stored telemetry alone",
                 pieces.error().message);
    return drop_forecasts(store_);
  }
  std::size_t series = 0;
  for (store::ForecastState& state : *pieces) {
    series += state.series.size();
    pipeline_->on_restored(state, started_at_);
    restored_.emplace_back(std::move(state));
  }
  if (series > 0) {
    const Result<std::optional<Timestamp>> saved = forecasts_saved(store_, started_at_);
    if (!saved) return saved.error();
    forecasts_restored_ = *saved;
  }
  if (series > 0) log::info("{} series are forecast on from where the previous process left them", series);
  started_.restored_entries = static_cast<std::uint32_t>(restored_.size());
  return {};
}

Status Controller::restore_profile() {
  Result<std::vector<store::ProfileState>> pieces = load_profile(store_);
  if (!pieces) {
    log::warning("what is stored of how hosts respond is not used: {}; it is learned anew from stored telemetry",
                 pieces.error().message);
    return drop_profile(store_);
  }
  std::size_t records = 0;
  for (store::ProfileState& state : *pieces) {
    records += state.records.size();
    if (Status restored = pipeline_->on_profile(state, started_at_); !restored) return restored;
    restored_.emplace_back(std::move(state));
  }
  if (records > 0) log::info("{} records of how hosts respond are learned on from", records);
  started_.restored_entries = static_cast<std::uint32_t>(restored_.size());
  return {};
}

Status Controller::restore_learning() {
  if (pipeline_->learning() == nullptr) return {};
  std::string stored = options_.learned;
  const Status read = store_.visit_models(kLearningKey, [&](const std::string& key, std::string value) {
    if (key == kLearningKey) stored = std::move(value);
    return true;
  });
  if (!read) return read;
  if (stored.empty()) return {};
  learned_ = store::LearningState{std::move(stored)};
  if (Status restored = pipeline_->on_learned(*learned_); !restored) {
    log::warning("{}: it is learned anew", restored.error().message);
    learned_.reset();
    return {};
  }
  const ham::learning::Agent& learning = *pipeline_->learning();
  learning_changes_ = learning.changes();
  log::info("learning goes on from revision {}, {}; {} actions are followed on", learning.revision(),
            learning.acting() ? "acting" : "watching", learning.follower().following());
  return {};
}

void Controller::keep_learning(Timestamp now) {
  const ham::learning::Agent* learning = pipeline_->learning();
  if (learning == nullptr) return;
  // What is being followed grows with every cycle: a crash may cost a minute of it.
  const bool grown =
      learning->follower().following() > 0 && (now - learning_kept_at_ >= kLearningKept || now < learning_kept_at_);
  if (learning->changes() == learning_changes_ && !grown) return;
  learning_changes_ = learning->changes();
  learning_kept_at_ = now;
  const std::lock_guard lock(kept_mutex_);
  unsaved_learning_ = learning->save();
}

void Controller::keep_profile(Timestamp now, bool all) {
  if (!profile_kept_at_ || now < *profile_kept_at_) profile_kept_at_ = now;
  if (!all && now - *profile_kept_at_ < options_.forecast_save_interval) return;
  profile_kept_at_ = now;
  profile::SavedProfile profile = pipeline_->view().saved_profile(now);
  const std::lock_guard lock(kept_mutex_);
  unsaved_profile_ = std::move(profile);
}

Status Controller::save_kept() {
  std::optional<std::string> learning;
  std::optional<profile::SavedProfile> profile;
  {
    const std::lock_guard lock(kept_mutex_);
    learning = std::exchange(unsaved_learning_, {});
    profile = std::exchange(unsaved_profile_, {});
  }
  if (learning) {
    if (Status saved = store_.put_models({{kLearningKey, std::move(*learning)}}); !saved) return saved;
  }
  return profile ? save_profile(store_, *profile) : Status();
}

Status Controller::save_forecasts(Timestamp now, bool all) {
  if (Status saved = save_kept(); !saved) return saved;
  const std::size_t shards = forecast::EnginePool::shard_count();
  const std::shared_ptr<const Pipeline> pipeline = any_pipeline();
  const forecast::EnginePool& pool = pipeline->view().forecasts();
  const Nanoseconds interval = options_.forecast_save_interval / static_cast<std::int64_t>(shards);
  if (!last_save_ || now < *last_save_) last_save_ = now;
  std::size_t due = std::min<std::size_t>(shards, static_cast<std::size_t>((now - *last_save_) / interval));
  if (all) due = shards;
  if (due == 0) return {};
  last_save_ = now;
  for (std::size_t i = 0; i < due; ++i, next_shard_ = (next_shard_ + 1) % shards) {
    if (Status saved = controller::save_forecasts(store_, pool, next_shard_, now); !saved) return saved;
  }
  return save_signals(store_, pool);
}

}  // namespace proteus::controller
