#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/bench/forecast/contender.h"
#include "tests/bench/forecast/data_set.h"
#include "tests/bench/forecast/score.h"

namespace proteus::bench {

/// One contender over the series of a set, in the order asked for.
struct Run {
  std::string name;
  std::string note;
  double train_cpu_s = 0;  ///< NaN: nothing is trained across series
  std::vector<const SeriesInfo*> info;
  std::vector<ScoredSeries> series;  ///< refers to the data set
  std::vector<SeriesScore> scores;
  std::size_t fallbacks = 0;      ///< forecasts that failed and were replaced by snaive
  std::string first_failure;      ///< why the first of them did
  double cpu_s_per_forecast = 0;  ///< of the thread, for fit and forecast at one origin
};

/// Takes a contender through every origin of every series. progress: called with each series done.
/// Errors: those of kind.make.
Result<Run> run_contender(const ContenderKind& kind, const DataSet& set, const std::vector<const SeriesInfo*>& series,
                          const std::function<void(std::size_t)>& progress);

/// The part of a run that lies in the subset for slow methods.
Run subset_of(const Run& run);

}  // namespace proteus::bench
