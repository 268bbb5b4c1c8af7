#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "controller/store/rocks_store.h"
#include "controller/store/series_reader.h"
#include "controller/store/store.h"
#include "tests/temporary_directory.h"

extern char** environ;

namespace proteus::store {
namespace {

/// A store_writer in a process of its own, with its standard output at hand.
class Writer {
 public:
  Writer(const std::string& directory, int batch, const std::string& path_of_program = PROTEUS_STORE_WRITER) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    std::string program = path_of_program;
    std::string path = directory;
    std::string size = std::to_string(batch);
    char* arguments[] = {program.data(), path.data(), size.data(), nullptr};
    EXPECT_EQ(posix_spawn(&process_, program.c_str(), &actions, nullptr, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    output_ = fdopen(ends[0], "r");
  }
  ~Writer() {
    kill_now();
    fclose(output_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// The next line that it told, waiting for it; empty when it has ended.
  std::string line() {
    char* text = nullptr;
    std::size_t capacity = 0;
    const ssize_t length = getline(&text, &capacity, output_);
    std::string result(text ? text : "", length > 0 ? static_cast<std::size_t>(length) : 0);
    free(text);
    return result.ends_with('\n') ? result : "";
  }
  void kill_now() {
    if (process_ == 0) return;
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    process_ = 0;
  }

 private:
  pid_t process_ = 0;
  FILE* output_ = nullptr;
};

/// How often a writer is killed: PROTEUS_CRASH_ROUNDS, for long runs, or what an ordinary run affords.
int rounds_or(int usual) {
  const char* asked = std::getenv("PROTEUS_CRASH_ROUNDS");
  return asked != nullptr ? std::atoi(asked) : usual;
}

TEST(StoreCrash, WhatWasAcknowledgedIsThereAndNumbersOnlyGrow) {
  const TemporaryDirectory directory;
  std::mt19937_64 random(11);
  std::map<std::uint64_t, std::string> acknowledged;  // lsn -> "raw SEQUENCE" or "journal NUMBER"
  for (int round = 0; round < rounds_or(6); ++round) {
    const std::uint64_t highest_before = acknowledged.empty() ? 0 : acknowledged.rbegin()->first;
    Writer writer(directory.path(), 1 + static_cast<int>(random() % 40));
    std::uint64_t wanted = 1 + random() % 400;
    bool killed = false;
    for (std::string line = writer.line(); !line.empty(); line = writer.line()) {
      std::istringstream words(line);
      std::string kind;
      std::uint64_t lsn = 0;
      std::string number;
      ASSERT_TRUE(words >> kind >> lsn >> number) << line;
      ASSERT_NE(kind, "error") << line;
      EXPECT_GT(lsn, highest_before) << line;
      EXPECT_TRUE(acknowledged.emplace(lsn, kind + " " + number).second) << "number given twice: " << line;
      if (!killed && --wanted == 0) {
        writer.kill_now();  // in the midst of whatever it does; what is in the pipe was acknowledged
        killed = true;
      }
    }
    ASSERT_TRUE(killed);

    const auto store = Store::open({.directory = directory.path()});
    ASSERT_TRUE(store) << store.error().message;
    std::map<std::uint64_t, std::string> found;
    std::uint64_t previous = 0;
    const auto note = [&](std::uint64_t lsn, std::string what) {
      EXPECT_GT(lsn, previous);
      previous = lsn;
      found[lsn] = std::move(what);
      return true;
    };
    ASSERT_TRUE((*store)->scan(Timestamp::min(), Timestamp::max(),
                               {.raw =
                                    [&](const RawMessage& m) {
                                      EXPECT_EQ(m.bytes, "frame " + std::to_string(m.sequence));
                                      return note(m.lsn, "raw " + std::to_string(m.sequence));
                                    },
                                .journal =
                                    [&](const JournalEntry& e) {
                                      return note(e.lsn,
                                                  "journal " + std::to_string(std::get<Cycle>(e.payload).number));
                                    }}));
    for (const auto& [lsn, what] : acknowledged) EXPECT_EQ(found[lsn], what) << "round " << round << ", lsn " << lsn;
    // At most the batch that was being written is there without having been acknowledged; its numbers are spent too.
    acknowledged = found;
  }
  EXPECT_GT(acknowledged.size(), 100u);
}

TEST(StoreCrash, NoAcknowledgedSampleIsLostOrDoubledInPages) {
  const TemporaryDirectory directory;
  std::mt19937_64 random(12);
  for (int round = 0; round < rounds_or(12); ++round) {
    // Batches of different sizes, so that it is killed in the midst of sealing, joining and rolling up as well.
    Writer writer(directory.path(), 1 + static_cast<int>(random() % 300), PROTEUS_SERIES_WRITER);
    std::uint64_t acknowledged = 0;
    std::uint64_t wanted = 1 + random() % 60;
    bool killed = false;
    for (std::string line = writer.line(); !line.empty(); line = writer.line()) {
      ASSERT_FALSE(line.starts_with("error")) << line;
      acknowledged = std::stoull(line);
      if (!killed && --wanted == 0) {
        writer.kill_now();
        killed = true;
      }
    }
    ASSERT_TRUE(killed);

    const auto store = RocksStore::open({.directory = directory.path()});
    ASSERT_TRUE(store) << store.error().message;
    ASSERT_TRUE((*store)->write_pages());
    std::vector<std::int64_t> values;
    SeriesSelector selector;
    selector.kpi = Kpi::kEmulatorTimeNs;
    const Status read = (*store)->series()->read_samples(selector, 0, std::int64_t{1} << 60,
                                                         [&](const SeriesReader::HostSamples& host) {
                                                           for (const auto& [key, series] : host.series) {
                                                             for (std::size_t i = 0; i < series.values.size(); ++i) {
                                                               EXPECT_EQ(series.times_us[i], series.values[i] * 1000);
                                                               values.push_back(series.values[i]);
                                                             }
                                                           }
                                                           return true;
                                                         });
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_GE(values.size(), acknowledged) << "round " << round;
    for (std::size_t i = 0; i < values.size(); ++i) {
      ASSERT_EQ(values[i], static_cast<std::int64_t>(i + 1) * 1000) << "round " << round;
    }
  }
}

TEST(StoreCrash, ASecondProcessIsRefusedInOneSentence) {
  const TemporaryDirectory directory;
  Writer writer(directory.path(), 1);
  ASSERT_FALSE(writer.line().empty());
  const auto second = Store::open({.directory = directory.path()});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(second.error().message,
            "store " + directory.path() + " is held by another controller; stop that one first");

  StoreOptions beside{.directory = directory.path()};
  beside.read_only = true;
  const auto reader = Store::open(beside);
  ASSERT_TRUE(reader) << reader.error().message;
  EXPECT_GE((*reader)->last_sequence(HostId("h1"), 1)->value_or(0), 1u);

  writer.kill_now();
  EXPECT_TRUE(Store::open({.directory = directory.path()}));
}

}  // namespace
}  // namespace proteus::store
