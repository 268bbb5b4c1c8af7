#include "controller/api/answer.h"

#include <fmt/core.h>
#include <httplib.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "common/log.h"
#include "controller/api/connections.h"
#include "controller/api/json_view.h"

namespace proteus::api {
namespace {

constexpr std::size_t kTextBytesMax = 1024;
constexpr std::size_t kPieceBytes = 64 * 1024;

int http_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return 400;
    case ErrorCode::kNotFound: return 404;
    case ErrorCode::kAlreadyExists:
    case ErrorCode::kFailedPrecondition: return 409;
    case ErrorCode::kPermissionDenied: return 403;
    case ErrorCode::kUnsupported: return 501;
    case ErrorCode::kUnavailable: return 503;
    case ErrorCode::kDeadlineExceeded: return 504;
    case ErrorCode::kCorrupt:
    case ErrorCode::kInternal: return 500;
  }
  return 500;
}

/// What is special in a JSON string, left out.
std::string without_quotes(std::string bytes) {
  std::erase_if(bytes, [](char c) { return c == '"' || c == '\\'; });
  return bytes;
}

/// UTF-8 without control characters; the JSON library is the judge of it.
bool is_text(const std::string& bytes) {
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  return std::none_of(bytes.begin(), bytes.end(), is_control) && Json::accept('"' + without_quotes(bytes) + '"');
}

/// Names come from guests' owners: bytes that are not UTF-8 are replaced, not thrown on.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

void send(httplib::Response& response, const Json& json, int status) {
  response.status = status;
  response.set_content(text_of(json), "application/json");
}

void send(httplib::Response& response, const Json& json, std::shared_ptr<void> turn) {
  const auto text = std::make_shared<std::string>(text_of(json));
  response.set_content_provider(
      text->size(), "application/json",
      [text, turn = std::move(turn)](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
        return sink.write(text->data() + offset, std::min(length, kPieceBytes));
      });
}

void send(httplib::Response& response, const Error& error) {
  send(response, error_json(error), http_status(error.code));
}

void stream(const httplib::Request& request, httplib::Response& response, const char* type,
            std::function<Status(const Write&)> produce) {
  response.set_chunked_content_provider(
      type, [&request, produce = std::move(produce)](std::size_t, httplib::DataSink& sink) {
        const Write write = [&](std::string_view text) { return sink.write(text.data(), text.size()); };
        if (const Status done = produce(write); !done) {
          if (is_wanted(request)) log::warning("api: an answer breaks off: {}", done.error().message);
          return false;
        }
        sink.done();
        return true;
      });
}

namespace {

/// Names and values behind the path. httplib 0.11 takes for a value what follows the last '=' of several, and keeps one
/// of two that are the same.
std::vector<std::pair<std::string, std::string>> query_of(const httplib::Request& request) {
  std::vector<std::pair<std::string, std::string>> pairs;
  std::string_view rest = request.target;
  rest.remove_prefix(std::min(rest.find('?'), rest.size()));
  rest = rest.substr(0, rest.find('#'));
  while (!rest.empty()) {
    rest.remove_prefix(1);  // ? or &
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(pair.size());
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const auto decoded = [](std::string_view text) { return httplib::detail::decode_url(std::string(text), true); };
    if (pair.empty()) continue;
    pairs.emplace_back(decoded(pair.substr(0, equals)), decoded(pair.substr(std::min(equals + 1, pair.size()))));
  }
  return pairs;
}

}  // namespace

Parameters parameters_of(const httplib::Request& request) {
  return [pairs = query_of(request)](const char* name) {
    std::vector<std::string> values;
    for (const auto& [key, value] : pairs) {
      if (key == name) values.push_back(value);
    }
    return values;
  };
}

Status check_text(const httplib::Request& request) {
  const auto invalid = [](std::string message) { return Error{ErrorCode::kInvalidArgument, std::move(message)}; };
  // Some bytes become gigabytes.
  if (request.has_header("Content-Encoding")) return invalid("a body must not be compressed");
  if (!is_text(request.path)) return invalid("the path is not text in UTF-8");
  for (const auto& [name, value] : query_of(request)) {
    if (!is_text(name) || name.size() > kTextBytesMax) return invalid("a parameter's name is not text in UTF-8");
    if (value.empty()) return invalid(fmt::format("{} is empty", name));
    if (value.size() > kTextBytesMax) return invalid(fmt::format("{} is longer than {} bytes", name, kTextBytesMax));
    if (!is_text(value)) return invalid(fmt::format("{} is not text in UTF-8", name));
  }
  return {};
}

Status check_parameters(const httplib::Request& request, std::initializer_list<std::string_view> once,
                        std::initializer_list<std::string_view> many) {
  const auto is_one_of = [](const std::string& name, std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  std::set<std::string> seen;
  for (const auto& [name, value] : query_of(request)) {
    if (is_one_of(name, many)) continue;
    if (!is_one_of(name, once)) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("'{}' is no parameter of {}", name, request.path)};
    }
    if (!seen.insert(name).second) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("{} is given more than once", name)};
    }
  }
  return {};
}

}  // namespace proteus::api
