#include "common/command.h"

namespace proteus {

const char* to_string(CommandState state) {
  switch (state) {
    case CommandState::kAccepted: return "accepted";
    case CommandState::kRunning: return "running";
    case CommandState::kSucceeded: return "succeeded";
    case CommandState::kFailed: return "failed";
    case CommandState::kRefused: return "refused";
  }
  return "unknown";
}

}  // namespace proteus
