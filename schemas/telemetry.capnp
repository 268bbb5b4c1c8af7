@0xd5f0b6a4c8e91b37;
# Telemetry, agent to controller, on a socket of its own.
#
# An agent (DEALER) sends `Upstream`, a controller (ROUTER) answers with `Ack`. One message is one ZeroMQ part.
# Order: an agent sends a stream to each controller: its current `Catalog`, a keyframe, then `Frame`s in sequence, each a
# difference against the one before it in the stream. Whenever the set of entities or series changes it sends a new
# `Catalog` (version + 1) before the first frame of that version, which is a keyframe. The controller answers each batch
# that is durable with an `Ack`.
# A stream begins anew, with catalog and keyframe, after a reconnect, when the controller was silent for the agent's
# resend time, and when `Ack.want` asks for it. Its first frame (`previousSequence` = 0) is the oldest that the agent holds
# unacknowledged, so that a controller may see a frame twice and ignores the repeat. Frames that the agent had to drop are
# missing in sequence. A controller takes a frame only if it has the one named by `previousSequence`, or if that is 0; what
# was lost or refused on the way can therefore never be skipped over and acknowledged by a later frame. A controller that
# lacks the previous frame, the base frame or the catalog says so in `Ack.want`.
# What an agent left in its spool when it ended is sent after its next start, before the frames of that boot, with the
# catalog that belongs to it.
# A silent controller: the agent spools to disk, bounded, dropping and counting the oldest. A silent agent: its host's
# state turns stale, and nothing is decided about it.
#
# Bytes are Cap'n Proto's stream framing, not packed: a segment table (u32 segments − 1, u32 words of each, padded to 8
# bytes), then the segments. Limits beyond those below (16 MiB a message, times from 1970 to 2200, names, labels, VMs) are
# in common/wire/catalog_check.h and common/wire/telemetry_codec.h.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("proteus::schema");

struct Upstream {
  union {
    catalog @0 :Catalog;
    frame @1 :Frame;
  }
}

struct Catalog {
  host @0 :Text;             # must equal the identity behind the connection's CURVE key
  bootId @1 :UInt64;         # random, new at each start of the agent
  version @2 :UInt32;        # within bootId, grows by one
  entities @3 :List(Entity); # at most 65,536; [0] is the host
  series @4 :List(Series);   # at most 1,048,576
}

struct Entity {
  kind @0 :UInt8;            # common/kpi.h EntityKind
  parent @1 :UInt32;         # index in entities; 0xffffffff: none
  name @2 :Text;
  uuid @3 :Text;             # libvirt domain UUID, for a VM
  labels @4 :List(Label);
}

struct Label {
  key @0 :Text;
  value @1 :Text;
}

struct Series {
  entity @0 :UInt32;         # index in Catalog.entities
  kpi @1 :UInt16;            # common/kpi.h Kpi
  bucket @2 :UInt8;          # histogram bucket, 0..31
}

struct Frame {
  bootId @0 :UInt64;
  catalogVersion @1 :UInt32;
  sequence @2 :UInt64;       # 1, 2, 3 … within bootId
  baseSequence @3 :UInt64;   # values are differences against this frame of the same catalog, the one before this in the
                             # stream; 0: keyframe, at least every 60 frames as sent. Of what is stored and recorded,
                             # repeats are left out, maybe the keyframe among them: the frame behind it builds on the
                             # earlier copy, and chains may be longer
  timeNs @4 :Int64;          # host's wall clock at the start of the tick, ns since the Unix epoch
  presence @5 :Data;         # bit i (LSB first) set: series i was measured; exactly ⌈series/8⌉ bytes, the bits beyond 0
  values @6 :Data;           # zigzag LEB128 varint per present series: quotient − base quotient, which wraps at 64 bits.
                             # A quotient is value / quantum of the KPI, floored; that of a series absent from the base
                             # frame is 0. A frame with a quotient · quantum beyond 64 bits is refused
  previousSequence @7 :UInt64;  # the frame before this in the stream; 0: the stream begins here
}

struct Ack {
  bootId @0 :UInt64;         # 0: of none, as where a message was left to the agent; only `want` counts then
  sequence @1 :UInt64;       # every frame of bootId up to and including this one is durable
  want @2 :Want;
  enum Want {
    nothing @0;
    catalog @1;              # send the catalog again, then a keyframe
    keyframe @2;             # base frame unknown: send a keyframe
  }
}
