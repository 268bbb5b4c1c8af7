#pragma once

#include <cstdint>
#include <string>

#include "common/clock.h"
#include "controller/api/answer.h"
#include "controller/api/backend.h"
#include "controller/api/spool.h"

namespace httplib {
class Server;
}

namespace proteus::api {

/// As Spool::open() takes it.
struct SpoolPlace {
  std::string directory;
  std::uint64_t room_left = 0;
};

/// GET /v1/record: a recording, made whole first, so that a failure is an answer of its own. Everything passed outlives
/// the server.
void add_record_route(httplib::Server& http, Backend& backend, const Clock& clock, const Costs& costs,
                      const SpoolPlace& place);

}  // namespace proteus::api
