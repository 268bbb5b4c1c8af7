#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/act/limits.h"
#include "common/ids.h"
#include "common/result.h"
#include "common/units.h"

namespace proteus {

/// proteus-agent's configuration file (packaging/config/agent.toml shows every key with its default).
struct AgentConfig {
  struct Controller {
    std::string telemetry;   ///< endpoint, e.g. tcp://c1:7401
    std::string command;     ///< endpoint, e.g. tcp://c1:7402
    std::string public_key;  ///< 40 characters of Z85
  };

  HostId host;  ///< default: the machine's host name
  std::string state_directory = "/var/lib/proteus-agent";
  std::string secret_key = "/etc/proteus/agent.key";
  Nanoseconds tick = std::chrono::seconds(1);
  std::string log_level = "info";
  std::vector<Controller> controllers;  ///< none: the agent measures for nobody and obeys nobody

  std::string libvirt_uri = "qemu:///system";
  std::string peer_uri;     ///< empty: qemu+tcp://HOSTNAME/system
  std::string migrate_uri;  ///< empty: tcp://HOSTNAME

  Nanoseconds slow_interval = std::chrono::seconds(10);
  bool kernel_programs = true;
  bool hook_statistics = false;

  std::int64_t spool_bytes_max = 256 * kMiB;
  Nanoseconds leader_lease = std::chrono::seconds(10);
  act::LocalLimits limits;
};

/// Errors: kInvalidArgument with every problem and its line.
Result<AgentConfig> parse_agent_config(std::string_view toml_text, std::string_view file_name);

}  // namespace proteus
