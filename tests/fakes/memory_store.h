#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "controller/store/store.h"

namespace proteus {

/// A store in memory that outlives the controllers of a test, and can be told to take nothing. Keeps telemetry,
/// journal and meta; scans give telemetry only.
/// Thread: any.
class MemoryStore final : public store::Store {
 public:
  /// While set, append says that the disk is full.
  void set_full(bool full) {
    std::lock_guard lock(mutex_);
    full_ = full;
  }
  /// While set, appends of telemetry do not return, as on a disk that stands still.
  void set_hanging(bool hanging) {
    hanging_ = hanging;
    hanging_.notify_all();
  }
  std::vector<store::RawMessage> raw() const {
    std::lock_guard lock(mutex_);
    return raw_;
  }
  std::size_t frame_count() const {
    std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(raw_.begin(), raw_.end(), [](const auto& message) { return message.sequence != 0; }));
  }

  Status append(std::vector<store::RawMessage>& messages) override {
    hanging_.wait(true);
    std::lock_guard lock(mutex_);
    if (full_) return Error{ErrorCode::kUnavailable, "no space left on device"};
    for (store::RawMessage& message : messages) {
      message.lsn = next_lsn_++;
      raw_.push_back(message);
      std::uint64_t& last = last_[{message.host, message.boot_id}];
      last = std::max(last, message.sequence);
    }
    return {};
  }
  Status append(std::vector<store::JournalEntry>& entries) override {
    std::lock_guard lock(mutex_);
    if (full_) return Error{ErrorCode::kUnavailable, "no space left on device"};
    for (store::JournalEntry& entry : entries) {
      entry.lsn = next_lsn_++;
      journal_.push_back(entry);
    }
    return {};
  }
  Result<std::optional<std::uint64_t>> last_sequence(const HostId& host, std::uint64_t boot_id) const override {
    std::lock_guard lock(mutex_);
    if (full_) return Error{ErrorCode::kUnavailable, "no space left on device"};
    const auto entry = last_.find({host, boot_id});
    if (entry == last_.end() || entry->second == 0) return std::optional<std::uint64_t>();
    return std::optional(entry->second);
  }
  Result<std::map<HostId, Timestamp>> last_heard() const override {
    std::map<HostId, Timestamp> heard;
    for (const store::RawMessage& message : raw()) {
      if (message.sequence != 0) heard[message.host] = std::max(heard[message.host], message.received);
    }
    return heard;
  }
  Status scan(Timestamp from, Timestamp to, const Visitor& visitor) const override {
    if (!visitor.raw) return {};
    for (const store::RawMessage& message : raw()) {
      if (message.received >= from && message.received < to && !visitor.raw(message)) break;
    }
    return {};
  }
  Status scan_lsn(std::uint64_t from_lsn, std::uint64_t to_lsn, const Visitor& visitor) const override {
    if (!visitor.raw) return {};
    for (const store::RawMessage& message : raw()) {
      if (message.lsn >= from_lsn && message.lsn < to_lsn && !visitor.raw(message)) break;
    }
    return {};
  }
  Status visit_journal_tail(std::size_t limit, const JournalVisitor& visit) const override {
    std::vector<store::JournalEntry> tail;
    {
      std::lock_guard lock(mutex_);
      tail.assign(journal_.rbegin(), journal_.rend());
    }
    if (tail.size() > limit) tail.resize(limit);
    for (store::JournalEntry& entry : tail) {
      if (!visit(std::move(entry))) break;
    }
    return {};
  }
  Result<std::optional<store::JournalEntry>> journal_entry(std::uint64_t lsn) const override {
    std::lock_guard lock(mutex_);
    for (const store::JournalEntry& entry : journal_) {
      if (entry.lsn == lsn) return std::optional(entry);
    }
    return std::optional<store::JournalEntry>();
  }
  Result<std::optional<store::JournalEntry>> last_started(Timestamp) const override {
    return std::optional<store::JournalEntry>();
  }
  Result<std::optional<store::JournalEntry>> first_started() const override {
    return std::optional<store::JournalEntry>();
  }
  Result<std::vector<drs::ActionRecord>> open_actions() const override { return std::vector<drs::ActionRecord>(); }
  Result<std::optional<std::string>> get_meta(const std::string& key) const override {
    std::lock_guard lock(mutex_);
    const auto entry = meta_.find(key);
    if (entry == meta_.end()) return std::optional<std::string>();
    return std::optional<std::string>(entry->second);
  }
  Status put_meta(const std::string& key, const std::string& value) override {
    std::lock_guard lock(mutex_);
    meta_[key] = value;
    return {};
  }
  Status put_models(const std::vector<std::pair<std::string, std::string>>& models) override {
    std::lock_guard lock(mutex_);
    for (const auto& [key, value] : models) models_[key] = value;
    return {};
  }
  Status visit_models(const std::string& prefix, const ModelVisitor& visit) const override {
    std::lock_guard lock(mutex_);
    for (const auto& [key, value] : models_) {
      if (key.starts_with(prefix) && !visit(key, value)) break;
    }
    return {};
  }
  Status erase_models(const std::vector<std::string>& keys) override {
    std::lock_guard lock(mutex_);
    for (const std::string& key : keys) models_.erase(key);
    return {};
  }
  Status expire(Timestamp) override { return {}; }
  Figures figures() const override {
    std::lock_guard lock(mutex_);
    return {.raw_messages = raw_.size(),
            .raw_bytes = 0,
            .journal_entries = journal_.size(),
            .disk_bytes = 0,
            .series_problem = {}};
  }

 private:
  std::atomic<bool> hanging_ = false;
  mutable std::mutex mutex_;  // guards all below
  bool full_ = false;
  std::uint64_t next_lsn_ = 1;
  std::vector<store::RawMessage> raw_;
  std::vector<store::JournalEntry> journal_;
  std::map<std::pair<HostId, std::uint64_t>, std::uint64_t> last_;
  std::map<std::string, std::string> meta_;
  std::map<std::string, std::string> models_;
};

}  // namespace proteus
