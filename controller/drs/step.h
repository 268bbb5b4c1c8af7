#pragma once

#include <functional>

#include "controller/drs/executor.h"

namespace proteus::drs {

/// One call of the executor, as its parts see it: the time, what the answer is written to, and who can be
/// spoken to.
struct Step {
  Timestamp now;
  const ExecutorOptions& options;
  Term term;
  std::uint64_t& next_command_id;
  Output& out;
  const std::function<bool(const HostId&)>* host_reachable = nullptr;  ///< only in on_tick; else hosts are taken to be

  bool reachable(const HostId& host) const { return host_reachable == nullptr || (*host_reachable)(host); }

  /// A command with a new id, not yet sent.
  Command make(const ham::Action& action, const HostId& host, Operation operation, Timestamp deadline) {
    Command command;
    command.id = next_command_id++;
    command.action = action.id;
    command.term = term;
    command.controller = options.controller;
    command.host = host;
    command.vm = action.vm;
    command.issued = now;
    command.deadline = deadline;
    command.operation = std::move(operation);
    return command;
  }
  void send(const Command& command) { out.commands.push_back(command); }
};

}  // namespace proteus::drs
