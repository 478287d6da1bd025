// Segments: what is saved of them. Their members are kept by a worker.

#include "server/domain/segment.h"

#include <algorithm>
#include <string>
#include <utility>

#include "server/commands/commands.h"
#include "server/commands/once.h"

namespace relais::commands {

using domain::Segment;
using domain::SegmentState;
using storage::Keys;
using storage::WriteTxn;

namespace {

absl::StatusOr<Segment> GetSegment(WriteTxn& tx, const domain::SegmentId& id) {
  return Existing(tx.FindSegment(id), "Segment", NameOf(id));
}

absl::StatusOr<Result<Segment>> Replayed(WriteTxn& tx, const storage::RequestRecord& record) {
  auto id = domain::ParseName<domain::SegmentTag>(record.resource);
  if (!id.has_value()) return domain::InternalFault("a request log entry names no segment");
  ASSIGN_OR_RETURN(Segment segment, GetSegment(tx, *id));
  return Result<Segment>{std::move(segment), true};
}

absl::StatusOr<Result<Segment>> Kept(WriteTxn& tx, const Once& once, Segment segment) {
  RETURN_IF_ERROR(
      tx.Keep(segment, {.type = domain::EventType::kSegmentChanged, .occur_time = tx.now()}));
  RETURN_IF_ERROR(Remember(tx, once, NameOf(segment.id)));
  return Result<Segment>{std::move(segment)};
}

}  // namespace

Keys KeysOf(const SaveSegmentCommand& command) {
  Keys keys;
  keys.Request(command.once.id);
  if (command.segment.has_value()) keys.Segment(*command.segment);
  return keys;
}

absl::StatusOr<Result<Segment>> Run(WriteTxn& tx, const SaveSegmentCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  if (earlier != nullptr) return Replayed(tx, *earlier);
  Segment segment = command.values;
  if (command.segment.has_value()) {
    ASSIGN_OR_RETURN(const Segment before, GetSegment(tx, *command.segment));
    RETURN_IF_ERROR(domain::CheckEtag(NameOf(before.id), command.etag, before.revision));
    segment = before;
    CopyFields(command.paths, command.values, segment);
    if (segment.filter != before.filter) segment.time_dependent = command.values.time_dependent;
    if (segment.filter != before.filter || before.state == SegmentState::kArchived) {
      segment.state = SegmentState::kBuilding;
    }
  } else {
    segment.id = domain::SegmentId(tx.NewId());
    segment.create_time = tx.now();
    segment.state = SegmentState::kBuilding;
  }
  return Kept(tx, command.once, std::move(segment));
}

Keys KeysOf(const ArchiveSegmentCommand& command) {
  return Keys().Request(command.once.id).Segment(command.segment);
}

absl::StatusOr<Result<Segment>> Run(WriteTxn& tx, const ArchiveSegmentCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  if (earlier != nullptr) return Replayed(tx, *earlier);
  ASSIGN_OR_RETURN(Segment segment, GetSegment(tx, command.segment));
  RETURN_IF_ERROR(domain::CheckEtag(NameOf(segment.id), command.etag, segment.revision));
  segment.state = SegmentState::kArchived;
  return Kept(tx, command.once, std::move(segment));
}

}  // namespace relais::commands
