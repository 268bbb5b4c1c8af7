#pragma once

#include "common/command.h"
#include "common/result.h"
#include "schemas/command.capnp.h"

/// Structs of schemas/command.capnp from and to those of common/command.h, field by field; shared by whoever puts
/// commands into a message: the wire, and the journal.
/// fill() writes every field that differs from its default. read() checks what a value can check (enumerations, union
/// members of a newer schema); a malformed message makes it throw kj::Exception, which its caller catches at the edge.
/// Errors of read(): kCorrupt.
/// Thread: pure; callable from any.
namespace proteus::wire {

void fill(schema::Operation::Builder to, const Operation& from);
Result<Operation> read(schema::Operation::Reader from);

void fill(schema::Command::Builder to, const Command& from);
Result<Command> read(schema::Command::Reader from);

void fill(schema::MigrationProgress::Builder to, const MigrationProgress& from);
MigrationProgress read(schema::MigrationProgress::Reader from);

void fill(schema::DomainObservation::Builder to, const DomainObservation& from);
DomainObservation read(schema::DomainObservation::Reader from);

void fill(schema::Update::Builder to, const Update& from);
Result<Update> read(schema::Update::Reader from);

/// The text's bytes, whatever they are. (Empty text is never written, so that it has one form.)
std::string read_text(capnp::Text::Reader from);

}  // namespace proteus::wire
