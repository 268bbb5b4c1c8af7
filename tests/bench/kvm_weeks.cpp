#include "tests/bench/kvm_weeks.h"

#include <fmt/core.h>

#include <charconv>
#include <optional>
#include <utility>

namespace proteus::simulate::kvm {
namespace {

std::optional<std::uint64_t> seed_of(std::string_view text) {
  std::uint64_t seed = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), seed);
  if (error != std::errc{} || end != text.end()) return std::nullopt;
  return seed;
}

}  // namespace

Result<Weeks> read_weeks(const std::string& folder, std::string_view scenario, std::string_view first,
                         std::string_view last) {
  const auto from = seed_of(first);
  const auto to = seed_of(last);
  if (!from || !to || *to < *from) {
    return Error{ErrorCode::kInvalidArgument, fmt::format("no seeds from '{}' to '{}'", first, last)};
  }
  Result<Traces> traces = read_traces(folder);
  if (!traces) return traces.error();
  Weeks weeks{std::make_unique<const Traces>(std::move(*traces)), {}, *from};
  for (std::uint64_t seed = *from; seed <= *to; ++seed) {
    Result<Workload> week = generate(*weeks.traces, scenario, seed);
    if (!week) return week.error();
    weeks.list.push_back(std::move(*week));
  }
  return weeks;
}

}  // namespace proteus::simulate::kvm
