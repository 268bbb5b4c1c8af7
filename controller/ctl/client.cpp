#include "controller/ctl/client.h"

#include <fmt/core.h>
#include <httplib.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/api/json_view.h"
#include "controller/ctl/destination.h"
#include "controller/ctl/json_text.h"

namespace proteus::ctl {
namespace {

constexpr int kConnectTimeoutS = 3;
constexpr std::chrono::hours kLongReadTimeout(1);

Error error_of(int status, const std::string& body, const std::string& token_file) {
  if (status == 401) {
    return {ErrorCode::kPermissionDenied,
            fmt::format("the token in {} is not the one that this controller takes", token_file)};
  }
  ErrorCode code = ErrorCode::kInternal;
  if (status == 400) code = ErrorCode::kInvalidArgument;
  if (status == 403) code = ErrorCode::kPermissionDenied;
  if (status == 404) code = ErrorCode::kNotFound;
  if (status == 409) code = ErrorCode::kFailedPrecondition;
  if (status == 503) code = ErrorCode::kUnavailable;
  if (status == 504) code = ErrorCode::kDeadlineExceeded;
  const Json json = Json::parse(body, nullptr, false);
  if (json.is_object() && json.contains("error")) {
    return {code, json["error"].value("message", fmt::format("HTTP status {}", status))};
  }
  return {code, fmt::format("HTTP status {}", status)};
}

Result<Json> answer(int status, const std::string& body, const std::string& token_file) {
  if (status != 200) return error_of(status, body, token_file);
  Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return Error{ErrorCode::kCorrupt, "the controller's answer is not JSON"};
  return json;
}

/// A machine that is gone is noticed within a minute, however long an answer may take.
void notice_death(int socket) {
  const std::pair<int, int> options[] = {{TCP_KEEPIDLE, 30}, {TCP_KEEPINTVL, 10}, {TCP_KEEPCNT, 3}};
  const int on = 1;
  (void)::setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  for (const auto& [option, seconds] : options) {
    (void)::setsockopt(socket, IPPROTO_TCP, option, &seconds, sizeof seconds);
  }
}

constexpr std::size_t kTokenMax = 4096;

/// Errors: kPermissionDenied, with what to do about it.
Result<std::string> read_token(const std::string& path) {
  std::ifstream file(path);
  std::string token;
  if (!file) {
    return Error{
        ErrorCode::kPermissionDenied,
        fmt::format("cannot read the API token in {} ({}): run as root or as a member of group proteus, or give "
                    "--token-file",
                    path, std::strerror(errno))};
  }
  token.resize(kTokenMax + 1);
  file.getline(token.data(), static_cast<std::streamsize>(token.size()));
  token.resize(std::strlen(token.c_str()));
  const auto is_plain = [](unsigned char c) { return c > ' ' && c < 127; };
  if (file.fail() || token.empty() || !std::all_of(token.begin(), token.end(), is_plain)) {
    return Error{ErrorCode::kPermissionDenied, fmt::format("{} holds no API token in its first line", path)};
  }
  return token;
}

/// Of a URL without a path.
struct Place {
  std::string host;
  std::string port;  ///< empty: none is given
};
Place place_of(const std::string& url) {
  const std::string place = url.substr(url.find("//") + 2);
  // An IPv6 address is in brackets.
  const std::size_t colon = place.find(':', place.starts_with('[') ? std::min(place.find(']'), place.size()) : 0);
  std::string host = place.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return {std::move(host), colon == std::string::npos ? "" : place.substr(colon + 1)};
}

bool is_port(const std::string& text) {
  if (text.empty()) return true;  // the scheme's
  int port = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && rest == text.data() + text.size() && port >= 1 && port <= 65535;
}

/// Why a host has no address; empty: it has one.
std::string unresolved(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int failed = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (failed == 0) {
    freeaddrinfo(found);
    return {};
  }
  return fmt::format("the name '{}' does not resolve to an address ({})", host, gai_strerror(failed));
}

}  // namespace

Client::Client(std::unique_ptr<httplib::Client> http, std::string url, std::string token_file)
    : http_(std::move(http)), url_(std::move(url)), token_file_(std::move(token_file)) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;

Result<Client> Client::create(const ClientOptions& options) {
  if (!options.url.starts_with("http://") && !options.url.starts_with("https://")) {
    return Error{ErrorCode::kInvalidArgument,
                 fmt::format("'{}' is not a URL: http://HOST:PORT or https://HOST:PORT", options.url)};
  }
  const auto refuse = [&](const char* why) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("'{}' {}: http://HOST:PORT", options.url, why)};
  };
  std::string url = options.url;
  while (url.ends_with('/') && !url.ends_with("//")) url.pop_back();
  if (url.find('/', url.find("//") + 2) != std::string::npos) {
    return refuse("names more than a controller");
  }
  const Place place = place_of(url);
  if (place.host.empty()) return refuse("names no host");
  if (!is_port(place.port)) return refuse("has no port from 1 to 65535");
  const Result<std::string> token = read_token(options.token_file);
  if (!token) return token.error();
  auto http = std::make_unique<httplib::Client>(url);
  if (!http->is_valid())
    return Error{ErrorCode::kInvalidArgument, fmt::format("'{}' is not a usable URL", options.url)};
  http->set_connection_timeout(kConnectTimeoutS);
  http->set_tcp_nodelay(true);
  http->set_keep_alive(true);
  http->set_socket_options(notice_death);
  http->set_bearer_token_auth(token->c_str());
  if (!options.ca_file.empty() && !std::ifstream(options.ca_file)) {
    return Error{ErrorCode::kPermissionDenied,
                 fmt::format("cannot read the certificates in {}: {}", options.ca_file, std::strerror(errno))};
  }
  if (!options.ca_file.empty()) http->set_ca_cert_path(options.ca_file.c_str());
  return Client(std::move(http), std::move(url), options.token_file);
}

