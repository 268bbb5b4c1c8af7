// Commands, as an agent takes them from controllers; updates, as a controller takes them from agents; acknowledgements.
// The first byte says which decoder is meant. What a decoder accepts must survive being encoded and decoded again.
#include <cstdlib>

#include "common/wire/command_codec.h"
#include "common/wire/telemetry_codec.h"
#include "tests/fuzz/fuzz_target.h"

namespace proteus::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  Command command;
  command.id = 5;
  command.action = 3;
  command.term = 2;
  command.controller = "c1";
  command.host = HostId("h1");
  command.vm = VmId("0f0e7a52-93b1-4c7c-8a55-000000000001");
  command.issued = from_unix_ns(1'700'000'000'000'000'000);
  command.deadline = from_unix_ns(1'700'000'060'000'000'000);
  command.require_running = true;
  const std::vector<Operation> operations{
      SetCpuQuota{50'000, 100'000},
      SetCpuShares{2048},
      SetVcpus{2},
      SetMemory{1 << 28},
      Migrate{HostId("h2"), "qemu+tcp://h2/system", "tcp://h2", 1 << 20, 300, true, false},
      Reserve{1 << 30, 500},
      Release{3},
      Abort{3},
      Inspect{}};
  for (const Operation& operation : operations) {
    command.operation = operation;
    all.push_back("c" + wire::encode(command));
  }
  Update update;
  update.command = 5;
  update.action = 3;
  update.term = 2;
  update.host = HostId("h1");
  update.vm = command.vm;
  update.time = command.issued;
  update.message = "a sentence";
  update.migration = MigrationProgress{1, 2, 3, 4, 5};
  update.observed = DomainObservation{true, true, 2, 50'000, 100'000, 1024, 1 << 28};
  all.push_back("a" + wire::encode(update));
  all.push_back("a" + wire::encode(wire::Hello{HostId("h1"), 7, "c1", 2, 10'000, "0.1.0"}));
  all.push_back("c" + wire::encode(wire::Welcome{"c1", 2, command.issued}));
  all.push_back("c" + wire::encode(wire::UpdateAck{5, CommandState::kRunning}));
  all.push_back("t" + wire::encode(wire::Ack{7, 9, wire::Ack::Want::kKeyframe}));
  return all;
}

namespace {

/// Decodes, encodes and decodes again: the second time must not fail, and the third bytes equal the second.
template <typename Decode>
void round_trip(std::string_view bytes, Decode decode) {
  const auto first = decode(bytes);
  if (!first) return;
  const auto encoded = std::visit([](const auto& message) { return wire::encode(message); }, *first);
  const auto second = decode(encoded);
  if (!second || std::visit([](const auto& message) { return wire::encode(message); }, *second) != encoded)
    std::abort();
}

}  // namespace
}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace proteus;
  if (size == 0) return 0;
  const std::string_view bytes = fuzz::text_of(data + 1, size - 1);
  if (data[0] == 'c') fuzz::round_trip(bytes, wire::decode_from_controller);
  if (data[0] == 'a') fuzz::round_trip(bytes, wire::decode_from_agent);
  if (data[0] == 't') {
    const auto ack = wire::decode_ack(bytes);
    if (ack && wire::decode_ack(wire::encode(*ack)).value() != *ack) std::abort();
  }
  return 0;
}
