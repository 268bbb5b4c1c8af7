#pragma once

#include "common/clock.h"
#include "controller/api/answer.h"
#include "controller/api/backend.h"

namespace httplib {
class Server;
}

namespace proteus::api {

/// GET /v1/query and GET /v1/export: what was measured, streamed as it is read. Everything passed outlives the server.
void add_series_routes(httplib::Server& http, Backend& backend, const Clock& clock, const Costs& costs);

}  // namespace proteus::api
