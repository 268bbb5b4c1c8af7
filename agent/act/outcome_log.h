#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "common/command.h"
#include "common/result.h"
#include "common/units.h"

namespace proteus::act {

/// What this agent has begun and how it ended, by command id, so that a command is executed once however often it comes
/// and however often the agent restarts.
///
/// File `directory`/outcomes:
///   8 bytes  "PRTSACT1"
///   records, each:
///     4 bytes  length of payload, little endian
///     4 bytes  XXH32 of payload, little endian
///     payload: 1 byte kind, then
///       'C'  FromController.command, as on the wire  begun; synced before the work starts
///       'U'  FromAgent.update, as on the wire        final update; synced before it is sent
///       'A'  8 bytes command id, little endian       the controller has the final update; not synced: at worst it
///                                                    is sent again
/// A torn or damaged tail, as a crash leaves it, is cut off when the file is opened; damage before the last synced
/// record cannot be told from a tail, so everything behind it is forgotten too (and said so in the log). The file is
/// bounded: past `bytes_max` it is rewritten without the entries that are final, acknowledged and past their deadline,
/// oldest first. A forgotten id is refused if it comes again, because its deadline has passed. Thread: owned by one.
class OutcomeLog {
 public:
  struct Entry {
    Command command;
    std::uint64_t order = 0;  ///< grows with each begun command
    std::optional<Update> final_update;
    bool acknowledged = false;
  };
  struct Options {
    std::size_t bytes_max = 4 << 20;
    std::size_t settled_entries_kept = 1000;  ///< newest ones, when rewriting
  };

  /// Errors: kUnavailable (file system), kCorrupt (not a file of this kind).
  static Result<std::unique_ptr<OutcomeLog>> open(const std::string& directory, Options options);
  ~OutcomeLog();
  OutcomeLog(const OutcomeLog&) = delete;
  OutcomeLog& operator=(const OutcomeLog&) = delete;

  /// The three record kinds. Errors: kUnavailable; the command is then to be refused (begin) or kept (finish).
  Status begin(const Command& command, Timestamp now);
  Status finish(const Update& update, Timestamp now);
  Status acknowledge(std::uint64_t command, Timestamp now);

  /// nullptr if the id was never begun, or forgotten.
  const Entry* find(std::uint64_t command) const;
  const std::map<std::uint64_t, Entry>& entries() const { return entries_; }

 private:
  OutcomeLog(std::string path, int descriptor, Options options)
      : path_(std::move(path)), descriptor_(descriptor), options_(options) {}
  Status append(char kind, const std::string& bytes, bool sync, Timestamp now);
  Status rewrite(Timestamp now);
  /// Takes in the records that are whole. Returns: how many bytes they are.
  std::size_t load(const std::string& content);
  bool take_in(char kind, std::string_view bytes);

  const std::string path_;
  int descriptor_;
  const Options options_;
  std::size_t bytes_ = 0;
  std::size_t bytes_after_rewrite_ = 0;
  std::uint64_t next_order_ = 1;
  std::map<std::uint64_t, Entry> entries_;
};

}  // namespace proteus::act
