#pragma once

#include <string>
#include <vector>

#include "agent/act/job.h"
#include "tests/fakes/fake_hypervisor.h"

namespace proteus::act {

/// Lets time pass on a virtual clock; `on_wait` may change the world meanwhile.
class VirtualPause final : public Pause {
 public:
  explicit VirtualPause(VirtualClock& clock) : clock_(clock) {}
  bool wait(Nanoseconds time) override {
    clock_.advance(time);
    ++waits_count;
    if (on_wait) on_wait();
    return !stopping;
  }
  bool stopping = false;
  int waits_count = 0;
  std::function<void()> on_wait;

 private:
  VirtualClock& clock_;
};

inline const VmId kWeb{"3add6c6e-17bc-5c17-b139-7cd723a5152c"};
inline const char* const kUriOne = "qemu+tcp://h1/system";
inline const char* const kUriTwo = "qemu+tcp://h2/system";

/// Two hosts with one domain on the first, and everything a job on that host works with.
struct JobHarness {
  JobHarness() {
    one.connect(two);
    two.connect(one);
    one.define(kWeb, fakes::FakeHypervisor::running_domain("web", 2, 512 * kMiB));
  }
  Command command(Operation operation, std::uint64_t id = 1) const {
    Command made;
    made.id = id;
    made.action = 100 + id;
    made.term = 1;
    made.controller = "c1";
    made.host = HostId("h1");
    made.vm = kWeb;
    made.issued = clock.now();
    made.deadline = clock.now() + std::chrono::seconds(10);
    made.operation = std::move(operation);
    return made;
  }
  static Migrate migrate_to_two() {
    return Migrate{.target = HostId("h2"), .target_libvirt_uri = kUriTwo, .migrate_uri = ""};
  }
  std::vector<CommandState> states() const {
    std::vector<CommandState> all;
    for (const Update& update : updates) all.push_back(update.state);
    return all;
  }

  VirtualClock clock{Timestamp{} + std::chrono::hours(24 * 365 * 50)};
  VirtualPause pause{clock};
  fakes::FakeHypervisor one{kUriOne};
  fakes::FakeHypervisor two{kUriTwo};
  LocalLimits limits;
  std::vector<Update> updates;
  JobContext context{HostId("h1"), one,   limits,
                     clock,        pause, [this](Update update) { updates.push_back(std::move(update)); }};
};

}  // namespace proteus::act
