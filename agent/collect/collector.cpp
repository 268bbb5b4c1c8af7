#include "agent/collect/collector.h"

#include <fmt/core.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "agent/collect/block_trace.h"
#include "agent/collect/bpf_support.h"
#include "agent/collect/calibration_file.h"
#include "agent/collect/catalog_walk.h"
#include "agent/collect/damon.h"
#include "agent/collect/hardware_counters.h"
#include "agent/collect/host_devices.h"
#include "agent/collect/host_files.h"
#include "agent/collect/inventory.h"
#include "agent/collect/kvm_reader.h"
#include "agent/collect/late_module.h"
#include "agent/collect/net_devices.h"
#include "agent/collect/on_demand.h"
#include "agent/collect/pressure_reader.h"
#include "agent/collect/probe.h"
#include "agent/collect/reclaim_trace.h"
#include "agent/collect/resctrl.h"
#include "agent/collect/run_queue_trace.h"
#include "agent/collect/text_file.h"
#include "agent/collect/thread_reader.h"
#include "agent/collect/vm_table.h"
#include "agent/collect/vm_walk.h"
#include "agent/collect/working_sets.h"
#include "common/log.h"

namespace proteus {
namespace collect {
namespace {

constexpr std::uint64_t kHooksEveryTicks = 10;
constexpr std::uint64_t kCalibrationEveryTicks = 10;
constexpr std::uint64_t kModuleEveryTicks = 10;
constexpr std::uint64_t kReopenTicksLeast = 5;
constexpr std::uint64_t kReopenTicksMost = 640;
constexpr std::string_view kExitHook = "on_kvm_exit";  // see OnDemand::programs()

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

std::string cpu_model(const std::string& root) {
  const auto text = read_file(under(root, "/proc/cpuinfo"));
  if (!text) return "unknown";
  std::string_view rest = *text;
  while (const auto line = take_line(rest)) {
    if (line->substr(0, 10) != "model name") continue;
    const std::size_t colon = line->find(": ");
    if (colon != std::string_view::npos) return std::string(line->substr(colon + 2));
  }
  return "unknown";
}

std::size_t cpu_number(const std::string& name) {
  return static_cast<std::size_t>(parse_number(name).value_or(-1));
}

class CollectorOfHost final : public Collector {
 public:
  CollectorOfHost(CollectorOptions options, std::uint64_t boot_id)
      : options_(std::move(options)),
        boot_id_(boot_id),
        host_files_(options_.root),
        host_devices_(options_.root),
        net_devices_(options_.root),
        calibration_(options_.calibration_path),
        kvm_module_(under(options_.root, "/sys/kernel/btf/kvm")),
        statm_(under(options_.root, "/proc/self/statm"), FileRecords::kShort),
        stats_enabled_(under(options_.root, "/proc/sys/kernel/bpf_stats_enabled"), FileRecords::kShort) {
    load_programs();
    vms_.emplace(options_.root, VmSources{.threads = *thread_reader_,
                                          .run_queue = trace_.get(),
                                          .kvm = kvm_reader_.get(),
                                          .pressure = pressure_reader_.get(),
                                          .block = block_trace_.get(),
                                          .reclaim = reclaim_.get(),
                                          .hardware = hardware_.get(),
                                          .resctrl = resctrl_ ? &*resctrl_ : nullptr,
                                          .working_sets = working_sets_ ? &*working_sets_ : nullptr});
    vms_->on_slot_released([this](std::uint32_t slot) { on_demand_->forget(slot); });
    fixed_labels();
    inventory_ = std::make_shared<Inventory>();
    if (!options_.libvirt_uri.empty()) {
      inventory_reader_ = InventoryReader::start({options_.root, options_.libvirt_uri, options_.slow_interval});
      vms_->on_vcpus_changed([this](const VmId& vm) { refresh(vm); });
    }
  }

  void look() override {
    if (trace_) trace_->update();
  }
  int looks_due() override { return trace_ ? trace_->updates_due() : 1; }

  void refresh(const VmId& vm) override {
    if (inventory_reader_) inventory_reader_->refresh(vm);
  }

