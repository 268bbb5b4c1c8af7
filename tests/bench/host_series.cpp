#include "tests/bench/host_series.h"

#include <fmt/core.h>

#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string_view>
#include <thread>

namespace proteus::bench {
namespace {

constexpr int kProcessesMax = 150;
constexpr std::int64_t kMicrosecond = 1000;

struct Source {
  std::string path;
  std::int64_t unit = 1;
};

std::vector<Source> sources() {
  std::vector<Source> files;
  for (const char* name : {"stat", "vmstat", "meminfo", "interrupts", "softirqs", "diskstats", "loadavg", "net/dev",
                           "net/snmp", "net/netstat", "pressure/cpu", "pressure/memory", "pressure/io"}) {
    files.push_back({std::string("/proc/") + name, 1});
  }
  files.push_back({"/proc/schedstat", kMicrosecond});
  int processes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string pid = entry.path().filename();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    if (++processes > kProcessesMax) break;
    files.push_back({"/proc/" + pid + "/schedstat", kMicrosecond});
    files.push_back({"/proc/" + pid + "/statm", 1});
  }
  return files;
}

/// The number that a word is, without its point; nullopt for any other word.
std::optional<std::int64_t> number_of(std::string word) {
  if (const auto value = word.find('='); value != std::string::npos) word.erase(0, value + 1);  // pressure: total=
  std::erase(word, '.');
  std::int64_t number = 0;
  const auto [rest, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  if (error != std::errc{} || rest != word.data() + word.size()) return std::nullopt;
  return number;
}

void read_numbers(const Source& source, std::map<std::string, std::int64_t>& numbers) {
  std::ifstream file(source.path);
  std::string line;
  for (int at = 0; std::getline(file, line); ++at) {
    std::istringstream words(line);
    std::string word;
    int field = 0;
    while (words >> word) {
      const auto number = number_of(word);
      ++field;
      if (!number) continue;
      // Small figures of schedstat are counts; nanoseconds are the large ones.
      const bool is_time = source.unit != 1 && *number > 1'000'000;
      numbers[fmt::format("{}:{}:{}", source.path, at, field)] =
          is_time ? *number / source.unit * source.unit : *number;
    }
  }
}

}  // namespace

std::vector<HostSeries> record_host(int seconds) {
  const std::vector<Source> files = sources();
  std::vector<HostSeries> series;
  std::map<std::string, std::size_t> index;
  auto next = std::chrono::steady_clock::now();
  for (int second = 0; second < seconds; ++second) {
    std::map<std::string, std::int64_t> numbers;
    for (const Source& source : files) read_numbers(source, numbers);
    if (second == 0) {
      for (const auto& [name, value] : numbers) {
        index[name] = series.size();
        series.push_back({name, 1, {}});
      }
    }
    for (HostSeries& one : series) one.rows.emplace_back();
    for (const auto& [name, value] : numbers) {
      if (const auto found = index.find(name); found != index.end()) series[found->second].rows.back() = value;
    }
    next += std::chrono::seconds(1);
    std::this_thread::sleep_until(next);
  }
  return series;
}

Status save(const std::vector<HostSeries>& series, const std::string& path) {
  std::ofstream file(path, std::ios::trunc);
  for (const HostSeries& one : series) {
    file << one.name << '\t' << one.unit << '\t';
    for (const auto& value : one.rows) file << (value ? std::to_string(*value) : "-") << ' ';
    file << '\n';
  }
  file.close();
  if (!file) return Error{ErrorCode::kUnavailable, "cannot write " + path};
  return {};
}

Result<std::vector<HostSeries>> load(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Error{ErrorCode::kNotFound, "cannot read " + path};
  std::vector<HostSeries> series;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    HostSeries one;
    std::string word;
    if (!std::getline(words, one.name, '\t') || !(words >> one.unit)) {
      return Error{ErrorCode::kCorrupt, path + " is no recording of a host"};
    }
    while (words >> word) one.rows.push_back(word == "-" ? std::nullopt : number_of(word));
    series.push_back(std::move(one));
  }
  return series;
}

}  // namespace proteus::bench
