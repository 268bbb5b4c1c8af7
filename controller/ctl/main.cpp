// proteusctl: one command of the controller's operators. Single-threaded; everything but `replay`, `simulate`,
// `policy`, `learning train` and `completion` is a request to the controller's HTTP API.

#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "common/standard_output.h"
#include "controller/ctl/command_line.h"
#include "controller/ctl/completion.h"
#include "controller/ctl/exit_code.h"
#include "controller/ctl/session.h"

namespace proteus::ctl {
namespace {

int run_policy(const std::string& verb, const PolicyCommand& command) {
  if (verb == "check") {
    const Result<bool> valid = check_policy(command, std::cout);
    if (!valid) return report(valid.error());
    return *valid ? 0 : kInvalidPolicy;
  }
  if (verb == "test") {
    const Status done = test_policy(command, std::cout);
    return done ? 0 : report(done.error());
  }
  const Result<bool> same = diff_policies(command, std::cout);
  if (!same) return report(same.error());
  return *same ? 0 : kDifferent;
}

/// Commands that need no controller; nullopt: it is none of them.
std::optional<int> run_alone(const CommandLine& line) {
  const std::string command = line.command();
  const Options& options = line.options();
  const auto code_of = [](const Status& done) { return done ? 0 : report(done.error()); };
  if (command == "completion") {
    std::cout << completion_script(line.app(), options.shell);
    return 0;
  }
  if (command == "kpis") {
    std::cout << print_kpis(options.json);
    return 0;
  }
  if (command == "policy") return run_policy(line.verb(), options.policy);
  if (command == "replay") {
    const Result<bool> same = run_replay(options.replay, std::cout);
    if (!same) return report(same.error());
    return *same ? 0 : kDifferent;
  }
  if (command == "learning" && line.verb() == "train") return code_of(train_learning(options.learning, std::cout));
  if (command == "simulate") return code_of(line.simulate().run(std::cout));
  return std::nullopt;
}

int ask(Session& session, const std::string& command) {
  if (command == "learning") return session.show("/v1/learning", print_learning);
  if (command == "status") return session.show("/v1/status", print_status);
  if (command == "hosts") return session.show_current("/v1/hosts", print_hosts);
  if (command == "vms") return session.show_current("/v1/vms", print_vms);
  if (command == "forecast") return session.forecast();
  if (command == "accuracy") return session.accuracy();
  if (command == "plan") return session.plan();
  if (command == "explain") return session.explain();
  if (command == "approve" || command == "reject") return session.settle(command);
  if (command == "history") return session.history();
  if (command == "maintenance") return session.maintenance();
  if (command == "pause") return session.post("/v1/pause", Json::object(), "paused");
  if (command == "resume") return session.post("/v1/resume", Json::object(), "resumed");
  if (command == "record") return session.record();
  if (command == "tune") return session.tune();
  if (command == "query") return session.query();
  if (command == "export") return session.export_series();
  return session.watch();
}

int run(int argc, char** argv) {
  CommandLine line;
  if (const std::optional<int> code = line.parse(argc, argv)) return *code;
  if (const std::optional<int> code = run_alone(line)) return *code;
  Result<Client> client = Client::create(line.options().client);
  if (!client) return report(client.error());
  Session session(std::move(*client), line.options());
  return ask(session, line.command());
}

}  // namespace
}  // namespace proteus::ctl

int main(int argc, char** argv) {
  proteus::keep_standard_descriptors();
  return proteus::flushed(proteus::ctl::run(argc, argv), "proteusctl");
}
