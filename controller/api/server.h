#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/clock.h"
#include "common/result.h"
#include "controller/api/backend.h"
#include "controller/api/connections.h"

namespace proteus::api {

struct ServerOptions {
  std::string address = "127.0.0.1";
  int port = 7480;              ///< 0: any free one, see port()
  std::string token;            ///< every request carries "Authorization: Bearer <token>"; never empty
  std::string tls_certificate;  ///< PEM files; both or none. Required unless the address is a loopback one
  std::string tls_key;
  int threads = 4;  ///< queries, exports, recordings and histories that are answered at a time
  /// Memory that each query or export may take, besides fixed amounts.
  std::int64_t answer_bytes_max = 256 << 20;
  std::string spool_directory;                 ///< where recordings lie until they are sent; empty: $TMPDIR or /var/tmp
  std::uint64_t spool_room_left = 512u << 20;  ///< bytes that recordings leave free there
  Patience patience;
};

/// The HTTP API (docs/api.md): JSON over a loopback socket by default, over TLS elsewhere. Every request is
/// authenticated; every request that changes something is written to the log with who sent it, and journalled by the
/// backend. Bodies are limited to 64 KiB, requests and connections as connections.h says.
/// Thread: owns `api` and its pool; construction and stop() from main.
class Server {
 public:
  /// Errors: kInvalidArgument (no token, no TLS on a non-loopback address), kUnavailable (address in use).
  static Result<std::unique_ptr<Server>> start(ServerOptions options, Backend& backend, const Clock& clock);
  virtual ~Server() = default;
  virtual int port() const = 0;
  /// Ends the threads; requests under way are answered first.
  virtual void stop() = 0;
};

/// Whether the certificate and key that the options name, if any, can be used. Errors: kInvalidArgument.
Status check_tls(const ServerOptions& options);

/// Whether an address can be reached from this host only: "localhost", "::1", "127.…".
bool is_loopback(const std::string& address);

/// The token in `path`: one line, 32 to 128 characters. Created with 32 random bytes in hexadecimal, mode 0640, if the
/// file does not exist. Errors: kPermissionDenied, kInvalidArgument.
Result<std::string> load_or_create_token(const std::string& path);

}  // namespace proteus::api
