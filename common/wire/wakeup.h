#pragma once

namespace proteus::wire {

/// Wakes a thread that polls ZeroMQ sockets when something else happened, such as an item in a Queue:
///   queue.on_push([&] { wakeup.notify(); });   // before the threads start
///   zmq::pollitem_t{nullptr, wakeup.fd(), ZMQ_POLLIN, 0}; … if readable: wakeup.drain(), then empty the queue.
/// Drain before emptying the queue, or an item pushed in between waits for the next one.
/// Thread: notify() from any, the rest from the one that polls. Aborts if the kernel has no descriptor left for it.
class Wakeup {
 public:
  Wakeup();
  ~Wakeup();
  Wakeup(const Wakeup&) = delete;
  Wakeup& operator=(const Wakeup&) = delete;

  void notify();
  int fd() const { return fd_; }
  void drain();

 private:
  int fd_;
};

}  // namespace proteus::wire
