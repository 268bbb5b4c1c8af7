#include "agent/act/leader.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace proteus::act {
namespace {

using std::chrono::seconds;

Timestamp at(std::int64_t s) {
  return Timestamp{} + seconds(s);
}

TEST(Leader, FollowsTheFirstControllerThatSpeaks) {
  Leader leader({}, seconds(5), at(0));
  EXPECT_FALSE(leader.alive(at(0)));
  EXPECT_TRUE(leader.hear("a", 1, at(0)));
  EXPECT_EQ(leader.followed(), (Leader::Followed{"a", 1}));
  EXPECT_TRUE(leader.alive(at(4)));
  EXPECT_FALSE(leader.alive(at(5)));
}

TEST(Leader, RefusesAnOlderTermForEver) {
  Leader leader({}, seconds(5), at(0));
  ASSERT_TRUE(leader.hear("a", 7, at(0)));
  EXPECT_FALSE(leader.hear("a", 6, at(1)));
  EXPECT_FALSE(leader.hear("b", 6, at(1000)));
  EXPECT_EQ(leader.followed().term, 7U);
}

TEST(Leader, RefusesAnotherControllerWhileTheLeaderLives) {
  Leader leader({}, seconds(5), at(0));
  ASSERT_TRUE(leader.hear("a", 1, at(0)));
  const Status other = leader.hear("b", 2, at(4));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().code, ErrorCode::kPermissionDenied);
  EXPECT_NE(other.error().message.find("'a'"), std::string::npos);
  ASSERT_TRUE(leader.hear("a", 1, at(4)));
  EXPECT_FALSE(leader.hear("b", 2, at(8)));
  EXPECT_TRUE(leader.hear("b", 2, at(9)));
  EXPECT_FALSE(leader.hear("a", 1, at(9)));
}

TEST(Leader, ARefusedControllerDoesNotProlongTheLease) {
  Leader leader({}, seconds(5), at(0));
  ASSERT_TRUE(leader.hear("a", 1, at(0)));
  EXPECT_FALSE(leader.hear("b", 1, at(4)));
  EXPECT_TRUE(leader.hear("b", 1, at(5)));
}

TEST(Leader, ANewTermOfTheSameControllerIsFollowedAtOnce) {
  Leader leader({}, seconds(5), at(0));
  ASSERT_TRUE(leader.hear("a", 1, at(0)));
  EXPECT_TRUE(leader.hear("a", 2, at(1)));
  EXPECT_FALSE(leader.hear("a", 1, at(2)));
}

TEST(Leader, ANamelessControllerIsNotFollowed) {
  Leader leader({}, seconds(5), at(0));
  EXPECT_FALSE(leader.hear("", 1, at(0)));
}

TEST(Leader, ARestartIsNotAWayPastALiveLeader) {
  const auto directory = std::filesystem::path(testing::TempDir()) / "leader_restart";
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  const auto fresh = load_followed(directory);
  ASSERT_TRUE(fresh);
  EXPECT_EQ(*fresh, Leader::Followed{});

  ASSERT_TRUE(store_followed(directory, {"a", 18446744073709551615U}));
  const auto loaded = load_followed(directory);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(*loaded, (Leader::Followed{"a", 18446744073709551615U}));
  Leader leader(*loaded, seconds(5), at(100));
  EXPECT_FALSE(leader.hear("b", 18446744073709551615U, at(104)));
  EXPECT_FALSE(leader.hear("b", 3, at(200)));
  EXPECT_TRUE(leader.hear("b", 18446744073709551615U, at(200)));
}

TEST(Leader, ADamagedFileIsNotAFreshHost) {
  const auto directory = std::filesystem::path(testing::TempDir()) / "leader_damaged";
  std::filesystem::create_directories(directory);
  for (const char* content : {"", "7", "7\n", "seven\na\n", "7x\na\n"}) {
    std::ofstream(directory / "leader") << content;
    const auto loaded = load_followed(directory);
    ASSERT_FALSE(loaded) << content;
    EXPECT_EQ(loaded.error().code, ErrorCode::kCorrupt);
  }
}

}  // namespace
}  // namespace proteus::act
