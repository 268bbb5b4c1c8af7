#include "agent/collect/damon.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "agent/collect/text_file.h"
#include "tests/agent/collect/damon_sysfs.h"

namespace proteus::collect {
namespace {

using namespace std::chrono_literals;

const std::string kMonitors = kDamonMonitors;
const std::string kContext = kMonitors + "/0/contexts/0";

std::string content(const FixtureRoot& root, const std::string& file) {
  return read_file(root.path() + file).value_or("(none)");
}

TEST(Damon, SaysWhyItCannot) {
  const FixtureRoot root;
  EXPECT_NE(Damon::open(root.path()).error().message.find("no DAMON"), std::string::npos);
  make_damon_sysfs(root, "fvaddr\npaddr\n");
  EXPECT_NE(Damon::open(root.path()).error().message.find("physical memory"), std::string::npos);
  EXPECT_EQ(content(root, kMonitors + "/nr_kdamonds")[0], '0') << "given back";
  root.write(kMonitors + "/nr_kdamonds", "2\n");
  EXPECT_EQ(Damon::open(root.path()).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(content(root, kMonitors + "/nr_kdamonds"), "2\n") << "another's is left alone";
}

TEST(Damon, GuestsTakeTurnsAndResultsAge) {
  const FixtureRoot root;
  make_damon_sysfs(root, "vaddr\npaddr\n");
  const VmId a("a"), b("b");
  const std::map<VmId, pid_t> guests{{a, 70}, {b, 80}};
  Damon::SteadyTime now{1h};
  {
    auto opened = Damon::open(root.path());
    ASSERT_TRUE(opened) << opened.error().message;
    Damon damon = std::move(opened).value();
    damon.update(guests, now);
    EXPECT_EQ(content(root, kContext + "/targets/0/pid_target").substr(0, 2), "70");
    EXPECT_EQ(damon.working_set_bytes(a, now), std::nullopt);
    damon.update(guests, now += 5s);
    EXPECT_EQ(content(root, kContext + "/targets/0/pid_target").substr(0, 2), "70") << "its time is not over";
    damon.update(guests, now += 5s);
    EXPECT_EQ(damon.working_set_bytes(a, now), 4096);
    EXPECT_EQ(content(root, kContext + "/targets/0/pid_target").substr(0, 2), "80");
    damon.update({{a, 70}}, now += 1s);
    EXPECT_EQ(content(root, kContext + "/targets/0/pid_target").substr(0, 2), "70") << "the other has ended";
    EXPECT_EQ(damon.working_set_bytes(b, now), std::nullopt);
    EXPECT_EQ(damon.working_set_bytes(a, now + 11min), std::nullopt);
  }
  EXPECT_EQ(content(root, kMonitors + "/nr_kdamonds")[0], '0');
}

TEST(Damon, SaysWhenTheKernelWatchesNothingForIt) {
  const FixtureRoot root;
  make_damon_sysfs(root, "vaddr\n");
  auto damon = Damon::open(root.path());
  ASSERT_TRUE(damon) << damon.error().message;
  const std::map<VmId, pid_t> guests{{VmId("a"), 70}};
  Damon::SteadyTime now{1h};
  root.remove(kMonitors + "/0/state");
  for (int tick = 0; tick < 29; ++tick) damon->update(guests, now += 1s);
  EXPECT_TRUE(damon->works()) << "processes may just have ended";
  damon->update(guests, now += 1s);
  EXPECT_FALSE(damon->works());
  root.write(kMonitors + "/0/state", "off\n");
  damon->update(guests, now += 1s);
  EXPECT_TRUE(damon->works());
}

TEST(Damon, WhatAKilledAgentHasLeftIsTakenOver) {
  const FixtureRoot root;
  make_damon_sysfs(root, "vaddr\npaddr\n");
  const std::map<VmId, pid_t> guests{{VmId("a"), 70}};
  auto running = Damon::open(root.path());
  ASSERT_TRUE(running) << running.error().message;
  running->update(guests, Damon::SteadyTime{1h});
  EXPECT_EQ(Damon::open(root.path()).error().message, "another agent uses DAMON");
  EXPECT_EQ(content(root, kMonitors + "/nr_kdamonds")[0], '1') << "and goes on to";

  // A process that ends without a destructor leaves everything as it is but the lock.
  const FixtureRoot left;
  make_damon_sysfs(left, "vaddr\npaddr\n");
  left.write(kMonitors + "/0/state", "on\n");
  for (const char* file : {"/nr_kdamonds", "/0/contexts/nr_contexts"}) {
    left.write(kMonitors + file, content(root, kMonitors + file));
  }
  for (const char* file :
       {"/operations", "/monitoring_attrs/intervals/sample_us", "/monitoring_attrs/intervals/aggr_us",
        "/monitoring_attrs/intervals/update_us", "/monitoring_attrs/nr_regions/max"}) {
    left.write(kContext + file, content(root, kContext + file));
  }
  const auto operators = Damon::open(left.path());
  ASSERT_FALSE(operators) << "another's scheme";
  EXPECT_NE(operators.error().message.find("state on, pid unknown"), std::string::npos) << operators.error().message;
  left.write(kContext + "/schemes/0/action", content(root, kContext + "/schemes/0/action"));
  {
    auto successor = Damon::open(left.path());
    ASSERT_TRUE(successor) << successor.error().message;
    EXPECT_EQ(content(left, kMonitors + "/0/state").substr(0, 3), "off");
  }
  EXPECT_EQ(content(left, kMonitors + "/nr_kdamonds")[0], '0');
}

TEST(Damon, OnThisKernelItWorksOrSaysWhyNot) {
  auto damon = Damon::open("/");
  if (!damon) {
    EXPECT_FALSE(damon.error().message.empty());
    const auto left = read_file("/sys/kernel/mm/damon/admin/kdamonds/nr_kdamonds");
    if (left && damon.error().code == ErrorCode::kUnsupported) {
      EXPECT_EQ(parse_number(*left), 0) << "a refusal leaves nothing";
    }
    GTEST_SKIP() << damon.error().message;
  }
  Damon::SteadyTime now{1h};
  Damon taken = std::move(damon).value();
  taken.update({{VmId("self"), ::getpid()}}, now);
  taken.update({{VmId("self"), ::getpid()}}, now += 10s);
  EXPECT_TRUE(taken.working_set_bytes(VmId("self"), now));
}

}  // namespace
}  // namespace proteus::collect
