// From socket to durable: 1,000 agents' connections under CURVE send frames as fast as they are taken; a controller's
// ingest decodes, stores and acknowledges them, its store makes pages of them. JSON lines; CPU time of all threads of
// the controller's process. The agents live in a process of their own, which is not counted.
// Usage: bench_telemetry_ingest [SERIES_PER_AGENT [TICKS]]; the store lies in the temporary directory (TMPDIR).
//
//   ingest_samples_per_s_core         until every sample is durable, and in a page if its window has ended
//   ingest_sealed_samples_per_s_core  until every sample is in a page and rolled up, as all are sooner or later; pages
//                                     that end early for it are shorter than they would be, and cost more

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <random>
#include <thread>

#include "common/clock.h"
#include "common/wire/curve.h"
#include "common/wire/socket.h"
#include "common/wire/zap_handler.h"
#include "controller/ingest/ingest.h"
#include "controller/store/rocks_store.h"
#include "tests/bench/series_bench.h"
#include "tests/temporary_directory.h"

namespace proteus::bench {
namespace {

constexpr int kAgents = 1000;
const Timestamp kBegin = from_unix_ns(1'699'999'200'000'000'000);

std::string agent_name(int agent) {
  return fmt::format("agent-{:04}", agent);
}

std::shared_ptr<const Catalog> catalog_of(int agent, std::uint32_t series) {
  auto catalog = std::make_shared<Catalog>();
  catalog->host = HostId(agent_name(agent));
  catalog->boot_id = 1;
  catalog->version = 1;
  catalog->entities.push_back({EntityKind::kHost, kNoParent, catalog->host.value, "", {}});
  const Kpi kpis[] = {Kpi::kCpuRunTimeNs,
                      Kpi::kRunQueueWaitNs,
                      Kpi::kDispatchesCount,
                      Kpi::kContextSwitchesVoluntaryCount,
                      Kpi::kContextSwitchesForcedCount,
                      Kpi::kCpuMigrationsCount};
  for (std::uint32_t vm = 0; catalog->series.size() < series; ++vm) {
    const auto at = static_cast<std::uint32_t>(catalog->entities.size());
    catalog->entities.push_back({EntityKind::kVm, 0, fmt::format("vm-{}", vm), vm_uuid(0, vm), {}});
    for (std::uint32_t vcpu = 0; vcpu < 4; ++vcpu) {
      catalog->entities.push_back({EntityKind::kVcpu, at, std::to_string(vcpu), "", {}});
      for (const Kpi kpi : kpis) {
        if (catalog->series.size() < series) catalog->series.push_back({at + 1 + vcpu, kpi, 0});
      }
    }
  }
  return catalog;
}

/// What every agent sends, catalog aside: half of the vCPUs are idle, the others move as busy ones do.
std::vector<std::string> frames(std::uint32_t series, int ticks) {
  std::mt19937_64 random(1);
  HostStream stream(catalog_of(0, series));
  std::vector<store::RawMessage> messages;
  for (int tick = 0; tick < ticks; ++tick) {
    for (std::size_t i = 0; i < stream.values().size(); ++i) {
      if (i / 6 % 2 == 0) stream.values()[i] += i % 6 < 2 ? random() % 1'000'000'000 / 1000 * 1000 : random() % 200;
    }
    stream.tick(kBegin + std::chrono::seconds(tick), messages);
  }
  std::vector<std::string> bytes;
  for (std::size_t i = 1; i < messages.size(); ++i) bytes.push_back(std::move(messages[i].bytes));
  return bytes;
}

/// The agents: catalog and first frame each, then, after a byte from `go`, the rest. Ends when it is killed.
[[noreturn]] void be_agents(const std::vector<wire::KeyPair>& keys, const std::string& server_key, int port_pipe,
                            int go, std::uint32_t series, int ticks) {
  std::string endpoint(64, '\0');
  endpoint.resize(static_cast<std::size_t>(std::max<ssize_t>(0, read(port_pipe, endpoint.data(), endpoint.size()))));
  zmq::context_t context;
  context.set(zmq::ctxopt::max_sockets, 4 * kAgents);
  std::vector<zmq::socket_t> sockets;
  for (const wire::KeyPair& pair : keys) {
    wire::SocketOptions options;
    options.handshake_timeout = std::chrono::seconds(60);
    options.heartbeat_timeout = std::chrono::seconds(120);
    options.heartbeat_interval = std::chrono::seconds(30);
    auto socket = wire::make_dealer(context, endpoint, pair, server_key, options);
    if (!socket) _exit(1);
    sockets.push_back(std::move(*socket));
  }
  const std::vector<std::string> bytes = frames(series, ticks);
  const auto take_acknowledgements = [](zmq::socket_t& socket) {
    while (true) {
      auto received = wire::receive(socket);
      if (!received || !*received) break;
    }
  };
  const auto send = [&](zmq::socket_t& socket, const std::string& message) {
    while (!wire::send(socket, message)) {
      std::vector<zmq::pollitem_t> room{{socket.handle(), 0, ZMQ_POLLOUT, 0}};
      wire::poll(room, std::chrono::seconds(1));
    }
    take_acknowledgements(socket);
  };
  for (std::size_t agent = 0; agent < sockets.size(); ++agent) {
    send(sockets[agent], wire::encode(*catalog_of(static_cast<int>(agent), series)));
    send(sockets[agent], bytes.front());
  }
  char byte = 0;
  if (read(go, &byte, 1) != 1) _exit(1);
  for (std::size_t tick = 1; tick < bytes.size(); ++tick) {
    for (zmq::socket_t& socket : sockets) send(socket, bytes[tick]);
  }
  for (;;) pause();
}

/// Counts what comes out of the ingest, durable by then. Thread: any.
class Progress {
 public:
  void step() {
    std::lock_guard lock(mutex_);
    if (++count_ >= wanted_) reached_.notify_one();
  }
  /// False if that takes longer than a second.
  bool reaches(std::uint64_t count) {
    std::unique_lock lock(mutex_);
    wanted_ = count;
    return reached_.wait_for(lock, std::chrono::seconds(1), [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable reached_;
  std::uint64_t count_ = 0;
  std::uint64_t wanted_ = 0;
};

int run(std::uint32_t series, int ticks) {
  wire::raise_file_limit();
  std::vector<wire::KeyPair> keys;
  const TemporaryDirectory directory;
  {
    std::ofstream file(directory / "authorized");
    for (int agent = 0; agent < kAgents; ++agent) {
      keys.push_back(*wire::generate_key_pair());
      file << agent_name(agent) << " " << keys.back().public_key << "\n";
    }
  }
  const wire::KeyPair server = *wire::generate_key_pair();
  int port[2];
  int go[2];
  if (pipe(port) != 0 || pipe(go) != 0) return EXIT_FAILURE;
  const pid_t agents = fork();  // before any thread
  if (agents == 0) be_agents(keys, server.public_key, port[0], go[0], series, ticks);

  auto authorized = wire::AuthorizedKeys::load(directory / "authorized");
  auto opened = store::RocksStore::open({.directory = directory / "store"});
  if (!authorized || !opened) return EXIT_FAILURE;
  const SystemClock clock;
  zmq::context_t context;
  context.set(zmq::ctxopt::max_sockets, 4 * kAgents);
  wire::ZapHandler zap(context, **authorized);
  Queue<ingest::Ingested> samples(65'536, WhenFull::kRefuse);
  Progress progress;
  std::thread pipeline([&] {
    while (samples.pop()) progress.step();
  });
  ingest::IngestOptions options;
  options.endpoint = "tcp://127.0.0.1:*";
  options.keys = server;
  options.socket.handshake_timeout = std::chrono::seconds(60);
  options.socket.heartbeat_timeout = std::chrono::seconds(120);
  options.socket.heartbeat_interval = std::chrono::seconds(30);
  auto ingest = ingest::Ingest::start(context, options, **authorized, **opened, clock, samples);
  if (!ingest) return EXIT_FAILURE;
  if (write(port[1], (*ingest)->endpoint().data(), (*ingest)->endpoint().size()) < 0) return EXIT_FAILURE;

  const auto wait_for_frames = [&](std::uint64_t count) {
    while (!progress.reaches(count)) {
      if (waitpid(agents, nullptr, WNOHANG) == agents) return false;
    }
    return true;
  };
  if (!wait_for_frames(kAgents)) return EXIT_FAILURE;
  const double cpu = process_cpu_s();
  if (write(go[1], "g", 1) != 1) return EXIT_FAILURE;
  const auto frame_count = static_cast<std::uint64_t>(ticks) * kAgents;
  const bool complete = wait_for_frames(frame_count) && (*opened)->write_pages();
  const double spent = process_cpu_s() - cpu;
  const Status sealed = (*opened)->expire(clock.now() + std::chrono::minutes(30));
  const double spent_sealed = process_cpu_s() - cpu;
  const ingest::IngestStatus status = (*ingest)->status();
  kill(agents, SIGKILL);
  waitpid(agents, nullptr, 0);
  ingest->reset();
  samples.close();
  pipeline.join();
  const auto pages = (*opened)->pages().counters();
  if (!sealed) {
    fmt::print(stderr, "{}\n", sealed.error().message);
    return EXIT_FAILURE;
  }
  if (!complete || pages.frames != frame_count) {
    fmt::print(stderr, "{} of {} frames are in pages: {}\n", pages.frames, frame_count, pages.problem);
    return EXIT_FAILURE;
  }
  const double count = static_cast<double>(frame_count - kAgents) * series;
  report("ingest_samples_per_s_core", count / spent, "samples/s");
  report("ingest_sealed_samples_per_s_core", count / spent_sealed, "samples/s");
  report("ingest_us_per_frame", 1e6 * spent / static_cast<double>(frame_count - kAgents), "us");
  report("ingest_wire_bytes_per_sample",
         static_cast<double>(status.bytes) / (static_cast<double>(frame_count) * series), "B");
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace proteus::bench

int main(int argc, char** argv) {
  const int series = argc > 1 ? std::atoi(argv[1]) : 1000;
  const int ticks = argc > 2 ? std::atoi(argv[2]) : 600;
  if (series < 1 || ticks < 2) return EXIT_FAILURE;
  return proteus::bench::run(static_cast<std::uint32_t>(series), ticks);
}
