#include "agent/collect/thread_reader.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "agent/collect/bpf_support.h"
#include "agent/collect/mapped_array.h"
#include "agent/collect/probe.h"
#include "agent/collect/text_file.h"
#include "common/result.h"
#include "ebpf/thread_counters.h"
#include "ebpf/thread_counters.skel.h"

namespace proteus::collect {
namespace {

/// So many threads beyond the slots cost as much through procfs as another walk over all, for which all that are wanted
/// are entered anew.
constexpr std::size_t kWorthAWalk = 256;

std::int64_t page_bytes() {
  static const std::int64_t bytes = ::sysconf(_SC_PAGESIZE);
  return bytes;
}

std::int64_t signed_count(std::uint64_t value) {
  return static_cast<std::int64_t>(value);
}

class ProcfsReader final : public ThreadReader {
 public:
  ProcfsReader(std::string root, std::string reason) : root_(std::move(root)), reason_(std::move(reason)) {}
  ThreadLane lane() const override { return ThreadLane::kProcfs; }
  const std::string& reason() const override { return reason_; }
  void read(std::span<const ThreadKey> threads, std::span<std::optional<ThreadFigures>> figures) override {
    for (std::size_t i = 0; i < threads.size(); ++i) figures[i] = read_thread_from_procfs(root_, threads[i]);
  }

 private:
  std::string root_;
  std::string reason_;
};

class ProgramReader final : public ThreadReader {
 public:
  static Result<std::unique_ptr<ProgramReader>> create(const std::string& root, ThreadLane lane) {
    std::unique_ptr<ProgramReader> reader(new ProgramReader(root, lane));
    if (const Status loaded = reader->load(); !loaded) return loaded.error();
    return reader;
  }
  ~ProgramReader() override {
    bpf_link__destroy(iterator_);
    thread_counters_bpf__destroy(skeleton_);
  }

  ThreadLane lane() const override { return lane_; }
  const std::string& reason() const override { return reason_; }
  void set_reason(std::string reason) { reason_ = std::move(reason); }
  int program_fd() const override { return bpf_program__fd(program_); }

  void read(std::span<const ThreadKey> threads, std::span<std::optional<ThreadFigures>> figures) override {
    std::size_t from = 0;
    do {  // once for no threads too: what is held of others is let go of
      const std::size_t count = std::min(threads.size() - from, slots_);
      const std::span<const ThreadKey> some = threads.subspan(from, count);
      if (lane_ == ThreadLane::kTaskIterator && from > 0 && count < kWorthAWalk) {
        for (std::size_t i = 0; i < count; ++i) figures[from + i] = read_thread_from_procfs(root_, some[i]);
      } else {
        read_round(some, figures.subspan(from, count), from == 0);
      }
      from += count;
    } while (from < threads.size());
  }

 private:
  ProgramReader(std::string root, ThreadLane lane) : root_(std::move(root)), lane_(lane) {}

  Status load() {
    const BpfLog log;
    skeleton_ = thread_counters_bpf__open();
    if (skeleton_ == nullptr) return bpf_error("open thread_counters", errno);
    const bool holds = lane_ == ThreadLane::kHeldTasks;
    const bool scans = lane_ == ThreadLane::kTaskIterator;
    program_ = holds   ? skeleton_->progs.poll_held
               : scans ? skeleton_->progs.scan_threads
                       : skeleton_->progs.poll_threads;
    bpf_program* other = nullptr;
    bpf_object__for_each_program(other, skeleton_->obj) {
      const bool is_for_the_rest = holds && other == skeleton_->progs.poll_threads;
      bpf_program__set_autoload(other, other == program_ || is_for_the_rest);
    }
    bpf_map__set_autocreate(skeleton_->maps.held, holds);
    bpf_map__set_autocreate(skeleton_->maps.wanted, scans);
    const int cpus = libbpf_num_possible_cpus();
    if (cpus <= 0) return bpf_error("count possible CPUs", -cpus);
    slots_ = std::clamp<std::size_t>(static_cast<std::size_t>(cpus) * THREAD_COUNTERS_SLOTS_PER_CPU,
                                     THREAD_COUNTERS_SLOTS_MIN, THREAD_COUNTERS_SLOTS_MAX);
    for (bpf_map* map :
         {skeleton_->maps.requests, skeleton_->maps.answers, skeleton_->maps.held, skeleton_->maps.wanted}) {
      bpf_map__set_max_entries(map, static_cast<__u32>(slots_));
    }
    if (const int code = thread_counters_bpf__load(skeleton_); code != 0) {
      return with_context(bpf_error(log.reason(), -code), "load thread_counters");
    }
    if (!requests_.map(bpf_map__fd(skeleton_->maps.requests), slots_) ||
        !answers_.map(bpf_map__fd(skeleton_->maps.answers), slots_)) {
      return bpf_error("map thread_counters' arrays", errno);
    }
    if (scans) {
      iterator_ = bpf_program__attach_iter(program_, nullptr);
      if (iterator_ == nullptr) return bpf_error("attach the task iterator", errno);
      return {};
    }
    if (!run_poll(0)) return bpf_error("run a program of thread_counters", errno);
    return {};
  }

