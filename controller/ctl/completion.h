#pragma once

#include <string>

namespace CLI {
class App;
}

namespace proteus::ctl {

/// A completion script for bash or zsh (through bashcompinit) that knows every subcommand and its options, read off the
/// parser itself. VM and host names are completed by asking the controller.
std::string completion_script(const CLI::App& app, const std::string& shell);

}  // namespace proteus::ctl
