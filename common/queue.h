#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>

namespace proteus {

/// What a full queue does with one more item.
enum class WhenFull {
  kDropOldest,  ///< telemetry: the newest matters most; drops are counted
  kRefuse,      ///< commands: push() returns false and the caller answers for it
};

/// A bounded, typed, one-way arrow between two threads.
/// Invariant: at most `capacity` items are held; after close() no item is accepted, what is held may still be popped.
/// Thread: push from any, pop from the one consumer.
template <typename T>
class Queue {
 public:
  Queue(std::size_t capacity, WhenFull when_full) : capacity_(capacity), when_full_(when_full) {}
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Called after each accepted push and after close(), outside the lock; set it before the threads start.
  /// A consumer that polls sockets gives a function that wakes its poll (see common/wire/wakeup.h).
  void on_push(std::function<void()> wake) { wake_ = std::move(wake); }

  /// False if the queue is closed, or full and refusing.
  bool push(T item) {
    {
      std::lock_guard lock(mutex_);
      if (closed_) return false;
      if (items_.size() >= capacity_) {
        if (when_full_ == WhenFull::kRefuse) return false;
        items_.pop_front();
        ++dropped_count_;
      }
      items_.push_back(std::move(item));
    }
    ready_.notify_one();
    if (wake_) wake_();
    return true;
  }

  /// The oldest item, waiting for one until the queue is closed and empty (then nullopt).
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return closed_ || !items_.empty(); });
    return take_front();
  }

  /// The same, but gives up after `timeout`.
  std::optional<T> pop_for(std::chrono::nanoseconds timeout) {
    std::unique_lock lock(mutex_);
    ready_.wait_for(lock, timeout, [this] { return closed_ || !items_.empty(); });
    return take_front();
  }

  /// The oldest item, or nullopt at once if there is none.
  std::optional<T> try_pop() {
    std::lock_guard lock(mutex_);
    return take_front();
  }

  void close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
    if (wake_) wake_();
  }

  /// With a single producer, size() < capacity() says that its next push will not be refused for want of room.
  std::size_t capacity() const { return capacity_; }

  bool closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }
  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return items_.size();
  }
  /// Items lost to kDropOldest since construction.
  std::uint64_t dropped_count() const {
    std::lock_guard lock(mutex_);
    return dropped_count_;
  }

 private:
  std::optional<T> take_front() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    return item;
  }

  const std::size_t capacity_;
  const WhenFull when_full_;
  std::function<void()> wake_;

  mutable std::mutex mutex_;  // guards all below
  std::condition_variable ready_;
  std::deque<T> items_;
  std::uint64_t dropped_count_ = 0;
  bool closed_ = false;
};

}  // namespace proteus
