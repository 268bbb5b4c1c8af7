#include "controller/store/allowance.h"

#include <fmt/core.h>

namespace proteus::store {
namespace {

constexpr std::chrono::milliseconds kLookInterval{50};

}  // namespace

Error Allowance::too_much() const {
  return {ErrorCode::kInvalidArgument,
          fmt::format("this takes more than the {} MiB of memory that one answer may: ask for fewer hosts, VMs or "
                      "groups, longer steps or a shorter time",
                      bytes_max_ >> 20)};
}

Status Allowance::go_on() {
  if (!wanted_) return {};
  const auto now = std::chrono::steady_clock::now();
  if (now < look_at_) return {};
  look_at_ = now + kLookInterval;
  if (wanted_()) return {};
  return Error{ErrorCode::kUnavailable, "nobody waits for the answer any more"};
}

}  // namespace proteus::store
