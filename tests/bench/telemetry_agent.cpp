// What a whole agent costs: the real proteus-agent measures 100 synthetic VMs with 4 vCPU threads each at 1 Hz and
// sends it, with CURVE, to a sink that decodes and acknowledges every frame. Prints JSON lines {"name", "value",
// "unit"}. Run as root: telemetry_agent [PROTEUS-AGENT [TICK]], TICK as in the agent's configuration, by default 1s
//
//   agent_us_per_sample  CPU time of all threads of the agent, user and system, with what its kernel programs take in
//                        other processes' time, per sample. A sample is one value present in a frame.
//   agent_core_percent   the same CPU time of one core
//   agent_rss_mib        resident memory of the agent, shared libraries included; agent_rss_anon_mib without them
//
// CPU time comes from the threads' schedstat, in nanoseconds. Kernel programs in the agent's own system calls are part
// of it; hooks in other processes are counted in a second window with the kernel's run statistics on, whose own cost,
// as an empty program tells it, is taken off.
#include <fmt/core.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "agent/collect/bpf_support.h"
#include "agent/collect/text_file.h"
#include "common/result.h"
#include "common/wire/socket.h"
#include "common/wire/telemetry_codec.h"
#include "common/wire/zap_handler.h"
#include "tests/bench/empty_hook.h"
#include "tests/bench/hook_programs.h"
#include "tests/bench/synthetic_vms.h"

namespace proteus::bench {
namespace {

using collect::parse_number;
using collect::read_file;

constexpr int kVms = 100;
constexpr int kVcpus = 4;
constexpr int kWarmUpFrames = 20;
constexpr int kFrames = 60;
constexpr int kHookFrames = 15;

void print(const char* name, double value, const char* unit) {
  fmt::print("{{\"name\":\"{}\",\"value\":{:.4f},\"unit\":\"{}\"}}\n", name, value, unit);
  std::fflush(stdout);
}

/// A controller's telemetry socket, as far as an agent can tell.
class Sink {
 public:
  Sink(const std::string& directory, const std::string& agent_line)
      : authorized_(authorize(directory + "/authorized", agent_line)),
        zap_(context_, *authorized_),
        router_(wire::make_router(context_, "tcp://127.0.0.1:*", keys_, {}).value()),
        commands_(wire::make_router(context_, "tcp://127.0.0.1:*", keys_, {}).value()) {}

  std::string endpoint() { return wire::bound_endpoint(router_); }
  /// Takes greetings and answers none, as a controller that does not lead.
  std::string command_endpoint() { return wire::bound_endpoint(commands_); }
  const std::string& public_key() const { return keys_.public_key; }

  /// Receives, decodes and acknowledges until a frame has arrived; returns it, or nullopt after 10 s of silence.
  std::optional<Sample> next() {
    for (;;) {
      std::vector<zmq::pollitem_t> items{{router_.handle(), 0, ZMQ_POLLIN, 0}};
      wire::poll(items, std::chrono::seconds(10));
      auto message = wire::receive_from_agent(router_, *authorized_);
      if (!message || !*message) return std::nullopt;
      wire_bytes_ += (*message)->bytes().size();
      auto sample = reader_.read((*message)->user, (*message)->bytes());
      if (!sample) {
        fmt::print(stderr, "sink: {}\n", sample.error().message);
        return std::nullopt;
      }
      if (!*sample) {
        ++catalogs_;
        continue;
      }
      const wire::Ack ack{(*sample)->frame.boot_id, (*sample)->frame.sequence, wire::Ack::Want::kNothing};
      if (Status sent = wire::send_to(router_, (*message)->routing_id, wire::encode(ack)); !sent) return std::nullopt;
      return std::move(*sample);
    }
  }
  std::uint64_t wire_bytes() const { return wire_bytes_; }
  std::uint64_t catalogs() const { return catalogs_; }

 private:
  static std::unique_ptr<wire::AuthorizedKeys> authorize(const std::string& path, const std::string& line) {
    std::ofstream(path) << line << "\n";
    return std::move(wire::AuthorizedKeys::load(path)).value();
  }