  Sample tick(Timestamp now) override {
    bool changed = catalog_ == nullptr;
    if (inventory_reader_) {
      auto latest = inventory_reader_->latest();
      changed |= latest->names_number != inventory_->names_number;
      previous_inventory_ = std::exchange(inventory_, std::move(latest));
    }
    changed |= host_devices_.refresh();
    if (hardware_ && follows_cpus()) follow_cpus();
    if (sequence_ % kCalibrationEveryTicks == 0) changed |= calibration_.refresh();
    if (kvm_reader_ == nullptr && sequence_ % kModuleEveryTicks == 0) changed |= follow_kvm_module();
    if (on_demand_->update(now)) {
      changed = true;
      follow_on_demand_hooks();
    }
    changed |= vms_->update(*inventory_);  // after it, nobody points into the previous inventory
    previous_inventory_.reset();
    read_host();
    if (changed) renew_catalog();

    Sample sample{catalog_, {}};
    Frame& frame = sample.frame;
    frame.boot_id = boot_id_;
    frame.catalog_version = catalog_->version;
    frame.sequence = ++sequence_;
    frame.time = now;
    FrameSink sink(*catalog_, frame);
    walk(sink);
    return sample;
  }

 private:
  void load_programs() {
    thread_reader_ =
        ThreadReader::create(options_.root, options_.kernel_programs ? ThreadLane::kHeldTasks : ThreadLane::kProcfs);
    log::info("thread counters: {}{}{}", to_string(thread_reader_->lane()),
              thread_reader_->reason().empty() ? "" : "; ", thread_reader_->reason());
    if (!options_.kernel_programs) {
      trace_reason_ = "kernel programs are switched off";
    } else if (auto trace = RunQueueTrace::create()) {
      trace_ = std::move(trace).value();
    } else {
      trace_reason_ = trace.error().message;
    }
    if (trace_ == nullptr) log::warning("no run-queue trace: {}", trace_reason_);
    if (options_.kernel_programs) {
      keep("KVM counters", KvmReader::create(), kvm_reader_);
      keep("pressure totals", PressureReader::create(), pressure_reader_);
      keep("block latency", BlockTrace::create(options_.root), block_trace_);
      if (trace_) keep("reclaim latency", ReclaimTrace::create(*trace_), reclaim_);
      if (trace_) keep("hardware counters", HardwareCounters::create(*trace_), hardware_);
    }
    if (auto resctrl = Resctrl::open(options_.root)) {
      resctrl_.emplace(std::move(resctrl).value());
      resctrl_->remove_left();
    }
    if (auto damon = Damon::open(options_.root)) {
      working_sets_.emplace(std::move(damon).value());
    } else {
      log::info("working sets are active anonymous pages of control groups: {}", damon.error().message);
    }
    on_demand_.emplace(options_.kernel_programs ? options_.questions_path : std::string(), trace_.get());
    if (options_.hook_statistics) {
      auto enabled = RunStatistics::enable();
      if (enabled) {
        run_statistics_.emplace(std::move(enabled).value());
      } else {
        log::warning("no hook statistics: {}", enabled.error().message);
      }
    }
    if (thread_reader_->program_fd() >= 0) {
      hooks_.push_back({thread_reader_->lane() == ThreadLane::kTaskIterator ? "scan_threads" : "poll_threads",
                        thread_reader_->program_fd(),
                        {}});
    }
    if (trace_) hooks_.push_back({"on_sched_switch", trace_->program_fd(), {}});
    if (kvm_reader_) hooks_.push_back({"poll_vcpus", kvm_reader_->program_fd(), {}});
    if (pressure_reader_) hooks_.push_back({"poll_pressure", pressure_reader_->program_fd(), {}});
    if (block_trace_) hooks_.push_back({"on_block_rq_complete", block_trace_->program_fd(), {}});
    if (hardware_) hooks_.push_back({"on_sched_switch_counters", hardware_->program_fd(), {}});
    if (reclaim_) {
      for (const NamedProgram& program : reclaim_->programs()) hooks_.push_back({program.name, program.fd, {}});
    }
    lasting_hooks_ = hooks_.size();
    ::malloc_trim(0);  // loading has parsed the kernel's types, several MiB that are not needed again
  }

