#pragma once

#include <set>
#include <string>
#include <vector>

#include "common/ids.h"
#include "common/result.h"
#include "controller/store/page_writer.h"

namespace proteus::store {

/// What a selector finds among all that is stored, and whether what it names is there. Thread: any.
class Selection {
 public:
  /// It outlives the object.
  explicit Selection(const PageWriter& pages) : pages_(pages) {}

  /// Those that are asked for, sorted; of a selector without hosts, all.
  std::vector<HostId> hosts(const SeriesSelector& selector) const;
  /// Entities of the host that have the selector's KPI.
  SelectedEntities entities(const HostId& host, const SeriesSelector& selector) const;

  /// Errors: kNotFound, naming the first host, or the first VM, that is asked for and of which nothing is stored.
  Status check_names(const std::vector<HostId>& hosts, const std::vector<std::string>& vms) const;
  /// Whether each label asked for is one that something otherwise selected carries, with whatever value. Errors:
  /// kNotFound, naming those that there are.
  Status check_labels(const SeriesSelector& selector) const;
  /// Whether every word of `by` (Query::by) is host, vm, entity or a label that something selected carries. Errors:
  /// kNotFound.
  Status check_groups(const SeriesSelector& selector, const std::vector<std::string>& by) const;

  /// UUIDs of the VMs that have this name, or had it when they were measured last.
  std::set<std::string> vms_named(const std::string& name) const;
  /// UUIDs of the VMs that have, or had since `from`, what is selected on more than one host.
  std::set<std::string> moved_vms(const SeriesSelector& selector, Timestamp from) const;

 private:
  std::set<std::string> labels_of(const SeriesSelector& selector) const;

  const PageWriter& pages_;
};

}  // namespace proteus::store
