// train-forecast: makes the weights of the global forecast models from a set folder, looking only at what lies before
// each series' first origin.

#include <fmt/format.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "tests/bench/forecast/train.h"

int main(int argc, char** argv) {
  using namespace proteus;
  std::string data;
  std::string out;
  std::string left_out;
  bench::TrainChoice choice;
  CLI::App app("Trains the global forecast models on a folder of series: manifest.csv and series/<vm>.csv.gz");
  app.add_option("--data", data, "the set folder")->required()->check(CLI::ExistingDirectory);
  app.add_option("--out", out, "where the weights go")->required();
  app.add_option("--windows", choice.windows_per_series, "windows cut from each series")->capture_default_str();
  app.add_option("--epochs", choice.epochs, "of training, at most")->check(CLI::Range(1, 200))->capture_default_str();
  app.add_option("--seed", choice.seed, "of everything that is drawn")->capture_default_str();
  app.add_option("--without", left_out,
                 "the VMs that are not looked at, for example 0/3: every third from the first on");
  CLI11_PARSE(app, argc, argv);

  const auto fail = [](const Error& error) {
    fmt::print(stderr, "train-forecast: {}\n", error.message);
    return 1;
  };
  Result<bench::DataSet> set = bench::read_data_set(data);
  if (!set) return fail(set.error());
  if (!left_out.empty()) {
    const Result<bench::Part> part = bench::parse_part(left_out);
    if (!part) return fail(part.error());
    bench::drop_part(*set, *part);
  }
  const auto log = [](const std::string& line) {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    fmt::print("{:4} s of CPU  {}\n", now.tv_sec, line);
    std::fflush(stdout);
  };
  Result<forecast::global::Weights> weights = bench::train_weights(*set, choice, log);
  if (!weights) return fail(weights.error());
  if (const Status written = forecast::global::write_weights(out, *weights); !written) return fail(written.error());
  log("written to " + out);
  return 0;
}
