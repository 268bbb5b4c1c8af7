#pragma once

#include <CLI/CLI.hpp>

namespace proteus::ctl {

/// What the program's help, and that of commands that need it, end with: examples, and the exit codes. To be called
/// once all commands are there.
void add_examples(CLI::App& app);

}  // namespace proteus::ctl
