@0xe6b1c7f25a3d9084;
# The journal: what a controller was told, what it decided and what became of it.
#
# A controller writes one `Entry` per event to its own store before it acts on it; nothing here crosses the network.
# Readers are the same controller after a restart, `proteusctl explain|history`, and `proteusctl replay`, which finds
# entries in a recording among the telemetry. `lsn` orders entries and telemetry alike.
# A run begins with `started`: when a process begins, and when it renews itself. Of a renewal the states that it rests on
# stand in front of it, among what the run before it took in and put out. Inputs (`cycle`, `signalInput`, `agentPresence`, `operatorInput`, `update`, and the states) stand where the pipeline took
# them in; outputs (`decision`, `action`, `transition`, `command`, `learningOutcome`) follow the input that caused them, each before it left
# the process. An action is journalled whole as intent, then lives on as transitions; one whose last transition is not
# final was cut short by a crash, and is resolved by asking its hosts.
# Values: canonical form, in one segment behind the segment table of Cap'n Proto's stream framing, so that equal entries
# are equal bytes. Times are ns since the Unix epoch. Enumerations are
# numbers of the C++ enumeration that the field names: append there, never renumber.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("proteus::schema");
using Command = import "command.capnp";

struct Entry {
  lsn @0 :UInt64;
  timeNs @1 :Int64;          # controller's clock
  union {
    started @2 :Started;
    cycle @3 :Cycle;
    agentPresence @4 :AgentPresence;
    operatorInput @5 :OperatorInput;
    update @6 :Command.Update;
    decision @7 :Decision;
    action @8 :ActionRecord;
    transition @9 :Transition;
    command @10 :Command.Command;
    signalInput @11 :SignalInput;
    forecastState @12 :ForecastState;
    learningState @13 :LearningState;
    learningOutcome @14 :LearningOutcome;
    profileState @15 :ProfileState;
  }
}

struct Started {
  version @0 :Text;          # of the program
  controller @1 :Text;
  term @2 :UInt64;
  policyToml @3 :Text;       # as effective
  optionsToml @4 :Text;      # as effective
  nextActionId @5 :UInt64;
  nextCommandId @6 :UInt64;
  warmFromLsn @7 :UInt64;    # stored telemetry from here on was read again first; 0: none
  adopted @8 :List(ActionRecord);  # left open by the run before
  maintenance @9 :List(Text);      # hosts, sorted
  paused @10 :Bool;
  calendarToml @11 :Text;    # as effective; empty: none
  restoredEntries @12 :UInt32;  # forecastState and profileState entries that follow; of a renewal: that stand in front
  warmThroughLsn @13 :UInt64;   # stored telemetry read again reached to here; 0: to all received before this entry
  warmInSteps @14 :Bool;     # a round of forecasting began with each step of the telemetry read again
  restoredFromLsn @15 :UInt64;  # not 0: a renewal. From here on forecastState, profileState and signalInput count for it
  ended @16 :List(EndedAction);
  emptying @17 :List(Text);  # hosts that the decision before was emptying
  commandable @18 :List(Text);  # hosts whose agents take commands already
  missing @19 :List(MissingVm);

  struct MissingVm {         # that no host lists any more, and that is not forgotten yet
    vm @0 :Text;
    lastSeenNs @1 :Int64;
  }
  struct EndedAction {       # before this run began
    vm @0 :Text;
    source @1 :Text;         # of a migration; else empty
    target @2 :Text;         # likewise
    endedNs @3 :Int64;
    verified @4 :Bool;
  }
}

struct Cycle {
  number @0 :UInt64;
  seed @1 :UInt64;
  framesThroughLsn @2 :UInt64;  # telemetry up to and including this lsn had been taken in
  forecastsBehind @3 :UInt32;   # newest rounds of forecasting whose results it did not have yet
}

struct AgentPresence {
  host @0 :Text;
  commandable @1 :Bool;
  reason @2 :Text;
}

struct OperatorInput {
  kind @0 :UInt8;            # controller/store/journal.h OperatorInput::Kind
  action @1 :UInt64;         # approve, reject
  host @2 :Text;             # maintenance
  by @3 :Text;
}

struct Signal {              # of an application's metric
  name @0 :Text;
  vm @1 :Text;               # domain UUID; empty: everybody's
  leadNs @2 :Int64;          # demand follows so much later
  timesNs @3 :List(Int64);   # by point
  values @4 :List(Float64);
}

struct SignalInput {
  signal @0 :Signal;
  by @1 :Text;
}

struct ForecastState {       # of some series and signals, as an earlier run left them
  series @0 :List(Series);
  signals @1 :List(Signal);

  struct Series {
    vm @0 :Text;
    resource @1 :UInt8;      # controller/forecast/forecast.h Resource
    state @2 :Data;          # controller/forecast/series.cpp, a format of its own with a version
  }
}

struct ProfileState {        # what an earlier run learned of hosts
  records @0 :List(Record);

  struct Record {
    name @0 :Text;           # "moves", or "hosts/" and the host
    state @1 :Data;          # controller/profile/saved_state.h, a format of its own with a version
  }
}

struct LearningState {       # what an earlier run learned
  state @0 :Data;            # controller/ham/learning/agent.cpp, a format of its own with a version
}

struct LearningNote {        # of an action: controller/ham/learning/note.h; currency per hour
  kind @0 :UInt8;            # learning::Kind
  features @1 :List(Float64);
  predicted @2 :Float64;
  cost @3 :Float64;
  copiedBytes @4 :Float64;
  scale @5 :Float64;
  gain @6 :Float64;
  required @7 :Float64;
  mean @8 :Float64;
  deviation @9 :Float64;
  correction @10 :Float64;
  learnedAct @11 :Bool;
  control @12 :Bool;
  propensity @13 :Float64;
  horizonNs @14 :Int64;
  utilisation @15 :Float64;
  preferred @16 :Bool = true;
}

