#include "common/wire/command_codec.h"

#include <gtest/gtest.h>

#include <random>

namespace proteus::wire {
namespace {

const VmId kVm("0f0e7a52-93b1-4c7c-8a55-0123456789ab");

Command command_with(Operation operation) {
  Command command;
  command.id = 17;
  command.action = 4;
  command.term = 3;
  command.controller = "c1";
  command.host = HostId("h1");
  command.vm = kVm;
  command.issued = from_unix_ns(1'700'000'000'123'456'789);
  command.deadline = command.issued + std::chrono::seconds(10);
  command.operation = std::move(operation);
  return command;
}

const std::vector<Operation> kOperations = {
    SetCpuQuota{50000, 100000},
    SetCpuQuota{-1, 100000},
    SetCpuShares{2048},
    SetVcpus{4},
    SetMemory{512 * kMiB},
    Migrate{HostId("h2"), "qemu+tcp://h2/system", "tcp://10.99.0.2", 1'000'000, 200, false, true},
    Reserve{kGiB, 1500},
    Release{4},
    Abort{9},
    Inspect{}};

TEST(CommandCodec, CommandsRoundTrip) {
  for (const Operation& operation : kOperations) {
    for (int condition = 0; condition < 6; ++condition) {
      Command command = command_with(operation);
      if (condition % 3 != 0) command.require_running = condition % 3 == 1;
      if (condition >= 3) command.require_value = -1;
      const auto decoded = decode_from_controller(encode(command));
      ASSERT_TRUE(decoded) << decoded.error().message;
      const auto* got = std::get_if<Command>(&*decoded);
      ASSERT_NE(got, nullptr);
      EXPECT_EQ(got->operation, command.operation);
      EXPECT_EQ(got->require_running, command.require_running);
      EXPECT_EQ(got->require_value, command.require_value);
      EXPECT_EQ(got->deadline, command.deadline);
      EXPECT_EQ(got->issued, command.issued);
      EXPECT_EQ(got->host, command.host);
      EXPECT_EQ(got->vm, command.vm);
      EXPECT_EQ(got->controller, command.controller);
      EXPECT_EQ(got->id, command.id);
      EXPECT_EQ(got->action, command.action);
      EXPECT_EQ(got->term, command.term);
    }
  }
}

TEST(CommandCodec, OtherMessagesRoundTrip) {
  const Hello hello{HostId("h1"), 77, "c1", 3, 10000, "0.1.0"};
  EXPECT_EQ(std::get<Hello>(decode_from_agent(encode(hello)).value()), hello);
  const Welcome welcome{"c1", 3, from_unix_ns(5)};
  EXPECT_EQ(std::get<Welcome>(decode_from_controller(encode(welcome)).value()), welcome);
  const UpdateAck ack{9, CommandState::kFailed};
  EXPECT_EQ(std::get<UpdateAck>(decode_from_controller(encode(ack)).value()), ack);
}

Update full_update() {
  Update update;
  update.command = 17;
  update.action = 4;
  update.term = 3;
  update.host = HostId("h1");
  update.vm = kVm;
  update.state = CommandState::kRunning;
  update.time = from_unix_ns(123);
  update.message = "copying";
  update.migration = MigrationProgress{1, 2, 3, 4, 5};
  update.observed = DomainObservation{true, false, 2, 50000, 100000, 1024, kGiB};
  return update;
}

TEST(CommandCodec, UpdatesRoundTrip) {
  const Update update = full_update();
  const auto decoded = decode_from_agent(encode(update));
  ASSERT_TRUE(decoded) << decoded.error().message;
  const auto& got = std::get<Update>(*decoded);
  EXPECT_EQ(got.state, update.state);
  EXPECT_EQ(got.message, update.message);
  EXPECT_EQ(got.migration, update.migration);
  EXPECT_EQ(got.observed, update.observed);
  EXPECT_EQ(got.time, update.time);

  Update bare = update;
  bare.migration.reset();
  bare.observed.reset();
  const auto decoded_bare = decode_from_agent(encode(bare));
  EXPECT_EQ(std::get<Update>(*decoded_bare).migration, std::nullopt);
  EXPECT_EQ(std::get<Update>(*decoded_bare).observed, std::nullopt);
}

TEST(CommandCodec, WordsForPeopleAreCleaned) {
  Update update = full_update();
  update.message = "libvirt says:\n\xff" + std::string(10000, 'x');
  const auto decoded = decode_from_agent(encode(update));
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(std::get<Update>(*decoded).message.substr(0, 16), "libvirt says: ?x");
}

TEST(CommandCodec, FieldsOutOfLimitsAreRefused) {
  const auto refuses = [](const auto& message) {
    using Message = std::decay_t<decltype(message)>;
    if constexpr (std::is_same_v<Message, Hello> || std::is_same_v<Message, Update>) {
      return !decode_from_agent(encode(message));
    } else {
      return !decode_from_controller(encode(message));
    }
  };
  EXPECT_TRUE(refuses(Hello{HostId("h 1"), 77, "c1", 3, 10000, "0.1.0"}));
  EXPECT_TRUE(refuses(Hello{HostId("h1"), 77, "c\x1b", 3, 10000, "0.1.0"}));
  EXPECT_TRUE(refuses(Welcome{"", 3, {}}));
  EXPECT_TRUE(refuses(UpdateAck{9, static_cast<CommandState>(200)}));
  EXPECT_TRUE(refuses(command_with(SetVcpus{0})));
  EXPECT_TRUE(refuses(command_with(SetCpuQuota{-2, 100000})));
  EXPECT_TRUE(refuses(command_with(SetCpuQuota{1000, 0})));
  EXPECT_TRUE(refuses(command_with(SetMemory{-1})));
  EXPECT_TRUE(refuses(command_with(Reserve{-1, 0})));
  EXPECT_TRUE(refuses(command_with(Migrate{.target = HostId("../x"), .target_libvirt_uri = "", .migrate_uri = ""})));
  Command command = command_with(Inspect{});
  command.vm = VmId("not a uuid");
  EXPECT_TRUE(refuses(command));
  Update update = full_update();
  update.state = static_cast<CommandState>(5);
  EXPECT_TRUE(refuses(update));
  update = full_update();
  update.migration->bytes_total = -1;
  EXPECT_TRUE(refuses(update));
}

TEST(CommandCodec, DamagedBytesNeverThrow) {
  std::mt19937_64 random(20240607);
  std::vector<std::string> messages = {encode(Hello{HostId("h1"), 77, "c1", 3, 10000, "0.1.0"}), encode(full_update()),
                                       encode(Welcome{"c1", 3, {}})};
  for (const Operation& operation : kOperations) messages.push_back(encode(command_with(operation)));
  int refused = 0;
  for (const std::string& message : messages) {
    for (std::size_t length = 0; length < message.size(); ++length) {
      EXPECT_FALSE(decode_from_agent(message.substr(0, length)) && decode_from_controller(message.substr(0, length)));
    }
    for (int round = 0; round < 2000; ++round) {
      std::string damaged = message;
      for (int flips = 1 + static_cast<int>(random() % 4); flips > 0; --flips) {
        damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
      }
      refused += !decode_from_agent(damaged) && !decode_from_controller(damaged);
    }
  }
  EXPECT_GT(refused, 0);
  EXPECT_FALSE(decode_from_agent(std::string(1 << 20, '\0')));
}

TEST(CommandCodec, AnUnalignedBufferIsRead) {
  // A buffer that begins at an odd address, as ZeroMQ hands out.
  const std::string bytes = "x" + encode(Welcome{"c1", 3, {}});
  EXPECT_TRUE(decode_from_controller(std::string_view(bytes).substr(1)));
}

}  // namespace
}  // namespace proteus::wire