  /// Takes the source, or says once why there is none.
  template <typename Source>
  static void keep(const char* what, Result<std::unique_ptr<Source>> loaded, std::unique_ptr<Source>& source) {
    if (loaded) {
      source = std::move(loaded).value();
    } else {
      log::warning("no {}: {}", what, loaded.error().message);
    }
  }

  bool follows_cpus() const {
    const bool tries_again = !hardware_->counts_all_cpus() && sequence_ >= reopen_at_tick_;
    return tries_again || (host_devices_.cpus_changed() && sequence_ > 0);
  }

  /// Each CPU is interrupted for it, so that what fails is tried ever more seldom.
  void follow_cpus() {
    hardware_->follow_cpus();
    reopen_wait_ticks_ =
        hardware_->counts_all_cpus() ? kReopenTicksLeast : std::min(2 * reopen_wait_ticks_, kReopenTicksMost);
    reopen_at_tick_ = sequence_ + reopen_wait_ticks_;
  }

  /// Whoever starts the first guest may load it long after the agent has started.
  bool follow_kvm_module() {
    const auto now = std::chrono::steady_clock::now();
    if (!options_.kernel_programs || !kvm_module_.is_due(now)) return false;
    keep("KVM counters", KvmReader::create(), kvm_reader_);
    ::malloc_trim(0);  // as after the start
    if (kvm_reader_ == nullptr) {
      kvm_module_.failed(now);
      return false;
    }
    log::info("KVM counters: the module has been loaded");
    vms_->use(*kvm_reader_);
    const Hook hook{"poll_vcpus", kvm_reader_->program_fd(), {}};
    hooks_.insert(hooks_.begin() + static_cast<std::ptrdiff_t>(lasting_hooks_++), hook);
    return true;
  }

  void fixed_labels() {
    utsname system{};
    ::uname(&system);
    labels_["machine"] = system.machine;
    labels_["kernel"] = system.release;
    labels_["cpu_model"] = cpu_model(options_.root);
    labels_["migrate_uri"] = options_.migrate_uri.empty() ? "tcp://" + host_name() : options_.migrate_uri;
    labels_["libvirt_uri"] = options_.libvirt_migration_uri.empty() ? "qemu+tcp://" + host_name() + "/system"
                                                                    : options_.libvirt_migration_uri;
    labels_["capability.poll"] =
        thread_reader_->lane() == ThreadLane::kProcfs ? "no: " + thread_reader_->reason() : "yes";
    labels_["capability.trace"] = trace_ ? "yes" : "no: " + trace_reason_;
    labels_["capability.psi"] = probe_psi(options_.root).label();
    labels_["capability.cpu_quota"] = probe_cpu_quota(options_.root).label();
  }

  std::map<std::string, std::string> host_labels() const {
    auto labels = labels_;
    labels["hypervisor"] = inventory_->hypervisor.empty() ? "unknown" : inventory_->hypervisor;
    labels["libvirt"] = inventory_->libvirt.empty() ? "unknown" : inventory_->libvirt;
    const std::string trouble = inventory_->trouble.empty() ? "not connected yet" : inventory_->trouble;
    if (!inventory_->connected) labels["libvirt_trouble"] = trouble;
    for (const char* name : {"vcpu_hotplug", "balloon", "migrate", "dirty_rate"}) {
      const auto known = inventory_->capabilities.find(name);
      labels[fmt::format("capability.{}", name)] =
          known == inventory_->capabilities.end() ? "no: libvirt: " + trouble : known->second;
    }
    labels.insert(calibration_.labels().begin(), calibration_.labels().end());
    return labels;
  }

  void read_host() {
    host_ = host_files_.read();
    net_devices_.refresh();
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto ns = [](const timeval& t) {
      return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_usec * 1000;
    };
    agent_cpu_time_ns_ = ns(usage.ru_utime) + ns(usage.ru_stime);
    agent_resident_bytes_.reset();
    if (const auto statm = statm_.read()) {
      std::string_view words = *statm;
      take_word(words);
      if (const auto pages = parse_number(take_word(words))) agent_resident_bytes_ = *pages * ::sysconf(_SC_PAGESIZE);
    }
    read_hooks();
  }

