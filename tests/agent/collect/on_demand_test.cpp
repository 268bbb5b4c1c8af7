// Hooks for kernels and hardware other than this one: loaded into the running kernel and fed with events by
// bpf_prog_test_run_opts. Skipped, with the reason, where programs may not be loaded.
#include "agent/collect/on_demand.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <gtest/gtest.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <numeric>

#include "agent/collect/bpf_support.h"
#include "agent/collect/collector.h"
#include "agent/collect/hardware_counters.h"
#include "ebpf/kvm_exits.h"
#include "tests/agent/collect/fixture_root.h"
#include "tests/agent/collect/kernel_refusal.h"
#include "tests/agent/collect/own_tracefs.h"
#include "tests/temporary_directory.h"

namespace proteus::collect {
namespace {

constexpr std::uint64_t kNetRx = 3;
constexpr std::uint64_t kTimer = 1;

/// Runs a raw tracepoint's program on this thread with these arguments.
bool feed(int program_fd, std::vector<std::uint64_t> arguments) {
  LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = arguments.data(),
              .ctx_size_in = static_cast<__u32>(arguments.size() * sizeof(std::uint64_t)));
  return bpf_prog_test_run_opts(program_fd, &options) == 0;
}

std::int64_t sum(const RunQueueTrace::Histogram& histogram) {
  return std::accumulate(histogram.begin(), histogram.end(), std::int64_t{0});
}

class WatchedProcess : public testing::Test {
 protected:
  void SetUp() override {
    auto created = RunQueueTrace::create();
    if (!created) SKIP_UNLESS_OUR_FAULT(created.error().message);
    run_queue = std::move(created).value();
    slot = run_queue->acquire_slot().value();
    ASSERT_TRUE(run_queue->watch(::getpid(), slot));
  }
  std::unique_ptr<RunQueueTrace> run_queue;
  std::uint32_t slot = 0;
};

class KvmExits : public WatchedProcess {
 protected:
  /// Loaded, not attached: this kernel has one layout only, and no event of its own must count.
  std::unique_ptr<KvmExitTrace> make(KvmExitLayout layout) {
    auto created = KvmExitTrace::create(*run_queue, layout, false);
    reason = created ? "" : created.error().message;
    return created ? std::move(created).value() : nullptr;
  }
  std::string reason;
};

TEST_F(KvmExits, OlderKernelsHandTheReasonOver) {
  const auto trace = make(KvmExitLayout::kReasonFirst);
  if (!trace) SKIP_UNLESS_OUR_FAULT(reason);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(feed(trace->exit_program_fd(), {12, 0, KVM_EXITS_VMX}));
    ASSERT_TRUE(feed(trace->entry_program_fd(), {0}));
  }
  ASSERT_TRUE(feed(trace->exit_program_fd(), {0x7b, 0, KVM_EXITS_SVM}));
  ASSERT_TRUE(feed(trace->userspace_program_fd(), {2, 0}));
  ASSERT_TRUE(feed(trace->entry_program_fd(), {0}));
  ASSERT_TRUE(feed(trace->entry_program_fd(), {0})) << "an entry without an exit counts nothing";
  ASSERT_TRUE(trace->read().contains(slot));
  const ExitFigures& figures = trace->read().at(slot);
  ASSERT_EQ(figures.reasons.size(), 2u);
  EXPECT_EQ(figures.reasons[0].name, "hlt");
  EXPECT_EQ(sum(figures.reasons[0].latencies), 3);
  EXPECT_EQ(figures.reasons[0].latencies[0], 0) << "no system call takes a nanosecond";
  EXPECT_EQ(figures.reasons[1].name, "io");
  EXPECT_EQ(sum(figures.reasons[1].latencies), 1);
  EXPECT_EQ(sum(figures.userspace), 1);
  trace->forget(slot);
  EXPECT_FALSE(trace->read().contains(slot));
}

TEST_F(KvmExits, NewerKernelsHandTheVcpuOver) {
  const auto trace = make(KvmExitLayout::kVcpuFirst);
  if (!trace) SKIP_UNLESS_OUR_FAULT(reason);
  ASSERT_TRUE(feed(trace->exit_program_fd(), {0, KVM_EXITS_VMX}));  // no vCPU lies at 0
  ASSERT_TRUE(feed(trace->entry_program_fd(), {0}));
  ASSERT_TRUE(trace->read().contains(slot));
  const ExitFigures& figures = trace->read().at(slot);
  ASSERT_EQ(figures.reasons.size(), 1u);
  EXPECT_EQ(sum(figures.reasons[0].latencies), 1) << "the latency counts, whatever the reason";
}

