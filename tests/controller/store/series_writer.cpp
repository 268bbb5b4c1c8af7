// Appends telemetry of one host to a store until it is killed, a tick of virtual time after the other, as fast as pages
// are made of it. Tells on standard output what has become durable: one line "N" for a batch that ended with tick N.
// Tick N is at second N and its counter says 1000 N. Ends with "error CODE: MESSAGE" if the store refuses.
// Usage: series_writer DIRECTORY BATCH

#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "common/log.h"
#include "controller/store/rocks_store.h"
#include "tests/controller/store/series_feed.h"

namespace {

using namespace proteus;
using namespace proteus::store;

int complain(const Error& error) {
  std::cout << "error " << to_string(error.code) << ": " << error.message << std::endl;
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  if (const Status logs = log::init("series_writer", "error"); !logs) return complain(logs.error());
  const auto store = RocksStore::open({.directory = argv[1]});
  if (!store) return complain(store.error());
  const std::uint64_t batch = std::strtoull(argv[2], nullptr, 10);
  std::uint64_t tick = (*store)->last_sequence(HostId("h1"), 1)->value_or(0);
  SeriesFeed feed("h1");
  feed.set_entities({{vm_entity("web1", "00000000-0000-4000-8000-000000000001"),
                      {{0, Kpi::kEmulatorTimeNs, 0}, {0, Kpi::kMemoryResidentBytes, 0}}}});
  feed.set_sequence(tick);
  for (;;) {
    std::vector<RawMessage> messages;
    for (std::uint64_t i = 0; i < batch; ++i) {
      ++tick;
      const auto value = static_cast<std::int64_t>(tick);
      for (RawMessage& message : feed.tick(from_unix_ns(value * 1'000'000'000), {value * 1000, value % 7 * 4096})) {
        messages.push_back(std::move(message));
      }
    }
    if (const Status status = (*store)->append(messages); !status) return complain(status.error());
    const std::string line = std::to_string(tick) + "\n";
    if (write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return 0;
  }
}