  void follow_on_demand_hooks() {
    hooks_.resize(lasting_hooks_);
    for (const NamedProgram& program : on_demand_->programs()) {
      hooks_.push_back({program.name, program.fd, program_statistics(program.fd)});
    }
  }

  /// How long the programs ran, while somebody counts that; else only now and then what they missed.
  void read_hooks() {
    const bool looks_again = sequence_ % kHooksEveryTicks == 0;
    if (looks_again) {
      const auto enabled = stats_enabled_.read();
      run_times_counted_ = run_statistics_.has_value() || (enabled && parse_number(*enabled).value_or(0) > 0);
    }
    if (!looks_again && !run_times_counted_) return;
    for (Hook& hook : hooks_) hook.statistics = program_statistics(hook.program_fd);
  }

  void renew_catalog() {
    // and some more: it is renewed where something has come
    CatalogSink sink(catalog_ ? catalog_->entities.size() + 64 : 0, catalog_ ? catalog_->series.size() + 512 : 0);
    walk(sink);
    if (catalog_ && catalog_->entities == sink.entities() && catalog_->series == sink.series()) return;
    auto catalog = std::make_shared<Catalog>();
    catalog->host = options_.host;
    catalog->boot_id = boot_id_;
    catalog->version = catalog_ ? catalog_->version + 1 : 1;
    catalog->entities = sink.take_entities();
    catalog->series = sink.take_series();
    catalog_ = std::move(catalog);
  }

  /// Names every entity and every figure in one fixed order: once to build the catalog, then at every tick for the
  /// values.
  template <typename Sink>
  void walk(Sink& sink) const {
    const std::uint32_t host = sink.entity([&] {
      return Entity{EntityKind::kHost, kNoParent, options_.host.value, {}, host_labels()};
    });
    walk_host(sink);
    for (const Hook& hook : hooks_) {
      sink.entity([&] { return Entity{EntityKind::kHook, host, hook.name, {}, {}}; });
      const auto count = [&](std::uint64_t ProgramStatistics::*field, bool known) -> std::optional<std::int64_t> {
        if (!hook.statistics || !known) return std::nullopt;
        return static_cast<std::int64_t>((*hook.statistics).*field);
      };
      sink.value(Kpi::kAgentHookTimeNs, count(&ProgramStatistics::run_time_ns, run_times_counted_));
      sink.value(Kpi::kAgentHookRunsCount, count(&ProgramStatistics::run_count, run_times_counted_));
      auto misses = count(&ProgramStatistics::misses_count, true);
      if (misses && trace_ && hook.program_fd == trace_->program_fd())
        *misses += vms_->refused_count() + trace_->lost_count();
      if (misses && block_trace_ && hook.program_fd == block_trace_->program_fd()) {
        *misses += block_trace_->refused_count();
      }
      if (misses && kvm_reader_ && hook.program_fd == kvm_reader_->program_fd()) {
        *misses += kvm_reader_->refused_count();
      }
      if (misses && hook.name == kExitHook) *misses += on_demand_->refused_exits_count();
      sink.value(Kpi::kAgentHookMissesCount, misses);
    }
    const auto now = std::chrono::steady_clock::now();
    for (const Device& device : host_devices_.devices()) {
      sink.entity([&] { return Entity{device.kind, host, device.name, {}, {}}; });
      for (const Figure& figure : device.figures) sink.value(figure.kpi, figure.value);
      if (device.kind == EntityKind::kCpu && on_demand_->counts_net_softirq()) {
        sink.value(Kpi::kNetSoftirqTimeNs, on_demand_->net_softirq_time_ns(cpu_number(device.name)));
      }
    }
    for (const auto& [reason, count] : on_demand_->packet_drops()) {
      sink.entity([&, &name = reason] { return Entity{EntityKind::kDropReason, host, name, {}, {}}; });
      sink.value(Kpi::kPacketDropReasonCount, count);
    }
    const VmWalk vms{.table = *vms_,
                     .net_devices = net_devices_,
                     .oldest_fact = now - options_.slow_interval * kFactsAgeIntervals,
                     .has_trace = trace_ != nullptr,
                     .has_reclaim = reclaim_ != nullptr,
                     .has_hardware = hardware_ != nullptr,
                     .has_resctrl = resctrl_.has_value(),
                     .on_demand = &*on_demand_};
    for (const auto& [id, vm] : vms_->vms()) walk_vm(sink, vm, vms);
  }

