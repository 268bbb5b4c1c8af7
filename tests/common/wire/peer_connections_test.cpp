#include "common/wire/peer_connections.h"

#include <gtest/gtest.h>

namespace proteus::wire {
namespace {

using std::chrono::milliseconds;

/// Connections stand by address, once they are admitted.
class Peers : public testing::Test {
 protected:
  bool admit(const std::string& key, const std::string& address) {
    const bool admitted = connections_.admit(key, address, now_);
    if (admitted) ++counts_[address];
    return admitted;
  }
  int admitted(const std::string& key, const std::string& address, int attempts) {
    int count = 0;
    for (int i = 0; i < attempts; ++i, now_ += milliseconds(100)) count += admit(key, address) ? 1 : 0;
    return count;
  }

  std::map<std::string, std::size_t> counts_;
  std::chrono::steady_clock::time_point now_{};
  PeerConnections connections_{4, [this] { return counts_; }};
};

TEST_F(Peers, AKeyHasSoManyConnectionsAndNoMore) {
  EXPECT_EQ(admitted("k1", "a", 100), 4);
  counts_["a"] = 2;  // two have ended
  now_ += milliseconds(1000);
  EXPECT_EQ(admitted("k1", "a", 100), 2);
}

TEST_F(Peers, FromSeveralAddressesTheyAreCountedTogether) {
  EXPECT_EQ(admitted("k1", "a", 3), 3);
  EXPECT_EQ(admitted("k1", "b", 100), 1);
  EXPECT_EQ(admitted("k2", "c", 3), 3) << "another key has its own";
}

TEST_F(Peers, KeysThatShareAnAddressDoNotTakeEachOthersPlaces) {
  EXPECT_EQ(admitted("k1", "a", 4), 4);
  EXPECT_EQ(admitted("k2", "a", 100), 4);
  EXPECT_EQ(admitted("k1", "a", 10), 0);
  counts_["a"] -= 4;  // of either: who knows
  now_ += milliseconds(1000);
  EXPECT_GE(admitted("k1", "a", 10), 1);
}

TEST_F(Peers, AKeyThatComesAndGoesIsLetInOnceASecond) {
  int count = 0;
  for (int i = 0; i < 10'000; ++i, now_ += milliseconds(100)) {
    count += admit("k1", "a") ? 1 : 0;
    counts_.clear();  // it goes at once
  }
  EXPECT_NEAR(count, PeerConnections::kAdmissionsAtOnce + 1000, 2);
  EXPECT_TRUE(admit("k2", "a")) << "others are not kept out";
}

TEST_F(Peers, ManyHostsBehindOneAddressComeBackAtOnce) {
  counts_["a"] = 1000;  // all are there, and none has been asked about
  for (int host = 0; host < 500; ++host) {
    for (int i = 0; i < 2; ++i) ASSERT_TRUE(connections_.admit("k" + std::to_string(host), "a", now_)) << host;
  }
}

TEST_F(Peers, ConnectionsWithoutAKeyKeepNobodyOut) {
  counts_["a"] = 10'000;
  EXPECT_EQ(admitted("k1", "a", 2), 2);
}

TEST_F(Peers, OnesThatDoNotShowWhenTheyAreCountedAreMissedForASecondOnly) {
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(connections_.admit("k1", "a", now_));
  now_ += milliseconds(1000);
  EXPECT_TRUE(connections_.admit("k1", "a", now_));
  counts_["a"] = 5;  // now they all do
  now_ += milliseconds(1000);
  EXPECT_FALSE(connections_.admit("k1", "a", now_));
}

TEST_F(Peers, OneThatComesAndGoesIsLetInEachTime) {
  for (int host = 0; host < 10; ++host) ASSERT_EQ(admitted("k" + std::to_string(host), "a", 2), 2);
  for (int i = 0; i < 100; ++i, now_ += milliseconds(1000)) {
    ASSERT_TRUE(admit("k0", "a")) << i;
    --counts_["a"];  // the one before has ended
  }
}

}  // namespace
}  // namespace proteus::wire