  /// As many as there are slots. Those of the first round are held.
  void read_round(std::span<const ThreadKey> threads, std::span<std::optional<ThreadFigures>> figures, bool first) {
    for (std::size_t i = 0; i < threads.size(); ++i) {
      requests_[i] = {static_cast<__u32>(threads[i].tid), static_cast<__u32>(threads[i].pid)};
    }
    const bool ran = lane_ == ThreadLane::kTaskIterator ? run_scan(threads)
                     : first                            ? run_poll(threads.size())
                                                        : run_unheld(threads.size());
    for (std::size_t i = 0; i < threads.size(); ++i) {
      figures[i] = ran ? from_program(answers_[i]) : read_thread_from_procfs(root_, threads[i]);
    }
  }

  bool run_unheld(std::size_t count) const {
    thread_counters_args args{static_cast<__u32>(count), 0};
    LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &args, .ctx_size_in = sizeof args);
    return bpf_prog_test_run_opts(bpf_program__fd(skeleton_->progs.poll_threads), &options) == 0;
  }

  bool run_poll(std::size_t count) {
    thread_counters_args args{static_cast<__u32>(count), held_};
    LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &args, .ctx_size_in = sizeof args);
    if (bpf_prog_test_run_opts(bpf_program__fd(program_), &options) != 0) return false;
    held_ = args.count;
    return true;
  }

  bool run_scan(std::span<const ThreadKey> threads) {
    want(threads);
    for (std::size_t i = 0; i < threads.size(); ++i) answers_[i].start_boottime_ns = 0;
    const int fd = bpf_iter_create(bpf_link__fd(iterator_));
    if (fd < 0) return false;
    char nothing[64];  // the program writes no text; reading drives the walk
    ssize_t n = 0;
    do {
      n = ::read(fd, nothing, sizeof nothing);
    } while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
    ::close(fd);
    return n == 0;
  }

  /// Brings the map of wanted threads in line with `threads`; free of system calls while they stay the same, as where
  /// all have a slot.
  void want(std::span<const ThreadKey> threads) {
    if (std::equal(threads.begin(), threads.end(), wanted_.begin(), wanted_.end())) return;
    const int map = bpf_map__fd(skeleton_->maps.wanted);
    for (const ThreadKey& old : wanted_) {
      const auto tid = static_cast<__u32>(old.tid);
      bpf_map_delete_elem(map, &tid);
    }
    wanted_.assign(threads.begin(), threads.end());
    for (std::size_t i = 0; i < threads.size(); ++i) {
      const auto tid = static_cast<__u32>(threads[i].tid);
      const auto index = static_cast<__u32>(i);
      bpf_map_update_elem(map, &tid, &index, BPF_ANY);
    }
  }

  static std::optional<ThreadFigures> from_program(const thread_counters& raw) {
    if (raw.start_boottime_ns == 0) return std::nullopt;
    ThreadFigures f;
    f.start_ns = raw.start_boottime_ns;
    f.run_time_ns = signed_count(raw.run_time_ns);
    f.run_queue_wait_ns = signed_count(raw.run_queue_wait_ns);
    f.dispatches_count = signed_count(raw.dispatches_count);
    f.switches_voluntary_count = signed_count(raw.switches_voluntary_count);
    f.switches_forced_count = signed_count(raw.switches_forced_count);
    f.cpu_migrations_count = signed_count(raw.cpu_migrations_count);
    f.faults_major_count = signed_count(raw.faults_major_count);
    f.faults_minor_count = signed_count(raw.faults_minor_count);
    f.guest_time_ns = signed_count(raw.guest_time_ns);
    if (raw.ksm_merged_pages >= 0) f.ksm_merged_pages = raw.ksm_merged_pages;
    if (raw.thread_count >= 0) f.thread_count = raw.thread_count;
    if (raw.resident_pages >= 0) f.resident_bytes = raw.resident_pages * page_bytes();
    return f;
  }

