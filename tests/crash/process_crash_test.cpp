#include <fmt/core.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/clock.h"
#include "common/wire/curve.h"
#include "common/wire/keygen.h"
#include "controller/store/rocks_store.h"
#include "controller/store/series_reader.h"
#include "tests/crash/load.h"
#include "tests/crash/process.h"
#include "tests/temporary_directory.h"

namespace proteus::crash {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr int kLoads = 5;
constexpr milliseconds kTick{20};
constexpr milliseconds kStartsWithin{60'000};
constexpr milliseconds kDrainsWithin{120'000};
const std::string kAgentHost = "real-agent";

/// How often each of the two is killed: PROTEUS_CRASH_ROUNDS, for long runs, or what an ordinary run affords.
int rounds() {
  const char* asked = std::getenv("PROTEUS_CRASH_ROUNDS");
  return asked != nullptr ? std::atoi(asked) : 4;
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

/// Whether the controller has had a frame of the real agent.
bool knows_agent(int api_port, const std::string& token_file) {
  std::string token;
  std::ifstream(token_file) >> token;
  httplib::Client client("127.0.0.1", api_port);
  client.set_bearer_token_auth(token.c_str());
  const auto hosts = client.Get("/v1/hosts");
  return hosts && hosts->status == 200 && hosts->body.find(kAgentHost) != std::string::npos;
}

/// A program that is killed again and again: in three rounds of four at random after it has begun to work, else at
/// random while it starts.
class Victim {
 public:
  Victim(std::string program, std::string config, std::string log_file, std::string begun, std::mt19937_64& random)
      : program_(std::move(program)),
        config_(std::move(config)),
        log_file_(std::move(log_file)),
        begun_(std::move(begun)),
        random_(random) {
    start();
  }

  Process& process() { return *process_; }
  int kills() const { return kills_; }
  int kills_at_work() const { return kills_at_work_; }
  bool at_work() const { return at_work_; }

  void start() {
    process_ = std::make_unique<Process>(program_, std::vector<std::string>{"--config", config_}, log_file_);
    started_ = Steady::now();
    at_work_ = false;
    // of all rounds, one at work at least
    while_starting_ = (kills_at_work_ > 0 || kills_ + 1 < rounds()) && random_() % 4 == 0;
    delay_ = milliseconds(random_() % (while_starting_ ? 150 : 700));
    due_ = started_ + delay_;
  }
  /// Kills it and starts it again if its time has come.
  void service(Steady::time_point now) {
    look(now);
    if (testing::Test::HasFatalFailure()) return;  // its log is to be seen
    if ((!at_work_ && !while_starting_) || now < due_) return;
    process_->kill_now();
    ++kills_;
    if (at_work_) ++kills_at_work_;
    start();
  }
  /// Notices that it has begun to work, or has ended by itself.
  void look(Steady::time_point now) {
    ASSERT_FALSE(process_->gone()) << program_ << " ended by itself: " << process_->log();
    if (at_work_) return;
    ASSERT_LT(now, started_ + kStartsWithin) << program_ << " does not start: " << process_->log();
    if (process_->log().find(begun_) == std::string::npos) return;
    at_work_ = true;
    if (!while_starting_) due_ = now + delay_;
  }

 private:
  const std::string program_;
  const std::string config_;
  const std::string log_file_;
  const std::string begun_;  ///< what it logs then
  std::mt19937_64& random_;
  std::unique_ptr<Process> process_;
  Steady::time_point started_;
  Steady::time_point due_;
  milliseconds delay_{};
  bool at_work_ = false;
  bool while_starting_ = false;
  int kills_ = 0;
  int kills_at_work_ = 0;
};

/// Everything that was made is there, in order, once: frames as they came off the wire, and values in pages.
/// Frames of the real agent that it had in memory alone died with it: of each of its runs there is a beginning without
/// a gap.
void check(store::RocksStore& store, const std::vector<std::unique_ptr<Load>>& loads) {
  std::map<HostId, std::map<std::uint64_t, std::uint64_t>> sequences;  // by host and boot, the last one
  std::uint64_t agent_frames = 0;
  const Status scanned = store.scan(Timestamp::min(), Timestamp::max(),
                                    {.raw =
                                         [&](const store::RawMessage& message) {
                                           if (message.sequence == 0) return true;
                                           std::uint64_t& last = sequences[message.host][message.boot_id];
                                           EXPECT_EQ(message.sequence, last + 1)
                                               << message.host.value << ", boot " << message.boot_id;
                                           last = message.sequence;
                                           if (message.host.value == kAgentHost) ++agent_frames;
                                           return true;
                                         },
                                     .journal = [](const store::JournalEntry&) { return true; }});
  ASSERT_TRUE(scanned) << scanned.error().message;
  ASSERT_TRUE(store.write_pages());

  std::map<std::string, std::size_t> hosts;  // series of each
  store::SeriesSelector selector;
  selector.kpi = Kpi::kEmulatorTimeNs;
  const auto in_order = [&](const store::SeriesReader::HostSamples& host) {
    for (const auto& [key, series] : host.series) {
      for (std::size_t i = 0; i < series.values.size(); ++i) {
        EXPECT_EQ(series.values[i] / 1000, static_cast<std::int64_t>(i + 1)) << host.host.value;
        EXPECT_EQ(series.values[i] % 1000, series.values[0] % 1000) << host.host.value;
      }
      for (const auto& load : loads) {
        if (load->host() != host.host.value) continue;
        EXPECT_EQ(series.values.size(), static_cast<std::size_t>(load->ticks())) << load->host();
      }
      ++hosts[host.host.value];
    }
    return !testing::Test::HasFailure();
  };
  for (const auto& load : loads) {
    selector.hosts = {HostId(load->host())};
    const Status read = store.series()->read_samples(selector, 0, std::int64_t{1} << 60, in_order);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(hosts[load->host()], static_cast<std::size_t>(kVmsPerHost)) << load->host();
    EXPECT_EQ(sequences[HostId(load->host())][1], static_cast<std::uint64_t>(load->ticks())) << load->host();
    EXPECT_EQ(load->dropped(), 0u);
  }

  std::uint64_t agent_values = 0;
  selector.hosts = {HostId(kAgentHost)};
  selector.kpi = Kpi::kHostCpuTimeNs;
  const Status read = store.series()->read_samples(
      selector, 0, std::int64_t{1} << 60, [&](const store::SeriesReader::HostSamples& host) {
        for (const auto& [key, series] : host.series) {
          agent_values += series.values.size();
          // the last frames of a run may come behind the first of the next
          const std::set<std::int64_t> times(series.times_us.begin(), series.times_us.end());
          EXPECT_EQ(times.size(), series.times_us.size());
        }
        return true;
      });
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(agent_values, agent_frames);
  EXPECT_GT(agent_frames, 0u);
  fmt::print("{} ticks of {} loads, {} frames of {} runs of the agent: each there, once\n", loads.front()->ticks(),
             loads.size(), agent_frames, sequences[HostId(kAgentHost)].size());
}

/// Prints what the programs had to say, should the test have failed by its end.
struct TellOnFailure {
  const TemporaryDirectory& directory;
  ~TellOnFailure() {
    if (!testing::Test::HasFailure()) return;
    for (const char* log : {"controller.log", "agent.log"}) {
      std::ifstream in(directory / log);
      fmt::print("{}:\n{}\n", log, std::string(std::istreambuf_iterator<char>(in), {}));
    }
  }
};

/// A real controller and a real agent, as installed, are killed at random while the agent measures this machine and
/// further hosts of 200 VMs each, which use the agent's publisher and spool, send a tick every 20 ms.
TEST(ProcessCrash, NoAcknowledgedSampleIsLostOrDoubled) {
  const TemporaryDirectory directory;
  const TellOnFailure tell{directory};
  const std::vector<int> ports = free_ports(3);
  const std::string telemetry = fmt::format("tcp://127.0.0.1:{}", ports[0]);
  const std::string commands = fmt::format("tcp://127.0.0.1:{}", ports[1]);
  const auto controller_line = wire::make_key_files(directory.path(), "controller", "crash");
  ASSERT_TRUE(controller_line) << controller_line.error().message;
  const std::string controller_key = controller_line->substr(controller_line->find(' ') + 1, 40);

  zmq::context_t context;
  std::vector<std::unique_ptr<Load>> loads;
  std::string authorized;
  for (int i = 0; i < kLoads; ++i) {
    const std::string host = fmt::format("load-{}", i);
    loads.push_back(std::make_unique<Load>(context, directory / host, host, telemetry, controller_key));
    authorized += loads.back()->public_line() + "\n";
  }
  const auto agent_line = wire::make_key_files(directory.path(), "agent", kAgentHost);
  ASSERT_TRUE(agent_line) << agent_line.error().message;
  write_file(directory / "authorized", authorized + *agent_line + "\n");

  write_file(directory / "controller.toml",
             fmt::format("id = \"crash\"\npolicy = \"{0}/packaging/config/policy.toml\"\n"
                         "[listen]\ntelemetry = \"{2}\"\ncommand = \"{3}\"\n"
                         "[keys]\nsecret = \"{1}/controller.key\"\nauthorized_agents = \"{1}/authorized\"\n"
                         "[store]\ndirectory = \"{1}/store\"\n"
                         "[api]\nport = {4}\ntoken_file = \"{1}/api.token\"\n",
                         PROTEUS_SOURCE_DIR, directory.path(), telemetry, commands, ports[2]));
  // libvirt's test driver: a hypervisor that needs none. No kernel programs: they need root, and nothing here is about
  // them.
  write_file(
      directory / "agent.toml",
      fmt::format("host = \"{4}\"\nstate_directory = \"{0}/agent\"\nsecret_key = \"{0}/agent.key\"\ntick = \"100ms\"\n"
                  "[[controller]]\ntelemetry = \"{1}\"\ncommand = \"{2}\"\npublic_key = \"{3}\"\n"
                  "[libvirt]\nuri = \"test:///default\"\n[collect]\nkernel_programs = false\n",
                  directory.path(), telemetry, commands, controller_key, kAgentHost));

  const std::uint64_t seed = std::random_device()();
  fmt::print("seed {}, {} rounds\n", seed, rounds());
  std::mt19937_64 random(seed);
  const SystemClock clock;
  for (auto& load : loads) load->start();
  Victim controller(PROTEUS_CONTROLLER, directory / "controller.toml", directory / "controller.log", "leads with term",
                    random);
  Victim agent(PROTEUS_AGENT, directory / "agent.toml", directory / "agent.log", "measures every", random);
  const auto pass_a_tick = [&] {
    std::this_thread::sleep_for(kTick);
    for (auto& load : loads) load->tick(clock.now());
  };
  while (controller.kills() < rounds() || agent.kills() < rounds()) {
    pass_a_tick();
    const Steady::time_point now = Steady::now();
    if (controller.kills() < rounds())
      controller.service(now);
    else
      controller.look(now);
    if (agent.kills() < rounds())
      agent.service(now);
    else
      agent.look(now);
    ASSERT_FALSE(HasFailure());
  }
  fmt::print("controller killed {} times, {} of them at work; agent {}, {}\n", controller.kills(),
             controller.kills_at_work(), agent.kills(), agent.kills_at_work());
  EXPECT_GT(controller.kills_at_work(), 0);
  EXPECT_GT(agent.kills_at_work(), 0);

  // Both are left alone until everything has been delivered.
  const auto delivered = [&] {
    for (const auto& load : loads) {
      if (load->held() > 0) return false;
    }
    // frames of a run that was killed in its first moments died with it: of the last one there are some
    return controller.at_work() && agent.at_work() && knows_agent(ports[2], directory / "api.token");
  };
  for (const auto until = Steady::now() + kDrainsWithin; !delivered() && Steady::now() < until;) {
    std::this_thread::sleep_for(kTick);
    controller.look(Steady::now());
    agent.look(Steady::now());
  }
  for (auto& load : loads) ASSERT_TRUE(load->finish()) << load->held() << " left: " << controller.process().log();
  EXPECT_EQ(agent.process().end(), 0) << agent.process().log();
  EXPECT_EQ(controller.process().end(), 0) << controller.process().log();
  const auto store = store::RocksStore::open({.directory = directory / "store"});
  ASSERT_TRUE(store) << store.error().message;
  check(**store, loads);
}

}  // namespace
}  // namespace proteus::crash
