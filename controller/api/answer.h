#pragma once

#include <initializer_list>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "common/result.h"
#include "controller/api/series_query.h"

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

/// How the API answers: JSON, errors with the status that fits. Thread: any.
namespace proteus::api {

using Json = nlohmann::ordered_json;

/// In place of a costly answer, while too many are under way (Turns).
inline const Error kTooManyAnswers{
    ErrorCode::kUnavailable, "too many queries, exports, recordings and histories are under way: try again later"};

void send(httplib::Response& response, const Json& json, int status = 200);
void send(httplib::Response& response, const Error& error);

/// Those of a request, which outlives them.
Parameters parameters_of(const httplib::Request& request);

/// Errors: kInvalidArgument if the request has a parameter of another name, or one of `once` twice: a filter that is
/// misspelt must not select everything.
Status check_parameters(const httplib::Request& request, std::initializer_list<std::string_view> once,
                        std::initializer_list<std::string_view> many);

}  // namespace proteus::api
