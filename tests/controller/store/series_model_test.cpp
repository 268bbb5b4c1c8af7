#include "tests/controller/store/series_model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <memory>

#include "controller/store/rocks_store.h"
#include "tests/temporary_directory.h"

namespace proteus::store {
namespace {

using std::chrono::hours;

std::string describe(const Query& q) {
  std::string by;
  for (const auto& b : q.by) by += b + ",";
  return fmt::format("{} fn={} across={} by={} top={} q={} step={}us from={} to={} host={} vm={} entity={} labels={}",
                     info(q.selector.kpi).name, static_cast<int>(q.function), static_cast<int>(q.across), by, q.top,
                     q.quantile, q.step.count() / 1000, to_us(q.from), to_us(q.to), q.selector.hosts.size(),
                     fmt::join(q.selector.vms, ","), q.selector.entity, q.selector.labels.size());
}

/// Queries of all kinds, as chance has them, beside the model: while it is in memory, in chunks, in pages, rolled up,
/// opened again, and when only minutes or hours are left. PROTEUS_MODEL_FROM, _TO: other seeds; _QUERIES: of each
/// stage.
class SeriesModelTest : public testing::TestWithParam<int> {
 protected:
  void open() {
    store_.reset();
    auto opened = RocksStore::open({.directory = directory_ / "store"});
    ASSERT_TRUE(opened) << opened.error().message;
    store_ = std::move(*opened);
  }
  std::int64_t below(std::int64_t n) { return std::uniform_int_distribution<std::int64_t>(0, n - 1)(random_); }
  bool chance(double p) { return std::uniform_real_distribution<double>(0, 1)(random_) < p; }
  template <typename T>
  T one_of(const std::vector<T>& all) {
    return all[static_cast<std::size_t>(below(static_cast<std::int64_t>(all.size())))];
  }

