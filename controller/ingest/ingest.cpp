#include "controller/ingest/ingest.h"

#include <pthread.h>

#include <algorithm>

#include "common/log.h"
#include "common/wire/catalog_check.h"

namespace proteus::ingest {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kIdleWait = 250ms;
/// How soon a full pipeline queue is looked at again: it tells no one when it has room.
constexpr std::chrono::milliseconds kDeliveryWait = 5ms;
constexpr std::chrono::seconds kAskUnheardAfter = 1s;
/// Messages taken before timers are looked at.
constexpr int kMessagesPerRound = 256;
/// Of samples of a batch.
constexpr std::size_t kBatchHeldBytesMax = 64u << 20;

}  // namespace

/// Counts a sample of so many bytes until the last copy of what is returned is gone.
std::shared_ptr<void> Ingest::hold(std::shared_ptr<Held> all, std::shared_ptr<Held> of_host, std::size_t bytes) {
  for (Held* held : {all.get(), of_host.get()}) {
    held->bytes += bytes;
    ++held->samples;
  }
  return {nullptr, [all = std::move(all), of_host = std::move(of_host), bytes](void*) {
            for (Held* held : {all.get(), of_host.get()}) {
              held->bytes -= bytes;
              --held->samples;
            }
          }};
}

std::size_t memory_of(const Sample& sample) {
  return sizeof(Ingested) + sample.frame.values.size() * sizeof(std::int64_t) + sample.frame.present.size();
}

Result<std::unique_ptr<Ingest>> Ingest::start(zmq::context_t& context, IngestOptions options,
                                              const wire::AuthorizedKeys& authorized, store::Store& store,
                                              const Clock& clock, Queue<Ingested>& samples) {
  auto receiver =
      Receiver::start(context, {options.endpoint, options.keys, options.waiting, options.socket}, authorized);
  if (!receiver) return receiver.error();
  return std::unique_ptr<Ingest>(new Ingest(std::move(*receiver), std::move(options), store, clock, samples));
}

Ingest::Ingest(std::unique_ptr<Receiver> receiver, IngestOptions options, store::Store& store, const Clock& clock,
               Queue<Ingested>& samples)
    : options_(std::move(options)),
      store_(store),
      clock_(clock),
      samples_(samples),
      receiver_(std::move(receiver)),
      intake_([this](const HostId& host, std::uint64_t boot_id) { return store_.last_sequence(host, boot_id); }),
      thread_([this] { run(); }) {}

Ingest::~Ingest() {
  stopping_ = true;
  receiver_->interrupt();
  thread_.join();
}

IngestStatus Ingest::status() const {
  const Receiver::Counts counts = receiver_->counts();
  std::lock_guard lock(mutex_);
  IngestStatus status = status_;
  status.messages += counts.dropped;
  status.bytes += counts.dropped_bytes;
  status.discarded += counts.dropped;
  status.refused += counts.refused;
  status.undelivered = undelivered_.size();
  return status;
}

void Ingest::run() {
  pthread_setname_np(pthread_self(), "ingest");
  while (!stopping_) {
    receiver_->wait(time_to_wait());
    deliver();
    take_waiting();
    const auto now = std::chrono::steady_clock::now();
    const bool is_due =
        intake_.has_news() && (now - batch_began_ >= options_.batch_window ||
                               intake_.messages().size() >= options_.batch_messages_max || batch_is_large());
    if (store_failed_ ? now >= retry_at_ : is_due) store_batch();
    ask_unheard();
  }
  if (intake_.has_news()) store_batch();
  deliver();
}

std::chrono::milliseconds Ingest::time_to_wait() const {
  const auto now = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point wake = now + kIdleWait;
  if (store_failed_) {
    wake = std::min(wake, retry_at_);
  } else if (intake_.has_news()) {
    wake = std::min(wake, batch_began_ + options_.batch_window);
  }
  {
    std::lock_guard lock(mutex_);
    if (!undelivered_.empty()) wake = std::min(wake, now + kDeliveryWait);
  }
  return std::max(0ms, std::chrono::ceil<std::chrono::milliseconds>(wake - now));
}

