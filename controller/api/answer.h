#pragma once

#include <nlohmann/json_fwd.hpp>

#include "common/result.h"

namespace httplib {
struct Response;
}

/// How the API answers: JSON, errors with the status that fits. Thread: any.
namespace proteus::api {

using Json = nlohmann::ordered_json;

void send(httplib::Response& response, const Json& json, int status = 200);
void send(httplib::Response& response, const Error& error);

}  // namespace proteus::api
