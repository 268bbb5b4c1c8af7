#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "tests/bench/forecast/run.h"

namespace proteus::bench {

/// The columns of the table: scope, method, group, n, the metrics, CPU seconds, note.
std::string table_header();
/// The rows of one run: all series, each column, each source family. baseline: the run of snaive over the same
/// series, to which the relative scores refer.
std::vector<std::string> table_rows(const std::string& scope, const Run& run, const Run& baseline);

/// The headline figures of all series of a run as a table for reading, in Markdown: two lines, then one for each run.
std::vector<std::string> summary_header();
std::string summary_row(const Run& run, const Run& baseline);

std::string iso_header();
/// Slack at equal risk: one row for each window.
std::vector<std::string> iso_rows(const std::string& scope, const Run& run);

}  // namespace proteus::bench