  std::string root_;
  ThreadLane lane_;
  std::string reason_;
  thread_counters_bpf* skeleton_ = nullptr;
  bpf_program* program_ = nullptr;
  bpf_link* iterator_ = nullptr;
  std::size_t slots_ = 0;
  __u32 held_ = 0;  // requests of the last run
  MappedArray<thread_request> requests_;
  MappedArray<thread_counters> answers_;
  std::vector<ThreadKey> wanted_;
};

}  // namespace

const char* to_string(ThreadLane lane) {
  switch (lane) {
    case ThreadLane::kHeldTasks: return "syscall program, held tasks";
    case ThreadLane::kSyscallProgram: return "syscall program";
    case ThreadLane::kTaskIterator: return "task iterator";
    case ThreadLane::kProcfs: return "procfs";
  }
  return "unknown";
}

std::unique_ptr<ThreadReader> ThreadReader::create(const std::string& root, ThreadLane best) {
  std::string reason;
  if (best < ThreadLane::kTaskIterator) {
    if (const Status known = require_kernel_function("bpf_task_from_pid", "6.2"); !known) {
      reason = "no syscall program: " + known.error().message;
      best = ThreadLane::kTaskIterator;
    }
  }
  for (const ThreadLane lane : {ThreadLane::kHeldTasks, ThreadLane::kSyscallProgram, ThreadLane::kTaskIterator}) {
    if (lane < best) continue;
    auto reader = ProgramReader::create(root, lane);
    if (reader) {
      reader.value()->set_reason(std::move(reason));
      return std::move(reader).value();
    }
    if (!reason.empty()) reason += "; ";
    reason += fmt::format("no {}: {}", to_string(lane), reader.error().message);
  }
  if (reason.empty()) reason = "kernel programs are switched off";
  return std::make_unique<ProcfsReader>(root, std::move(reason));
}

std::optional<ThreadFigures> read_thread_from_procfs(const std::string& root, ThreadKey key) {
  const std::string process = under(root, fmt::format("/proc/{}", key.pid));
  const std::string thread = fmt::format("{}/task/{}", process, key.tid);
  const auto stat = read_file(thread + "/stat");
  const auto schedstat = read_file(thread + "/schedstat");
  const auto status = read_file(thread + "/status");
  if (!stat || !status || (!schedstat && probe_waits(root).available)) return std::nullopt;

  ThreadFigures f;
  // The name in stat may hold blanks and parentheses: fields count from the last ')'. See proc(5).
  const std::size_t name_end = stat->rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::string_view rest = std::string_view(*stat).substr(name_end + 1);
  const std::int64_t tick_ns = 1'000'000'000 / ::sysconf(_SC_CLK_TCK);
  for (int field = 3; field <= 43; ++field) {
    const std::string_view word = take_word(rest);
    if (field == 10) f.faults_minor_count = parse_number(word).value_or(0);
    if (field == 12) f.faults_major_count = parse_number(word).value_or(0);
    if (field == 14 || field == 15) f.run_time_ns += parse_number(word).value_or(0) * tick_ns;
    if (field == 22) {
      const auto ticks = parse_number(word);
      if (!ticks) return std::nullopt;
      f.start_ns = static_cast<std::uint64_t>(*ticks * tick_ns);
    }
    if (field == 43) f.guest_time_ns = parse_number(word).value_or(0) * tick_ns;
  }
  if (schedstat) {
    std::string_view words = *schedstat;
    const auto run_time = parse_number(take_word(words));
    const auto wait = parse_number(take_word(words));
    const auto dispatches = parse_number(take_word(words));
    if (!run_time || !wait || !dispatches) return std::nullopt;
    f.run_time_ns = *run_time;
    f.run_queue_wait_ns = *wait;
    f.dispatches_count = *dispatches;
  }
  f.switches_voluntary_count = number_after(*status, "voluntary_ctxt_switches:").value_or(0);
  f.switches_forced_count = number_after(*status, "nonvoluntary_ctxt_switches:").value_or(0);
  if (const auto kib = number_after(*status, "VmRSS:")) {
    f.resident_bytes = (*kib + number_after(*status, "HugetlbPages:").value_or(0)) * 1024;
  }
  if (key.pid == key.tid) {
    if (const auto pages = read_file(process + "/ksm_merging_pages")) f.ksm_merged_pages = parse_number(*pages);
  }
  return f;
}

}  // namespace proteus::collect
