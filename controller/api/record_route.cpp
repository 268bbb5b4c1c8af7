#include "controller/api/record_route.h"

#include <fmt/core.h>
#include <httplib.h>

#include <algorithm>
#include <array>
#include <memory>
#include <utility>

#include "common/log.h"
#include "controller/api/json_view.h"
#include "controller/replay/recording.h"

namespace proteus::api {
namespace {

Result<replay::RecordOptions> parse_record(const httplib::Request& in, const Backend& backend, Timestamp now) {
  if (const Status known = check_parameters(in, {"from", "to"}, {"host"}); !known) return known.error();
  replay::RecordOptions options;
  options.to = now;
  options.now = now;
  const Parameters parameters = parameters_of(in);
  for (const char* name : {"from", "to"}) {
    const std::string text = one(parameters, name);
    if (text.empty()) continue;
    const Result<Timestamp> time = parse_time(text, now);
    if (!time) return time.error();
    if (std::string_view(name) == "from") {
      options.from = *time;
    } else {
      options.to = *time;
    }
  }
  if (options.from && *options.from > now) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("from {} lies ahead", to_rfc3339(*options.from))};
  }
  if (const Status good = check_range(options.from.value_or(Timestamp{}), options.to); !good) return good.error();
  options.to = std::min(options.to, now);  // what is to come is not in it
  for (const std::string& host : parameters("host")) options.hosts.emplace_back(host);
  if (const store::SeriesReader* series = backend.store().series()) {
    if (const Status stored = series->selection().check_names(options.hosts, {}); !stored) return stored.error();
  }
  return options;
}

/// Empty: it is what was asked for.
std::string warning_of(const replay::RecordingSummary& written) {
  std::string warning;
  if (written.begins_later) {
    warning = fmt::format("no controller had begun by then: the recording begins at {}, where the first did",
                          to_rfc3339(written.from));
  }
  if (written.missing_until) {
    warning += fmt::format(
        "{}the controller began so long ago that telemetry which it had taken in until {} has "
        "expired: a replay may decide otherwise until then, and for some time after",
        warning.empty() ? "" : "; ", to_rfc3339(*written.missing_until));
  }
  return warning;
}

void get_record(const httplib::Request& in, httplib::Response& out, const Backend& backend, Timestamp now,
                const Costs& costs, const SpoolPlace& place) {
  const Result<replay::RecordOptions> options = parse_record(in, backend, now);
  if (!options) return send(out, options.error());
  const std::shared_ptr<void> turn = costs.turns.take();
  if (turn == nullptr) return send(out, kTooManyAnswers);
  Result<Spool> opened = Spool::open(place.directory, place.room_left);
  if (!opened) return send(out, opened.error());
  const auto spool = std::make_shared<Spool>(std::move(*opened));
  store::Allowance allowance(costs.bytes_max, [&in] { return is_wanted(in); });
  const Result<replay::RecordingSummary> written = replay::write_recording(
      backend.store(), *options, allowance, [&](std::string_view bytes) { return spool->write(bytes); });
  if (!written) return send(out, written.error());
  if (const std::string warning = warning_of(*written); !warning.empty()) out.set_header(kWarningHeader, warning);
  out.set_content_provider(
      spool->size(), "application/vnd.proteus.recording",
      [spool, turn](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
        std::array<char, 65536> block;
        const Result<std::size_t> got = spool->read(offset, {block.data(), std::min(length, block.size())});
        if (!got) log::warning("api: an answer breaks off: {}", got.error().message);
        return got && *got > 0 && sink.write(block.data(), *got);
      });
}

}  // namespace

void add_record_route(httplib::Server& http, Backend& backend, const Clock& clock, const Costs& costs,
                      const SpoolPlace& place) {
  http.Get("/v1/record", [&backend, &clock, costs, place](const httplib::Request& in, httplib::Response& out) {
    get_record(in, out, backend, clock.now(), costs, place);
  });
}

}  // namespace proteus::api
