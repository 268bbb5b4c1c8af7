#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string_view>

#include "common/result.h"
#include "controller/api/connections.h"
#include "controller/api/series_query.h"

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

/// How the API answers: JSON, errors with the status that fits. Thread: any.
namespace proteus::api {

using Json = nlohmann::ordered_json;

/// What costly answers may take: some at a time, and each so much memory. Outlived by the turns.
struct Costs {
  Turns& turns;
  std::uint64_t bytes_max = 0;
};

/// In place of a costly answer, while too many are under way (Turns).
inline const Error kTooManyAnswers{ErrorCode::kUnavailable,
                                   "too many answers of this kind are under way: try again later"};

void send(httplib::Response& response, const Json& json, int status = 200);
/// The turn (Turns) ends when it has been sent.
void send(httplib::Response& response, const Json& json, std::shared_ptr<void> turn);
void send(httplib::Response& response, const Error& error);

/// Takes a piece of an answer. False: nobody takes more.
using Write = std::function<bool(std::string_view)>;
/// Streams what `produce` writes. An error half-way breaks the connection, so that nobody takes half for the whole.
void stream(const httplib::Request& request, httplib::Response& response, const char* type,
            std::function<Status(const Write&)> produce);

/// Those of a request, which outlives them.
Parameters parameters_of(const httplib::Request& request);

/// Of a request for whatever it may be: it is not compressed, its path and parameters are text, and no parameter is
/// empty (a variable that a script forgot to set must not select everything) or longer than 1,024 bytes. Errors:
/// kInvalidArgument.
Status check_text(const httplib::Request& request);
/// Errors: kInvalidArgument if the request has a parameter of another name, or one of `once` twice: a filter that is
/// misspelt must not select everything.
Status check_parameters(const httplib::Request& request, std::initializer_list<std::string_view> once,
                        std::initializer_list<std::string_view> many);

}  // namespace proteus::api
