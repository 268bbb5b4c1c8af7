#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/result.h"
#include "controller/store/series_reader.h"

/// Questions about what was measured. Thread: any.
namespace proteus::store {

/// What becomes of the values of a series within a step. Of a counter, its rate per second is meant.
enum class Function : std::uint8_t {
  kMean,
  kMin,
  kMax,
  kLast,  ///< gauges only
  kP95,
  kRate,      ///< counters only: the mean rate
  kIncrease,  ///< counters and buckets only
  kQuantile,  ///< histograms only: of the observations of the step, by linear interpolation within a bucket
};
/// What becomes of the series of a group.
enum class Across : std::uint8_t { kNone, kSum, kMean, kMin, kMax };

struct Query {
  SeriesSelector selector;
  Timestamp from;  ///< rounded down to a whole step
  Timestamp to;    ///< rounded up
  Nanoseconds step = std::chrono::minutes(1);
  Function function = Function::kMean;
  double quantile = 0.99;  ///< of kQuantile, 0 … 1
  Across across = Across::kNone;
  /// What the members of a group share: "host", "vm", "entity" (with its VM or host) or a label's key; none: all are
  /// one group. Of kQuantile without `across`, a group is an entity.
  std::vector<std::string> by;
  std::size_t top = 0;  ///< only the groups or series with the highest mean; 0: all
};

/// A line of the answer.
struct QueryResult {
  HostId host;     ///< empty: of several
  std::string vm;  ///< name; empty: of the host itself, or of several
  std::string uuid;
  std::string entity;  ///< name; empty: of several
  std::string kind;    ///< of the entity
  std::optional<int> bucket;
  std::vector<std::pair<std::string, std::string>> group;  ///< what was asked for by `by`
  std::size_t members = 1;                                 ///< series in it
  std::vector<std::optional<double>> points;               ///< one for each step; nullopt: nothing was measured
};

struct QueryFrame {
  Timestamp from;  ///< as rounded
  Timestamp to;
  Nanoseconds step{};
  std::string unit;  ///< of the points
};

constexpr std::size_t kQueryStepsMax = 100'000;

/// Errors: kInvalidArgument, in a sentence for who asked.
Result<QueryFrame> check(const Query& query);

/// Whether no line is known before all has been read: lines are joined or ranked.
bool is_known_at_the_end(const Query& query);
/// Of a query whose lines are known earlier: whether so much memory is enough for any one of them. Errors:
/// kInvalidArgument, in a sentence for who asked.
Status check_memory(const Query& query, std::uint64_t bytes_max);

/// False: no more lines are wanted.
using LineVisitor = std::function<bool(QueryResult&&)>;
/// Runs a query that check() has passed, giving out lines as they are known: series by series, or after all. Of the
/// allowance, lines that were given out at the end stay held. Errors: kCorrupt, kInvalidArgument; the allowance's.
Status run_query(const SeriesReader& reader, const Query& query, Allowance& allowance, const LineVisitor& visit);
/// Without limits.
inline Status run_query(const SeriesReader& reader, const Query& query, const LineVisitor& visit) {
  Allowance all;
  return run_query(reader, query, all, visit);
}

/// "mean", "p95", … Errors: kInvalidArgument, naming what there is.
Result<Function> parse_function(const std::string& text);
/// "sum", … ; "" is kNone. Errors: likewise.
Result<Across> parse_across(const std::string& text);

/// Quantile q of observations counted in power-of-two buckets (bucket b: [2^b, 2^(b+1))); nullopt if there is none.
std::optional<double> bucket_quantile(const std::vector<double>& counts, double q);

}  // namespace proteus::store
