#include "agent/publish/backlog.h"

#include <algorithm>
#include <utility>

#include "common/log.h"

namespace proteus::publish {
namespace {

/// For so long a frame is asked for that the disk does not give back.
constexpr std::chrono::seconds kReadTimeMax{30};

/// Its catalog is shared by most of them.
std::size_t memory_of(const Sample& sample) {
  return sizeof(Sample) + sample.frame.values.size() * sizeof(std::int64_t) + sample.frame.present.size();
}

}  // namespace

Backlog::Backlog(BacklogOptions options, std::unique_ptr<Spool> spool)
    : options_(options), spool_(std::move(spool)), dropped_count_(spool_->dropped_at_open()) {}

void Backlog::push(std::shared_ptr<const Sample> sample, SteadyTime now) {
  now_ = now;
  recent_bytes_ += memory_of(*sample);
  recent_.push_back({std::move(sample), now});
  while (is_memory_full()) {
    if (move_front_to_disk() || (make_room_on_disk() && move_front_to_disk())) continue;
    drop_front_of_memory();
  }
}

/// The newest frame is always held.
bool Backlog::is_memory_full() const {
  return recent_.size() > 1 &&
         (recent_.size() > options_.memory_frames_max || recent_bytes_ > options_.memory_bytes_max);
}

void Backlog::drop_front_of_memory() {
  const std::size_t index = spool_->size();
  pop_front_of_memory();
  ++dropped_count_;
  if (sent_ > index) {
    --sent_;
  } else if (sent_ == index) {
    next_.reset();
  }
}

void Backlog::pop_front_of_memory() {
  recent_bytes_ -= memory_of(*recent_.front().sample);
  recent_.pop_front();
}

void Backlog::spool_aged(SteadyTime now) {
  now_ = now;
  while (!recent_.empty() && now - recent_.front().since >= options_.spool_after && move_front_to_disk()) {
  }
}

void Backlog::spool_all() {
  while (!recent_.empty() && move_front_to_disk()) {
  }
  spool_->flush();
  std::size_t lost = 0;
  for (std::size_t i = spool_->size(); i < size(); ++i) lost += is_done(key(i)) ? 0 : 1;
  if (lost > 0) log::error("{} frames of telemetry are lost: the disk does not take them", lost);
  dropped_count_ += lost;
  while (!recent_.empty()) pop_front_of_memory();
  sent_ = std::min(sent_, size());
  next_.reset();
}

std::shared_ptr<const Sample> Backlog::next() {
  while (sent_ < size()) {
    if (next_ != nullptr) return next_;
    if (is_done(key(sent_))) {
      ++sent_;
      continue;
    }
    if (sent_ >= spool_->size()) {
      next_ = recent_[sent_ - spool_->size()].sample;
      return next_;
    }
    auto sample = spool_->read(sent_);
    if (sample) {
      failing_since_.reset();
      next_ = std::make_shared<const Sample>(std::move(*sample));
      return next_;
    }
    if (!failing_since_) failing_since_ = now_;
    if (sample.error().code != ErrorCode::kUnavailable || now_ - *failing_since_ >= kReadTimeMax) {
      give_up_unreadable(sample.error());
    }
    return nullptr;
  }
  return nullptr;
}

/// The frame at sent_, and those that build on it.
void Backlog::give_up_unreadable(const Error& error) {
  std::size_t lost = 0;
  const std::size_t end = spool_->next_keyframe(sent_);
  for (std::size_t i = sent_; i < end; ++i) {
    const Spool::Key frame = key(i);
    if (unreadable_.emplace(frame.boot_id, frame.sequence).second) ++lost;
  }
  if (losses_.is_due("")) log::error("{} spooled frames are lost: {}", lost, error.message);
  dropped_count_ += lost;
  failing_since_.reset();
  pop_done();
}

void Backlog::advance() {
  ++sent_;
  next_.reset();
}

void Backlog::rewind() {
  sent_ = 0;
  next_.reset();
}

bool Backlog::acknowledge(std::uint64_t boot_id, std::uint64_t sequence) {
  if (size() == 0) return false;
  std::uint64_t& newest = acknowledged_[boot_id];
  if (sequence <= newest) return false;
  newest = sequence;
  if (next_ != nullptr && is_done(key(sent_))) next_.reset();
  pop_done();
  return true;
}

Spool::Key Backlog::key(std::size_t index) const {
  if (index < spool_->size()) return spool_->key(index);
  const Frame& frame = recent_[index - spool_->size()].sample->frame;
  return {frame.boot_id, frame.sequence};
}

bool Backlog::is_done(const Spool::Key& key) const {
  const auto entry = acknowledged_.find(key.boot_id);
  if (entry != acknowledged_.end() && key.sequence <= entry->second) return true;
  return unreadable_.contains({key.boot_id, key.sequence});
}

bool Backlog::move_front_to_disk() {
  auto dropped = spool_->append(*recent_.front().sample);
  if (!dropped) {
    if (!disk_failed_) log::error("telemetry is not spooled: {}", dropped.error().message);
    disk_failed_ = true;
    disk_is_full_ = dropped.error().code == ErrorCode::kUnavailable;
    return false;
  }
  if (disk_failed_) log::info("telemetry is spooled again");
  disk_failed_ = disk_is_full_ = gave_up_segment_ = false;
  pop_front_of_memory();
  dropped_count_ += *dropped;
  removed_from_front(*dropped);
  return true;
}

/// What lies on disk is older than what memory would have to give up. If some of it went and the disk is full all the
/// same, the room goes elsewhere, and the rest of it stays.
bool Backlog::make_room_on_disk() {
  if (!disk_is_full_ || gave_up_segment_) return false;
  const std::size_t dropped = spool_->drop_oldest_segment();
  gave_up_segment_ = dropped > 0;
  dropped_count_ += dropped;
  removed_from_front(dropped);
  return dropped > 0;
}

void Backlog::pop_done() {
  std::size_t popped = 0;
  while (spool_->size() > 0 && is_done(spool_->key(0))) {
    spool_->pop_front();
    ++popped;
  }
  while (spool_->size() == 0 && !recent_.empty() && is_done(key(0))) {
    pop_front_of_memory();
    ++popped;
  }
  removed_from_front(popped);
  if (size() == 0) {
    acknowledged_.clear();
    unreadable_.clear();
  }
}

void Backlog::removed_from_front(std::size_t count) {
  if (count > sent_) next_.reset();
  sent_ -= std::min(sent_, count);
}

}  // namespace proteus::publish
