#pragma once

#include <string>

#include "controller/cluster_view.h"
#include "tests/fakes/fake_telemetry.h"

// What tests of what is seen of a cluster begin with.
namespace proteus::controller {

using fakes::FakeHost;
using fakes::FakeVm;

inline constexpr Timestamp kStart = from_unix_ns(1'700'000'000'000'000'000);

inline ViewOptions options() {
  ViewOptions options;
  options.forecast.step = std::chrono::seconds(1);
  options.forecast.horizon_steps = 10;
  return options;
}

inline FakeVm vm(const std::string& name) {
  FakeVm vm;
  vm.name = name;
  vm.uuid = "uuid-" + name;
  return vm;
}

}  // namespace proteus::controller
