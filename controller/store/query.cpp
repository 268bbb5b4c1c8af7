#include "controller/store/query.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "controller/store/moved_series.h"
#include "controller/store/ranking.h"
#include "controller/store/series_keys.h"

namespace proteus::store {
namespace {

using keys::Figure;

constexpr std::array<std::pair<const char*, Function>, 8> kFunctions = {{{"mean", Function::kMean},
                                                                         {"min", Function::kMin},
                                                                         {"max", Function::kMax},
                                                                         {"last", Function::kLast},
                                                                         {"p95", Function::kP95},
                                                                         {"rate", Function::kRate},
                                                                         {"increase", Function::kIncrease},
                                                                         {"quantile", Function::kQuantile}}};
constexpr std::array<std::pair<const char*, Across>, 4> kAcross = {
    {{"sum", Across::kSum}, {"mean", Across::kMean}, {"min", Across::kMin}, {"max", Across::kMax}}};

template <typename Table>
std::string names_of(const Table& table) {
  std::string names;
  for (const auto& [name, value] : table) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

std::vector<Figure> figures_for(Function function) {
  switch (function) {
    case Function::kMean:
    case Function::kRate: return {Figure::kSum, Figure::kWeight};
    case Function::kMin: return {Figure::kMin};
    case Function::kMax: return {Figure::kMax};
    case Function::kLast: return {Figure::kLast};
    case Function::kP95: return {Figure::kP95};
    case Function::kIncrease:
    case Function::kQuantile: return {Figure::kSum};
  }
  return {};
}

std::optional<double> point_of(const StepFigures& figures, Function function, KpiKind kind) {
  if (figures.weight == 0) return std::nullopt;
  const auto number = [](std::int64_t value) { return static_cast<double>(value); };
  switch (function) {
    case Function::kMean:
    case Function::kRate:
      if (figures.overflow) return std::nullopt;
      return to_double(figures.sum) / (number(figures.weight) * (kind == KpiKind::kGauge ? 1 : 1e-6));
    case Function::kMin: return number(figures.min);
    case Function::kMax: return number(figures.max);
    case Function::kLast: return number(figures.last);
    case Function::kP95: return number(figures.p95);
    case Function::kIncrease:
    case Function::kQuantile: return figures.overflow ? std::nullopt : std::optional(to_double(figures.sum));
  }
  return std::nullopt;
}

std::int64_t us_of(Nanoseconds duration) {
  return std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
}

StepGrid grid_of(const Query& query) {
  const std::int64_t step = us_of(query.step);
  const std::int64_t from = to_us(query.from);
  const std::int64_t to = to_us(query.to);
  return {from - from % step, (to + step - 1) / step * step, step};
}

/// The series or entities that become one line.
struct Group {
  QueryResult line;                           // without points
  std::vector<std::optional<double>> points;  // joined so far; of kMean: sums
  std::vector<std::uint32_t> counts;          // of kMean: how many are in each sum
  std::vector<std::vector<double>> buckets;   // of kQuantile: per step, by bucket
};

QueryResult describe(const HostId& host, const SelectedEntity& selected) {
  QueryResult line;
  line.host = host;
  line.vm = selected.vm_name;
  line.uuid = selected.vm_uuid;
  line.entity = selected.entity.name;
  line.kind = to_string(selected.entity.kind);
  return line;
}

std::string group_value(const std::string& by, const HostId& host, const SelectedEntity& selected) {
  if (by == "host") return host.value;
  if (by == "vm") return selected.vm_name;
  if (by == "entity") return (selected.vm_name.empty() ? host.value : selected.vm_name) + "/" + selected.entity.name;
  for (const auto* labels : {&selected.entity.labels, &selected.vm_labels}) {
    if (const auto label = labels->find(by); label != labels->end()) return label->second;
  }
  return "";
}

class Runner {
 public:
  /// moved: VMs whose series on several hosts are joined as one.
  Runner(const Query& query, Allowance& allowance, const LineVisitor& visit, std::set<std::string> moved = {})
      : query_(query),
        allowance_(allowance),
        visit_(visit),
        kind_(info(query.selector.kpi).kind),
        steps_(grid_of(query).size()),
        moved_(query, grid_of(query), std::move(moved), allowance),
        ranking_(query.top, allowance) {}

  /// Each series is a line of its own. False: no more are wanted.
  Result<bool> take(const SeriesReader::HostSteps& host) {
    for (const auto& [key, steps] : host.series) {
      const SelectedEntity& selected = host.entities.at(key.entity);
      QueryResult line = describe(host.host, selected);
      if (kind_ == KpiKind::kHistogram) line.bucket = key.bucket;
      line.points.reserve(steps.size());
      for (const StepFigures& figures : steps) line.points.push_back(point_of(figures, query_.function, kind_));
      if (Status given = give_out(std::move(line)); !given) return given.error();
      if (!wanted_) return false;
    }
    return true;
  }

  /// Series are joined into lines, stretch by stretch. False: the allowance is not enough.
  bool join(const SeriesReader::Stretch& stretch) {
    if (moved_.has(stretch.entity)) return moved_.add(stretch);
    if (joined_.size() <= stretch.series) joined_.resize(stretch.series + 1);
    return add(stretch, joined_[stretch.series]);
  }
  /// False: no more lines are wanted.
  Result<bool> end_part() {
    joined_.clear();
    if (by_entity()) {  // so that those of all are never held
      if (Status given = give_out_groups(); !given) return given.error();
    }
    return wanted_;
  }
  /// Of a query by entity.
  void drop_part() {
    joined_.clear();
    drop_groups();
  }
  /// A quantile of its own for each entity.
  bool by_entity() const { return query_.across == Across::kNone; }

  Status finish() {
    const bool joined = moved_.visit([&](const SeriesReader::Stretch& stretch) {
      Group* group = nullptr;
      return add(stretch, group);
    });
    if (!joined) return allowance_.too_much();
    if (Status given = give_out_groups(); !given) return given;
    ranking_.give_out(visit_);
    return {};
  }

 private:
  bool add(const SeriesReader::Stretch& stretch, Group*& group) {
    if (query_.function == Function::kRate && query_.across == Across::kSum) return add_rates(stretch, group);
    for (std::size_t i = 0; i < stretch.steps.size(); ++i) {
      const auto point = point_of(stretch.steps[i], query_.function, kind_);
      if (!point) continue;
      if (group == nullptr && !open_group(stretch, group)) return false;
      const std::size_t step = stretch.first + i;
      if (query_.function == Function::kQuantile) {
        std::vector<double>& buckets = group->buckets[step];
        if (buckets.empty()) {
          if (!hold_group(kHistogramBucketCount * sizeof(double))) return false;
          buckets.resize(kHistogramBucketCount);
        }
        buckets[std::min<std::size_t>(stretch.key.bucket, kHistogramBucketCount - 1)] += *point;
        continue;
      }
      std::optional<double>& joined = group->points[step];
      switch (query_.across) {
        case Across::kNone:
        case Across::kSum: joined = joined.value_or(0) + *point; break;
        case Across::kMean:
          joined = joined.value_or(0) + *point;
          ++group->counts[step];
          break;
        case Across::kMin: joined = std::min(joined.value_or(*point), *point); break;
        case Across::kMax: joined = std::max(joined.value_or(*point), *point); break;
      }
    }
    return true;
  }

  /// join() of the sum of rates, which is asked for of the most series.
  bool add_rates(const SeriesReader::Stretch& stretch, Group*& group) {
    for (std::size_t i = 0; i < stretch.steps.size(); ++i) {
      const StepFigures& figures = stretch.steps[i];
      if (figures.weight == 0 || figures.overflow) continue;
      if (group == nullptr && !open_group(stretch, group)) return false;
      std::optional<double>& joined = group->points[stretch.first + i];
      joined = joined.value_or(0) + to_double(figures.sum) / (static_cast<double>(figures.weight) * 1e-6);
    }
    return true;
  }

  Status give_out(QueryResult line) {
    if (query_.top > 0) return ranking_.add(std::move(line));
    wanted_ = wanted_ && visit_(std::move(line));
    return {};
  }
  Status give_out_groups() {
    for (auto& [name, group] : groups_) {
      if (Status given = give_out(close(group)); !given) return given;
    }
    // Lines that are given out in the end are held on by whoever takes them.
    if (by_entity() || query_.top > 0) drop_groups();
    return {};
  }
  void drop_groups() {
    groups_.clear();
    allowance_.release(std::exchange(group_bytes_, 0));
  }
  bool hold_group(std::uint64_t bytes) {
    group_bytes_ += bytes;
    return allowance_.hold(bytes).has_value();
  }

  /// For a series' first value. False: the allowance is not enough.
  bool open_group(const SeriesReader::Stretch& stretch, Group*& group) {
    std::string name;
    std::string uuid;
    std::vector<std::pair<std::string, std::string>> values;
    if (by_entity()) {
      name = fmt::format("{:010}", stretch.entity.entity.number);  // in their order, however they come in parts
    } else {
      for (const std::string& by : query_.by) {
        values.emplace_back(by, group_value(by, stretch.host, stretch.entity));
        name += values.back().second + "\n";
        if (by != "vm" && by != "entity") continue;
        uuid = stretch.entity.vm_uuid;
        name += uuid + "\n";  // two VMs may bear one name
      }
    }
    const auto [entry, is_new] = groups_.try_emplace(name);
    group = &entry->second;
    if (!is_new) {
      ++group->line.members;
      return true;
    }
    if (by_entity()) group->line = describe(stretch.host, stretch.entity);
    if (!uuid.empty()) group->line.uuid = uuid;
    group->line.group = std::move(values);
    const bool has_counts = query_.across == Across::kMean;
    const bool has_buckets = query_.function == Function::kQuantile;
    const std::size_t each = sizeof(group->points[0]) + (has_counts ? sizeof(group->counts[0]) : 0) +
                             (has_buckets ? sizeof(group->buckets[0]) : 0);
    if (!hold_group(kLineBytes + steps_ * each)) return false;
    group->points.resize(steps_);
    if (has_counts) group->counts.resize(steps_);
    if (has_buckets) group->buckets.resize(steps_);
    return true;
  }

  QueryResult close(Group& group) const {
    for (std::size_t i = 0; i < steps_; ++i) {
      if (query_.function == Function::kQuantile) {
        group.points[i] = bucket_quantile(group.buckets[i], query_.quantile);
      } else if (query_.across == Across::kMean && group.points[i]) {
        *group.points[i] /= group.counts[i];
      }
    }
    group.line.points = std::move(group.points);
    return std::move(group.line);
  }

  const Query& query_;
  Allowance& allowance_;
  const LineVisitor& visit_;
  const KpiKind kind_;
  const std::size_t steps_;
  MovedSeries moved_;
  std::map<std::string, Group> groups_;
  std::uint64_t group_bytes_ = 0;  // held for groups_
  std::vector<Group*> joined_;     // of the part's series; null: no value yet
  Ranking ranking_;
  bool wanted_ = true;  // by who takes the lines
};

Error invalid(std::string message) {
  return {ErrorCode::kInvalidArgument, std::move(message)};
}

}  // namespace

Result<Function> parse_function(const std::string& text) {
  for (const auto& [name, function] : kFunctions) {
    if (text == name) return function;
  }
  return invalid(fmt::format("'{}' is no function: {}", text, names_of(kFunctions)));
}

Result<Across> parse_across(const std::string& text) {
  if (text.empty()) return Across::kNone;
  for (const auto& [name, across] : kAcross) {
    if (text == name) return across;
  }
  return invalid(fmt::format("'{}' does not join series: {}", text, names_of(kAcross)));
}

Result<QueryFrame> check(const Query& query) {
  const KpiInfo& kpi = info(query.selector.kpi);
  const std::int64_t step = us_of(query.step);
  if (step < 1000) return invalid("a step is at least a millisecond");
  if (query.to <= query.from) return invalid("the time asked for ends before it begins");
  if (query.from < Timestamp{}) return invalid("the time asked for begins before 1970");
  const StepGrid grid = grid_of(query);
  if (grid.size() > kQueryStepsMax) {
    return invalid(
        fmt::format("{} steps are more than {}: ask for longer steps or a shorter time", grid.size(), kQueryStepsMax));
  }
  const bool is_gauge = kpi.kind == KpiKind::kGauge;
  const bool is_histogram = kpi.kind == KpiKind::kHistogram;
  const Function function = query.function;
  if (is_gauge && (function == Function::kRate || function == Function::kIncrease)) {
    return invalid(fmt::format("{} is a gauge: it has no rate; ask for mean, min, max, last or p95", kpi.name));
  }
  if (!is_gauge && function == Function::kLast) {
    return invalid(fmt::format("{} is a counter: ask for its rate or increase", kpi.name));
  }
  if (is_histogram != (function == Function::kQuantile) && function != Function::kIncrease &&
      !(is_histogram && function == Function::kRate)) {
    return invalid(is_histogram ? fmt::format("{} is a histogram: ask for quantile, rate or increase", kpi.name)
                                : fmt::format("{} is no histogram: its p95 is that of the values of a step", kpi.name));
  }
  if (function == Function::kQuantile && !(query.quantile >= 0 && query.quantile <= 1)) {
    return invalid("a quantile is from 0 to 1");
  }
  if (is_histogram && query.across != Across::kNone && query.across != Across::kSum) {
    return invalid(fmt::format("{} is a histogram: its series are joined by sum, bucket by bucket", kpi.name));
  }
  if (!query.by.empty() && query.across == Across::kNone) {
    return invalid("to group series, say how they are joined: sum, mean, min or max");
  }
  QueryFrame frame{from_unix_ns(grid.from_us * 1000), from_unix_ns(grid.to_us * 1000), query.step,
                   std::string(kpi.unit)};
  if (is_histogram && function != Function::kQuantile) frame.unit = "1";
  if (!is_gauge && function != Function::kIncrease && function != Function::kQuantile) frame.unit += "/s";
  return frame;
}

bool is_known_at_the_end(const Query& query) {
  return query.across != Across::kNone || query.top > 0;
}

Status check_memory(const Query& query, std::uint64_t bytes_max) {
  if (is_known_at_the_end(query)) return {};
  const KpiInfo& kpi = info(query.selector.kpi);
  const std::uint64_t series = kpi.kind == KpiKind::kHistogram ? kHistogramBucketCount : 1;
  const std::uint64_t each = 2 * series * sizeof(StepFigures);  // from roll-ups and from pages
  const std::uint64_t steps = grid_of(query).size();
  if (steps * each <= bytes_max) return {};
  return invalid(
      fmt::format("{} steps of {} take more than the {} MiB of memory that one answer may: ask for {} steps "
                  "at most, by longer steps or a shorter time",
                  steps, kpi.name, bytes_max >> 20, bytes_max / each));
}

Status run_query(const SeriesReader& reader, const Query& query, Allowance& allowance, const LineVisitor& visit) {
  // All observations together are the same whoever had them.
  const bool is_of_all = query.function == Function::kQuantile && query.by.empty();
  const bool joins_hosts = query.across != Across::kNone && !is_of_all &&
                           std::find(query.by.begin(), query.by.end(), "host") == query.by.end();
  Runner runner(query, allowance, visit,
                joins_hosts ? reader.selection().moved_vms(query.selector, query.from) : std::set<std::string>());
  const StepGrid grid = grid_of(query);
  const std::vector<Figure> figures = figures_for(query.function);
  Result<bool> wanted = true;
  Status read;
  if (query.across != Across::kNone || query.function == Function::kQuantile) {
    SeriesReader::Joiner joiner;
    joiner.take = [&](const SeriesReader::Stretch& stretch) { return runner.join(stretch); };
    joiner.end_part = [&] { return (wanted = runner.end_part()) && *wanted; };
    if (runner.by_entity()) joiner.drop_part = [&] { runner.drop_part(); };
    read = reader.stream_steps(query.selector, grid, figures, allowance, joiner);
  } else {
    read = reader.read_steps(query.selector, grid, figures, allowance, [&](const SeriesReader::HostSteps& host) {
      return (wanted = runner.take(host)) && *wanted;
    });
  }
  if (!read) return read;
  if (!wanted) return wanted.error();
  return *wanted ? runner.finish() : Status();
}

std::optional<double> bucket_quantile(const std::vector<double>& counts, double q) {
  double total = 0;
  for (const double count : counts) total += count;
  if (total <= 0) return std::nullopt;
  const double rank = q * total;
  double below = 0;
  for (std::size_t b = 0; b < counts.size(); ++b) {
    if (counts[b] <= 0) continue;
    if (below + counts[b] >= rank) {
      const double low = b == 0 ? 0 : std::exp2(static_cast<double>(b));
      const double high = std::exp2(static_cast<double>(b + 1));
      return low + (high - low) * std::max(0.0, rank - below) / counts[b];
    }
    below += counts[b];
  }
  return std::nullopt;
}

}  // namespace proteus::store
