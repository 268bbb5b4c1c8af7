#include "agent/collect/id_table.h"

#include <gtest/gtest.h>

namespace proteus::collect {
namespace {

TEST(IdTableTest, FindsWhatWasSetAndNothingElse) {
  IdTable<int> table;
  EXPECT_EQ(table.find(0), nullptr);
  table.at(4'194'303) = 7;
  table.at(1) = 5;
  ASSERT_NE(table.find(4'194'303), nullptr);
  EXPECT_EQ(*table.find(4'194'303), 7);
  EXPECT_EQ(*table.find(1), 5);
  EXPECT_EQ(*table.find(2), 0) << "a neighbour that was not set";
  EXPECT_EQ(table.find(100'000), nullptr);
  EXPECT_EQ(table.find(4'294'967'295u), nullptr);
}

TEST(IdTableTest, GivesBackBlocksThatHoldNothing) {
  IdTable<int> table;
  table.at(1) = 5;
  table.at(2) = 6;
  table.at(1'000) = 5;
  table.clear_if([](int value) { return value == 5; });
  ASSERT_NE(table.find(1), nullptr);
  EXPECT_EQ(*table.find(1), 0);
  EXPECT_EQ(*table.find(2), 6);
  EXPECT_EQ(table.find(1'000), nullptr);
}

}  // namespace
}  // namespace proteus::collect
