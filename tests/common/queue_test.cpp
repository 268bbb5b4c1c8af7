#include "common/queue.h"

#include <gtest/gtest.h>

#include <thread>

namespace proteus {
namespace {

TEST(Queue, GivesItemsInOrder) {
  Queue<int> queue(4, WhenFull::kRefuse);
  EXPECT_TRUE(queue.push(1));
  EXPECT_TRUE(queue.push(2));
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.try_pop(), std::nullopt);
}

TEST(Queue, DropsTheOldestAndCountsIt) {
  Queue<int> queue(2, WhenFull::kDropOldest);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(queue.push(i));
  EXPECT_EQ(queue.dropped_count(), 3u);
  EXPECT_EQ(queue.pop(), 3);
  EXPECT_EQ(queue.pop(), 4);
}

TEST(Queue, RefusesWhenFullIfToldTo) {
  Queue<int> queue(1, WhenFull::kRefuse);
  EXPECT_TRUE(queue.push(1));
  EXPECT_FALSE(queue.push(2));
  EXPECT_EQ(queue.dropped_count(), 0u);
  EXPECT_EQ(queue.pop(), 1);
}

TEST(Queue, WakesItsConsumerOnClose) {
  Queue<int> queue(1, WhenFull::kRefuse);
  std::thread consumer([&] { EXPECT_EQ(queue.pop(), std::nullopt); });
  queue.close();
  consumer.join();
  EXPECT_FALSE(queue.push(1));
}

TEST(Queue, WhatIsHeldAtCloseCanStillBeTaken) {
  Queue<int> queue(2, WhenFull::kRefuse);
  int wakes = 0;
  queue.on_push([&] { ++wakes; });
  EXPECT_TRUE(queue.push(7));
  queue.close();
  EXPECT_EQ(queue.pop(), 7);
  EXPECT_EQ(queue.pop(), std::nullopt);
  EXPECT_EQ(wakes, 2);
}

}  // namespace
}  // namespace proteus