  const wire::KeyPair keys_ = wire::generate_key_pair().value();
  zmq::context_t context_;
  std::unique_ptr<wire::AuthorizedKeys> authorized_;
  wire::ZapHandler zap_;
  zmq::socket_t router_;
  zmq::socket_t commands_;
  wire::TelemetryReader reader_;
  std::uint64_t wire_bytes_ = 0;
  std::uint64_t catalogs_ = 0;
};

/// CPU time of every thread of the process so far, by thread.
std::map<std::string, double> cpu_ns_by_thread(pid_t pid) {
  std::map<std::string, double> sum;
  for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid))) {
    const auto text = read_file(entry.path().string() + "/schedstat");
    const auto name = read_file(entry.path().string() + "/comm");
    if (!text || !name) continue;
    sum[name->substr(0, name->find('\n'))] += static_cast<double>(parse_number(*text).value_or(0));
  }
  return sum;
}

double total(const std::map<std::string, double>& by_thread) {
  double sum = 0;
  for (const auto& [name, ns] : by_thread) sum += ns;
  return sum;
}

/// What the agent's hooks cost other processes.
struct HookCost {
  double ns_per_s = 0;  ///< net of the run statistics' own cost, which an empty program on sched_switch tells
  double runs_per_s = 0;
};

double kib_of(pid_t pid, const char* key) {
  const auto status = read_file(fmt::format("/proc/{}/status", pid));
  return status ? static_cast<double>(collect::number_after(*status, key).value_or(0)) : 0;
}

/// The newest of `count` frames; nullopt if they stop coming.
std::optional<Sample> take(Sink& sink, int count) {
  std::optional<Sample> sample;
  for (int i = 0; i < count; ++i) {
    sample = sink.next();
    if (!sample) return std::nullopt;
  }
  return sample;
}

std::string output_of(const std::string& command) {
  std::string text;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  char buffer[512];
  while (pipe != nullptr && std::fgets(buffer, sizeof buffer, pipe) != nullptr) text += buffer;
  if (pipe != nullptr) ::pclose(pipe);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

int fail(const std::string& why) {
  fmt::print(stderr, "telemetry_agent: {}\n", why);
  return 1;
}

Result<HookCost> measure_hooks(pid_t agent, Sink& sink) {
  auto statistics = collect::RunStatistics::enable();
  if (!statistics) return statistics.error();
  const HookPrograms programs(agent);
  const EmptyHook empty;
  if (!empty.attached() || programs.size() == 0) return Error{ErrorCode::kUnsupported, "no hook can be measured here"};
  const auto overhead_before = collect::program_statistics(empty.program_fd());
  const HookPrograms::Totals before = programs.totals();
  const auto begin = std::chrono::steady_clock::now();
  if (!take(sink, kHookFrames)) return Error{ErrorCode::kUnavailable, "the agent fell silent"};
  const auto overhead_after = collect::program_statistics(empty.program_fd());
  const HookPrograms::Totals after = programs.totals();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!overhead_before || !overhead_after || overhead_after->run_count == overhead_before->run_count) {
    return Error{ErrorCode::kUnsupported, "the kernel counts no runs"};
  }
  const double overhead_ns = static_cast<double>(overhead_after->run_time_ns - overhead_before->run_time_ns) /
                             static_cast<double>(overhead_after->run_count - overhead_before->run_count);
  const auto runs = static_cast<double>(after.run_count - before.run_count);
  const auto ns = static_cast<double>(after.run_time_ns - before.run_time_ns);
  return HookCost{.ns_per_s = (ns - runs * overhead_ns) / seconds, .runs_per_s = runs / seconds};
}

