#pragma once

#include <map>
#include <string>
#include <vector>

#include "agent/collect/collector.h"
#include "agent/collect/probe.h"
#include "common/kpi.h"

namespace proteus {

/// One line of `proteus-agent check`.
struct CheckRow {
  std::string subject;  ///< a KPI's name, or "capability.NAME"
  bool available = false;
  std::string lane;    ///< which lane serves it; empty for capabilities
  std::string reason;  ///< source if available, else why not
};

/// Probes every KPI of kpi_table() and every capability on this host, loading and unloading the kernel programs.
/// Changes nothing. Takes up to a few seconds. Thread: any; blocks on libvirt.
std::vector<CheckRow> run_checks(const CollectorOptions& options);

/// The row of a figure that KVM keeps. missing: see collect::missing_kvm_figures().
CheckRow kvm_row(const KpiInfo& kpi, const collect::Probe& kvm, const std::map<Kpi, std::string>& missing);

/// Aligned table for people, one row a line, a newline at the end of each.
std::string check_table(const std::vector<CheckRow>& rows);
/// JSON array of {"subject","available","lane","reason"}.
std::string check_json(const std::vector<CheckRow>& rows);

}  // namespace proteus
