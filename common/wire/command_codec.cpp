#include "common/wire/command_codec.h"

#include "common/wire/capnp_bytes.h"
#include "common/wire/command_fields.h"
#include "common/wire/socket.h"
#include "schemas/command.capnp.h"

namespace proteus::wire {
namespace {

constexpr std::size_t kNameBytesMax = 253;
constexpr std::size_t kUriBytesMax = 1024;
constexpr std::size_t kMessageBytesMax = 4096;
constexpr DecodeLimits kLimits{.bytes_max = static_cast<std::size_t>(kCommandMessageBytesMax), .nesting_max = 6};

Error out_of_limits(const char* field) {
  return {ErrorCode::kCorrupt, fmt::format("{} is out of its limits", field)};
}

/// A command about a host names no VM.
bool valid_vm(const VmId& vm) {
  return vm.empty() || valid_uuid(vm.value);
}

Status check(const Hello& hello) {
  if (!valid_host_name(hello.host.value)) return out_of_limits("Hello.host");
  if (!valid_text(hello.leader, kNameBytesMax)) return out_of_limits("Hello.leader");
  if (!valid_text(hello.version, kNameBytesMax)) return out_of_limits("Hello.version");
  return {};
}

Status check(const Update& update) {
  if (!valid_host_name(update.host.value)) return out_of_limits("Update.host");
  if (!valid_vm(update.vm)) return out_of_limits("Update.vm");
  if (!valid_text(update.message, kMessageBytesMax)) return out_of_limits("Update.message");
  if (const auto& progress = update.migration) {
    if (progress->bytes_processed < 0 || progress->bytes_remaining < 0 || progress->bytes_total < 0 ||
        progress->dirty_bytes_per_s < 0 || progress->downtime_ms < 0) {
      return out_of_limits("Update.migration");
    }
  }
  if (const auto& observed = update.observed) {
    if (observed->vcpus < 0 || observed->cpu_quota_us < -1 || observed->cpu_period_us < 0 || observed->cpu_shares < 0 ||
        observed->memory_bytes < 0) {
      return out_of_limits("Update.observed");
    }
  }
  return {};
}

struct OperationChecker {
  bool operator()(const SetCpuQuota& o) const { return o.quota_us >= -1 && o.period_us >= 1; }
  bool operator()(const SetCpuShares& o) const { return o.shares >= 1; }
  bool operator()(const SetVcpus& o) const { return o.count >= 1; }
  bool operator()(const SetMemory& o) const { return o.bytes >= 1; }
  bool operator()(const Migrate& o) const {
    return valid_host_name(o.target.value) && valid_text(o.target_libvirt_uri, kUriBytesMax) &&
           valid_text(o.migrate_uri, kUriBytesMax) && o.bandwidth_bytes_per_s >= 0 && o.downtime_ms_max >= 0;
  }
  bool operator()(const Reserve& o) const { return o.memory_bytes >= 0 && o.cpu_millicores >= 0; }
  bool operator()(const Release&) const { return true; }
  bool operator()(const Abort&) const { return true; }
  bool operator()(const Inspect&) const { return true; }
};

Status check(const Command& command) {
  if (command.controller.empty() || !valid_text(command.controller, kNameBytesMax)) {
    return out_of_limits("Command.controller");
  }
  if (!valid_host_name(command.host.value)) return out_of_limits("Command.host");
  if (!valid_vm(command.vm)) return out_of_limits("Command.vm");
  if (!std::visit(OperationChecker{}, command.operation)) return out_of_limits("Command.operation");
  return {};
}

Status check(const Welcome& welcome) {
  if (welcome.controller.empty() || !valid_text(welcome.controller, kNameBytesMax)) {
    return out_of_limits("Welcome.controller");
  }
  return {};
}

template <typename Message, typename Value>
Result<Message> checked(Value value) {
  if (auto status = check(value); !status) return status.error();
  return Message(std::move(value));
}

capnp::Text::Reader text(const std::string& s) {
  return {s.data(), s.size()};
}

}  // namespace

std::string encode(const Hello& hello) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<schema::FromAgent>().initHello();
  out.setHost(text(hello.host.value));
  out.setBootId(hello.boot_id);
  out.setLeader(text(hello.leader));
  out.setTerm(hello.term);
  out.setLeaseMs(hello.lease_ms);
  out.setVersion(text(clean_text(hello.version, kNameBytesMax)));
  return to_bytes(message);
}

std::string encode(const Update& update) {
  capnp::MallocMessageBuilder message;
  Update clean = update;
  clean.message = clean_text(update.message, kMessageBytesMax);
  fill(message.initRoot<schema::FromAgent>().initUpdate(), clean);
  return to_bytes(message);
}

std::string encode(const Welcome& welcome) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<schema::FromController>().initWelcome();
  out.setController(text(welcome.controller));
  out.setTerm(welcome.term);
  out.setTimeNs(to_unix_ns(welcome.time));
  return to_bytes(message);
}

std::string encode(const Command& command) {
  capnp::MallocMessageBuilder message;
  fill(message.initRoot<schema::FromController>().initCommand(), command);
  return to_bytes(message);
}

std::string encode(const UpdateAck& ack) {
  capnp::MallocMessageBuilder message;
  auto out = message.initRoot<schema::FromController>().initUpdateAck();
  out.setCommand(ack.command);
  out.setState(static_cast<std::uint8_t>(ack.state));
  return to_bytes(message);
}

Result<FromAgent> decode_from_agent(std::string_view bytes) {
  return with_message<schema::FromAgent>(bytes, kLimits, [](schema::FromAgent::Reader in) -> Result<FromAgent> {
    switch (in.which()) {
      case schema::FromAgent::HELLO: {
        const auto hello = in.getHello();
        return checked<FromAgent>(Hello{.host = HostId(read_text(hello.getHost())),
                                        .boot_id = hello.getBootId(),
                                        .leader = read_text(hello.getLeader()),
                                        .term = hello.getTerm(),
                                        .lease_ms = hello.getLeaseMs(),
                                        .version = read_text(hello.getVersion())});
      }
      case schema::FromAgent::UPDATE: {
        auto update = read(in.getUpdate());
        if (!update) return update.error();
        return checked<FromAgent>(std::move(*update));
      }
    }
    return Error{ErrorCode::kCorrupt, "message of an unknown kind"};
  });
}

Result<FromController> decode_from_controller(std::string_view bytes) {
  return with_message<schema::FromController>(
      bytes, kLimits, [](schema::FromController::Reader in) -> Result<FromController> {
        switch (in.which()) {
          case schema::FromController::WELCOME: {
            const auto welcome = in.getWelcome();
            return checked<FromController>(Welcome{.controller = read_text(welcome.getController()),
                                                   .term = welcome.getTerm(),
                                                   .time = from_unix_ns(welcome.getTimeNs())});
          }
          case schema::FromController::COMMAND: {
            auto command = read(in.getCommand());
            if (!command) return command.error();
            return checked<FromController>(std::move(*command));
          }
          case schema::FromController::UPDATE_ACK: {
            const auto ack = in.getUpdateAck();
            if (ack.getState() > static_cast<std::uint8_t>(CommandState::kRefused)) {
              return out_of_limits("UpdateAck.state");
            }
            return FromController(UpdateAck{ack.getCommand(), static_cast<CommandState>(ack.getState())});
          }
        }
        return Error{ErrorCode::kCorrupt, "message of an unknown kind"};
      });
}

}  // namespace proteus::wire
