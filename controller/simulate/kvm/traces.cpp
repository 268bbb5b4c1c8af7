#include <fmt/core.h>

#include <charconv>

#include "controller/simulate/kvm/workload.h"
#include "controller/simulate/trace/compressed_file.h"
#include "controller/simulate/trace/csv.h"

namespace proteus::simulate::kvm {
namespace {

struct File {
  Series series;
  const char* name;
};
constexpr std::array kFiles = {
    File{Series::kCpu, "cpu_mhz.csv.xz"},    File{Series::kMemory, "mem_mib.csv.xz"},
    File{Series::kDisk, "disk_rd.csv.xz"},   File{Series::kDisk, "disk_wr.csv.xz"},
    File{Series::kNetwork, "net_rx.csv.xz"}, File{Series::kNetwork, "net_tx.csv.xz"},
};

Result<std::vector<Traces::Machine>> read_machines(const std::string& path) {
  const Result<std::string> text = read_compressed_file(path);
  if (!text) return text.error();
  const Result<CsvTable> table = parse_csv(*text, path);
  if (!table) return table.error();
  const auto vcpus = table->column("vcpus");
  const auto memory = table->column("mem_mib_prov");
  if (!vcpus || !memory) {
    return Error{ErrorCode::kCorrupt, path + ": the header lacks vcpus or mem_mib_prov"};
  }
  std::vector<Traces::Machine> machines;
  for (std::size_t row = 0; row < table->rows.size(); ++row) {
    const auto number = [&](std::size_t column) {
      const std::string& cell = table->rows[row][column];
      int value = 0;
      const auto [rest, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
      return error == std::errc{} && rest == cell.data() + cell.size() ? value : 0;
    };
    const int vcpu_count = number(*vcpus);
    const int memory_mib = number(*memory);
    if (vcpu_count <= 0 || memory_mib <= 0) {
      return Error{ErrorCode::kCorrupt,
                   fmt::format("{}:{}: vcpus and mem_mib_prov must be whole numbers above 0", path, row + 2)};
    }
    machines.push_back({vcpu_count, static_cast<double>(memory_mib)});
  }
  return machines;
}

}  // namespace

Result<Traces> read_traces(const std::string& folder) {
  Traces traces;
  Result<std::vector<Traces::Machine>> machines = read_machines(folder + "/vms.csv");
  if (!machines) return machines.error();
  traces.machines = std::move(*machines);
  for (auto& samples : traces.samples) samples.assign(traces.machines.size() * kTraceTicks, 0);
  for (const File& file : kFiles) {
    const std::string path = folder + "/" + file.name;
    const Result<TraceTable> table = simulate::read_traces(path);
    if (!table) return table.error();
    if (table->series() != traces.machines.size() || table->steps != kTraceTicks) {
      return Error{ErrorCode::kCorrupt,
                   fmt::format("{}: {} series of {} steps, but vms.csv has {} VMs and a trace {} steps", path,
                               table->series(), table->steps, traces.machines.size(), kTraceTicks)};
    }
    auto& samples = traces.samples[static_cast<std::size_t>(file.series)];
    for (std::size_t i = 0; i < samples.size(); ++i) samples[i] += static_cast<float>(table->values[i]);
  }
  return traces;
}

}  // namespace proteus::simulate::kvm