/// The running kernel's types and a vCPU of Intel's, with the exit's reason in a union as it is since 5.12, directly in
/// the vCPU or (since 6.15) in a part of it. Empty: they cannot be had.
std::string types_with_intel_vcpu(const std::string& directory, bool in_a_part) {
  btf* types = btf__parse("/sys/kernel/btf/vmlinux", nullptr);
  if (types == nullptr) return "";
  const int number = btf__add_int(types, "unsigned int", 4, 0);
  const int reason = btf__add_union(types, "vmx_exit_reason", 4);
  btf__add_field(types, "full", number, 0, 0);
  int field = reason;
  if (in_a_part) {
    field = btf__add_struct(types, "vcpu_vt", 8);
    btf__add_field(types, "exit_reason", reason, 32, 0);
  }
  btf__add_struct(types, "vcpu_vmx", 16);
  btf__add_field(types, in_a_part ? "vt" : "exit_reason", field, 64, 0);
  __u32 size = 0;
  const void* raw = btf__raw_data(types, &size);
  const std::string path = directory + "/types";
  std::ofstream(path, std::ios::binary).write(static_cast<const char*>(raw), size);
  btf__free(types);
  return path;
}

TEST_F(KvmExits, IntelsReasonIsReadFromTheVcpuInBothItsPlaces) {
  for (const char* type : {"vcpu_vmx", "vcpu_vt"}) {
    if (has_kernel_type(type)) GTEST_SKIP() << "this kernel has types of its own for Intel's vCPUs";
  }
  for (const bool in_a_part : {false, true}) {
    const TemporaryDirectory directory;
    const std::string types = types_with_intel_vcpu(directory.path(), in_a_part);
    if (types.empty()) GTEST_SKIP() << "this kernel has no BTF";
    const auto trace = KvmExitTrace::create(*run_queue, KvmExitLayout::kVcpuFirst, false, types);
    if (!trace) SKIP_UNLESS_OUR_FAULT(trace.error().message);
    ASSERT_TRUE(feed((*trace)->exit_program_fd(), {0, KVM_EXITS_VMX}));  // no vCPU lies at 0: reads as zeroes
    ASSERT_TRUE(feed((*trace)->entry_program_fd(), {0}));
    const auto& figures = (*trace)->read();
    ASSERT_TRUE(figures.contains(slot));
    ASSERT_EQ(figures.at(slot).reasons.size(), 1u);
    EXPECT_EQ(figures.at(slot).reasons[0].name, "exception_nmi") << "reason 0, so it was looked for; " << in_a_part;
  }
}

TEST_F(KvmExits, TheRecordOfTheTracepointLoads) {
  const auto trace = make(KvmExitLayout::kRecord);
  if (!trace) SKIP_UNLESS_OUR_FAULT(reason);
  EXPECT_TRUE(trace->read().empty());
}

TEST_F(KvmExits, ThreadsOfNoVmCountNothing) {
  const auto trace = make(KvmExitLayout::kReasonFirst);
  if (!trace) SKIP_UNLESS_OUR_FAULT(reason);
  run_queue->forget(::getpid());
  ASSERT_TRUE(feed(trace->exit_program_fd(), {12, 0, KVM_EXITS_VMX}));
  ASSERT_TRUE(feed(trace->entry_program_fd(), {0}));
  EXPECT_TRUE(trace->read().empty());
}

TEST_F(KvmExits, AttachToThisKernelsLayoutOrSayWhyNot) {
  mount_own_tracefs();
  const auto layout = probe_kvm_exit_layout();
  if (!layout) SKIP_UNLESS_OUR_FAULT(layout.error().message);
  const auto trace = KvmExitTrace::create(*run_queue, *layout);
  if (!trace) SKIP_UNLESS_OUR_FAULT(trace.error().message);
  EXPECT_TRUE((*trace)->read().empty()) << "this thread runs no guest";
}

TEST(ExitReasonName, NamesTheCommonOnesAndNumbersTheRest) {
  EXPECT_EQ(exit_reason_name(KVM_EXITS_VMX, 48), "ept_violation");
  EXPECT_EQ(exit_reason_name(KVM_EXITS_SVM, 0x400), "npf");
  EXPECT_EQ(exit_reason_name(KVM_EXITS_VMX, 77), "vmx-0x4d");
  EXPECT_EQ(exit_reason_name(9, 1), "unknown");
}

