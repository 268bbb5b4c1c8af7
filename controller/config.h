#pragma once

#include <cstdint>
#include <string>

#include "controller/api/server.h"
#include "controller/pipeline_options.h"
#include "controller/store/store.h"

namespace proteus::controller {

/// proteus-controller's configuration file (packaging/config/controller.toml shows every key with its default).
struct Config {
  std::string id;  ///< default: the machine's host name
  std::string telemetry_listen = "tcp://*:7401";
  std::string command_listen = "tcp://*:7402";
  std::string secret_key = "/etc/proteus/controller.key";
  std::string authorized_agents = "/etc/proteus/authorized_agents";
  std::string policy_file = "/etc/proteus/policy.toml";
  std::string calendar_file;                                      ///< holidays and business cycles; empty: none
  Nanoseconds forecast_save_interval = std::chrono::minutes(15);  ///< each series' state is stored this often
  std::string learning_file;  ///< what to begin with if nothing has been learned yet; empty: nothing
  Nanoseconds cycle = std::chrono::seconds(1);
  Nanoseconds gather = std::chrono::milliseconds(250);  ///< how long a cycle waits for the slower hosts' frames
  std::string log_level = "info";
  store::StoreOptions store;
  std::int64_t host_bytes_per_day = std::int64_t{128} << 30;  ///< of telemetry that one host may have stored
  PipelineOptions pipeline;
  api::ServerOptions api;
  std::string api_token_file = "/var/lib/proteus/api.token";
};

/// Errors: kInvalidArgument with every problem and its line.
Result<Config> parse_config(std::string_view toml_text, std::string_view file_name);

}  // namespace proteus::controller
