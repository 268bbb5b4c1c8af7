#pragma once

#include <string_view>

namespace proteus {

/// Tells systemd how the service is ("READY=1", "STOPPING=1"), as sd_notify(3) does: one datagram to $NOTIFY_SOCKET.
/// Does nothing where there is no service manager. Thread: any.
void notify_service_manager(std::string_view state);

}  // namespace proteus
