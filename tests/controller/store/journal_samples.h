#pragma once

#include <random>
#include <string>
#include <tuple>

#include "controller/store/journal.h"

/// Journal entries with every field set, and a comparison that stops compiling when a struct grows a field, so that no
/// field is forgotten by the codec.
namespace proteus::store {

/// Random payload of the alternative `kind`; strings hold any byte, lists and optionals are sometimes empty.
JournalPayload random_payload(std::mt19937_64& random, std::size_t kind);

bool same(const JournalPayload& a, const JournalPayload& b);
bool same(const JournalEntry& a, const JournalEntry& b);
bool same_record(const drs::ActionRecord& a, const drs::ActionRecord& b);

drs::ActionRecord intent(ActionId id, Timestamp time);
drs::Transition step(ActionId id, drs::ActionState from, drs::ActionState to, Timestamp time);

}  // namespace proteus::store
