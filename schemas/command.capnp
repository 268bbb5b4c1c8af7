@0xa9d64e0f7b2c5d18;
# Commands, controller to agent, on a socket of its own, so that a backlog of telemetry never delays them.
#
# The agent (DEALER) connects and sends `Hello` at once and every few seconds; the controller (ROUTER) answers `Welcome`
# if it leads, and then sends `Command`s. The agent answers each with at least two `Update`s: accepted or refused, then,
# unless refused, one final one (succeeded, failed), with `running` and progress in between. Updates are repeated after a
# reconnect until `UpdateAck`ed. An agent executes a command id once, and refuses an older term, or another controller
# while the one it follows has been heard within the lease (`Hello.leaseMs`).
# A silent controller: the agent finishes what it began and begins nothing new. A silent agent: the controller treats its
# commands as unresolved, never as failed, and asks (`inspect`) when the agent is back.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("proteus::schema");

struct FromAgent {
  union {
    hello @0 :Hello;
    update @1 :Update;
  }
}

struct FromController {
  union {
    welcome @0 :Welcome;
    command @1 :Command;
    updateAck @2 :UpdateAck;
  }
}

struct Hello {
  host @0 :Text;
  bootId @1 :UInt64;
  leader @2 :Text;           # controller that this agent follows; empty: none
  term @3 :UInt64;           # newest term it has seen
  leaseMs @4 :UInt32;        # how long the leader may be silent before another is followed
  version @5 :Text;          # of the agent
}

struct Welcome {
  controller @0 :Text;       # its id
  term @1 :UInt64;
  timeNs @2 :Int64;          # controller's wall clock; the agent reports a skew above one second
}

struct UpdateAck {
  command @0 :UInt64;
  state @1 :UInt8;
}

struct Command {
  id @0 :UInt64;
  action @1 :UInt64;
  term @2 :UInt64;
  controller @3 :Text;
  host @4 :Text;
  vm @5 :Text;               # domain UUID
  issuedNs @6 :Int64;
  deadlineNs @7 :Int64;
  requireRunning @8 :UInt8;  # 0: no condition, 1: must be active here, 2: must not be
  requireValue :union {
    none @9 :Void;
    value @10 :Int64;        # present value of what is to be set
  }
  operation @11 :Operation;
}

struct Operation {
  union {
    setCpuQuota :group { quotaUs @0 :Int64; periodUs @1 :Int64; }
    setCpuShares @2 :Int64;
    setVcpus @3 :Int32;
    setMemory @4 :Int64;     # bytes
    migrate @5 :Migrate;
    reserve :group { memoryBytes @6 :Int64; cpuMillicores @7 :Int64; }
    release @8 :UInt64;      # action whose reservation ends
    abort @9 :UInt64;        # action whose migration stops
    inspect @10 :Void;
  }
}

struct Migrate {
  target @0 :Text;
  targetLibvirtUri @1 :Text;
  migrateUri @2 :Text;
  bandwidthBytesPerS @3 :Int64;  # 0: hypervisor's default
  downtimeMsMax @4 :Int64;
  autoConverge @5 :Bool;
  postCopyAllowed @6 :Bool;
}

struct Update {
  command @0 :UInt64;
  action @1 :UInt64;
  term @2 :UInt64;
  host @3 :Text;
  vm @4 :Text;
  state @5 :UInt8;           # common/command.h CommandState
  timeNs @6 :Int64;
  message @7 :Text;
  migration @8 :MigrationProgress;   # null unless the command migrates
  observed @9 :DomainObservation;    # null unless the domain was read
}

struct MigrationProgress {
  bytesProcessed @0 :Int64;
  bytesRemaining @1 :Int64;
  bytesTotal @2 :Int64;
  dirtyBytesPerS @3 :Int64;
  downtimeMs @4 :Int64;
}

struct DomainObservation {
  active @0 :Bool;
  running @1 :Bool;
  vcpus @2 :Int32;
  cpuQuotaUs @3 :Int64;
  cpuPeriodUs @4 :Int64;
  cpuShares @5 :Int64;
  memoryBytes @6 :Int64;
}
