#include "controller/forecast/forecast.h"

namespace proteus::forecast {

const char* to_string(Resource resource) {
  switch (resource) {
    case Resource::kCpu: return "cpu";
    case Resource::kMemory: return "memory";
    case Resource::kBlockIo: return "block_io";
    case Resource::kNetwork: return "network";
  }
  return "unknown";
}

}  // namespace proteus::forecast
