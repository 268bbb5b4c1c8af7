#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "controller/store/query.h"
#include "tests/controller/store/series_feed.h"

namespace proteus::store {

/// A cluster that sends telemetry, and what its values say: computed from all of them, without pages and roll-ups.
struct ModelSeries {
  std::string host;
  EntityKind kind{};
  std::string vm;    ///< name
  std::string uuid;  ///< of the VM
  std::string entity;
  Kpi kpi{};
  std::uint8_t bucket = 0;
  auto operator<=>(const ModelSeries&) const = default;
};
struct ModelValue {
  std::int64_t time_us = 0;
  std::int64_t value = 0;
  int clock = 0;  ///< how often the host's clock was set
};
/// In the order in which they were measured.
using Model = std::map<ModelSeries, std::vector<ModelValue>>;

struct ModelFrame {
  std::string host;
  std::uint64_t boot = 0;
  std::uint64_t sequence = 0;
  std::int64_t at_us = 0;  ///< since the begin
  std::vector<RawMessage> messages;
  std::vector<std::pair<ModelSeries, ModelValue>> values;
};

struct ModelOptions {
  int hosts = 2;
  int vms = 4;
  std::int64_t real_us = 0;  ///< begin
  std::int64_t span_us = 0;
  std::int64_t tick_us = 5'000'000;
  bool clocks_step = false;
  std::int64_t step_max_us = 0;
  std::string suffix;             ///< of VMs' names
  std::int64_t reconnect_us = 0;  ///< after so long all streams begin anew
};

/// Everything that the hosts of a cluster send, in the order in which it comes.
inline std::vector<ModelFrame> play_cluster(const ModelOptions& options, std::mt19937_64& random) {
  const auto chance = [&](double p) { return std::uniform_real_distribution<double>(0, 1)(random) < p; };
  const auto below = [&](std::int64_t n) { return std::uniform_int_distribution<std::int64_t>(0, n - 1)(random); };
  struct Vm {
    std::string name, uuid;
    int host = -1;
    int other = -1;  // while it moves
    int moves_on = 0;
    int vcpus = 1;
    std::map<int, std::vector<std::int64_t>> counters;  // by host: emulator, vCPUs, buckets
    std::int64_t memory = 1 << 30;
  };
  std::vector<Vm> vms;
  for (int i = 0; i < options.vms; ++i) {
    Vm vm;
    vm.name = "vm" + std::to_string(i) + options.suffix;
    vm.uuid = "00000000-0000-4000-8000-00000000000" + std::to_string(i);
    vm.host = static_cast<int>(below(options.hosts));
    vm.vcpus = 1 + static_cast<int>(below(2));
    vms.push_back(vm);
  }
  struct Host {
    std::unique_ptr<SeriesFeed> feed;
    std::uint64_t boot = 0;
    std::uint64_t sequence = 0;
    std::int64_t clock_us = 0;  // ahead of real
    int clock = 0;              // times that it was set
    std::int64_t silent_until = 0;
    std::int64_t cpu = 0;
    bool changed = true;
    bool reconnected = false;
  };
  std::vector<Host> hosts(static_cast<std::size_t>(options.hosts));
  const std::vector<std::uint8_t> buckets = {0, 3, 10, 31};
  std::vector<ModelFrame> frames;
  const auto fresh = [&](const Vm& vm) {
    std::vector<std::int64_t> counters(1 + static_cast<std::size_t>(vm.vcpus) + buckets.size());
    if (chance(0.3)) {
      for (auto& c : counters) c = below(std::int64_t{1} << 50);
    }
    return counters;
  };
  for (std::int64_t at = 0; at < options.span_us; at += options.tick_us) {
    for (Vm& vm : vms) {
      if (vm.other >= 0 && --vm.moves_on <= 0) {
        hosts[static_cast<std::size_t>(vm.host)].changed = true;
        vm.counters.erase(vm.host);
        vm.host = vm.other;
        vm.other = -1;
      } else if (vm.host >= 0 && vm.other < 0 && options.hosts > 1 && chance(0.002)) {
        vm.other = (vm.host + 1) % options.hosts;
        vm.moves_on = static_cast<int>(below(10)) + 1;
        hosts[static_cast<std::size_t>(vm.other)].changed = true;
      } else if (vm.host >= 0 && vm.other < 0 && chance(0.001)) {  // ends
        hosts[static_cast<std::size_t>(vm.host)].changed = true;
        vm.counters.erase(vm.host);
        vm.host = -1;
      } else if (vm.host < 0 && chance(0.01)) {
        vm.host = static_cast<int>(below(options.hosts));
        hosts[static_cast<std::size_t>(vm.host)].changed = true;
      }
    }
    for (int h = 0; h < options.hosts; ++h) {
      Host& host = hosts[static_cast<std::size_t>(h)];
      const std::string name = "h" + std::to_string(h + 1);
      if (!host.feed || chance(0.001)) {
        host.feed = std::make_unique<SeriesFeed>(name, ++host.boot);
        host.sequence = 0;
        host.changed = true;
        if (chance(0.5)) {
          host.cpu = 0;  // the host booted
          for (Vm& vm : vms) vm.counters.erase(h);
        }
      }
      if (at < host.silent_until) continue;
      if (chance(0.002)) {
        host.silent_until = at + below(chance(0.3) ? 1500'000'000 : 200'000'000);
        continue;
      }
      if (options.clocks_step && chance(0.002)) {
        host.clock_us += below(2 * options.step_max_us) - options.step_max_us;
        ++host.clock;
      }
      if (chance(0.01)) host.feed->begin_stream();
      if (at >= options.reconnect_us && !host.reconnected) {
        host.feed->begin_stream();
        host.reconnected = true;
      }
      std::vector<std::pair<Entity, std::vector<Series>>> entities;
      std::vector<std::optional<std::int64_t>> values;
      ModelFrame frame{
          .host = name, .boot = host.boot, .sequence = ++host.sequence, .at_us = at, .messages = {}, .values = {}};
      const std::int64_t real = options.real_us + at + below(options.tick_us / 10 + 1);
      const std::int64_t time = real + host.clock_us;
      const auto put = [&](ModelSeries series, std::optional<std::int64_t> value) {
        values.push_back(value);
        if (value) frame.values.push_back({std::move(series), {time, *value, host.clock}});
      };
      host.cpu += below(1'000'000) * 1000;
      Entity self;
      self.name = name;
      entities.push_back({self, {{0, Kpi::kHostCpuTimeNs, 0}, {0, Kpi::kHostMemoryAvailableBytes, 0}}});
      const bool file = !chance(0.02);
      put({name, EntityKind::kHost, "", "", name, Kpi::kHostCpuTimeNs, 0},
          file ? std::optional(host.cpu) : std::nullopt);
      put({name, EntityKind::kHost, "", "", name, Kpi::kHostMemoryAvailableBytes, 0}, below(1 << 20) * 4096);
      std::uint32_t index = 0;
      for (Vm& vm : vms) {
        if (vm.host != h && vm.other != h) continue;
        auto [counters, is_new] = vm.counters.try_emplace(h);
        if (is_new) counters->second = fresh(vm);
        if (chance(0.001)) counters->second = fresh(vm);
        const bool there = !chance(0.03);
        const bool traced = !chance(0.03);
        vm.memory += (below(3) - 1) * 4096;
        Entity entity = vm_entity(vm.name, vm.uuid, {{"group.tier", vm.name < "vm2" ? "web" : "db"}});
        std::vector<Series> series = {{0, Kpi::kEmulatorTimeNs, 0}, {0, Kpi::kMemoryResidentBytes, 0}};
        for (const auto b : buckets) series.push_back({0, Kpi::kRunQueueLatencyNs, b});
        entities.push_back({entity, series});
        ++index;
        const std::uint32_t parent = index;
        auto& c = counters->second;
        for (std::size_t i = 0; i < c.size(); ++i) {
          const bool is_bucket = i > static_cast<std::size_t>(vm.vcpus);
          if (chance(0.3)) continue;
          c[i] += is_bucket ? below(50) : below(5'000'000) * 1000;
        }
        const auto whole = [](std::int64_t v) { return v / 1000 * 1000; };
        const auto optional = [](bool is, std::int64_t v) { return is ? std::optional(v) : std::nullopt; };
        put({name, EntityKind::kVm, vm.name, vm.uuid, vm.name, Kpi::kEmulatorTimeNs, 0}, optional(there, whole(c[0])));
        put({name, EntityKind::kVm, vm.name, vm.uuid, vm.name, Kpi::kMemoryResidentBytes, 0},
            optional(there, vm.memory));
        for (std::size_t b = 0; b < buckets.size(); ++b) {
          put({name, EntityKind::kVm, vm.name, vm.uuid, vm.name, Kpi::kRunQueueLatencyNs, buckets[b]},
              optional(traced, c[1 + static_cast<std::size_t>(vm.vcpus) + b]));
        }
        for (int v = 0; v < vm.vcpus; ++v) {
          Entity vcpu;
          vcpu.kind = EntityKind::kVcpu;
          vcpu.parent = parent;
          vcpu.name = std::to_string(v);
          entities.push_back({vcpu, {{0, Kpi::kCpuRunTimeNs, 0}}});
          ++index;
          put({name, EntityKind::kVcpu, vm.name, vm.uuid, vcpu.name, Kpi::kCpuRunTimeNs, 0},
              optional(there, whole(c[1 + static_cast<std::size_t>(v)])));
        }
      }
      if (host.changed) host.feed->set_entities(entities);
      host.changed = false;
      frame.messages = host.feed->tick(from_unix_ns(time * 1000), values);
      for (RawMessage& message : frame.messages) message.received = from_unix_ns(real * 1000);
      frames.push_back(std::move(frame));
    }
  }
  return frames;
}

struct ModelFigures {
  std::vector<double> values;  ///< of a gauge, or rates
  double sum = 0;
  double weight = 0;
  double longest = 0;  ///< weight of the series in it that has most
  double last = 0;
  std::int64_t last_us = 0;
  std::size_t lasts = 0;  ///< series in it
  bool vague = false;     ///< a clock was set in an increase
};

/// A line of the answer that a query must give.
struct ModelLine {
  std::vector<std::optional<double>> points;
  std::vector<bool> open;  ///< steps of which the order of several clocks is not told
  std::size_t members = 0;
};
using ModelLines = std::map<std::string, ModelLine>;

inline bool selects(const SeriesSelector& selector, const ModelSeries& series) {
  if (series.kpi != selector.kpi) return false;
  if (!selector.hosts.empty() &&
      std::find(selector.hosts.begin(), selector.hosts.end(), HostId(series.host)) == selector.hosts.end())
    return false;
  const auto names_it = [&](const std::string& word) { return word == series.vm || word == series.uuid; };
  if (!selector.vms.empty() && std::none_of(selector.vms.begin(), selector.vms.end(), names_it)) return false;
  if (!selector.entity.empty() && series.entity != selector.entity &&
      series.vm + "/" + series.entity != selector.entity)
    return false;
  for (const auto& [key, value] : selector.labels) {
    if (series.vm.empty() || key != "group.tier" || value != (series.vm < "vm2" ? "web" : "db")) return false;
  }
  return true;
}

inline std::string tier_of(const ModelSeries& series) {
  return series.vm.empty() ? "" : series.vm < "vm2" ? "web" : "db";
}

inline std::optional<double> model_point(const ModelFigures& f, Function function, KpiKind kind) {
  if (f.weight == 0) return std::nullopt;
  switch (function) {
    case Function::kMean:
    case Function::kRate: return kind == KpiKind::kGauge ? f.sum / f.weight : f.sum / (f.weight * 1e-6);
    case Function::kMin: return *std::min_element(f.values.begin(), f.values.end());
    case Function::kMax: return *std::max_element(f.values.begin(), f.values.end());
    case Function::kLast: return f.last;
    case Function::kP95: {
      std::vector<double> sorted = f.values;
      std::sort(sorted.begin(), sorted.end());
      return sorted[(95 * sorted.size() + 99) / 100 - 1];
    }
    case Function::kIncrease:
    case Function::kQuantile: return f.sum;
  }
  return std::nullopt;
}

inline ModelLines ask(const Model& model, const Query& query) {
  const std::int64_t step = std::chrono::duration_cast<std::chrono::microseconds>(query.step).count();
  std::int64_t from = to_us(query.from);
  from -= from % step;
  std::int64_t to = to_us(query.to);
  to = (to + step - 1) / step * step;
  const auto size = static_cast<std::size_t>((to - from) / step);
  const KpiKind kind = info(query.selector.kpi).kind;
  const bool joined = query.across != Across::kNone;
  const bool by_host = std::find(query.by.begin(), query.by.end(), "host") != query.by.end();
  // What a VM had on several hosts is one series, unless it is joined by host.
  std::map<ModelSeries, std::vector<ModelFigures>> figures;
  for (const auto& [series, values] : model) {
    if (!selects(query.selector, series)) continue;
    ModelSeries as = series;
    if (joined && !by_host && !series.uuid.empty()) as.host = "";
    std::vector<ModelFigures> own(size);
    std::optional<ModelValue> before;
    std::int64_t latest_us = 0;
    for (const ModelValue& value : values) {
      const std::optional<ModelValue> last = before;
      before = value;
      const std::int64_t clock_us = latest_us;
      latest_us = std::max(latest_us, value.time_us);
      if (value.time_us < from || value.time_us >= to) continue;
      ModelFigures& f = own[static_cast<std::size_t>((value.time_us - from) / step)];
      if (kind == KpiKind::kGauge) {
        f.values.push_back(static_cast<double>(value.value));
        f.sum += static_cast<double>(value.value);
        f.weight += 1;
        f.last = static_cast<double>(value.value);
        f.lasts = f.lasts > 1 || clock_us > value.time_us ? 2 : 1;
        f.last_us = value.time_us;
        continue;
      }
      if (!last) continue;
      const std::int64_t elapsed = value.time_us - last->time_us;
      if (elapsed <= 0 || elapsed > 300'000'000 || value.value < last->value) continue;
      f.vague = f.vague || last->clock != value.clock;
      const std::int64_t increase = value.value - last->value;
      f.values.push_back(std::round(static_cast<double>(increase) * 1e6 / static_cast<double>(elapsed)));
      f.sum += static_cast<double>(increase);
      f.weight += static_cast<double>(elapsed);
      f.lasts = f.lasts > 1 || clock_us > value.time_us ? 2 : 1;
    }
    auto& all = figures.try_emplace(as, size).first->second;
    for (std::size_t i = 0; i < size; ++i) {
      ModelFigures& f = all[i];
      if (own[i].weight == 0) continue;
      f.values.insert(f.values.end(), own[i].values.begin(), own[i].values.end());
      f.sum += own[i].sum;
      f.weight += own[i].weight;
      f.longest = std::max(f.longest, own[i].weight);
      f.last = own[i].last;
      f.lasts += own[i].lasts;
      f.vague = f.vague || own[i].vague;
    }
  }
  // While a VM moves, both hosts list it.
  for (auto& [series, all] : figures) {
    for (ModelFigures& f : all) {
      if (kind != KpiKind::kGauge) f.weight = std::min(f.weight, std::max(static_cast<double>(step), f.longest));
    }
  }
  ModelLines lines;
  std::map<std::string, std::vector<std::vector<double>>> counts;
  std::map<std::string, std::vector<std::size_t>> members;
  for (const auto& [series, all] : figures) {
    if (std::all_of(all.begin(), all.end(), [](const ModelFigures& f) { return f.weight == 0; })) continue;
    std::string name;
    const bool quantile = query.function == Function::kQuantile;
    if (!joined) {
      name = series.host + "|" + series.uuid + "|" + to_string(series.kind) + "|" + series.entity;
      if (kind == KpiKind::kHistogram && !quantile) name += "|" + std::to_string(series.bucket);
    } else {
      for (const std::string& by : query.by) {
        name += (by == "host"     ? series.host
                 : by == "vm"     ? series.vm
                 : by == "entity" ? (series.vm.empty() ? series.host : series.vm) + "/" + series.entity
                                  : tier_of(series)) +
                "|";
      }
    }
    ModelLine& line = lines[name];
    line.points.resize(size);
    line.open.resize(size);
    ++line.members;
    if (quantile) {
      auto& c = counts[name];
      c.resize(size, std::vector<double>(32));
      for (std::size_t i = 0; i < size; ++i) line.open[i] = line.open[i] || all[i].vague;
      for (std::size_t i = 0; i < size; ++i) {
        if (all[i].weight > 0) c[i][series.bucket] += all[i].sum;
      }
      continue;
    }
    auto& n = members[name];
    n.resize(size);
    for (std::size_t i = 0; i < size; ++i) {
      const auto point = model_point(all[i], query.function, kind);
      if (!point) continue;
      if (all[i].vague) line.open[i] = true;
      if (all[i].lasts > 1 && (query.function == Function::kLast || query.function == Function::kP95))
        line.open[i] = true;
      auto& p = line.points[i];
      ++n[i];
      switch (query.across) {
        case Across::kNone:
        case Across::kSum:
        case Across::kMean: p = p.value_or(0) + *point; break;
        case Across::kMin: p = std::min(p.value_or(*point), *point); break;
        case Across::kMax: p = std::max(p.value_or(*point), *point); break;
      }
    }
  }
  for (auto& [name, line] : lines) {
    for (std::size_t i = 0; i < size; ++i) {
      if (query.function == Function::kQuantile) {
        const auto& c = counts[name][i];
        double total = 0;
        for (const double count : c) total += count;
        if (total <= 0) continue;
        const double rank = query.quantile * total;
        double under = 0;
        for (std::size_t b = 0; b < 32 && !line.points[i]; ++b) {
          if (c[b] <= 0) continue;
          const double low = b == 0 ? 0 : std::exp2(b);
          if (under + c[b] >= rank)
            line.points[i] = low + (std::exp2(b + 1) - low) * std::max(rank - under, 0.0) / c[b];
          under += c[b];
        }
      } else if (query.across == Across::kMean && line.points[i]) {
        *line.points[i] /= static_cast<double>(members[name][i]);
      }
    }
  }
  return lines;
}

inline std::string name_of(const QueryResult& line, const Query& query) {
  if (query.across == Across::kNone) {
    std::string name = line.host.value + "|" + line.uuid + "|" + line.kind + "|" + line.entity;
    if (line.bucket) name += "|" + std::to_string(*line.bucket);
    return name;
  }
  std::string name;
  for (const auto& [by, value] : line.group) name += value + "|";
  return name;
}

}  // namespace proteus::store
