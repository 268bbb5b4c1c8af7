#include "agent/collect/inventory.h"

#include <fmt/core.h>
#include <libvirt/libvirt.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>

#include "agent/collect/dirty_rate_budget.h"
#include "agent/collect/domain_statistics.h"
#include "agent/collect/libvirt_events.h"
#include "agent/collect/libvirt_reading.h"
#include "agent/collect/silent_vms.h"
#include "agent/collect/vm_process.h"
#include "common/log.h"

namespace proteus::collect {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::chrono::seconds kReconnectFirst{1};
constexpr std::chrono::seconds kReconnectMost{30};
/// A definition, vCPUs and quotas are reread with events and when threads of vCPUs come or go; this bounds how long a
/// missed one can matter. It takes five calls for each VM, of which each costs the daemon more than the agent.
constexpr std::chrono::seconds kDescriptionAge{60};
/// What takes longer is published when it comes.
constexpr std::chrono::milliseconds kAnswerWait{1'000};

class Reader final : public InventoryReader {
 public:
  explicit Reader(InventoryOptions options) : options_(std::move(options)) {
    current_ = std::make_shared<Inventory>();
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "proteus-libvirt");
      run();
    });
  }

  ~Reader() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  std::shared_ptr<const Inventory> latest() const override {
    std::lock_guard lock(mutex_);
    return current_;
  }

  void refresh(const VmId& vm) override { ask(vm, false); }

 private:
  /// Work that events and refresh() leave for the thread.
  struct Wanted {
    bool all = false;
    bool statistics = false;  ///< have come late
    bool connection_lost = false;
    std::set<VmId> vms;
    std::set<VmId> descriptions;  ///< of these the XML too
    bool empty() const { return !all && !statistics && !connection_lost && vms.empty(); }
  };

  void ask(const VmId& vm, bool description) {
    {
      std::lock_guard lock(mutex_);
      if (vm.empty()) {
        wanted_.all = true;
      } else {
        wanted_.vms.insert(vm);
        if (description) wanted_.descriptions.insert(vm);
      }
    }
    wake_.notify_all();
  }

  void note_statistics() {
    {
      std::lock_guard lock(mutex_);
      wanted_.statistics = true;
    }
    wake_.notify_all();
  }

  // --- the thread ---

  void run() {
    const LibvirtEventLoop events;
    statistics_.emplace([uri = options_.uri] { return libvirt_statistics(uri); }, [this] { note_statistics(); });
    auto wait = kReconnectFirst;
    while (!stopping()) {
      auto connected = connect(options_.uri);
      if (!connected) {
        publish_disconnected(connected.error().message);
        pause(wait);
        wait = std::min(wait * 2, kReconnectMost);
        continue;
      }
      wait = kReconnectFirst;
      connection_ = std::move(connected).value();
      const std::string trouble = serve();
      unsubscribe();
      connection_.reset();
      if (!stopping()) publish_disconnected(trouble);
    }
    statistics_.reset();
  }

  /// Until the connection breaks (returns why) or the reader stops.
  std::string serve() {
    subscribe();
    Inventory inventory;
    inventory.connected = true;
    inventory.hypervisor = hypervisor_version(connection_.get());
    inventory.libvirt = daemon_version(connection_.get());
    inventory.capabilities = libvirt_capabilities(connection_.get());
    log::info("libvirt: connected to {} ({}, libvirt {})", options_.uri, inventory.hypervisor, inventory.libvirt);
    said_disconnected_ = false;

    Wanted wanted;
    wanted.all = true;
    SteadyTime next_slow{};
    bool is_listed = false;
    for (;;) {
      if (wanted.connection_lost) return "the connection was closed";
      const bool slow = wanted.all || std::chrono::steady_clock::now() >= next_slow;
      const Status done = slow ? read_all(inventory, wanted) : read_some(inventory, wanted);
      if (!done && virConnectIsAlive(connection_.get()) != 1) return done.error().message;
      if (!done && !is_listed) {  // an empty list would end every VM
        pause(kReconnectFirst);
        return done.error().message;
      }
      is_listed = true;
      if (!done) log::warning("libvirt: {}", done.error().message);
      if (slow || !wanted.vms.empty()) {
        set_silent_aside(inventory);
        std::set<VmId> vms = slow ? std::set<VmId>{} : wanted.vms;
        std::erase_if(vms, [&](const VmId& id) { return silent_.contains(id); });
        statistics_->ask({.all = slow, .except = silent_, .vms = std::move(vms), .measure = {}});
        statistics_->wait(kAnswerWait);
      }
      take_statistics(inventory);
      publish(inventory);
      if (slow) {
        // after the figures are out, as these calls may take their time
        if (inventory.capabilities["dirty_rate"] == "yes") start_dirty_rates(inventory);
        next_slow = std::chrono::steady_clock::now() + options_.slow_interval;
      }
      std::unique_lock lock(mutex_);
      wake_.wait_until(lock, next_slow, [this] { return stopping_ || !wanted_.empty(); });
      if (stopping_) return {};
      wanted = std::exchange(wanted_, Wanted{});
    }
  }

  Status read_all(Inventory& inventory, const Wanted& wanted) {
    auto listed = DomainList::read(connection_.get());
    if (!listed) return listed.error();
    const SteadyTime now = std::chrono::steady_clock::now();
    std::map<VmId, VmFacts> vms;
    mounts_.reset();
    for (const auto& [domain, id, state] : listed->rows()) {
      auto known = inventory.vms.extract(id);
      const bool is_new = known.empty();
      VmFacts facts = is_new ? VmFacts{} : std::move(known.mapped());
      const ReadAlso also{.description = is_new || wanted.descriptions.count(id) != 0,
                          .shape = is_new || wanted.all || wanted.vms.count(id) != 0};
      if (!read_one(domain, id, also, facts)) continue;
      facts.read_at = now;
      if (state) note_state(facts, *state, now);
      vms.emplace(id, std::move(facts));
    }
    inventory.vms = std::move(vms);
    std::erase_if(descriptions_read_, [&](const auto& entry) { return inventory.vms.count(entry.first) == 0; });
    return {};
  }

  Status read_some(Inventory& inventory, const Wanted& wanted) {
    std::vector<Domain> domains;
    mounts_.reset();
    for (const VmId& id : wanted.vms) {
      Domain domain(virDomainLookupByUUIDString(connection_.get(), id.value.c_str()));
      if (!domain && libvirt_error("look up a domain").code != ErrorCode::kNotFound)
        return libvirt_error("look up a domain");
      if (!domain || virDomainIsActive(domain.get()) != 1) {
        inventory.vms.erase(id);
        descriptions_read_.erase(id);
        continue;
      }
      VmFacts& facts = inventory.vms[id];
      const ReadAlso also{.description = facts.name.empty() || wanted.descriptions.count(id) != 0, .shape = true};
      if (!read_one(domain.get(), id, also, facts)) {
        inventory.vms.erase(id);
        continue;
      }
      facts.read_at = std::chrono::steady_clock::now();
      domains.push_back(std::move(domain));
    }
    return read_states(domains, inventory.vms);
  }

  /// What is known of VMs whose QEMU answers nobody stays as it was, as of one that is busy. They are looked for while
  /// one is waited for, since looking costs files of each VM.
  void set_silent_aside(Inventory& inventory) {
    const SteadyTime now = std::chrono::steady_clock::now();
    const std::map<VmId, VmFacts> nobody;
    std::set<VmId> silent = silent_vms_.look(statistics_->hangs() ? inventory.vms : nobody, now);
    for (const VmId& id : silent) {
      VmFacts& facts = inventory.vms.at(id);
      if (!silent_.contains(id)) {
        log::warning("libvirt: {} is not asked about, as its QEMU is stopped or waits for its disk", facts.name);
      }
      DomainStatistics nothing_new;
      nothing_new.asked_at = now;
      apply(nothing_new, facts, current_for_);
    }
    silent_ = std::move(silent);
  }

  void take_statistics(Inventory& inventory) {
    {
      std::lock_guard lock(mutex_);
      wanted_.statistics = false;  // what comes from here on asks again
    }
    const StatisticsReader::Answers answers = statistics_->take();
    if (answers.error && std::exchange(statistics_trouble_, answers.error->message) != answers.error->message)
      log::warning("libvirt: {}", answers.error->message);
    if (!answers.error && !answers.statistics.empty()) statistics_trouble_.clear();
    for (const auto& [id, statistics] : answers.statistics) {
      const auto vm = inventory.vms.find(id);
      if (vm != inventory.vms.end()) apply(statistics, vm->second, current_for_);
    }
  }

  /// What bulk statistics do not tell; read in any case when it has not been for kDescriptionAge.
  struct ReadAlso {
    bool description = false;
    bool shape = false;  ///< vCPUs and quotas
  };

  /// False if the domain went away meanwhile.
  bool read_one(virDomain* domain, const VmId& id, ReadAlso also, VmFacts& facts) {
    const SteadyTime now = std::chrono::steady_clock::now();
    const auto read = descriptions_read_.find(id);
    const bool is_due = read == descriptions_read_.end() || now - read->second.at > kDescriptionAge;
    if (facts.name.empty() || also.description || is_due) {
      const char* name = virDomainGetName(domain);  // an active domain keeps it
      if (name != nullptr) facts.name = name;
    }
    facts.id = id;
    if (also.description || is_due) {
      if (!mounts_) mounts_ = definition_seed();
      Definition known{now, also.description || read == descriptions_read_.end() ? 0 : read->second.hash};
      const Status described = read_description(domain, *mounts_, known.hash, facts);
      if (!described && virDomainIsActive(domain) != 1) return false;
      if (!described) log::warning("libvirt: {} ({}): {}", facts.name, id.value, described.error().message);
      descriptions_read_[id] = known;
    }
    if (also.shape || is_due) read_shape(domain, facts);
    return true;
  }

  /// Only in domains that already ran at the last slow pass, as one that has just been started, resumed or migrated has
  /// better things to do than to be measured, and of these as many as the budget allows.
  void start_dirty_rates(Inventory& inventory) {
    std::set<VmId> running;
    std::map<VmId, std::int64_t> candidates;
    for (const auto& [id, facts] : inventory.vms) {
      if (facts.state != VIR_DOMAIN_RUNNING || silent_.contains(id)) continue;
      running.insert(id);
      if (running_at_slow_pass_.count(id) != 0 && facts.can_measure_dirty_rate)
        candidates[id] = facts.memory_bytes.value_or(0);
    }
    running_at_slow_pass_ = std::move(running);
    const SteadyTime now = std::chrono::steady_clock::now();
    const auto chosen = dirty_rate_budget_.choose(candidates, now);
    for (const VmId& id : chosen) inventory.vms.at(id).dirty_rate_wanted_at = now;
    if (!chosen.empty())
      statistics_->ask({.all = false, .except = {}, .vms = {}, .measure = {chosen.begin(), chosen.end()}});
  }

  // --- events: callbacks run on the event loop's thread and only leave a note ---

  static void note(virDomain* domain, void* self, bool description) {
    static_cast<Reader*>(self)->ask(domain_id(domain), description);
  }
  static int on_lifecycle(virConnectPtr, virDomainPtr domain, int, int, void* self) {
    note(domain, self, true);
    return 0;
  }
  static void on_balloon(virConnectPtr, virDomainPtr domain, unsigned long long, void* self) {
    note(domain, self, false);
  }
  static void on_tunable(virConnectPtr, virDomainPtr domain, virTypedParameterPtr, int, void* self) {
    note(domain, self, false);
  }
  static void on_device(virConnectPtr, virDomainPtr domain, const char*, void* self) { note(domain, self, true); }
  static void on_metadata(virConnectPtr, virDomainPtr domain, int, const char*, void* self) {
    note(domain, self, true);
  }
  static void on_job_completed(virConnectPtr, virDomainPtr domain, virTypedParameterPtr, int, void* self) {
    note(domain, self, false);
  }
  static void on_close(virConnectPtr, int, void* self) {
    auto* reader = static_cast<Reader*>(self);
    {
      std::lock_guard lock(reader->mutex_);
      reader->wanted_.connection_lost = true;
    }
    reader->wake_.notify_all();
  }

  void subscribe() {
    virConnectRegisterCloseCallback(connection_.get(), on_close, this, nullptr);
    virConnectSetKeepAlive(connection_.get(), 5, 3);
    const auto add = [this](int event, auto callback) {
      const int id = virConnectDomainEventRegisterAny(connection_.get(), nullptr, event,
                                                      VIR_DOMAIN_EVENT_CALLBACK(callback), this, nullptr);
      if (id >= 0) callbacks_.push_back(id);  // a driver without this event is covered by the slow lane
    };
    add(VIR_DOMAIN_EVENT_ID_LIFECYCLE, on_lifecycle);
    add(VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, on_balloon);
    add(VIR_DOMAIN_EVENT_ID_TUNABLE, on_tunable);
    add(VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, on_device);
    add(VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, on_device);
    add(VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, on_metadata);
    add(VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, on_job_completed);
  }

  void unsubscribe() {
    for (const int id : callbacks_) virConnectDomainEventDeregisterAny(connection_.get(), id);
    callbacks_.clear();
    virConnectUnregisterCloseCallback(connection_.get(), on_close);
  }

  // --- handing over ---

  void publish(const Inventory& inventory) { hand_over(std::make_shared<Inventory>(inventory)); }

  void hand_over(std::shared_ptr<Inventory> next) {
    const std::shared_ptr<const Inventory> before = latest();
    next->number = before->number + 1;
    next->names_number = before->names_number + (same_names(*next, *before) ? 0 : 1);
    std::lock_guard lock(mutex_);
    current_ = std::move(next);
  }

  /// VMs whose processes run stay as they were known, and those that were not are found by their processes: VMs go on
  /// without libvirt, and so does what the kernel says of them.
  void publish_disconnected(const std::string& trouble) {
    if (!std::exchange(said_disconnected_, true)) log::warning("libvirt: {}; trying again", trouble);
    auto copy = std::make_shared<Inventory>(*latest());
    copy->connected = false;
    copy->trouble = trouble;
    copy->capabilities.clear();
    copy->vms = vms_that_run(copy->vms);
    hand_over(std::move(copy));
    std::lock_guard lock(mutex_);
    wanted_ = {};
  }

  std::map<VmId, VmFacts> vms_that_run(const std::map<VmId, VmFacts>& known) const {
    std::vector<VmName> names;
    for (const auto& [id, facts] : known) names.push_back({facts.name, id.value});
    const auto processes = find_vm_processes(options_.root, names);
    std::map<VmId, VmFacts> running;
    std::size_t i = 0;
    for (const auto& entry : known) {
      if (processes[i++]) running.insert(entry);
    }
    for (const FoundVm& found : find_running_vms(options_.root)) {
      VmFacts& facts = running[VmId(found.uuid)];
      if (!facts.name.empty()) continue;
      facts.id = VmId(found.uuid);
      facts.name = found.name;
    }
    return running;
  }

  bool stopping() const {
    std::lock_guard lock(mutex_);
    return stopping_;
  }
  void pause(Nanoseconds time) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, time, [this] { return stopping_; });
  }

  const InventoryOptions options_;
  const Nanoseconds current_for_ = options_.slow_interval * kFactsAgeIntervals;

  // the thread's own
  Connection connection_;
  std::optional<StatisticsReader> statistics_;
  std::string statistics_trouble_;  // as it was last said
  std::vector<int> callbacks_;
  struct Definition {
    SteadyTime at;
    std::uint64_t hash = 0;
  };
  std::map<VmId, Definition> descriptions_read_;
  std::optional<std::uint64_t> mounts_;  // as of this pass, once a definition has been read in it
  std::set<VmId> running_at_slow_pass_;
  SilentVms silent_vms_{options_.root};
  std::set<VmId> silent_;  // when libvirt was last asked
  DirtyRateBudget dirty_rate_budget_;
  bool said_disconnected_ = false;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable wake_;
  bool stopping_ = false;
  Wanted wanted_;
  std::shared_ptr<const Inventory> current_;

  std::thread thread_;  // last: starts when all else is there
};

}  // namespace

bool same_names(const Inventory& a, const Inventory& b) {
  const auto same_disk = [](const DiskFacts& one, const DiskFacts& other) { return one.target == other.target; };
  const auto same_vm = [&](const auto& one, const auto& other) {
    const VmFacts& x = one.second;
    const VmFacts& y = other.second;
    return one.first == other.first && x.name == y.name && x.description == y.description &&
           std::equal(x.disks.begin(), x.disks.end(), y.disks.begin(), y.disks.end(), same_disk);
  };
  return a.connected == b.connected && a.trouble == b.trouble && a.hypervisor == b.hypervisor &&
         a.libvirt == b.libvirt && a.capabilities == b.capabilities &&
         std::equal(a.vms.begin(), a.vms.end(), b.vms.begin(), b.vms.end(), same_vm);
}

std::unique_ptr<InventoryReader> InventoryReader::start(InventoryOptions options) {
  return std::make_unique<Reader>(std::move(options));
}

}  // namespace proteus::collect
