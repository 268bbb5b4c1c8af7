// Appends to a store until it is killed, telling on standard output what has become durable: "raw LSN SEQUENCE" and
// "journal LSN NUMBER", one line each. Ends with "error CODE: MESSAGE" if the store cannot be opened or refuses.
// Usage: store_writer DIRECTORY BATCH

#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "common/clock.h"
#include "common/log.h"
#include "controller/store/store.h"

namespace {

using namespace proteus;
using namespace proteus::store;

int complain(const Error& error) {
  std::cout << "error " << to_string(error.code) << ": " << error.message << std::endl;
  return 1;
}

// One write per batch, so that a line is either out or not.
bool tell(const std::string& text) {
  return write(STDOUT_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  if (const Status logs = log::init("store_writer", "error"); !logs) return complain(logs.error());
  const auto store = Store::open({.directory = argv[1]});
  if (!store) return complain(store.error());
  const std::uint64_t batch = std::strtoull(argv[2], nullptr, 10);
  const HostId host("h1");
  std::uint64_t sequence = (*store)->last_sequence(host, 1)->value_or(0);
  SystemClock clock;
  for (;;) {
    std::vector<RawMessage> messages;
    for (std::uint64_t i = 0; i < batch; ++i) {
      ++sequence;
      messages.push_back({.received = clock.now(),
                          .host = host,
                          .boot_id = 1,
                          .sequence = sequence,
                          .catalog_version = 1,
                          .base_sequence = 0,
                          .bytes = "frame " + std::to_string(sequence)});
    }
    if (const Status status = (*store)->append(messages); !status) return complain(status.error());
    std::vector<JournalEntry> entries = {{0, clock.now(), Cycle{sequence, 0, messages.back().lsn}}};
    std::string done;
    for (const RawMessage& m : messages)
      done += "raw " + std::to_string(m.lsn) + " " + std::to_string(m.sequence) + "\n";
    if (!tell(done)) return 0;
    if (const Status status = (*store)->append(entries); !status) return complain(status.error());
    if (!tell("journal " + std::to_string(entries[0].lsn) + " " + std::to_string(sequence) + "\n")) return 0;
  }
}
