#include "controller/api/answer.h"

#include <fmt/core.h>
#include <httplib.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "controller/api/json_view.h"

namespace proteus::api {
namespace {

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

}  // namespace

void send(httplib::Response& response, const Json& json, int status) {
  response.status = status;
  // Names come from guests' owners: bytes that are not UTF-8 are replaced, not thrown on.
  response.set_content(json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n", "application/json");
}

void send(httplib::Response& response, const Error& error) {
  send(response, error_json(error), http_status(error.code));
}

Parameters parameters_of(const httplib::Request& request) {
  return [&request](const char* name) {
    std::vector<std::string> values;
    for (std::size_t i = 0; i < request.get_param_value_count(name); ++i) {
      values.push_back(request.get_param_value(name, i));
    }
    return values;
  };
}

Status check_parameters(const httplib::Request& request, std::initializer_list<std::string_view> once,
                        std::initializer_list<std::string_view> many) {
  const auto is_one_of = [](const std::string& name, std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const auto& [name, value] : request.params) {
    if (is_one_of(name, many)) continue;
    if (!is_one_of(name, once)) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("'{}' is no parameter of {}", name, request.path)};
    }
    if (request.params.count(name) > 1) {
      return Error{ErrorCode::kInvalidArgument, fmt::format("{} is given more than once", name)};
    }
  }
  return {};
}

}  // namespace proteus::api
