#include "agent/stop_deadline.h"

#include <cstdlib>
#include <thread>

#include "common/log.h"

namespace proteus {

void end_process_after(std::chrono::milliseconds patience, int exit_code) {
  std::thread([patience, exit_code] {
    std::this_thread::sleep_for(patience);
    log::warning("libvirt, or the kernel, does not answer: ending without it");
    std::_Exit(exit_code);
  }).detach();
}

}  // namespace proteus
