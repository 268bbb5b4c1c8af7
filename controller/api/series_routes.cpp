#include "controller/api/series_routes.h"

#include <httplib.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "common/log.h"
#include "controller/api/answer.h"
#include "controller/api/json_view.h"
#include "controller/api/series_export.h"
#include "controller/api/series_query.h"

namespace proteus::api {
namespace {

const Error kNoSeries{ErrorCode::kUnsupported, "this controller keeps no series"};

/// Streams what `produce` writes. An error half-way breaks the connection, so that nobody takes half for the whole.
template <typename Produce>
void stream(httplib::Response& out, const char* type, Produce produce) {
  out.set_chunked_content_provider(type, [produce](std::size_t, httplib::DataSink& sink) {
    const auto write = [&](std::string_view text) { return sink.write(text.data(), text.size()); };
    if (const Status done = produce(write); !done) {
      log::warning("api: an answer breaks off: {}", done.error().message);
      return false;
    }
    sink.done();
    return true;
  });
}

void get_query(const httplib::Request& in, httplib::Response& out, const Backend& backend, Timestamp now,
               Turns& turns) {
  const store::SeriesReader* reader = backend.store().series();
  if (reader == nullptr) return send(out, kNoSeries);
  const Status known = check_parameters(in, {"kpi", "entity", "from", "to", "step", "fn", "q", "across", "top"},
                                        {"host", "vm", "label", "by"});
  if (!known) return send(out, known.error());
  const auto query = parse_query(parameters_of(in), now);
  if (!query) return send(out, query.error());
  const auto frame = store::check(*query);
  if (!frame) return send(out, frame.error());
  const store::SeriesSelector& selector = query->selector;
  if (const Status stored = reader->check_names(selector.hosts, selector.vms); !stored)
    return send(out, stored.error());
  if (const Status stored = reader->check_groups(selector, query->by); !stored) return send(out, stored.error());
  const std::shared_ptr<void> turn = turns.take();
  if (turn == nullptr) return send(out, kTooManyAnswers);
  stream(out, "application/json", [turn, reader, now, asked = *query, shape = *frame](const auto& write) -> Status {
    if (!write(query_head(asked, shape, now))) return {};
    bool first = true;
    const Status run = store::run_query(*reader, asked, [&](const store::QueryResult& line) {
      const std::string text = to_json(line).dump(-1, ' ', false, Json::error_handler_t::replace);
      const bool taken = write((first ? "" : ",") + text);
      first = false;
      return taken;
    });
    if (run) write("]}\n");
    return run;
  });
}

void get_export(const httplib::Request& in, httplib::Response& out, const Backend& backend, Timestamp now,
                Turns& turns) {
  const store::SeriesReader* reader = backend.store().series();
  if (reader == nullptr) return send(out, kNoSeries);
  const Status known = check_parameters(in, {"entity", "from", "to", "format"}, {"kpi", "host", "vm", "label"});
  if (!known) return send(out, known.error());
  const Parameters parameters = parameters_of(in);
  std::vector<std::string> kpis = parameters("kpi");
  if (kpis.empty()) {
    for (const KpiInfo& kpi : kpi_table()) kpis.emplace_back(kpi.name);
  }
  std::vector<store::SeriesSelector> selectors;
  for (auto kpi = kpis.begin(); kpi != kpis.end(); ++kpi) {
    if (std::find(kpis.begin(), kpi, *kpi) != kpi) continue;
    auto selector = parse_selector(*kpi, parameters);
    if (!selector) return send(out, selector.error());
    selectors.push_back(std::move(*selector));
  }
  const Status stored = reader->check_names(selectors.front().hosts, selectors.front().vms);
  if (!stored) return send(out, stored.error());
  const auto format = parse_export_format(in.has_param("format") ? in.get_param_value("format") : "csv");
  if (!format) return send(out, format.error());
  Timestamp from = now - std::chrono::hours(1);
  Timestamp to = now;
  for (const char* name : {"from", "to"}) {
    if (!in.has_param(name)) continue;
    const Result<Timestamp> time = parse_time(in.get_param_value(name), now);
    if (!time) return send(out, time.error());
    (std::string_view(name) == "from" ? from : to) = *time;
  }
  if (const Status good = check_range(from, to); !good) return send(out, good.error());
  const std::int64_t from_us = store::to_us(from);
  const std::int64_t to_us = store::to_us(to);
  const std::shared_ptr<void> turn = turns.take();
  if (turn == nullptr) return send(out, kTooManyAnswers);
  const Result<bool> any_value = has_values(*reader, selectors, from_us, to_us);
  if (!any_value) return send(out, any_value.error());
  if (!*any_value) out.set_header(kNothingMeasuredHeader, "yes");
  VmNames names;
  if (const auto snapshot = backend.snapshot(); snapshot->state) {
    for (const ham::VmState& vm : snapshot->state->vms) names[vm.id.value] = vm.name;
  }
  stream(out, content_type(*format), [=, asked = std::move(selectors), as = *format](const auto& write) {
    return export_series(*reader, asked, as, from_us, to_us, names, write);
  });
}

}  // namespace

void add_series_routes(httplib::Server& http, Backend& backend, const Clock& clock, Turns& turns) {
  http.Get("/v1/query", [&](const httplib::Request& in, httplib::Response& out) {
    get_query(in, out, backend, clock.now(), turns);
  });
  http.Get("/v1/export", [&](const httplib::Request& in, httplib::Response& out) {
    get_export(in, out, backend, clock.now(), turns);
  });
}

}  // namespace proteus::api
