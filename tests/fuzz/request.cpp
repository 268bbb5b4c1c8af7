// What a client of the API sends: a signal's body, or the parameters of a query, one "name=value" a line.
#include <map>
#include <nlohmann/json.hpp>

#include "controller/api/forecast_json.h"
#include "controller/api/series_query.h"
#include "tests/fuzz/fuzz_target.h"

namespace proteus::fuzz {

std::vector<std::string> seeds() {
  return {
      R"({"name": "orders", "vm": "web1", "lead_s": 300, "by": "shop", "points": [{"time": 1764115200, "value": 1e3}]})",
      R"({"name": "orders", "value": 12.5})",
      "kpi=cpu_run_time_ns\nhost=h1\nhost=h2\nfrom=-1h\nto=now\nstep=5m\nfn=rate\nacross=sum\nby=vm\ntop=3\n",
      "kpi=run_queue_wait_ns\nlabel=tier=db\nfrom=2026-01-02T03:04:05Z\nstep=1d\nfn=quantile\nq=0.99\n"};
}

}  // namespace proteus::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace proteus;
  const Timestamp now = from_unix_ns(1'764'115'200'000'000'000);
  const std::string_view text = fuzz::text_of(data, size);
  if (const auto body = api::Json::parse(text, nullptr, false); !body.is_discarded()) {
    (void)api::parse_signal(body, now).has_value();
  }
  std::map<std::string, std::vector<std::string>> values;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    const std::size_t sign = std::min(line.find('='), line.size());
    values[std::string(line.substr(0, sign))].emplace_back(line.substr(std::min(sign + 1, line.size())));
    at += line.size() + 1;
  }
  (void)api::parse_query([&](const char* name) { return values[name]; }, now).has_value();
  return 0;
}