  Query random_query(std::int64_t begin_us, std::int64_t span_us, std::int64_t unit_us) {
    Query q;
    q.selector.kpi = one_of<Kpi>({Kpi::kHostCpuTimeNs, Kpi::kHostMemoryAvailableBytes, Kpi::kEmulatorTimeNs,
                                  Kpi::kMemoryResidentBytes, Kpi::kRunQueueLatencyNs, Kpi::kCpuRunTimeNs});
    const KpiKind kind = info(q.selector.kpi).kind;
    using enum Function;
    q.function = kind == KpiKind::kGauge     ? one_of<Function>({kMean, kMin, kMax, kLast, kP95})
                 : kind == KpiKind::kCounter ? one_of<Function>({kRate, kRate, kIncrease, kMean, kMin, kMax, kP95})
                                             : one_of<Function>({kQuantile, kRate, kIncrease});
    q.quantile = one_of<double>({0, 0.01, 0.5, 0.9, 0.99, 1});
    if (chance(0.6)) {
      q.across = kind == KpiKind::kHistogram
                     ? Across::kSum
                     : one_of<Across>({Across::kSum, Across::kMean, Across::kMin, Across::kMax});
      if (chance(0.6)) q.by.push_back(one_of<std::string>({"host", "vm", "entity", "group.tier"}));
      if (chance(0.2)) q.by.push_back(one_of<std::string>({"host", "vm", "entity", "group.tier"}));
      if (q.by.size() == 2 && q.by[0] == q.by[1]) q.by.pop_back();
    }
    if (chance(0.2)) q.top = static_cast<std::size_t>(1 + below(4));
    if (chance(0.2)) q.selector.hosts.emplace_back("h" + std::to_string(1 + below(3)));
    for (int i = 0; i < 3 && chance(0.25); ++i)
      q.selector.vms.push_back(one_of<std::string>({"vm0", "vm1", "00000000-0000-4000-8000-000000000002"}));
    if (chance(0.1)) q.selector.entity = one_of<std::string>({"0", "vm1", "vm2/1"});
    if (chance(0.1)) q.selector.labels["group.tier"] = one_of<std::string>({"web", "db"});
    std::int64_t step = unit_us;
    if (unit_us > 1) {
      step *= one_of<std::int64_t>({1, 1, 1, 2, 3, 5, 7, 45, 60, 90, 120, 180});
    } else {
      step = one_of<std::int64_t>({1'000'000, 7'000'000, 30'000'000, 60'000'000, 60'000'000, 60'000'000, 61'000'000,
                                   300'000'000, 420'000'000, 3600'000'000, 3600'000'000, 5400'000'000, 7200'000'000,
                                   86400'000'000, 1'234'567, 13'000'001, 250'000});
    }
    q.step = Nanoseconds(step * 1000);
    std::int64_t from = begin_us - 700'000'000 + below(span_us);
    std::int64_t length = 1 + below(chance(0.5) ? span_us + 1400'000'000 : 1200'000'000);
    length = std::min(length, step * 20'000);
    q.from = from_unix_ns(from * 1000);
    q.to = from_unix_ns((from + length) * 1000);
    return q;
  }

  /// Whether the answer is the model's.
  void compare(const Model& model, const Query& query, const std::string& when) {
    if (clocks_step_ && query.function == Function::kLast) return;
    ASSERT_TRUE(check(query)) << describe(query);
    const ModelLines expected = ask(model, query);
    std::vector<std::pair<std::string, QueryResult>> found;
    const Status run = run_query(*store_->series(), query, [&](const QueryResult& line) {
      found.emplace_back(name_of(line, query), line);
      return true;
    });
    ASSERT_TRUE(run) << when << describe(query) << ": " << run.error().message;
    ++queries_;
    if (query.top == 0) {
      std::string names, wanted;
      for (const auto& [name, line] : expected) wanted += name + " ";
      for (const auto& [name, line] : found) names += name + " ";
      ASSERT_EQ(found.size(), expected.size()) << when << describe(query) << " " << names << " instead of " << wanted;
    } else {
      ASSERT_EQ(found.size(), std::min(expected.size(), query.top)) << when << describe(query);
      std::vector<double> ranks;
      bool open = false;
      for (const auto& [name, line] : expected) {
        double sum = 0, n = 0;
        for (std::size_t i = 0; i < line.points.size(); ++i) {
          open = open || line.open[i];
          if (line.points[i]) sum += *line.points[i], n += 1;
        }
        ranks.push_back(n == 0 ? -HUGE_VAL : sum / n);
      }
      std::sort(ranks.rbegin(), ranks.rend());
      for (std::size_t r = 0; r < found.size() && !open; ++r) {
        double sum = 0, n = 0;
        for (const auto& p : found[r].second.points) {
          if (p) sum += *p, n += 1;
        }
        const double rank = n == 0 ? -HUGE_VAL : sum / n;
        if (std::isinf(rank) && std::isinf(ranks[r])) continue;
        ASSERT_NEAR(rank, ranks[r], 1 + std::abs(rank) * 1e-6) << when << describe(query);
      }
    }
    for (const auto& [name, line] : found) {
      ASSERT_TRUE(expected.contains(name)) << when << describe(query) << " " << name;
      const ModelLine& wanted = expected.at(name);
      ASSERT_EQ(line.points.size(), wanted.points.size()) << when << describe(query);
      for (std::size_t i = 0; i < line.points.size(); ++i) {
        ++points_;
        if (wanted.open[i]) continue;
        ASSERT_EQ(line.points[i].has_value(), wanted.points[i].has_value())
            << when << describe(query) << " line " << name << " step " << i << " of " << line.points.size();
        if (!line.points[i]) continue;
        const bool rounded = info(query.selector.kpi).kind == KpiKind::kCounter && query.function != Function::kRate &&
                             query.function != Function::kMean && query.function != Function::kIncrease;
        const double room = std::abs(*wanted.points[i]) * 1e-9 + 1e-9 + (rounded ? 8 : 0);
        ASSERT_NEAR(*line.points[i], *wanted.points[i], room)
            << when << describe(query) << " line " << name << " step " << i << " of " << line.points.size();
      }
    }
  }

  /// Whether every value is there, once.
  void compare_values(const Model& model, const std::string& when) {
    std::map<ModelSeries, std::vector<std::pair<std::int64_t, std::int64_t>>> found;
    for (const Kpi kpi : {Kpi::kHostCpuTimeNs, Kpi::kHostMemoryAvailableBytes, Kpi::kEmulatorTimeNs,
                          Kpi::kMemoryResidentBytes, Kpi::kRunQueueLatencyNs, Kpi::kCpuRunTimeNs}) {
      SeriesSelector selector;
      selector.kpi = kpi;
      const Status read = store_->series()->read_samples(
          selector, 0, std::int64_t{1} << 60, [&](const SeriesReader::HostSamples& host) {
            for (const auto& [key, samples] : host.series) {
              const SelectedEntity& e = host.entities.at(key.entity);
              auto& all = found[{host.host.value, e.entity.kind, e.vm_name, e.vm_uuid, e.entity.name, kpi, key.bucket}];
              for (std::size_t i = 0; i < samples.values.size(); ++i)
                all.emplace_back(samples.times_us[i], samples.values[i]);
            }
            return true;
          });
      ASSERT_TRUE(read) << read.error().message;
    }
    ASSERT_EQ(found.size(), model.size()) << when;
    for (auto& [series, values] : found) {
      ASSERT_TRUE(model.contains(series)) << when;
      std::vector<std::pair<std::int64_t, std::int64_t>> wanted;
      for (const ModelValue& value : model.at(series)) wanted.emplace_back(value.time_us, value.value);
      std::sort(wanted.begin(), wanted.end());
      std::sort(values.begin(), values.end());
      if (values == wanted) continue;
      std::vector<std::pair<std::int64_t, std::int64_t>> missing, more;
      std::set_difference(wanted.begin(), wanted.end(), values.begin(), values.end(), std::back_inserter(missing));
      std::set_difference(values.begin(), values.end(), wanted.begin(), wanted.end(), std::back_inserter(more));
      std::string text;
      for (const auto& [t, v] : missing) text += fmt::format(" -{}={}", t, v);
      for (const auto& [t, v] : more) text += fmt::format(" +{}={}", t, v);
      FAIL() << when << " " << series.host << " " << series.vm << " " << series.entity << " " << info(series.kpi).name
             << " of " << values.size() << ":" << text;
    }
  }

  TemporaryDirectory directory_;
  std::unique_ptr<RocksStore> store_;
  std::mt19937_64 random_;
  bool clocks_step_ = false;  ///< which value is the last, and whose rank it is, is not told then
  std::size_t queries_ = 0;
  std::size_t points_ = 0;
};

int number(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

TEST_P(SeriesModelTest, AnswersWhatTheValuesSay) {
  random_.seed(static_cast<std::uint64_t>(GetParam()));
  const int queries = number("PROTEUS_MODEL_QUERIES", 25);
  ModelOptions options;
  options.hosts = 1 + static_cast<int>(below(3));
  options.vms = 1 + static_cast<int>(below(6));
  options.tick_us = one_of<std::int64_t>({1'000'000, 2'000'000, 5'000'000, 5'000'000, 10'000'000, 20'000'000});
  options.real_us = 1'700'006'400'000'000 + below(3600'000'000);
  options.span_us = options.tick_us * 600 + below(options.tick_us * 1400);
  options.clocks_step = chance(0.5);
  options.step_max_us = one_of<std::int64_t>({2'000'000, 60'000'000, 900'000'000, 5000'000'000});
  options.reconnect_us = below(options.span_us);
  clocks_step_ = options.clocks_step;
  const std::vector<ModelFrame> frames = play_cluster(options, random_);
  open();
  Model model;
  std::size_t cut = 0;
  while (cut + 1 < frames.size() && frames[cut + 1].at_us < options.reconnect_us) ++cut;
  std::vector<RawMessage> unwritten;
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  std::int64_t most = 0;
  const auto flush = [&] {
    ASSERT_TRUE(store_->append(unwritten));
    unwritten.clear();
  };
  const auto ask_all = [&](const std::string& when, std::int64_t unit) {
    compare_values(model, when);
    for (int i = 0; i < queries && !HasFatalFailure(); ++i)
      compare(model, random_query(least, most - least + 1, unit), when + ": ");
  };
  for (std::size_t i = 0; i < frames.size(); ++i) {
    for (const RawMessage& message : frames[i].messages) unwritten.push_back(message);
    for (const auto& [series, value] : frames[i].values) {
      model[series].push_back(value);
      least = std::min(least, value.time_us);
      most = std::max(most, value.time_us);
    }
    if (unwritten.size() >= 500 || i == cut || i + 1 == frames.size()) flush();
    if (i != cut) continue;
    ASSERT_TRUE(store_->write_pages());
    ask_all("half-way", 1);
    if (chance(0.5)) open();
    ASSERT_TRUE(store_->write_pages());
    ask_all("again", 1);
  }
  if (HasFatalFailure()) return;
  ASSERT_TRUE(store_->write_pages());
  ask_all("with a head", 1);
  if (HasFatalFailure()) return;
  const Timestamp end = from_unix_ns(most * 1000);
  ASSERT_TRUE(store_->expire(end + hours(1)));
  ask_all("sealed", 1);
  if (HasFatalFailure()) return;
  open();
  ASSERT_TRUE(store_->write_pages());
  ask_all("opened again", 1);
  if (HasFatalFailure()) return;
  // Only minutes and hours are left.
  ASSERT_TRUE(store_->expire(end + hours(24 * 31)));
  ASSERT_TRUE(store_->compacted_bytes());
  const auto ask_rolled = [&](const std::string& when, std::int64_t unit) {
    for (int i = 0; i < queries && !HasFatalFailure(); ++i) {
      const Query query = random_query(least, most - least + 1, unit);
      if (query.function == Function::kP95 && query.step != Nanoseconds(unit * 1000)) continue;
      compare(model, query, when + ": ");
    }
  };
  ask_rolled("minutes", kMinuteUs);
  if (HasFatalFailure()) return;
  ASSERT_TRUE(store_->expire(end + hours(24 * 181)));
  ASSERT_TRUE(store_->compacted_bytes());
  ask_rolled("hours", kHourUs);
  RecordProperty("queries", static_cast<int>(queries_));
  RecordProperty("points", static_cast<int>(points_));
}

INSTANTIATE_TEST_SUITE_P(Seeds, SeriesModelTest,
                         testing::Range(number("PROTEUS_MODEL_FROM", 1), number("PROTEUS_MODEL_TO", 7)));

}  // namespace
}  // namespace proteus::store
