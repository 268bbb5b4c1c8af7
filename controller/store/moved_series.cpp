#include "controller/store/moved_series.h"

#include <algorithm>
#include <utility>

#include "controller/store/ranking.h"

namespace proteus::store {
namespace {

/// What tells where a series was measured last if that is the same step: who lists it now, and who began later.
std::tuple<std::size_t, bool, std::size_t> lateness(std::size_t newest, const SelectedEntity& entity,
                                                    std::size_t began) {
  return {newest, entity.is_listed, began};
}

}  // namespace

MovedSeries::MovedSeries(const Query& query, const StepGrid& grid, std::set<std::string> vms, Allowance& allowance)
    : query_(query), grid_(grid), vms_(std::move(vms)), allowance_(allowance) {}

bool MovedSeries::add(const SeriesReader::Stretch& stretch) {
  const StoredEntity& entity = stretch.entity.entity;
  const auto is_empty = [](const StepFigures& step) { return step.sum == 0 && !step.overflow; };
  if (query_.function == Function::kQuantile && std::all_of(stretch.steps.begin(), stretch.steps.end(), is_empty)) {
    return true;  // most buckets hold nothing
  }
  const std::string name = is_named_by_host(entity.kind) ? "" : entity.name;
  Gathered& series =
      gathered_.try_emplace({stretch.entity.vm_uuid, entity.kind, name, stretch.key.bucket}).first->second;
  if (series.steps.empty()) {
    if (!allowance_.hold(kLineBytes + grid_.size() * (sizeof(StepFigures) + 3 * sizeof(std::int64_t)))) return false;
    series = {.host = {},
              .entity = stretch.entity,
              .key = stretch.key,
              .steps = std::vector<StepFigures>(grid_.size()),
              .longest = std::vector<std::int64_t>(grid_.size()),
              .here = std::vector<std::int64_t>(grid_.size()),
              .of_hosts = std::vector<std::int64_t>(grid_.size()),
              .newest = 0,
              .began = 0,
              .reading = {},
              .reading_began = 0};
  }
  std::optional<std::size_t> newest;
  for (std::size_t i = 0; i < stretch.steps.size(); ++i) {
    const StepFigures& part = stretch.steps[i];
    if (part.weight == 0) continue;
    const std::size_t step = stretch.first + i;
    if (series.reading != stretch.host) {
      series.reading = stretch.host;
      series.reading_began = step;
      std::fill(series.here.begin(), series.here.end(), 0);
    }
    newest = step;
    StepFigures& whole = series.steps[step];
    const bool is_first = whole.weight == 0;
    whole.min = is_first ? part.min : std::min(whole.min, part.min);
    whole.max = is_first ? part.max : std::max(whole.max, part.max);
    whole.last = is_first ? part.last : std::max(whole.last, part.last);
    whole.p95 = is_first ? part.p95 : std::max(whole.p95, part.p95);
    whole.overflow = whole.overflow || part.overflow;
    whole.sum += part.sum;
    whole.weight += part.weight;
    series.longest[step] = std::max(series.longest[step], part.weight);
    if (part.weight > series.here[step]) series.of_hosts[step] += part.weight - series.here[step];
    series.here[step] = std::max(series.here[step], part.weight);
  }
  if (!newest) return true;
  if (series.host.empty() ||
      lateness(*newest, stretch.entity, series.reading_began) > lateness(series.newest, series.entity, series.began)) {
    series.newest = *newest;
    series.began = series.reading_began;
    if (series.host != stretch.host) {
      series.host = stretch.host;
      series.entity = stretch.entity;
      series.key = stretch.key;
    }
  }
  return true;
}

bool MovedSeries::visit(const std::function<bool(const SeriesReader::Stretch&)>& take) {
  const bool is_gauge = info(query_.selector.kpi).kind == KpiKind::kGauge;
  for (auto& [identity, series] : gathered_) {
    // While it moves, both list it.
    for (std::size_t i = 0; !is_gauge && i < grid_.size(); ++i) {
      series.steps[i].weight =
          std::min({series.steps[i].weight, std::max(grid_.step_us, series.longest[i]), series.of_hosts[i]});
    }
    if (!take({series.host, series.entity, series.key, 0, 0, series.steps})) return false;
  }
  return true;
}

bool MovedSeries::is_named_by_host(EntityKind kind) const {
  if (kind == EntityKind::kVm) return true;
  const bool is_sum = query_.function == Function::kRate || query_.function == Function::kIncrease ||
                      query_.function == Function::kQuantile;
  return (kind == EntityKind::kTap || kind == EntityKind::kVmDisk) && is_sum && query_.across == Across::kSum &&
         std::find(query_.by.begin(), query_.by.end(), "entity") == query_.by.end();
}

}  // namespace proteus::store
