#pragma once

#include "common/result.h"

namespace proteus::collect {

/// libvirt's event loop, of which a process can have only one: whoever wants events or keep-alive on a connection holds
/// one of these from before it opens the connection until after it has closed it. The first starts thread
/// "proteus-virevt", the last stops it. Callbacks run on that thread and must only hand values over. Thread: any.
class LibvirtEventLoop {
 public:
  LibvirtEventLoop();
  ~LibvirtEventLoop();
  LibvirtEventLoop(const LibvirtEventLoop&) = delete;
  LibvirtEventLoop& operator=(const LibvirtEventLoop&) = delete;
};

}  // namespace proteus::collect
