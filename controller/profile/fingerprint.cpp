#include "controller/profile/fingerprint.h"

namespace proteus::profile {

HostCurve* Fingerprint::curve_of(Resource resource) {
  switch (resource) {
    case Resource::kCpu: return nullptr;
    case Resource::kMemory: return &memory;
    case Resource::kStorage: return &storage;
    case Resource::kNetwork: return &network;
    case Resource::kExits: return &exits;
  }
  return nullptr;
}

}  // namespace proteus::profile
