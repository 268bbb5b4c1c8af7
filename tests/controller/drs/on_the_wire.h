#pragma once

#include <gtest/gtest.h>

#include <string>

#include "common/command.h"
#include "common/wire/command_codec.h"

namespace proteus::drs {

/// The UUID of the nth VM.
inline VmId vm_id(int n) {
  std::string digits = std::to_string(n);
  return VmId("00000000-0000-4000-8000-" + std::string(12 - digits.size(), '0') + digits);
}

/// Agents ignore what their decoder refuses, so that a command which does not pass it was never sent.
inline void expect_arrives(const Command& command) {
  const Result<wire::FromController> arrived = wire::decode_from_controller(wire::encode(command));
  EXPECT_TRUE(arrived) << "command " << command.id << ": " << arrived.error().message;
}

}  // namespace proteus::drs
