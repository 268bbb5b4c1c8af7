#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "common/toml_document.h"
#include "controller/pipeline.h"

namespace proteus::controller {

/// Reads the tables that shape decisions, [forecast], [view], [learning] and [drs], from the configuration file or from
/// the journal.
void read_pipeline_options(TomlDocument::Table& root, PipelineOptions& options);
/// Networks of one's own, [forecast] weights, if the networks take part: of the configuration file alone, since a
/// recording is not to say which files are opened. After read_pipeline_options().
void read_networks(TomlDocument::Table& root, PipelineOptions& options);

/// The same tables as TOML, for the journal: replay rebuilds the pipeline from it.
std::string pipeline_options_toml(const PipelineOptions& options);
/// If the networks take part: those given instead of the program's own; null: its own. Warns if a recording was made
/// with others.
void use_networks(std::shared_ptr<const forecast::global::Weights> networks, PipelineOptions& options);
/// Gives the forecasts a calendar; empty text: none. Errors: kInvalidArgument.
Status set_calendar(std::string_view toml_text, std::string_view file_name, PipelineOptions& options);
/// Errors: kInvalidArgument.
Result<PipelineOptions> parse_pipeline_options(std::string_view toml_text);

}  // namespace proteus::controller
