#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>

namespace httplib {
class Server;
struct Request;
}  // namespace httplib

/// What keeps who has no token from taking the API away from who has: httplib reads lines and headers of any length, as
/// slowly as they come, and gives a thread to every connection for as long.
namespace proteus::api {

/// Connections at a time; each has a thread.
constexpr std::size_t kConnectionsMax = 64;
/// Of a request, head and body together.
constexpr std::size_t kRequestBytesMax = 160 * 1024;
/// From a connection's begin to its first request's end, and from a later request's first byte to its end.
constexpr std::chrono::seconds kRequestTimeMax{10};
/// Between two requests.
constexpr std::chrono::seconds kIdleTimeMax{2};
/// A peer that takes nothing for so long is given up, and one that is waited for so long, in all, while it takes less
/// than so much.
struct Patience {
  std::chrono::milliseconds nothing{5'000};
  std::chrono::milliseconds little{30'000};
  std::size_t little_bytes = 256 * 1024;
};
/// For answers that are under way when the server stops.
constexpr std::chrono::seconds kStopTimeMax{5};

/// The connections that there are. When there are too many, the oldest are ended of those whose request has not shown
/// the token. Thread: any.
class Connections {
 public:
  /// One is waiting for a thread.
  void expect();
  /// It has one. Returns: its place, until leave(), which comes before the socket is closed.
  struct Place {
    int socket = -1;
    bool trusted = false;
    bool ended = false;
  };
  using Number = std::list<Place>::iterator;
  Number enter(int socket);
  void leave(Number number);
  /// Whether its request has shown the token; between two requests it has not.
  void trust(Number number, bool trusted);
  /// All end: those without the token now, the others when they have been answered, or after so long.
  void stop(std::chrono::milliseconds time_max);

 private:
  void end_what_is_too_much();
  bool is_too_much(const Place& place) const;

  std::mutex mutex_;  // guards all below
  std::size_t expected_ = 0;
  std::size_t ended_ = 0;    // of the places
  std::list<Place> places_;  // the oldest first
  std::condition_variable all_left_;
  bool stopping_ = false;
  bool cutting_off_ = false;
};

/// At most so many costly answers are made at a time; others wait for a while. Thread: any.
class Turns {
 public:
  Turns(std::size_t at_once, std::size_t waiting_max, std::chrono::milliseconds wait_max)
      : at_once_(at_once), waiting_max_(waiting_max), wait_max_(wait_max) {}
  /// A turn, which ends with the last copy of what is returned; null: too many wait already, or it took too long.
  std::shared_ptr<void> take();
  /// Nobody waits any more, nor gets a turn.
  void stop();

 private:
  const std::size_t at_once_;
  const std::size_t waiting_max_;
  const std::chrono::milliseconds wait_max_;
  std::mutex mutex_;  // guards all below
  std::condition_variable free_;
  std::size_t taken_ = 0;
  std::size_t waiting_ = 0;
  bool stopping_ = false;
};

/// An httplib server within these limits; ranges of answers are not served. has_token: of a request whose head is
/// there. certificate, key: PEM files; empty: without TLS.
std::unique_ptr<httplib::Server> make_guarded_server(const std::string& certificate, const std::string& key,
                                                     std::function<bool(const httplib::Request&)> has_token,
                                                     Patience patience = {});

/// Whether anybody waits for the answer to a request that such a server has under way: false once either end has closed
/// the connection, be it only for what it says itself. It takes a system call.
bool is_wanted(const httplib::Request& request);

}  // namespace proteus::api
