#include "agent/act/reservations.h"

#include <gtest/gtest.h>

namespace proteus::act {
namespace {

Timestamp at(std::int64_t s) {
  return Timestamp{} + std::chrono::seconds(s);
}

LocalLimits limits_with_reserve(std::int64_t reserve_bytes) {
  LocalLimits limits;
  limits.host_memory_reserve_bytes = reserve_bytes;
  limits.reservation_lifetime = std::chrono::seconds(100);
  return limits;
}

TEST(Reservations, TheSumStaysWithinWhatIsFree) {
  Reservations reservations(limits_with_reserve(100));
  EXPECT_TRUE(reservations.reserve(1, {400, 0}, 1000, at(1000), at(0)));
  EXPECT_TRUE(reservations.reserve(2, {500, 0}, 1000, at(1000), at(0)));
  const Status third = reservations.reserve(3, {1, 0}, 1000, at(1000), at(0));
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(reservations.memory_bytes(), 900);
  reservations.release(1);
  EXPECT_TRUE(reservations.reserve(3, {400, 0}, 1000, at(1000), at(0)));
}

TEST(Reservations, ARepeatReplacesItsOwnFigures) {
  Reservations reservations(limits_with_reserve(0));
  EXPECT_TRUE(reservations.reserve(1, {800, 10}, 1000, at(1000), at(0)));
  EXPECT_TRUE(reservations.reserve(1, {1000, 20}, 1000, at(1000), at(0)));
  EXPECT_EQ(reservations.count(), 1U);
  EXPECT_EQ(reservations.memory_bytes(), 1000);
  EXPECT_EQ(reservations.cpu_millicores(), 20);
}

TEST(Reservations, ARefusedRepeatKeepsWhatWasHeld) {
  Reservations reservations(limits_with_reserve(0));
  EXPECT_TRUE(reservations.reserve(1, {800, 0}, 1000, at(1000), at(0)));
  EXPECT_FALSE(reservations.reserve(1, {1001, 0}, 1000, at(1000), at(0)));
  EXPECT_EQ(reservations.memory_bytes(), 800);
}

TEST(Reservations, ConfiguredSumsAreHard) {
  LocalLimits limits = limits_with_reserve(0);
  limits.incoming_cpu_millicores_max = 3000;
  limits.incoming_memory_bytes_max = 500;
  Reservations reservations(limits);
  EXPECT_TRUE(reservations.reserve(1, {300, 2000}, 10000, at(1000), at(0)));
  const Status cpu = reservations.reserve(2, {0, 1001}, 10000, at(1000), at(0));
  ASSERT_FALSE(cpu);
  EXPECT_EQ(cpu.error().code, ErrorCode::kPermissionDenied);
  const Status memory = reservations.reserve(2, {201, 0}, 10000, at(1000), at(0));
  ASSERT_FALSE(memory);
  EXPECT_EQ(memory.error().code, ErrorCode::kPermissionDenied);
  EXPECT_TRUE(reservations.reserve(2, {200, 1000}, 10000, at(1000), at(0)));
}

TEST(Reservations, OldOnesEndByThemselvesAlsoAcrossARestart) {
  Reservations reservations(limits_with_reserve(0));
  reservations.restore(1, {600, 0}, at(1000), at(0));
  EXPECT_FALSE(reservations.reserve(2, {600, 0}, 1000, at(1000), at(99)));
  EXPECT_TRUE(reservations.reserve(2, {600, 0}, 1000, at(1000), at(100)));
  EXPECT_EQ(reservations.count(), 1U);
}

TEST(Reservations, TheCommandsDeadlineEndsAReservationToo) {
  Reservations reservations(limits_with_reserve(0));
  EXPECT_TRUE(reservations.reserve(1, {600, 0}, 1000, at(10), at(0)));
  EXPECT_FALSE(reservations.reserve(2, {600, 0}, 1000, at(50), at(9)));
  EXPECT_TRUE(reservations.reserve(2, {600, 0}, 1000, at(50), at(10)));
}

}  // namespace
}  // namespace proteus::act
