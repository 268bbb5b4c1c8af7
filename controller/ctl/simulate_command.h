#pragma once

#include <memory>
#include <ostream>

#include "common/result.h"

namespace CLI {
class App;
}

namespace proteus::ctl {

/// `proteusctl simulate SCENARIO …`: the decision code on a virtual cluster. Needs no controller and no root.
class SimulateCommand {
 public:
  /// Adds the subcommand and one below it for each scenario. json: set by a --json anywhere.
  SimulateCommand(CLI::App& app, bool& json);
  ~SimulateCommand();
  SimulateCommand(const SimulateCommand&) = delete;
  SimulateCommand& operator=(const SimulateCommand&) = delete;

  /// Once the arguments have been parsed: runs the scenario that they name. Errors: the scenario's.
  Status run(std::ostream& out) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace proteus::ctl
