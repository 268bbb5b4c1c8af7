#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/command.h"

/// What a reshape sets, as one number: quota_us, shares, vCPUs or bytes.
/// Thread: pure; callable from any.
namespace proteus::drs {

/// nullopt if the operation is not a reshape.
std::optional<std::int64_t> value_of(const Operation& reshape);
/// The same kind of operation with another value; a quota keeps its period.
Operation with_value(Operation reshape, std::int64_t value);
std::int64_t observed_value(const Operation& reshape, const DomainObservation& observed);

/// True if both mean the same: any negative quota is "unlimited", and a balloon is exact to a MiB, because
/// guests give memory back in pages of their own size.
bool same_value(const Operation& reshape, std::int64_t a, std::int64_t b);
/// True if the domain is what the reshape asks for.
bool fulfils(const Operation& reshape, const DomainObservation& observed);

/// For people, for example "quota 150000 us", "2 vCPUs".
std::string describe_value(const Operation& reshape, std::int64_t value);

}  // namespace proteus::drs