TEST(NetSoftirq, CountsTheNetworksAndNoOthers) {
  auto created = NetSoftirqTrace::create();
  if (!created) SKIP_UNLESS_OUR_FAULT(created.error().message);
  const NetSoftirqTrace& trace = *created.value();
  cpu_set_t all, one;
  ::sched_getaffinity(0, sizeof all, &all);
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  ::sched_setaffinity(0, sizeof one, &one);
  const std::int64_t before = trace.time_ns(0).value();
  ASSERT_TRUE(feed(trace.entry_program_fd(), {kNetRx}));
  ASSERT_TRUE(feed(trace.exit_program_fd(), {kNetRx}));
  EXPECT_GT(trace.time_ns(0).value(), before);
  ASSERT_TRUE(feed(trace.entry_program_fd(), {kTimer}));
  ASSERT_TRUE(feed(trace.exit_program_fd(), {kTimer}));
  ::sched_setaffinity(0, sizeof all, &all);
  EXPECT_EQ(trace.time_ns(1'000'000), std::nullopt);
}

TEST(PacketDrops, NamesTheReason) {
  auto created = PacketDropTrace::create();
  if (!created) SKIP_UNLESS_OUR_FAULT(created.error().message);
  const auto count = [&](const std::string& reason) {
    for (const auto& [name, value] : created.value()->read()) {
      if (name == reason) return value;
    }
    return std::int64_t{0};
  };
  const std::int64_t before = count("no_socket");
  const auto names = kernel_enumerators("skb_drop_reason", 256);
  const auto no_socket = std::find(names.begin(), names.end(), "SKB_DROP_REASON_NO_SOCKET");
  ASSERT_NE(no_socket, names.end());
  const auto number = static_cast<std::uint64_t>(no_socket - names.begin());
  ASSERT_TRUE(feed(created.value()->program_fd(), {0, 0, number, 0}));
  ASSERT_TRUE(feed(created.value()->program_fd(), {0, 0, 0x10001, 0}));
  EXPECT_GE(count("no_socket"), before + 1);
  EXPECT_GE(count("of_a_subsystem"), 1);
}

class Hardware : public WatchedProcess {};

TEST_F(Hardware, StepsOfACounterAreThoseOfTheWatchedProcess) {
  // Counters that every machine has: the clock of the CPU, in ns, in the place of the processor's own.
  constexpr std::array<PerfEvent, HARDWARE_COUNTERS_EVENTS> kClocks{
      {{PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK},
       {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK},
       {PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES}}};
  auto created = HardwareCounters::create(*run_queue, kClocks);
  if (!created) SKIP_UNLESS_OUR_FAULT(created.error().message);
  HardwareCounters& counters = *created.value();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  const auto started = std::chrono::steady_clock::now();
  const auto enough = [&] { return std::min(counters.read(slot)[0], counters.read(slot)[1]) >= 1'000'000; };
  while (!enough() && std::chrono::steady_clock::now() < deadline) ::sched_yield();
  const auto passed = std::chrono::steady_clock::now() - started;
  const HardwareCounters::Counts counts = counters.read(slot);
  EXPECT_GE(counts[0], 1'000'000);
  EXPECT_GE(counts[1], 1'000'000);
  EXPECT_LE(counts[0], std::chrono::nanoseconds(passed).count()) << "no more than the time that passed";
  counters.clear(slot);
  EXPECT_LT(counters.read(slot)[0], counts[0]);
  const std::int64_t before = counters.read(slot)[0];
  counters.follow_cpus();
  while (counters.read(slot)[0] < before + 1'000'000 && std::chrono::steady_clock::now() < deadline) ::sched_yield();
  EXPECT_GE(counters.read(slot)[0], before + 1'000'000) << "goes on with new events";
}

TEST_F(Hardware, CountersThatCannotBeOpenedAgainAreAbsentUntilTheyCan) {
  constexpr PerfEvent kClock{PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK};
  constexpr std::array<PerfEvent, HARDWARE_COUNTERS_EVENTS> kClocks{kClock, kClock, kClock};
  auto created = HardwareCounters::create(*run_queue, kClocks);
  if (!created) SKIP_UNLESS_OUR_FAULT(created.error().message);
  HardwareCounters& counters = *created.value();
  EXPECT_TRUE(counters.counts_all_cpus());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
  counters.follow_cpus();
  const bool counts_all = counters.counts_all_cpus();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(counts_all);
  counters.follow_cpus();
  EXPECT_TRUE(counters.counts_all_cpus());
}

TEST(ScaledCount, EstimatesWhatACounterMissedThatTookTurns) {
  EXPECT_EQ(scaled_count(100, 1000, 1000), 100);
  EXPECT_EQ(scaled_count(100, 1000, 250), 400);
  EXPECT_EQ(scaled_count(100, 1000, 0), 100) << "nothing is known";
  EXPECT_EQ(scaled_count(100, 1000, 1001), 100) << "clocks of the kernel that are read one after the other";
}

