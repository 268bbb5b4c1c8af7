#include "controller/api/series_routes.h"

#include <httplib.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "controller/api/answer.h"
#include "controller/api/json_view.h"
#include "controller/api/series_export.h"
#include "controller/api/series_query.h"

namespace proteus::api {
namespace {

const Error kNoSeries{ErrorCode::kUnsupported, "this controller keeps no series"};

/// The lines of a query, one after the other.
class LineWriter {
 public:
  LineWriter(const Write& write, std::string head) : write_(write), before_(std::move(head)) {}
  bool add(const store::QueryResult& line) {
    const bool taken = write_(before_ + to_json(line).dump(-1, ' ', false, Json::error_handler_t::replace));
    before_ = ",";
    return taken;
  }
  void finish() { write_(before_ == "," ? "]}\n" : before_ + "]}\n"); }

 private:
  const Write& write_;
  std::string before_;
};

void get_query(const httplib::Request& in, httplib::Response& out, const Backend& backend, Timestamp now,
               const Costs& costs) {
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
  if (const Status stored = reader->selection().check_names(selector.hosts, selector.vms); !stored)
    return send(out, stored.error());
  if (const Status stored = reader->selection().check_labels(selector); !stored) return send(out, stored.error());
  if (const Status stored = reader->selection().check_groups(selector, query->by); !stored)
    return send(out, stored.error());
  if (const Status enough = store::check_memory(*query, costs.bytes_max); !enough) return send(out, enough.error());
  const std::shared_ptr<void> turn = costs.turns.take();
  if (turn == nullptr) return send(out, kTooManyAnswers);
  const auto allowance = std::make_shared<store::Allowance>(costs.bytes_max, [&in] { return is_wanted(in); });
  const auto lines = std::make_shared<std::vector<store::QueryResult>>();
  const bool at_the_end = store::is_known_at_the_end(*query);
  if (at_the_end) {  // before anything is sent, so that an error is an answer of its own
    const Status run = store::run_query(*reader, *query, *allowance, [&](store::QueryResult&& line) {
      lines->push_back(std::move(line));
      return true;
    });
    if (!run) return send(out, run.error());
  }
  stream(in, out, "application/json", [=, turn = turn, asked = *query, shape = *frame](const Write& write) -> Status {
    LineWriter writer(write, query_head(asked, shape, now));
    if (at_the_end) {
      for (const store::QueryResult& line : *lines) {
        if (!writer.add(line)) return {};
      }
    } else {
      const Status run =
          store::run_query(*reader, asked, *allowance, [&](store::QueryResult&& line) { return writer.add(line); });
      if (!run) return run;
    }
    writer.finish();
    return {};
  });
}

void get_export(const httplib::Request& in, httplib::Response& out, const Backend& backend, Timestamp now,
                const Costs& costs) {
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
  const Status stored = reader->selection().check_names(selectors.front().hosts, selectors.front().vms);
  if (!stored) return send(out, stored.error());
  const auto format = parse_export_format(parameters("format").empty() ? "csv" : one(parameters, "format"));
  if (!format) return send(out, format.error());
  std::set<EntityKind> scopes;  // what KPIs of one have carries the same labels
  Status labelled;
  for (const store::SeriesSelector& selector : selectors) {
    if (!scopes.insert(info(selector.kpi).scope).second) continue;
    const Status checked = reader->selection().check_labels(selector);
    if (checked || labelled) labelled = checked;
    if (checked) break;
  }
  if (!labelled) return send(out, labelled.error());
  const auto range = parse_range(parameters, now);
  if (!range) return send(out, range.error());
  if (const Status good = check_range(range->first, range->second); !good) return send(out, good.error());
  Exported what{std::move(selectors), store::to_us(range->first), store::to_us(range->second), *format, {}};
  const std::shared_ptr<void> turn = costs.turns.take();
  if (turn == nullptr) return send(out, kTooManyAnswers);
  const auto allowance = std::make_shared<store::Allowance>(costs.bytes_max, [&in] { return is_wanted(in); });
  const Result<bool> any_value = has_values(*reader, what.selectors, what.from_us, what.to_us, *allowance);
  if (!any_value) return send(out, any_value.error());
  if (!*any_value) out.set_header(kNothingMeasuredHeader, "yes");
  if (const auto snapshot = backend.snapshot(); snapshot->state) {
    for (const ham::VmState& vm : snapshot->state->vms) what.names[vm.id.value] = vm.name;
  }
  stream(in, out, content_type(*format), [=, turn = turn, what = std::move(what)](const Write& write) {
    return export_series(*reader, what, *allowance, write);
  });
}

}  // namespace

void add_series_routes(httplib::Server& http, Backend& backend, const Clock& clock, const Costs& costs) {
  http.Get("/v1/query", [&backend, &clock, costs](const httplib::Request& in, httplib::Response& out) {
    get_query(in, out, backend, clock.now(), costs);
  });
  http.Get("/v1/export", [&backend, &clock, costs](const httplib::Request& in, httplib::Response& out) {
    get_export(in, out, backend, clock.now(), costs);
  });
}

}  // namespace proteus::api
