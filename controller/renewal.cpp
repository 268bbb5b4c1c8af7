#include "controller/renewal.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>
#include <vector>

#include "controller/forecast_store.h"
#include "controller/profile_store.h"

namespace proteus::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A pass over what has been stored since the one before that takes no longer than this has caught up.
constexpr seconds kNear{2};
constexpr milliseconds kFollowInterval{300};
constexpr milliseconds kKeepInterval{20};
constexpr milliseconds kRoundsInterval{10};

Error stopped() {
  return {ErrorCode::kUnavailable, "stopped"};
}

}  // namespace

Renewal::Renewal(Input input, store::Store& store)
    : store_(store), input_(std::move(input)), taken_through_lsn_(input_.taken_through_lsn), thread_([this] {
        pthread_setname_np(pthread_self(), "renewal");
        run();
      }) {}

Renewal::~Renewal() {
  stop();
  thread_.join();
}

void Renewal::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  woken_.notify_all();
}

/// False: it is to stop.
bool Renewal::wait(Nanoseconds at_most) {
  std::unique_lock lock(mutex_);
  woken_.wait_for(lock, at_most, [this] { return stopping_ || taken_; });
  return !stopping_;
}

void Renewal::run() {
  const Status made = make();
  input_.current.reset();
  std::shared_ptr<Pipeline> former;
  if (made) {
    std::unique_lock lock(mutex_);
    woken_.wait(lock, [this] { return stopping_ || former_ != nullptr; });
    former = std::exchange(former_, {});
  } else {
    const std::lock_guard lock(made_mutex_);
    ready_.reset();
    warm_up_.reset();
    pipeline_.reset();
  }
  former.reset();  // its threads are waited for
  const std::lock_guard lock(mutex_);
  ended_ = made ? "" : made.error().message;
}

/// Until it has been taken. Errors: the store's; kUnavailable if it is to stop.
Status Renewal::make() {
  const auto begun = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(made_mutex_);
    if (Status restored = restore(); !restored) return restored;
    const Result<Timestamp> from = warm_from();
    if (!from) return from.error();
    store::Store::Visitor first;
    first.raw = [&](const store::RawMessage& message) {
      if (message.received < *from) return true;  // only there for decoding
      warm_from_lsn_ = message.lsn;
      return false;
    };
    if (Status read = store_.scan(*from, Timestamp::max(), first); !read) return read;
    if (warm_from_lsn_ == 0) warm_from_lsn_ = input_.taken_through_lsn + 1;
    warm_up_.emplace(*pipeline_, warm_from_lsn_, input_.options.view.forecast.step, true);
  }
  for (;;) {
    const auto pass = std::chrono::steady_clock::now();
    // Looked at first: it never lies behind what has been taken in by then.
    const std::uint64_t keep_from = keep_from_lsn_;
    const std::uint64_t through = taken_through_lsn_;
    std::unique_lock lock(made_mutex_);
    if (pipeline_ == nullptr) return {};  // taken
    if (through > through_lsn_) {
      if (Status read = read_through(through); !read) return read;
    }
    while (pipeline_->forecasts_behind() > 1) {
      if (stopping_) return stopped();
      std::this_thread::sleep_for(kRoundsInterval);
    }
    const auto now = std::chrono::steady_clock::now();
    if (!ready_ && through_lsn_ >= keep_from) {
      ready_ = std::chrono::duration_cast<Nanoseconds>(now - begun);
      is_ready_ = true;
    }
    if (now - pass < kNear) near_ = true;
    const bool soon = near_ && !ready_;
    lock.unlock();
    if (!wait(soon ? kKeepInterval : kFollowInterval)) return stopped();
  }
}

/// Journals the state, then restores it: a replay finds the same in the same order.
Status Renewal::add(store::JournalPayload state) {
  if (stopping_) return stopped();
  std::vector<store::JournalEntry> entries;
  entries.push_back({0, input_.begun, std::move(state)});
  if (Status written = store_.append(entries); !written) return with_context(written.error(), "journal a state");
  ++restored_entries_;
  if (const auto* profile = std::get_if<store::ProfileState>(&entries[0].payload)) {
    return pipeline_->on_profile(*profile, input_.begun);
  }
  pipeline_->on_restored(std::get<store::ForecastState>(entries[0].payload), input_.begun);
  return {};
}

Status Renewal::restore() {
  const forecast::EnginePool& pool = std::as_const(*input_.current).view().forecasts();
  pipeline_ = std::make_unique<Pipeline>(input_.options, input_.current->policy(), store::Started{});
  if (input_.on_forecasts_done) pipeline_->on_forecasts_done(input_.on_forecasts_done);
  // Signals that were taken in may still be on their way to the forecasts.
  while (pool.rounds_done() < input_.rounds_begun) {
    if (!wait(kRoundsInterval)) return stopped();
  }
  Status status = save_pieces(pool, [this](store::ForecastState piece) { return add(std::move(piece)); });
  if (!status) return status;
  for (store::ProfileState& piece : profile_pieces(profile::encode(input_.profile))) {
    if (status = add(std::move(piece)); !status) return status;
  }
  input_.current.reset();
  return {};
}

/// From when on telemetry is read again: the open steps of the forecasts, and each known host's last frame.
Result<Timestamp> Renewal::warm_from() const {
  const Result<std::map<HostId, Timestamp>> heard = store_.last_heard();
  if (!heard) return heard.error();
  return warm_up_from(input_.begun, input_.begun - input_.span_max, input_.options.view.forecast.step, *heard);
}

Status Renewal::read_through(std::uint64_t lsn) {
  store::Store::Visitor visitor;
  visitor.raw = [this](const store::RawMessage& message) {
    warm_up_->take(message.lsn, message.received, message.host, message.bytes);
    return !stopping_;
  };
  const std::uint64_t from = std::max(warm_from_lsn_, through_lsn_ + 1);
  if (from <= lsn) {
    if (Status read = store_.scan_lsn(from, lsn + 1, visitor); !read) return read;
  }
  if (stopping_) return stopped();
  through_lsn_ = lsn;
  return {};
}

std::optional<Renewal::Made> Renewal::try_take() {
  const std::unique_lock made_lock(made_mutex_, std::try_to_lock);
  if (!made_lock || !ready_) return std::nullopt;
  Made made{std::move(pipeline_), warm_up_->first_lsn(), through_lsn_, restored_entries_, *ready_};
  warm_up_.reset();
  ready_.reset();
  const std::lock_guard lock(mutex_);
  taken_ = true;
  woken_.notify_all();
  return made;
}

void Renewal::retire(std::shared_ptr<Pipeline> former) {
  const std::lock_guard lock(mutex_);
  former_ = std::move(former);
  woken_.notify_all();
}

std::optional<std::string> Renewal::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

}  // namespace proteus::controller