  template <typename Sink>
  void walk_host(Sink& sink) const {
    sink.value(Kpi::kHostPressureCpuNs, host_.pressure_cpu_ns);
    sink.value(Kpi::kHostPressureMemoryNs, host_.pressure_memory_ns);
    sink.value(Kpi::kHostPressureIoNs, host_.pressure_io_ns);
    sink.value(Kpi::kHostCpuTimeNs, host_.cpu_time_ns);
    sink.value(Kpi::kHostCpuCapacityMillicores, host_.cpu_capacity_millicores);
    sink.value(Kpi::kHostMemoryTotalBytes, host_.memory_total_bytes);
    sink.value(Kpi::kHostMemoryAvailableBytes, host_.memory_available_bytes);
    sink.value(Kpi::kTcpRetransmitsCount, host_.tcp_retransmits_count);
    sink.value(Kpi::kKsmPagesSharing, host_.ksm_pages_sharing);
    sink.value(Kpi::kAgentCpuTimeNs, agent_cpu_time_ns_);
    sink.value(Kpi::kAgentResidentBytes, agent_resident_bytes_);
    if (options_.dropped_frames_count) {
      sink.value(Kpi::kAgentDroppedFramesCount, static_cast<std::int64_t>(options_.dropped_frames_count()));
    }
  }

  struct Hook {
    const char* name;
    int program_fd;
    std::optional<ProgramStatistics> statistics;
  };

  const CollectorOptions options_;
  const std::uint64_t boot_id_;
  std::map<std::string, std::string> labels_;

  /// First: a libvirt that hangs holds it when it is destroyed, and all else is given back to the kernel by then.
  std::unique_ptr<InventoryReader> inventory_reader_;

  std::unique_ptr<ThreadReader> thread_reader_;
  std::unique_ptr<RunQueueTrace> trace_;  ///< null: see trace_reason_
  std::string trace_reason_;
  std::unique_ptr<KvmReader> kvm_reader_;
  std::unique_ptr<PressureReader> pressure_reader_;
  std::unique_ptr<BlockTrace> block_trace_;
  std::unique_ptr<ReclaimTrace> reclaim_;
  std::unique_ptr<HardwareCounters> hardware_;
  std::optional<Resctrl> resctrl_;
  std::optional<WorkingSets> working_sets_;
  std::optional<OnDemand> on_demand_;
  std::optional<RunStatistics> run_statistics_;
  std::vector<Hook> hooks_;
  std::size_t lasting_hooks_ = 0;  ///< those before it; the others are attached while somebody asks

  HostFiles host_files_;
  HostDevices host_devices_;
  NetDevices net_devices_;
  CalibrationLabels calibration_;
  LateModule kvm_module_;
  std::uint64_t reopen_at_tick_ = 0;  // the processor's counters, where they could not be opened
  std::uint64_t reopen_wait_ticks_ = kReopenTicksLeast;
  TextFile statm_;
  TextFile stats_enabled_;

  std::shared_ptr<const Inventory> inventory_;
  std::shared_ptr<const Inventory> previous_inventory_;
  std::optional<VmTable> vms_;

  // this tick's
  HostFigures host_;
  std::int64_t agent_cpu_time_ns_ = 0;
  std::optional<std::int64_t> agent_resident_bytes_;
  bool run_times_counted_ = false;

  std::shared_ptr<const Catalog> catalog_;
  std::uint64_t sequence_ = 0;
};

}  // namespace
}  // namespace collect

Result<std::unique_ptr<Collector>> Collector::create(CollectorOptions options, std::uint64_t boot_id) {
  if (options.host.empty()) return Error{ErrorCode::kInvalidArgument, "the host has no name"};
  if (options.slow_interval < std::chrono::seconds(1)) {
    return Error{ErrorCode::kInvalidArgument, "the slow interval is shorter than a second"};
  }
  return std::unique_ptr<Collector>(std::make_unique<collect::CollectorOfHost>(std::move(options), boot_id));
}

}  // namespace proteus
