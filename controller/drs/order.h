#pragma once

#include <optional>
#include <set>

#include "common/command.h"
#include "controller/drs/step.h"

namespace proteus::drs {

/// A command that starts work (Reserve, Set*, Migrate), and what its agent has said of it.
/// Silence is answered by repeating the same id, never by a new one. A repeat may start work only while no
/// agent has said anything of the id, its deadline is ahead, and it is we who sent it; otherwise it only asks
/// (see kAskOnly). Invariant: words only get more final; what arrives late or twice is dropped.
class Order {
 public:
  /// One of ours, not yet sent.
  explicit Order(Command command) : command_(std::move(command)) {}
  /// One that a former executor journalled; it may have left or not. Who asks, and in which term, each repeat says
  /// anew.
  static Order adopted(Command command);

  const Command& command() const { return command_; }
  void send_first(Step& step);
  /// Whether the update is about this order and worth hearing: each word once, one that is not final again now and
  /// then, as a sign of life and of progress.
  bool awaits(const Update& update, Timestamp now) const;
  /// True if the update is about this order and is news.
  bool hear(const Update& update, Timestamp now);
  /// Repeats after accept_timeout without a word, and at once when a host can be reached again.
  void on_tick(Step& step);
  /// Asks now, and from now on every repeat is a question.
  void ask_now(Step& step);

  bool ended() const { return end_.has_value(); }
  /// The agent's final word. Precondition: ended().
  const Update& end() const { return *end_; }
  /// The agent began it and told us so.
  bool begun() const { return begun_; }
  /// One copy left, and it was refused: nothing was begun.
  bool refused_cleanly() const { return ended() && end_->state == CommandState::kRefused && copies_ == 1 && !begun_; }

 private:
  void repeat(Step& step);

  Command command_;
  bool only_ask_ = false;
  bool begun_ = false;
  int copies_ = 0;
  std::optional<Timestamp> last_word_;  ///< when either side last said something; empty: speak at once
  std::optional<Timestamp> heard_at_;   ///< when the agent did
  std::set<CommandState> heard_;        ///< what it has said
  std::optional<Update> end_;
};

}  // namespace proteus::drs