void Ingest::take_waiting() {
  for (int i = 0; i < kMessagesPerRound; ++i) {
    const auto message = receiver_->next();
    if (!message) return;
    take(*message);
    if (intake_.messages().size() >= options_.batch_messages_max || batch_is_large()) return;
  }
}

void Ingest::note_unheard(const HostId& host, const std::string& link) {
  unheard_.try_emplace(host, Unheard{{}, std::chrono::steady_clock::now()}).first->second.link = link;
}

/// An agent that has sent all that it may waits for a word, longer each time; who was not listened to is given one as
/// soon as there is room.
void Ingest::ask_unheard() {
  const auto now = std::chrono::steady_clock::now();
  for (const auto& [host, link] : receiver_->take_dropped()) note_unheard(host, link);
  if (unheard_.empty() || store_failed_ || held_->bytes > options_.held_bytes_max / 2) return;
  {
    std::lock_guard lock(mutex_);
    if (undelivered_.size() > options_.undelivered_max / 2) return;
  }
  std::erase_if(unheard_, [&](const auto& entry) {
    const auto& [host, unheard] = entry;
    const HostHeld& of_host = held_of(host);
    const bool has_room = of_host.held->bytes <= options_.host_held_bytes_max / 2 &&
                          of_host.held->samples <= options_.host_held_samples_max / 2;
    if (!has_room || now - unheard.since < kAskUnheardAfter) return false;
    // No boot's: how far each is durable, it is told with what it sends then.
    receiver_->answer(unheard.link, wire::encode(wire::Ack{0, 0, wire::Ack::Want::kKeyframe}));
    return true;
  });
}

bool Ingest::batch_is_large() const {
  return batch_bytes_ >= options_.batch_bytes_max || batch_held_bytes_ >= kBatchHeldBytesMax;
}

void Ingest::take(const wire::FromPeer& message) {
  HostHeld& of_host = held_of(message.user);
  const auto now = std::chrono::steady_clock::now();
  const bool too_fast = !of_host.bytes.take(static_cast<double>(message.bytes().size()), now);
  const bool too_much = !of_host.stored_bytes.take(0, now);
  if (too_much) note_over_limit(message.user, "so much of it was stored within a day that more is left to its agent");
  {
    std::lock_guard lock(mutex_);
    ++status_.messages;
    status_.bytes += message.bytes().size();
    // The agents hold what they sent; the gap that is left makes the next frame be asked for from there.
    if (too_fast || too_much || store_failed_ || undelivered_.size() > options_.undelivered_max ||
        held_->bytes > options_.held_bytes_max || of_host.held->bytes > options_.host_held_bytes_max ||
        of_host.held->samples > options_.host_held_samples_max) {
      ++status_.discarded;
      if (!too_much) note_unheard(message.user, message.routing_id);
      return;
    }
  }
  const bool had_news = intake_.has_news();
  const auto outcome = intake_.take(message.user, message.routing_id, message.bytes(), clock_.now());
  if (!had_news && intake_.has_news()) batch_began_ = std::chrono::steady_clock::now();
  if (!outcome) {
    if (outcome.error().code == ErrorCode::kUnavailable) note_unheard(message.user, message.routing_id);
    return refuse(message.user, outcome.error());
  }
  if (*outcome == Intake::Outcome::kStored) {
    batch_bytes_ += message.bytes().size();
    of_host.stored_bytes.take(static_cast<double>(intake_.messages().back().bytes.size()), now);
    Taken& taken = batch_.emplace_back();
    if (const auto& sample = intake_.samples().back()) {
      if (of_host.catalog.lock() != sample->catalog) taken.catalog_bytes = wire::memory_of(*sample->catalog);
      of_host.catalog = sample->catalog;
      const std::size_t bytes = memory_of(*sample) + taken.catalog_bytes;
      taken.held = hold(held_, of_host.held, bytes);
      batch_held_bytes_ += bytes;
    }
  }
  if (*outcome == Intake::Outcome::kWanted) unheard_.erase(message.user);  // it is asked already
  report(*outcome);
}

