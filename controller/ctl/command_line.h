#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>

#include "controller/ctl/options.h"
#include "controller/ctl/simulate_command.h"

namespace proteus::ctl {

/// proteusctl's commands, their options and their help. Thread: owned by one.
class CommandLine {
 public:
  CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  /// Returns: the exit code if nothing is to be done: help was printed, or what was wrong is said.
  std::optional<int> parse(int argc, char** argv);
  /// Precondition of the following: parse() returned nothing.
  std::string command() const;
  std::string verb() const;  ///< of a command with commands below it; else empty
  const Options& options() const { return options_; }
  const SimulateCommand& simulate() const { return *simulate_; }
  const CLI::App& app() const { return app_; }

 private:
  CLI::App app_;
  Options options_;
  std::unique_ptr<SimulateCommand> simulate_;
};

}  // namespace proteus::ctl
