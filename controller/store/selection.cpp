#include "controller/store/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "common/kpi.h"

namespace proteus::store {

std::vector<HostId> Selection::hosts(const SeriesSelector& selector) const {
  if (selector.hosts.empty()) return pages_.hosts();
  std::vector<HostId> hosts = selector.hosts;
  std::sort(hosts.begin(), hosts.end());
  hosts.erase(std::unique(hosts.begin(), hosts.end()), hosts.end());
  return hosts;
}

SelectedEntities Selection::entities(const HostId& host, const SeriesSelector& selector) const {
  SelectedEntities selected = pages_.select(host, selector);
  std::erase_if(selected, [&](const auto& one) { return one.second.entity.kind != info(selector.kpi).scope; });
  return selected;
}

Status Selection::check_names(const std::vector<HostId>& hosts, const std::vector<std::string>& vms) const {
  if (hosts.empty() && vms.empty()) return {};
  const std::vector<HostId> known = pages_.hosts();
  for (const HostId& host : hosts) {
    if (std::find(known.begin(), known.end(), host) != known.end()) continue;
    return Error{ErrorCode::kNotFound, fmt::format("nothing is stored of a host '{}'", host.value)};
  }
  for (const std::string& vm : vms) {
    SeriesSelector selector;
    selector.vms = {vm};
    const auto has_vm = [&](const HostId& host) { return !pages_.select(host, selector).empty(); };
    if (std::any_of(known.begin(), known.end(), has_vm)) continue;
    return Error{ErrorCode::kNotFound, fmt::format("nothing is stored of a VM '{}'", vm)};
  }
  return {};
}

std::set<std::string> Selection::vms_named(const std::string& name) const {
  SeriesSelector selector;
  selector.vms = {name};
  std::set<std::string> uuids;
  for (const HostId& host : pages_.hosts()) {
    for (const auto& [number, selected] : pages_.select(host, selector)) uuids.insert(selected.vm_uuid);
  }
  uuids.erase("");
  return uuids;
}

std::set<std::string> Selection::moved_vms(const SeriesSelector& selector, Timestamp from) const {
  const auto from_day = std::chrono::floor<std::chrono::days>(from.time_since_epoch()).count();
  std::set<std::string> moved;
  std::map<std::string, HostId> seen;
  for (const HostId& host : hosts(selector)) {
    for (const auto& [number, selected] : pages_.select(host, selector)) {
      const std::uint32_t seen_day = selected.entity.seen_day;
      if (selected.vm_uuid.empty() || (seen_day != 0 && seen_day + 1 < from_day)) continue;
      const auto [first, is_new] = seen.emplace(selected.vm_uuid, host);
      if (first->second != host) moved.insert(selected.vm_uuid);
    }
  }
  return moved;
}

/// What is selected carries.
std::set<std::string> Selection::labels_of(const SeriesSelector& selector) const {
  std::set<std::string> labels;
  for (const HostId& host : hosts(selector)) {
    for (const auto& [number, selected] : entities(host, selector)) {
      for (const auto* carried : {&selected.entity.labels, &selected.vm_labels}) {
        for (const auto& [key, value] : *carried) labels.insert(key);
      }
    }
  }
  return labels;
}

Status Selection::check_labels(const SeriesSelector& selector) const {
  if (selector.labels.empty()) return {};
  for (const HostId& host : hosts(selector)) {
    if (!entities(host, selector).empty()) return {};
  }
  SeriesSelector any = selector;
  any.labels.clear();
  const std::set<std::string> known = labels_of(any);
  for (const auto& [key, value] : selector.labels) {
    if (known.contains(key)) continue;
    return Error{ErrorCode::kNotFound, known.empty()
                                           ? fmt::format("nothing that is asked for has a label '{}', or any", key)
                                           : fmt::format("nothing that is asked for has a label '{}'; there are {}",
                                                         key, fmt::join(known, ", "))};
  }
  return {};
}

Status Selection::check_groups(const SeriesSelector& selector, const std::vector<std::string>& by) const {
  std::set<std::string> words = {"host", "vm", "entity"};
  const auto known = [&](const std::string& word) { return words.contains(word); };
  if (std::all_of(by.begin(), by.end(), known)) return {};
  words.merge(labels_of(selector));
  for (const std::string& word : by) {
    if (known(word)) continue;
    return Error{ErrorCode::kNotFound,
                 fmt::format("nothing that is asked for has a label '{}'; series are grouped by {}", word,
                             fmt::join(words, ", "))};
  }
  return {};
}

}  // namespace proteus::store