int measure(pid_t agent, Sink& sink, std::size_t group_count) {
  if (!take(sink, kWarmUpFrames)) return fail("the agent sends nothing");
  const auto before = cpu_ns_by_thread(agent);
  const std::uint64_t bytes_before = sink.wire_bytes();
  const std::uint64_t catalogs_before = sink.catalogs();
  const auto first = sink.next();
  std::optional<Sample> last;
  double samples = 0;
  for (int i = 0; i < kFrames; ++i) {
    last = sink.next();
    if (!first || !last) return fail("the agent fell silent");
    for (const std::uint8_t present : last->frame.present) samples += present;
  }
  const auto after = cpu_ns_by_thread(agent);
  const auto wire_bytes = static_cast<double>(sink.wire_bytes() - bytes_before);
  const auto catalogs = static_cast<double>(sink.catalogs() - catalogs_before);
  const double seconds = static_cast<double>(to_unix_ns(last->frame.time) - to_unix_ns(first->frame.time)) / 1e9;
  const double rss_mib = kib_of(agent, "VmRSS:") / 1024;
  const double anonymous_mib = kib_of(agent, "RssAnon:") / 1024;

  const auto hooks = measure_hooks(agent, sink);
  if (!hooks) return fail(hooks.error().message);

  const double agent_ns = (total(after) - total(before)) / seconds;
  const double samples_per_s = samples / seconds;
  print("agent_us_per_sample", (agent_ns + hooks->ns_per_s) / samples_per_s / 1000, "us");
  print("agent_core_percent", (agent_ns + hooks->ns_per_s) / 1e7, "%");
  print("agent_rss_mib", rss_mib, "MiB");
  print("agent_rss_anon_mib", anonymous_mib, "MiB");
  print("agent_samples_per_s", samples_per_s, "1/s");
  print("agent_hooks_core_percent", hooks->ns_per_s / 1e7, "%");
  print("agent_hook_runs_per_s", hooks->runs_per_s, "1/s");
  print("agent_wire_bytes_per_sample", wire_bytes / samples, "bytes");
  print("agent_catalogs", catalogs, "1");
  print("agent_bench_groups", static_cast<double>(group_count), "1");
  for (const auto& [name, ns] : after) {
    const auto found = before.find(name);
    const double spent = ns - (found == before.end() ? 0 : found->second);
    print(fmt::format("agent_thread_core_percent_{}", name).c_str(), spent / seconds / 1e7, "%");
  }
  return 0;
}

int main_of_bench(const std::string& program, const std::string& tick) {
  char name[] = "/tmp/proteus-bench-XXXXXX";
  if (::mkdtemp(name) == nullptr) return fail("cannot make a directory");
  const std::string directory = name;
  struct Remove {
    std::string path;
    ~Remove() { std::filesystem::remove_all(path); }
  } remove{directory};

  const std::string line = output_of(fmt::format("{} keygen {} --name bench 2>/dev/null", program, directory));
  if (!line.starts_with("bench ")) return fail(fmt::format("{} keygen does not work", program));
  Sink sink(directory, line);
  const SyntheticVms vms(kVms, kVcpus, directory);
  std::ofstream(directory + "/agent.toml") << fmt::format(
      "host = \"bench\"\ntick = \"{5}\"\nstate_directory = \"{0}/state\"\nsecret_key = \"{0}/agent.key\"\n"
      "[[controller]]\ntelemetry = \"{1}\"\ncommand = \"{4}\"\npublic_key = \"{2}\"\n"
      "[libvirt]\nuri = \"{3}\"\n",
      directory, sink.endpoint(), sink.public_key(), vms.libvirt_uri(), sink.command_endpoint(), tick);
  const pid_t agent = ::fork();
  if (agent == 0) {
    ::execl(program.c_str(), program.c_str(), "--config", (directory + "/agent.toml").c_str(), nullptr);
    ::_exit(127);
  }
  const int code = measure(agent, sink, vms.group_count());
  ::kill(agent, SIGTERM);
  ::waitpid(agent, nullptr, 0);
  return code;
}

}  // namespace
}  // namespace proteus::bench

int main(int argc, char** argv) {
  if (argc == 5 && std::strcmp(argv[1], "vm") == 0) proteus::bench::run_as_synthetic_vm(std::atoi(argv[4]));
  if (::geteuid() != 0) {
    fmt::print(stderr, "telemetry_agent: needs root\n");
    return 1;
  }
  return proteus::bench::main_of_bench(argc > 1 ? argv[1] : PROTEUS_AGENT, argc > 2 ? argv[2] : "1s");
}