Ingest::HostHeld& Ingest::held_of(const HostId& host) {
  const auto known = held_by_host_.find(host);
  if (known != held_by_host_.end()) return known->second;
  const TokenBucket bytes(static_cast<double>(options_.host_burst_bytes),
                          static_cast<double>(options_.host_bytes_per_s));
  const auto per_day = static_cast<double>(options_.host_stored_bytes_per_day);
  const TokenBucket stored_bytes(per_day, per_day / std::chrono::duration<double>(24h).count());
  return held_by_host_.emplace(host, HostHeld{std::make_shared<Held>(), {}, bytes, stored_bytes}).first->second;
}

void Ingest::refuse(const HostId& host, const Error& error) {
  if (refusals_.is_due(host.value + std::to_string(static_cast<int>(error.code)))) {
    log::warning("telemetry of {} refused: {}", host.value, error.message);
  }
  std::lock_guard lock(mutex_);
  ++status_.refused;
  if (error.code != ErrorCode::kFailedPrecondition) return;
  ++status_.over_limit;
  status_.over_limit_last = host.value + ": " + error.message;
}

/// Beyond what is taken of a host in a day.
void Ingest::note_over_limit(const HostId& host, const std::string& why) {
  if (refusals_.is_due(host.value + " over its limit")) log::warning("telemetry of {}: {}", host.value, why);
  std::lock_guard lock(mutex_);
  ++status_.over_limit;
  status_.over_limit_last = host.value + ": " + why;
}

void Ingest::report(const Intake::Outcome& outcome) {
  std::lock_guard lock(mutex_);
  if (outcome == Intake::Outcome::kRepeat) ++status_.repeats;
  if (outcome == Intake::Outcome::kWanted) ++status_.wanted;
}

void Ingest::store_batch() {
  std::vector<store::RawMessage>& messages = intake_.messages();
  const Status stored = messages.empty() ? Status() : store_.append(messages);
  std::uint64_t frames = 0;
  {
    std::lock_guard lock(mutex_);
    if (!stored) {
      ++status_.store_errors;
      if (!store_failed_) log::error("telemetry is not stored, agents keep it: {}", stored.error().message);
      status_.store_error = stored.error().message;
      store_failed_ = true;
      retry_at_ = std::chrono::steady_clock::now() + options_.store_retry;
      return;
    }
    for (std::size_t i = 0; i < messages.size(); ++i) {
      auto& sample = intake_.samples()[i];
      if (!sample) continue;
      undelivered_.push_back({messages[i].lsn, messages[i].received, messages[i].host, std::move(*sample),
                              batch_[i].catalog_bytes, std::move(batch_[i].held)});
      ++frames;
    }
    if (!messages.empty()) ++status_.batches;
    status_.frames += frames;
    status_.catalogs += messages.size() - frames;
    status_.store_error.clear();
  }
  if (store_failed_) log::info("telemetry is stored again");
  store_failed_ = false;
  batch_bytes_ = 0;
  batch_held_bytes_ = 0;
  batch_.clear();
  deliver();
  for (const Intake::Answer& answer : intake_.committed()) receiver_->answer(answer.link, wire::encode(answer.ack));
}

void Ingest::deliver() {
  std::lock_guard lock(mutex_);
  while (!undelivered_.empty() && (samples_.size() < samples_.capacity() || samples_.closed())) {
    samples_.push(std::move(undelivered_.front()));
    undelivered_.pop_front();
  }
}

}  // namespace proteus::ingest
