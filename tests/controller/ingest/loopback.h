#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <zmq.hpp>

#include "common/wire/curve.h"
#include "common/wire/socket.h"
#include "common/wire/zap_handler.h"
#include "tests/temporary_directory.h"

namespace proteus {

/// Keys, an admitted agent h1 and a ZeroMQ context with its ZAP handler, for tests on 127.0.0.1.
struct Loopback {
  void admit(const std::string& lines) {
    std::ofstream(keys_path + ".new") << lines;
    std::filesystem::rename(keys_path + ".new", keys_path);
  }

  TemporaryDirectory directory;
  const std::string keys_path = directory.path() + "/authorized";
  const wire::KeyPair server_keys = wire::generate_key_pair().value();
  const wire::KeyPair agent_keys = wire::generate_key_pair().value();
  std::unique_ptr<wire::AuthorizedKeys> authorized = [this] {
    admit("h1 " + agent_keys.public_key + "\n");
    return std::move(wire::AuthorizedKeys::load(keys_path)).value();
  }();
  const wire::SocketOptions socket{.reconnect_min = std::chrono::milliseconds(10),
                                   .reconnect_max = std::chrono::milliseconds(20)};
  zmq::context_t context;
  wire::ZapHandler zap{context, *authorized};
};

}  // namespace proteus
