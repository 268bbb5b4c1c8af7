#pragma once

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "controller/store/rocks_store.h"
#include "tests/controller/store/series_feed.h"
#include "tests/temporary_directory.h"

namespace proteus::store {

/// Of the nth VM.
inline std::string uuid(int n) {
  return fmt::format("00000000-0000-4000-8000-{:012}", n);
}

inline constexpr Timestamp kFullHour = from_unix_ns(1'700'006'400'000'000'000);  // 2023-11-15 00:00:00

/// One store for all tests of a suite, which fills it before the first of them.
class SharedStore : public testing::Test {
 protected:
  static void open() {
    directory_ = std::make_unique<TemporaryDirectory>();
    auto opened = RocksStore::open({.directory = *directory_ / "store"});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  /// A tick each second from kFullHour on; values: of tick i.
  static void append(SeriesFeed& feed, int ticks,
                     const std::function<std::vector<std::optional<std::int64_t>>(int i)>& values) {
    std::vector<RawMessage> messages;
    for (int i = 0; i < ticks; ++i) {
      for (RawMessage& message : feed.tick(kFullHour + std::chrono::seconds(i), values(i))) {
        messages.push_back(std::move(message));
      }
    }
    ASSERT_TRUE(store_->append(messages));
  }
  static void TearDownTestSuite() {
    store_.reset();
    directory_.reset();
  }

  inline static std::unique_ptr<TemporaryDirectory> directory_;
  inline static std::unique_ptr<RocksStore> store_;
};

}  // namespace proteus::store
