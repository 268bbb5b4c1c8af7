// train-forecast: makes the weights of the global forecast models from a set folder, looking only at what lies before
// each series' first origin.

#include <fmt/format.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>

#include "controller/forecast/global/fine_tune.h"
#include "tests/bench/forecast/train.h"
#include "tests/bench/forecast/train_signals.h"
#include "tests/bench/forecast/training_data.h"

namespace {

using namespace proteus;

int fail(const Error& error) {
  fmt::print(stderr, "train-forecast: {}\n", error.message);
  return 1;
}

int tune(const bench::DataSet& set, const std::string& from, const std::string& out, const bench::TrainChoice& choice,
         const std::function<void(const std::string&)>& log) {
  const Result<forecast::global::Weights> begin = forecast::global::read_weights(from);
  if (!begin) return fail(begin.error());
  forecast::global::FineTuneOptions options;
  options.seed = choice.seed;
  const Result<forecast::global::FineTuned> tuned =
      forecast::global::fine_tune(*begin, bench::training_series(set), options, log);
  if (!tuned) return fail(tuned.error());
  log(fmt::format("on the newest two days: {:.4f}, before {:.4f}: {}", tuned->after.total(), tuned->before.total(),
                  tuned->better ? "better" : "not enough better, left as it was"));
  if (const Status written = forecast::global::write_weights(out, tuned->weights); !written)
    return fail(written.error());
  log("written to " + out);
  return 0;
}

int teach_signals(const bench::DataSet& set, const std::string& from, const std::string& out,
                  const bench::TrainChoice& choice, const std::function<void(const std::string&)>& log) {
  Result<forecast::global::Weights> weights = forecast::global::read_weights(from);
  if (!weights) return fail(weights.error());
  if (const Status taught = bench::train_signals(*weights, bench::training_series(set), choice, log); !taught)
    return fail(taught.error());
  if (const Status written = forecast::global::write_weights(out, *weights); !written) return fail(written.error());
  log("written to " + out);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string data;
  std::string out;
  std::string left_out;
  std::string tuned_from;
  std::string signals_from;
  std::string part;
  bench::TrainChoice choice;
  CLI::App app("Trains the global forecast models on a folder of series: manifest.csv and series/<vm>.csv.gz");
  app.add_option("--data", data, "the set folder")->required()->check(CLI::ExistingDirectory);
  app.add_option("--out", out, "where the weights go")->required();
  app.add_option("--windows", choice.windows_per_series, "windows cut from each series")->capture_default_str();
  app.add_option("--epochs", choice.epochs, "of training, at most")->check(CLI::Range(1, 200))->capture_default_str();
  app.add_option("--seed", choice.seed, "of everything that is drawn")->capture_default_str();
  app.add_option("--without", left_out,
                 "the VMs that are not looked at, for example 0/3: every third from the first on");
  app.add_option("--tune", tuned_from, "do not begin from nothing: fine-tune these weights, as proteusctl tune does")
      ->check(CLI::ExistingFile);
  app.add_option(
         "--signals", signals_from,
         "only teach these weights' networks (again) what signals and pressure tell, as training does in the end")
      ->check(CLI::ExistingFile)
      ->excludes("--tune");
  app.add_option("--part", part, "the VMs that are looked at, for example 0/3")->excludes("--without");
  CLI11_PARSE(app, argc, argv);

  Result<bench::DataSet> set = bench::read_data_set(data);
  if (!set) return fail(set.error());
  if (!left_out.empty()) {
    const Result<bench::Part> dropped = bench::parse_part(left_out);
    if (!dropped) return fail(dropped.error());
    bench::drop_part(*set, *dropped);
  }
  if (!part.empty()) {
    const Result<bench::Part> kept = bench::parse_part(part);
    if (!kept) return fail(kept.error());
    bench::keep_part(*set, *kept);
  }
  const auto log = [](const std::string& line) {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    fmt::print("{:4} s of CPU  {}\n", now.tv_sec, line);
    std::fflush(stdout);
  };
  if (!tuned_from.empty()) return tune(*set, tuned_from, out, choice, log);
  if (!signals_from.empty()) return teach_signals(*set, signals_from, out, choice, log);
  Result<forecast::global::Weights> weights = bench::train_weights(*set, choice, log);
  if (!weights) return fail(weights.error());
  if (const Status written = forecast::global::write_weights(out, *weights); !written) return fail(written.error());
  log("written to " + out);
  return 0;
}
