#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "controller/store/store.h"

namespace proteus::fakes {

/// A store whose disk has no room for the journal while `full` is set, and gives back nothing while `stuck` is; else as
/// the one that it stands before.
class FullJournal final : public store::Store {
 public:
  explicit FullJournal(std::unique_ptr<store::Store> store) : store_(std::move(store)) {}

  std::atomic<bool> full = false;
  std::atomic<bool> stuck = false;    ///< scan_lsn() waits until it is not
  std::atomic<bool> damaged = false;  ///< telemetry: scan() and scan_lsn() of it end so, behind what they give out

  Status append(std::vector<store::RawMessage>& messages) override { return store_->append(messages); }
  Status append(std::vector<store::JournalEntry>& entries) override {
    return full ? Status(kFull) : store_->append(entries);
  }
  Result<std::optional<std::uint64_t>> last_sequence(const HostId& host, std::uint64_t boot_id) const override {
    return store_->last_sequence(host, boot_id);
  }
  Result<std::map<HostId, Timestamp>> last_heard() const override { return store_->last_heard(); }
  Status scan(Timestamp from, Timestamp to, const Visitor& visitor) const override {
    const Status scanned = store_->scan(from, to, visitor);
    return scanned && damaged && visitor.raw ? Status(kDamaged) : scanned;
  }
  Status scan_lsn(std::uint64_t from_lsn, std::uint64_t to_lsn, const Visitor& visitor) const override {
    while (stuck) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const Status scanned = store_->scan_lsn(from_lsn, to_lsn, visitor);
    return scanned && damaged && visitor.raw ? Status(kDamaged) : scanned;
  }
  Status visit_journal_tail(std::size_t limit, const JournalVisitor& visit) const override {
    return store_->visit_journal_tail(limit, visit);
  }
  Result<std::optional<store::JournalEntry>> journal_entry(std::uint64_t lsn) const override {
    return store_->journal_entry(lsn);
  }
  Result<std::optional<store::JournalEntry>> last_started(Timestamp at) const override {
    return store_->last_started(at);
  }
  Result<std::optional<store::JournalEntry>> first_started() const override { return store_->first_started(); }
  Result<std::vector<drs::ActionRecord>> open_actions() const override { return store_->open_actions(); }
  Result<std::optional<std::string>> get_meta(const std::string& key) const override { return store_->get_meta(key); }
  Status put_meta(const std::string& key, const std::string& value) override {
    return full ? Status(kFull) : store_->put_meta(key, value);
  }
  Status put_models(const std::vector<std::pair<std::string, std::string>>& models) override {
    return full ? Status(kFull) : store_->put_models(models);
  }
  Status visit_models(const std::string& prefix, const ModelVisitor& visit) const override {
    return store_->visit_models(prefix, visit);
  }
  Status erase_models(const std::vector<std::string>& keys) override { return store_->erase_models(keys); }
  Status expire(Timestamp now) override { return store_->expire(now); }
  Figures figures() const override { return store_->figures(); }
  const store::SeriesReader* series() const override { return store_->series(); }

 private:
  inline static const Error kDamaged{ErrorCode::kCorrupt, "a block does not check"};
  inline static const Error kFull{ErrorCode::kUnavailable, "no room"};
  std::unique_ptr<store::Store> store_;
};

}  // namespace proteus::fakes
