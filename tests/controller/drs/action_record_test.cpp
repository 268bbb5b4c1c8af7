#include "controller/drs/action_record.h"

#include <gtest/gtest.h>

namespace proteus::drs {
namespace {

using enum ActionState;

TEST(ActionRecord, TransitionsThatDoNotFitAreRefused) {
  ActionRecord record;
  record.action.id = 5;
  Transition transition;
  transition.action = 5;
  transition.from = kSent;
  transition.to = kAccepted;
  EXPECT_FALSE(apply(record, transition));
  transition.from = kIntended;
  EXPECT_FALSE(apply(record, transition)) << "the diagram has no such arrow";
  transition.to = kSent;
  transition.command = 9;
  EXPECT_TRUE(apply(record, transition));
  EXPECT_EQ(record.command, 9u);
  EXPECT_EQ(record.transitions.size(), 1u);
}

}  // namespace
}  // namespace proteus::drs