void Client::set_timeout(std::chrono::milliseconds timeout) {
  http_->set_connection_timeout(timeout);
  read_timeout_ = timeout;
}

void Client::set_read_timeout(Wait wait) {
  http_->set_read_timeout(wait == Wait::kLong ? std::chrono::milliseconds(kLongReadTimeout) : read_timeout_);
}

Error Client::unreachable(int http_error) const {
  const auto error = static_cast<httplib::Error>(http_error);
  std::string why = httplib::to_string(error);
  if (error == httplib::Error::Connection) {
    why = unresolved(place_of(url_).host);  // the HTTP library does not tell one from the other
    if (why.empty()) why = "nobody answers there";
  }
  if (error == httplib::Error::SSLConnection) why = "it does not speak TLS, or not with us";
  if (error == httplib::Error::SSLServerVerification) why = "its certificate is not one that we trust (--ca-file)";
  if (error == httplib::Error::Read) why = "the connection broke, or the answer took too long";
  return {ErrorCode::kUnavailable, fmt::format("cannot reach the controller at {}: {}", url_, why)};
}

/// If the controller is still there, it has met what it cannot read, and asking again would not help.
Error Client::broken_off(std::uint64_t bytes) {
  set_read_timeout(Wait::kUsual);
  const httplib::Result still_there = http_->Get("/v1/status");
  if (!still_there) return unreachable(static_cast<int>(still_there.error()));
  return {ErrorCode::kInternal,
          fmt::format("the answer broke off after {} bytes; the controller's log says why, unless it was started anew",
                      bytes)};
}

Result<Json> Client::get(const std::string& path, Wait wait) {
  set_read_timeout(wait);
  int status = 0;
  std::string body;
  const httplib::Result result = http_->Get(
      path.c_str(),
      [&](const httplib::Response& response) {
        status = response.status;
        return true;
      },
      [&](const char* data, std::size_t size) {
        body.append(data, size);
        return true;
      });
  if (!result && status == 200) return broken_off(body.size());
  if (!result && status == 0) return unreachable(static_cast<int>(result.error()));
  return answer(status, body, token_file_);
}

Result<Json> Client::post(const std::string& path, const Json& body) {
  set_read_timeout(Wait::kUsual);
  const httplib::Result result = http_->Post(path.c_str(), json_text(body, -1), "application/json");
  if (!result) return unreachable(static_cast<int>(result.error()));
  return answer(result->status, result->body, token_file_);
}

Result<Client::Downloaded> Client::download(const std::string& path, const std::string& file, mode_t mode,
                                            const Progress& progress) {
  Result<Destination> opened = Destination::open(file, mode);
  if (!opened) return opened.error();
  Destination& to = *opened;
  set_read_timeout(Wait::kLong);
  int status = 0;
  std::string refused;
  Downloaded got;
  Status room;
  std::uint64_t whole = 0;
  const httplib::Result result = http_->Get(
      path.c_str(),
      [&](const httplib::Response& response) {
        status = response.status;
        got.warning = response.get_header_value(api::kWarningHeader);
        got.nothing_measured = response.has_header(api::kNothingMeasuredHeader);
        whole = response.get_header_value<std::uint64_t>("Content-Length");
        if (status == 200) room = to.check_room(whole);
        return room.has_value();
      },
      [&](const char* data, std::size_t size) {
        if (status != 200) {
          refused.append(data, size);
          return refused.size() < 65536;
        }
        got.bytes += static_cast<std::int64_t>(size);
        if (progress) progress(static_cast<std::uint64_t>(got.bytes), whole);
        return to.write(data, size);
      });
  if (!room) return room.error();
  if (to.failed()) return to.error();
  if (status != 0 && status != 200) return error_of(status, refused, token_file_);
  if (!result && status == 200) return broken_off(static_cast<std::uint64_t>(got.bytes));
  if (!result) return unreachable(static_cast<int>(result.error()));
  if (const Status kept = to.keep(); !kept) return kept.error();
  return got;
}

std::string url_encode(const std::string& text) {
  std::string encoded;
  for (const unsigned char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    encoded += plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return encoded;
}

}  // namespace proteus::ctl
