#include "agent/collect/working_sets.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/agent/collect/damon_sysfs.h"
#include "tests/common/wire/eventually.h"

namespace proteus::collect {
namespace {

using namespace std::chrono_literals;

TEST(WorkingSets, TellsWhatDamonFound) {
  const FixtureRoot root;
  make_damon_sysfs(root, "vaddr\n");
  auto damon = Damon::open(root.path());
  ASSERT_TRUE(damon) << damon.error().message;
  const VmId a("a");
  Damon::SteadyTime now{1h};
  WorkingSets sets(std::move(damon).value());
  ASSERT_TRUE(eventually([&] {
    sets.update({{a, 70}}, now += 1s);
    return sets.working_set_bytes(a, now) == 4096;
  }));
  EXPECT_TRUE(sets.works(now));
  EXPECT_EQ(sets.working_set_bytes(a, now + 31s), std::nullopt) << "nobody answers any more";
  EXPECT_FALSE(sets.works(now + 31s));
  // Ticks may be long: what is read is the answer to the tick before.
  sets.update({{a, 70}}, now += 60s);
  ASSERT_TRUE(eventually([&] { return sets.works(now + 30s); }));
  EXPECT_EQ(sets.working_set_bytes(a, now + 50s), 4096);
  EXPECT_TRUE(sets.works(now + 50s));
  EXPECT_FALSE(sets.works(now + 150s));
  EXPECT_TRUE(eventually([&] {
    sets.update({}, now += 1s);
    return !sets.working_set_bytes(a, now);
  }));
}

// The kernel answers at the end of an interval, or never: here whoever writes waits for the reader of a pipe.
TEST(WorkingSets, ATickDoesNotWaitForTheKernel) {
  const FixtureRoot root;
  make_damon_sysfs(root, "vaddr\n");
  auto damon = Damon::open(root.path());
  ASSERT_TRUE(damon) << damon.error().message;
  const std::string state = root.path() + kDamonMonitors + "/0/state";
  ASSERT_EQ(::unlink(state.c_str()), 0);
  ASSERT_EQ(::mkfifo(state.c_str(), 0600), 0);
  Damon::SteadyTime now{1h};
  int reader = -1;
  {
    WorkingSets sets(std::move(damon).value());
    for (int tick = 0; tick < 100; ++tick) {
      sets.update({{VmId("a"), 70}}, now += 1s);
      EXPECT_FALSE(sets.working_set_bytes(VmId("a"), now));
    }
    reader = ::open(state.c_str(), O_RDWR | O_CLOEXEC);  // so that it can end
    ASSERT_GE(reader, 0);
  }
  ::close(reader);
}

}  // namespace
}  // namespace proteus::collect
