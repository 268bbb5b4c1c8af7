#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/result.h"

namespace httplib {
class Client;
}

namespace proteus::ctl {

using Json = nlohmann::ordered_json;

struct ClientOptions {
  std::string url = "http://127.0.0.1:7480";
  std::string token_file = "/var/lib/proteus/api.token";
  std::string ca_file;  ///< PEM bundle to trust for https; empty: the system's
};

/// The controller's HTTP API (docs/api.md). Errors carry the code that the controller gave; kUnavailable with "cannot
/// reach …" if it did not answer, kInternal if it began to and did not end.
/// Thread: owned by one.
class Client {
 public:
  /// Errors: kPermissionDenied if the token cannot be read, kInvalidArgument for a URL that is none.
  static Result<Client> create(const ClientOptions& options);
  ~Client();
  Client(Client&&) noexcept;

  /// For who looks at something else meanwhile; else a minute. Not for what takes long.
  void set_timeout(std::chrono::milliseconds timeout);

  /// How long the controller may say nothing.
  enum class Wait : std::uint8_t {
    kUsual,  ///< as set_timeout() says
    kLong,   ///< an hour: it reads much before it answers
  };
  Result<Json> get(const std::string& path, Wait wait = Wait::kUsual);
  Result<Json> post(const std::string& path, const Json& body);
  struct Downloaded {
    std::int64_t bytes = 0;
    std::string warning;            ///< the server's; may be empty
    bool nothing_measured = false;  ///< of an export: it holds no value
  };
  /// Bytes so far, and how many there will be; 0: not known.
  using Progress = std::function<void(std::uint64_t, std::uint64_t)>;
  /// Streams the answer into a file, whole or not at all; waits for it as Wait::kLong. mode: of a new one, less the
  /// umask.
  Result<Downloaded> download(const std::string& path, const std::string& file, mode_t mode = 0666,
                              const Progress& progress = {});

 private:
  Client(std::unique_ptr<httplib::Client> http, std::string url, std::string token_file);
  void set_read_timeout(Wait wait);
  Error unreachable(int http_error) const;
  Error broken_off(std::uint64_t bytes);

  std::unique_ptr<httplib::Client> http_;
  std::string url_;
  std::string token_file_;
  std::chrono::milliseconds read_timeout_ = std::chrono::minutes(1);
};

/// Percent-encodes everything but unreserved characters (RFC 3986, section 2.3).
std::string url_encode(const std::string& text);

}  // namespace proteus::ctl
