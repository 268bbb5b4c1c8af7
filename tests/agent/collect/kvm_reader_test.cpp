// Real counters of a real guest: tests/agent/collect/kvm_guest.cpp runs under /dev/kvm. Skipped, with the reason, where
// that is not possible.
#include "agent/collect/kvm_reader.h"

#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "agent/collect/collector.h"
#include "agent/collect/late_module.h"
#include "tests/agent/collect/child_process.h"
#include "tests/agent/collect/fixture_root.h"
#include "tests/agent/collect/kernel_refusal.h"

namespace proteus::collect {
namespace {

/// The UUID of the domain that libvirt's test driver always has.
constexpr const char* kTestDomain = "6695eb01-f6a4-8304-79aa-97f2502e193f";
constexpr std::chrono::seconds kPatience{30};

bool kernel_is_since(int major, int minor) {
  utsname system{};
  std::array<int, 2> version{};
  ::uname(&system);
  std::sscanf(system.release, "%d.%d", &version[0], &version[1]);
  return version >= std::array{major, minor};
}

std::unique_ptr<ChildProcess> start_guest(std::string& refusal) {
  auto guest = std::make_unique<ChildProcess>(std::vector<std::string>{PROTEUS_KVM_GUEST, "-uuid", kTestDomain, "2"});
  const std::string line = guest->read_line();
  refusal = line == "ready" ? "" : line.empty() ? "the guest did not start" : line;
  return guest;
}

class KvmReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    auto created = KvmReader::create();
    if (!created) SKIP_UNLESS_OUR_FAULT(created.error().message);
    reader = std::move(created).value();
    std::string refusal;
    guest = start_guest(refusal);
    if (!refusal.empty()) GTEST_SKIP() << refusal;
  }
  std::vector<std::optional<kvm_counters>> read(const std::vector<kvm_vcpu_place>& places) {
    std::vector<std::optional<kvm_counters>> figures(places.size());
    reader->read(places, figures);
    return figures;
  }
  std::unique_ptr<KvmReader> reader;
  std::unique_ptr<ChildProcess> guest;
};

TEST_F(KvmReaderTest, FindsVcpusByTheirDescriptors) {
  const auto places = reader->find(guest->pid());
  ASSERT_EQ(places.size(), 2u);
  for (std::uint32_t i = 0; i < 2; ++i) {
    EXPECT_EQ(places[i].vcpu_id, i);
    EXPECT_EQ(places[i].pid, static_cast<std::uint32_t>(guest->pid()));
    EXPECT_NE(places[i].tid, 0u) << "it has run";
    EXPECT_NE(places[i].tid, places[i].pid);
  }
  EXPECT_TRUE(reader->find(::getpid()).empty()) << "this process runs no guest";
}

