#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "common/command.h"
#include "common/ids.h"
#include "common/result.h"
#include "common/units.h"

/// Bytes of schemas/command.capnp and what they mean. Order of messages and what silence means: see the schema.
/// encode() cleans texts for people (message, version) to what decode accepts; names and ids it takes as they are, so a
/// value that breaks a limit is refused by the receiver.
/// decode_*() takes bytes from the network: every enumerator, text, name and number is checked, one bad field refuses
/// the message, and nothing throws. Errors: kCorrupt. Thread: pure; callable from any.
namespace proteus::wire {

/// How often an agent sends Hello. Three of them missed, and the controller takes the agent for lost.
constexpr std::chrono::milliseconds kHelloInterval{2000};

struct Hello {
  HostId host;
  std::uint64_t boot_id = 0;
  std::string leader;          ///< controller that this agent follows; empty: none
  Term term = 0;               ///< newest term it has seen
  std::uint32_t lease_ms = 0;  ///< how long the leader may be silent before another is followed
  std::string version;         ///< of the agent
  bool operator==(const Hello&) const = default;
};

struct Welcome {
  std::string controller;
  Term term = 0;
  Timestamp time;  ///< controller's wall clock
  bool operator==(const Welcome&) const = default;
};

/// The controller has this word for good; the agent need not repeat it.
struct UpdateAck {
  std::uint64_t command = 0;
  CommandState state = CommandState::kAccepted;
  bool operator==(const UpdateAck&) const = default;
};

using FromAgent = std::variant<Hello, Update>;
using FromController = std::variant<Welcome, Command, UpdateAck>;

std::string encode(const Hello& hello);
std::string encode(const Update& update);
std::string encode(const Welcome& welcome);
std::string encode(const Command& command);
std::string encode(const UpdateAck& ack);

Result<FromAgent> decode_from_agent(std::string_view bytes);
Result<FromController> decode_from_controller(std::string_view bytes);

}  // namespace proteus::wire
