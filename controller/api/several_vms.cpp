#include "controller/api/several_vms.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <map>
#include <set>
#include <utility>

namespace proteus::api {
namespace {

using store::Across;

bool groups_by(const store::Query& query, const char* word) {
  return std::find(query.by.begin(), query.by.end(), word) != query.by.end();
}

/// Whether a line of the answer holds one VM's series only. An entity is named with its VM.
bool parts_vms(const store::Query& query) {
  return query.across == Across::kNone || groups_by(query, "vm") || groups_by(query, "entity");
}

/// Sums, least and greatest are those of the VMs' own; a mean or a quantile is not.
bool joins_by_parts(const store::Query& query) {
  return query.across != Across::kMean && query.function != store::Function::kQuantile;
}

double mean_of(const store::QueryResult& line) {
  double sum = 0;
  double count = 0;
  for (const auto& point : line.points) {
    if (!point) continue;
    sum += *point;
    count += 1;
  }
  return count == 0 ? -HUGE_VAL : sum / count;
}

void join(store::QueryResult& whole, const store::QueryResult& part, Across across) {
  whole.members += part.members;
  for (std::size_t i = 0; i < whole.points.size(); ++i) {
    const auto& point = part.points[i];
    auto& joined = whole.points[i];
    if (!point) continue;
    if (!joined) {
      joined = point;
    } else if (across == Across::kSum) {
      *joined += *point;
    } else {
      joined = across == Across::kMin ? std::min(*joined, *point) : std::max(*joined, *point);
    }
  }
}

Error invalid(const char* message) {
  return {ErrorCode::kInvalidArgument, message};
}

}  // namespace

bool is_uuid(const std::string& word) {
  if (word.size() != 36) return false;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? word[i] != '-' : std::isxdigit(static_cast<unsigned char>(word[i])) == 0) return false;
  }
  return true;
}

Status check_vms(const store::Query& query, const std::vector<std::string>& vms) {
  if (vms.size() < 2 || query.across == Across::kNone) return {};
  if (!joins_by_parts(query) && !parts_vms(query)) {
    return invalid(
        "several VMs that are named are joined by sum, min or max, or each for itself (by vm); for a mean or a "
        "quantile "
        "over them select them by a label");
  }
  // A VM that is named twice would count twice.
  const auto uuids = std::count_if(vms.begin(), vms.end(), is_uuid);
  if (uuids != 0 && uuids != static_cast<std::ptrdiff_t>(vms.size())) {
    return invalid("to join several VMs, give all by name or all by UUID");
  }
  return {};
}

Status check_groups(const store::SeriesReader& reader, const store::Query& query, const std::vector<std::string>& vms) {
  if (vms.size() < 2) return reader.check_groups(query.selector, query.by);
  store::SeriesSelector selector = query.selector;
  for (const std::string& word : query.by) {
    Status found;
    for (const std::string& vm : vms) {
      selector.vm = vm;
      found = reader.check_groups(selector, {word});
      if (found) break;
    }
    if (!found) return found;
  }
  return {};
}

Status run_query(const store::SeriesReader& reader, store::Query query, const std::vector<std::string>& vms,
                 const std::function<bool(const store::QueryResult&)>& visit) {
  if (vms.size() < 2) {
    if (!vms.empty()) query.selector.vm = vms.front();
    return store::run_query(reader, query, visit);
  }
  const std::size_t top = query.top;
  const bool joins = query.across != Across::kNone && joins_by_parts(query);
  if (joins) query.top = 0;                       // the highest of one VM's parts need not be those of all
  std::set<std::pair<HostId, std::string>> done;  // VMs that an earlier word has brought
  std::vector<store::QueryResult> kept;
  std::map<std::vector<std::pair<std::string, std::string>>, std::size_t> groups;  // places in `kept`
  bool wanted = true;
  for (const std::string& vm : vms) {
    query.selector.vm = vm;
    std::set<std::pair<HostId, std::string>> seen;
    const Status run = store::run_query(reader, query, [&](const store::QueryResult& line) {
      if (joins) {
        const auto [group, is_new] = groups.try_emplace(line.group, kept.size());
        if (is_new) {
          kept.push_back(line);
        } else {
          join(kept[group->second], line, query.across);
        }
        return true;
      }
      if (query.across == Across::kNone) {
        if (done.contains({line.host, line.uuid})) return true;
        seen.insert({line.host, line.uuid});
      }
      if (top == 0) return wanted = visit(line);
      kept.push_back(line);
      return true;
    });
    if (!run || !wanted) return run;
    done.merge(seen);
  }
  if (top > 0) {
    std::stable_sort(kept.begin(), kept.end(), [](const auto& a, const auto& b) { return mean_of(a) > mean_of(b); });
    if (kept.size() > top) kept.resize(top);
  }
  for (const store::QueryResult& line : kept) {
    if (!visit(line)) break;
  }
  return {};
}

}  // namespace proteus::api
