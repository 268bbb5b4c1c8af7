#pragma once

#include <functional>
#include <string>
#include <vector>

#include "common/result.h"
#include "controller/store/query.h"

/// Questions about several VMs, whose series the store selects one VM at a time. Thread: any.
namespace proteus::api {

/// Whether a word has the form of a UUID: hexadecimal digits, 8-4-4-4-12.
bool is_uuid(const std::string& word);

/// vms: names or UUIDs, each once; query.selector.vm is not looked at. Errors: kInvalidArgument where what several VMs
/// have cannot be joined as the query wants it.
Status check_vms(const store::Query& query, const std::vector<std::string>& vms);

/// store::check_groups() for VMs of which one must have what is grouped by. Errors: kNotFound.
Status check_groups(const store::SeriesReader& reader, const store::Query& query, const std::vector<std::string>& vms);

/// store::run_query() of what check_vms() has passed: of all VMs if `vms` is empty. Errors: store::run_query()'s.
Status run_query(const store::SeriesReader& reader, store::Query query, const std::vector<std::string>& vms,
                 const std::function<bool(const store::QueryResult&)>& visit);

}  // namespace proteus::api