struct LearningOutcome {
  action @0 :UInt64;
  vm @1 :Text;
  note @2 :LearningNote;
  realised @3 :Float64;      # currency per hour
  weight @4 :Float64;
  difference @5 :Float64;    # currency per hour
  lower @6 :Float64;         # of the mean difference; −infinity: none yet
  acting @7 :Bool;
  revision @8 :UInt64;
}

struct HeldAction {
  vm @0 :Text;
  label @1 :Text;
  note @2 :LearningNote;
  examined @3 :Bool;
  occasion @4 :Bool;
}

struct LearningPart {        # of a decision; null: no model was there
  acting @0 :Bool;
  revision @1 :UInt64;
  held @2 :List(HeldAction);
  rulesAlone @3 :Text;
  corrected @4 :UInt64;
  opinion @5 :HeldAction;    # null: none
}

struct ScoreTerms {          # currency per hour
  performance @0 :Float64;
  utilisation @1 :Float64;
  cost @2 :Float64;
  latency @3 :Float64;
}

struct Action {
  id @0 :UInt64;             # 0: not taken up
  vm @1 :Text;               # domain UUID
  host @2 :Text;             # whose agent executes it
  operation @3 :Command.Operation;
  presentValue :union {
    none @4 :Void;
    value @5 :Int64;         # what a Set* replaces, in the operation's unit
  }
  automation @6 :UInt8;      # controller/ham/policy.h Automation
  reason @7 :Text;
  expectedDurationNs @8 :Int64;
  expectedDowntimeMs @9 :Int64;
  reserveMemoryBytes @10 :Int64;    # room at a migration's target
  reserveCpuMillicores @11 :Int64;
  after @12 :List(UInt32);   # positions in the candidate's actions that must be verified first
  expectedWaitRatio @13 :Float64 = -1;  # ns waited for a CPU / ns run at a migration's target; negative: none
  expectedStorageS @14 :Float64 = -1;   # s that a request of the VM to storage takes at a migration's target; negative: none
  learned @15 :LearningNote; # null: none
  expectedDropShare @16 :Float64 = -1;  # of the VM's packets at a migration's target; negative: none
}

struct Candidate {
  label @0 :Text;
  actions @1 :List(Action);  # in order; empty: do nothing
  score @2 :ScoreTerms;
}

struct Rejection {
  candidate @0 :Text;
  rule @1 :Text;
  reason @2 :Text;
}

struct Outlook {
  vm @0 :Text;
  host @1 :Text;
  cpuP50Cores @2 :Float64;   # quantiles of the largest step within the horizon
  cpuP90Cores @3 :Float64;
  cpuP99Cores @4 :Float64;
  cpuLimitCores @5 :Float64;
  model @6 :Text;
  untilLimit :union {
    none @7 :Void;           # p90 stays below the VM's limit
    ns @8 :Int64;
  }
  cpuP10Cores @9 :Float64;   # as above; 0 in entries older than these two
  cpuP95Cores @10 :Float64;
}

struct PowerChange {         # advice: nothing executes it
  host @0 :Text;
  awake @1 :Bool;            # what it is to become
  reason @2 :Text;
}

struct HelperChange {        # advice: nothing executes it
  vm @0 :Text;
  host @1 :Text;             # of the helper
  start @2 :Bool;            # false: it is to be ended
  reason @3 :Text;
  gain @4 :Float64;          # expected, currency per hour
  automation @5 :UInt8;      # level that applies to the VM
}

struct Decision {
  id @0 :UInt64;             # number of its cycle
  timeNs @1 :Int64;
  policy @2 :Text;
  chosen @3 :Candidate;
  doNothing @4 :Candidate;
  alternatives @5 :List(Candidate);  # best first
  rejections @6 :List(Rejection);
  outlooks @7 :List(Outlook);
  summary @8 :Text;
  power @9 :List(PowerChange);
  emptying @10 :List(Text);  # hosts
  learning @11 :LearningPart;
  helpers @12 :List(HelperChange);  # none in entries older than this field
}

struct Transition {
  action @0 :UInt64;
  from @1 :UInt8;            # controller/drs/action_record.h ActionState
  to @2 :UInt8;
  timeNs @3 :Int64;          # controller's clock
  agentTime :union {
    none @4 :Void;
    ns @5 :Int64;            # host's clock, if an update caused it
  }
  message @6 :Text;
  command @7 :UInt64;        # Reserve, Set* or Migrate that leaves after it; 0: none
  deadline :union {
    none @8 :Void;
    ns @9 :Int64;            # that command's
  }
  trigger :union {
    none @10 :Void;
    ns @11 :Int64;           # the action had waited, and this is when what it waited for was there
  }
}

struct ActionRecord {
  action @0 :Action;
  decision @1 :UInt64;
  state @2 :UInt8;           # ActionState
  term @3 :UInt64;
  intendedAtNs @4 :Int64;
  triggerTimeNs @5 :Int64;   # what set it off; controller/drs/action_record.h
  deadlineNs @6 :Int64;
  executedAt :union {
    none @7 :Void;
    ns @8 :Int64;            # agent's clock
  }
  endedAt :union {
    none @9 :Void;
    ns @10 :Int64;
  }
  progress @11 :Command.MigrationProgress;  # null: none
  message @12 :Text;
  transitions @13 :List(Transition);
  command @14 :UInt64;       # its latest Reserve, Set* or Migrate; 0: none has left
  prerequisites @15 :List(UInt64);  # actions that must be verified before this one begins
}
