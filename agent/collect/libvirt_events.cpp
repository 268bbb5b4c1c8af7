#include "agent/collect/libvirt_events.h"

#include <libvirt/libvirt.h>
#include <pthread.h>

#include <atomic>
#include <mutex>
#include <thread>

namespace proteus::collect {
namespace {

struct Loop {
  std::mutex mutex;  // guards all but `stopping`
  int holders = 0;
  int timer = -1;
  bool registered = false;
  std::thread thread;
  std::atomic<bool> stopping{false};
};

Loop& loop() {
  static Loop the_loop;
  return the_loop;
}

void on_timer(int, void*) {}  // its only purpose is to end a poll

}  // namespace

LibvirtEventLoop::LibvirtEventLoop() {
  Loop& l = loop();
  std::lock_guard lock(l.mutex);
  if (l.holders++ > 0) return;
  if (!l.registered) {
    virEventRegisterDefaultImpl();
    l.registered = true;
  }
  l.timer = virEventAddTimeout(-1, on_timer, nullptr, nullptr);
  l.stopping = false;
  l.thread = std::thread([&l] {
    pthread_setname_np(pthread_self(), "proteus-virevt");
    while (!l.stopping) virEventRunDefaultImpl();
  });
}

LibvirtEventLoop::~LibvirtEventLoop() {
  Loop& l = loop();
  std::lock_guard lock(l.mutex);
  if (--l.holders > 0) return;
  l.stopping = true;
  virEventUpdateTimeout(l.timer, 0);  // wakes the poll
  l.thread.join();
  virEventRemoveTimeout(l.timer);
}

}  // namespace proteus::collect