class AskedQuestionsTest : public testing::Test {
 protected:
  const Timestamp now = from_unix_ns(1'700'000'000'000'000'000);
  FixtureRoot root;
  const std::string path = root.path() + "/questions";
};

TEST_F(AskedQuestionsTest, LastUntilTheirDeadline) {
  AskedQuestions questions(path);
  EXPECT_TRUE(questions.read(now).none());
  ASSERT_TRUE(AskedQuestions::ask(path, "kvm_exits", std::chrono::seconds(10), now));
  ASSERT_TRUE(AskedQuestions::ask(path, "packet_drops", std::chrono::seconds(20), now));
  EXPECT_EQ(questions.read(now).to_string(), "101");
  EXPECT_EQ(questions.read(now + std::chrono::seconds(15)).to_string(), "100");
  EXPECT_TRUE(questions.read(now + std::chrono::seconds(20)).none());
  EXPECT_TRUE(questions.read(now - std::chrono::hours(1)).none()) << "a clock that was set back asks nothing";
}

TEST_F(AskedQuestionsTest, RefusesWhatItCannotAnswer) {
  EXPECT_EQ(AskedQuestions::ask(path, "weather", std::chrono::seconds(10), now).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(AskedQuestions::ask(path, "kvm_exits", std::chrono::hours(1), now).error().code,
            ErrorCode::kInvalidArgument);
  EXPECT_FALSE(AskedQuestions::ask(root.path() + "/none/questions", "kvm_exits", std::chrono::seconds(1), now));
  std::ofstream(path) << "kvm_exits\nweather 5\nkvm_exits x\n";
  EXPECT_TRUE(AskedQuestions(path).read(now).none());
}

TEST_F(AskedQuestionsTest, TheCollectorAnswersWhileSomebodyAsks) {
  CollectorOptions options;
  options.host = HostId("h");
  options.libvirt_uri = "";
  options.questions_path = path;
  auto collector = Collector::create(options, 1);
  ASSERT_TRUE(collector);
  const auto has = [](const Sample& sample, Kpi kpi) {
    for (const Series& series : sample.catalog->series) {
      if (series.kpi == kpi) return true;
    }
    return false;
  };
  EXPECT_FALSE(has(collector.value()->tick(now), Kpi::kNetSoftirqTimeNs));
  ASSERT_TRUE(AskedQuestions::ask(path, "net_softirq", std::chrono::seconds(10), now));
  const Sample asked = collector.value()->tick(now);
  if (!NetSoftirqTrace::create()) GTEST_SKIP() << "no hooks here";
  EXPECT_TRUE(has(asked, Kpi::kNetSoftirqTimeNs));
  EXPECT_FALSE(has(collector.value()->tick(now + std::chrono::seconds(11)), Kpi::kNetSoftirqTimeNs));
}

/// Of the reason `name` in this sample.
std::optional<std::int64_t> drops_of(const Sample& sample, const std::string& name) {
  for (std::size_t i = 0; i < sample.catalog->series.size(); ++i) {
    const Series& series = sample.catalog->series[i];
    if (series.kpi != Kpi::kPacketDropReasonCount || sample.catalog->entities[series.entity].name != name) continue;
    if (sample.frame.present[i] != 0) return sample.frame.values[i];
  }
  return std::nullopt;
}

// Told with its first count only, a series would never have grown by it.
TEST_F(AskedQuestionsTest, WhatIsCountedFirstIsAGrowthFromNothing) {
  if (!PacketDropTrace::create()) GTEST_SKIP() << "no hooks here";
  CollectorOptions options;
  options.host = HostId("h");
  options.libvirt_uri = "";
  options.questions_path = path;
  auto collector = Collector::create(options, 1);
  ASSERT_TRUE(collector);
  ASSERT_TRUE(AskedQuestions::ask(path, "packet_drops", std::chrono::seconds(60), now));
  std::optional<std::int64_t> first = drops_of(collector.value()->tick(now), "no_socket");
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_in nobody{};
  nobody.sin_family = AF_INET;
  nobody.sin_port = htons(9);  // "discard", which nobody serves
  nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < 3; ++i) {
    (void)::sendto(socket, "x", 1, 0, reinterpret_cast<const sockaddr*>(&nobody), sizeof nobody);
  }
  ::close(socket);
  if (!first) first = drops_of(collector.value()->tick(now + std::chrono::seconds(1)), "no_socket");
  EXPECT_EQ(first, 0);
  const auto then = drops_of(collector.value()->tick(now + std::chrono::seconds(2)), "no_socket");
  ASSERT_TRUE(then);
  EXPECT_GE(*then, 3);
}

}  // namespace
}  // namespace proteus::collect