TEST_F(KvmReaderTest, CountsWhatTheGuestDoes) {
  const auto places = reader->find(guest->pid());
  ASSERT_EQ(places.size(), 2u);
  const auto before = read(places);
  ASSERT_TRUE(before[0] && before[1]);
  const auto grown = [&](std::size_t vcpu, kvm_counter which) {
    const auto now = read(places);
    return now[vcpu] ? *counter(*now[vcpu], which) - *counter(*before[vcpu], which) : 0;
  };
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  // Port writes are exits of their own only where the processor runs the guest; emulated real mode counts none.
  for (std::size_t vcpu = 0; vcpu < 2; ++vcpu) {
    for (const kvm_counter which : {KVM_COUNTER_MMIO_EXITS, KVM_COUNTER_HALT_EXITS}) {
      ASSERT_TRUE(counter(*before[vcpu], which)) << "counter " << which << " is of every x86 kernel";
      while (grown(vcpu, which) < 10 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
      EXPECT_GE(grown(vcpu, which), 10) << "counter " << which << " of vCPU " << vcpu;
    }
  }
}

TEST_F(KvmReaderTest, AVcpuThatEndedIsAbsent) {
  const auto places = reader->find(guest->pid());
  ASSERT_EQ(places.size(), 2u);
  ASSERT_TRUE(read(places)[0]);
  guest->end();
  EXPECT_FALSE(read(places)[0]);
  EXPECT_FALSE(read(places)[1]);
  EXPECT_FALSE(read({kvm_vcpu_place{}})[0]) << "no address at all";
}

TEST_F(KvmReaderTest, TheCollectorTellsTheGuestsExits) {
  CollectorOptions options;
  options.host = HostId("h");
  options.libvirt_uri = "test:///default";
  auto collector = Collector::create(options, 1);
  ASSERT_TRUE(collector);
  const auto value = [](const Sample& sample, Kpi kpi) -> std::optional<std::int64_t> {
    for (std::size_t i = 0; i < sample.catalog->series.size(); ++i) {
      if (sample.catalog->series[i].kpi == kpi && sample.frame.present[i] != 0) return sample.frame.values[i];
    }
    return std::nullopt;
  };
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  std::optional<std::int64_t> first, last;
  Sample sample;
  while ((!first || *last < *first + 10) && std::chrono::steady_clock::now() < deadline) {
    sample = collector.value()->tick(from_unix_ns(1'700'000'000'000'000'000));
    last = value(sample, Kpi::kMmioExitsCount);
    if (!first) first = last;
    std::this_thread::yield();
  }
  ASSERT_TRUE(first && last) << "the VM's process was not recognised";
  EXPECT_GE(*last, *first + 10);
  EXPECT_TRUE(value(sample, Kpi::kHaltExitsCount));
  EXPECT_EQ(value(sample, Kpi::kMappedPages4k).has_value(), kernel_is_since(5, 15));
  EXPECT_GT(value(sample, Kpi::kCpuRunTimeNs).value_or(0), 0);
  int vcpus = 0;
  for (const Entity& entity : sample.catalog->entities) vcpus += entity.kind == EntityKind::kVcpu ? 1 : 0;
  EXPECT_EQ(vcpus, 2);
}

TEST(VcpuFinder, WhereOneProcessCannotBeWalkedOneWalkServesATick) {
  std::vector<pid_t> walks;
  VcpuFinder finder([&walks](pid_t pid) -> Result<std::vector<kvm_vcpu_place>> {
    walks.push_back(pid);
    if (pid != 0) return Error{ErrorCode::kUnsupported, "older than 6.1"};
    return std::vector<kvm_vcpu_place>{{.vcpu = 502, .kvm = 2, .owner = 80, .vcpu_id = 0, .pid = 80, .tid = 81},
                                       {.vcpu = 501, .kvm = 1, .owner = 70, .vcpu_id = 1, .pid = 70, .tid = 72},
                                       {.vcpu = 500, .kvm = 1, .owner = 70, .vcpu_id = 0, .pid = 70, .tid = 71},
                                       {.vcpu = 500, .kvm = 1, .owner = 70, .vcpu_id = 0, .pid = 70, .tid = 71}};
  });
  for (int tick = 0; tick < 2; ++tick) {
    finder.begin_tick();
    const auto places = finder.find(70);
    ASSERT_EQ(places.size(), 2u);
    EXPECT_EQ(places[0].tid, 71u);
    EXPECT_EQ(places[1].tid, 72u);
    EXPECT_EQ(finder.find(80).size(), 1u);
    EXPECT_TRUE(finder.find(90).empty());
  }
  EXPECT_EQ(walks, (std::vector<pid_t>{70, 0, 0})) << "it is tried once whether one can be walked, then one a tick";
}

TEST(VcpuFinder, WhereOneProcessCanBeWalkedOnlyItIs) {
  std::vector<pid_t> walks;
  bool has_memory = false;
  VcpuFinder finder([&](pid_t pid) -> Result<std::vector<kvm_vcpu_place>> {
    walks.push_back(pid);
    if (!has_memory) return Error{ErrorCode::kUnavailable, "out of memory"};
    return std::vector<kvm_vcpu_place>{{.vcpu = 500, .kvm = 1, .owner = 70, .vcpu_id = 0, .pid = 70, .tid = 71}};
  });
  EXPECT_TRUE(finder.find(70).empty());
  has_memory = true;
  EXPECT_EQ(finder.find(70).size(), 1u) << "what failed once is tried again";
  EXPECT_EQ(walks, (std::vector<pid_t>{70, 70}));
}

TEST(KvmReader, ALargeHostHasRoomForMore) {
  EXPECT_EQ(kvm_slots(2), 512u);
  EXPECT_EQ(kvm_slots(128), 4096u) << "8 VMs a CPU with 4 vCPUs each";
  EXPECT_EQ(kvm_slots(4096), 16384u);
}

TEST(LateModule, IsTriedWhenItComesAndThenEverMoreSeldom) {
  using std::chrono::minutes;
  const FixtureRoot root;
  const LateModule::Time start{};
  LateModule module(root.path() + "/sys/kernel/btf/kvm");
  EXPECT_FALSE(module.is_due(start));
  root.write("/sys/kernel/btf/kvm", "");
  EXPECT_TRUE(module.is_due(start + minutes(5)));
  module.failed(start + minutes(5));
  EXPECT_FALSE(module.is_due(start + minutes(5)));
  EXPECT_TRUE(module.is_due(start + minutes(6)));
  module.failed(start + minutes(6));
  EXPECT_FALSE(module.is_due(start + minutes(7)));
  EXPECT_TRUE(module.is_due(start + minutes(8)));
  root.remove("/sys/kernel/btf/kvm");
  EXPECT_FALSE(module.is_due(start + minutes(9)));
  root.write("/sys/kernel/btf/kvm", "");
  EXPECT_TRUE(module.is_due(start + minutes(10))) << "it has come again";
  EXPECT_FALSE(LateModule(root.path() + "/sys/kernel/btf/kvm").is_due(start)) << "tried already";
}

TEST(HaltWaits, MovesTheKernelsBucketsToOurs) {
  kvm_counters figures{};
  EXPECT_FALSE(halt_waits(figures));
  figures.known = 1u << KVM_COUNTERS;
  figures.halt_waits[0] = 1;   // 0 ns
  figures.halt_waits[1] = 2;   // 1 ns
  figures.halt_waits[11] = 4;  // 1,024 to 2,047 ns
  figures.halt_waits[31] = 8;  // 2^30 ns and more
  const auto ours = halt_waits(figures);
  ASSERT_TRUE(ours);
  EXPECT_EQ((*ours)[0], 3);
  EXPECT_EQ((*ours)[10], 4);
  EXPECT_EQ((*ours)[30], 8);
  EXPECT_EQ((*ours)[31], 0);
}

}  // namespace
}  // namespace proteus::collect
