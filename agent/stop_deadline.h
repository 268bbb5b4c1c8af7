#pragma once

#include <chrono>

namespace proteus {

/// Ends the process with this exit code and one line in the log, as a kill would, unless it has ended by itself after
/// `patience`. For when all that must be kept is kept, and what is still to be destroyed may wait for a call that
/// cannot be called back: libvirt's, of a daemon that hangs. Returns at once. Thread: any; once.
void end_process_after(std::chrono::milliseconds patience, int exit_code);

}  // namespace proteus
