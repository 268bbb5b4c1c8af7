// Loads the real program into the running kernel and compares it with the files of a control group made for the test.
#include "agent/collect/pressure_reader.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "agent/collect/host_files.h"
#include "agent/collect/text_file.h"
#include "agent/collect/vm_cgroup.h"
#include "tests/agent/collect/kernel_refusal.h"

namespace proteus::collect {
namespace {

/// A group of v2 with processes on one CPU that all want to run.
class BusyGroup {
 public:
  BusyGroup() : path_("/sys/fs/cgroup/unified/proteus-pressure-" + std::to_string(::getpid())) {
    std::error_code error;
    made_ = std::filesystem::create_directory(path_, error);
    if (!made_) {
      path_ = "/sys/fs/cgroup/proteus-pressure-" + std::to_string(::getpid());
      made_ = std::filesystem::exists("/sys/fs/cgroup/cgroup.controllers") &&
              std::filesystem::create_directory(path_, error);
    }
    if (!made_) return;
    for (pid_t& pid : pids_) {
      pid = ::fork();
      if (pid == 0) run();
      std::ofstream(path_ + "/cgroup.procs") << pid << std::flush;
    }
  }
  ~BusyGroup() {
    if (!made_) return;
    for (const pid_t pid : pids_) ::kill(pid, SIGKILL);
    for (const pid_t pid : pids_) ::waitpid(pid, nullptr, 0);
    ::rmdir(path_.c_str());
  }
  BusyGroup(const BusyGroup&) = delete;
  BusyGroup& operator=(const BusyGroup&) = delete;
  bool made() const { return made_; }
  const std::string& path() const { return path_; }
  std::int64_t some_ns(const char* file) const {
    const auto text = read_file(path_ + "/" + file);
    return text ? parse_pressure_total_ns(*text, "some").value_or(-1) : -1;
  }

 private:
  [[noreturn]] static void run() {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    ::sched_setaffinity(0, sizeof set, &set);
    for (;;) ::sched_getcpu();
  }

  std::string path_;
  bool made_ = false;
  std::array<pid_t, 2> pids_{};
};

TEST(PressureReader, SaysWhatTheFilesSay) {
  auto reader = PressureReader::create();
  if (!reader) SKIP_UNLESS_OUR_FAULT(reader.error().message);
  const BusyGroup group;
  if (!group.made() || group.some_ns("cpu.pressure") < 0) GTEST_SKIP() << "no group of v2 with pressure files here";
  const std::uint64_t nobody = 1ull << 60;
  const std::array requests{pressure_request{group_id(group.path()).value(), 0}, pressure_request{nobody, 1}};
  std::array<std::optional<group_pressure>, 2> figures;
  std::int64_t before_ns = 0;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (before_ns < 20'000'000 && std::chrono::steady_clock::now() < deadline) {
    before_ns = group.some_ns("cpu.pressure");  // which has the kernel bring the totals up to date
    // The kernel weighs CPUs by the whole jiffies between two looks: who looks all the time sees nothing grow.
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ASSERT_GE(before_ns, 20'000'000) << "two on one CPU: one waits";
  reader.value()->read(requests, figures);
  const std::int64_t after_ns = group.some_ns("cpu.pressure");
  ASSERT_TRUE(figures[0]);
  EXPECT_GE(static_cast<std::int64_t>(figures[0]->cpu_some_ns) + 1000, before_ns) << "the files count in us";
  EXPECT_LE(static_cast<std::int64_t>(figures[0]->cpu_some_ns), after_ns + 1000);
  EXPECT_LE(figures[0]->memory_full_ns, figures[0]->memory_some_ns);
  EXPECT_LT(figures[0]->io_some_ns, figures[0]->cpu_some_ns) << "they only compute";
  EXPECT_FALSE(figures[1]) << "no such group";
}

/// For a second and a half no file is read, and the kernel need not have looked: what it has counted since is told.
TEST(PressureReader, TheCpusTotalIsRightToTheMomentIfWanted) {
  auto reader = PressureReader::create();
  if (!reader) SKIP_UNLESS_OUR_FAULT(reader.error().message);
  const BusyGroup group;
  if (!group.made() || group.some_ns("cpu.pressure") < 0) GTEST_SKIP() << "no group of v2 with pressure files here";
  const std::array requests{pressure_request{group_id(group.path()).value(), 1}};
  std::array<std::optional<group_pressure>, 1> figures;
  std::int64_t told_ns = group.some_ns("cpu.pressure");
  const std::int64_t begin_ns = told_ns;
  std::int64_t steps = 0;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (told_ns < begin_ns + 1'500'000'000 && std::chrono::steady_clock::now() < deadline) {
    reader.value()->read(requests, figures);
    ASSERT_TRUE(figures[0]);
    if (figures[0]->exact == 0) GTEST_SKIP() << "this kernel keeps its counts otherwise";
    const auto now_ns = static_cast<std::int64_t>(figures[0]->cpu_some_ns);
    steps += now_ns > told_ns ? 1 : 0;
    told_ns = std::max(told_ns, now_ns);
    std::this_thread::yield();
  }
  EXPECT_GE(told_ns, begin_ns + 1'500'000'000) << "two on one CPU: one waits";
  EXPECT_GE(steps, 20) << "not only when the kernel looks";
  reader.value()->read(requests, figures);
  const auto exact_ns = static_cast<std::int64_t>(figures[0]->cpu_some_ns);
  const std::int64_t file_ns = group.some_ns("cpu.pressure");
  // The file is read a little later; the program's clock may be a tick (10 ms at most) behind, and this test's thread
  // may lose its CPU between the two.
  EXPECT_LE(exact_ns, file_ns + 1'000'000);
  EXPECT_GE(exact_ns, file_ns - 300'000'000);
}

TEST(PressureReader, GroupsBeyondItsRoomAreLeftToTheirFiles) {
  auto reader = PressureReader::create();
  if (!reader) SKIP_UNLESS_OUR_FAULT(reader.error().message);
  const std::vector<pressure_request> requests(PRESSURE_GROUPS_MAX + 1, pressure_request{1, 0});
  std::vector<std::optional<group_pressure>> figures(requests.size());
  reader.value()->read(requests, figures);
  EXPECT_FALSE(figures.back());
}

}  // namespace
}  // namespace proteus::collect
