// Keeps the members of segments: every change of a lead is held against every segment's filter, in
// SQL and a page of the feed at a time; a new segment is built, and one that depends on the time is
// looked through, in parts between the pages.
//
// A part compares a stretch of the base with the members in one snapshot and writes what differs.
// Whatever changes after the snapshot has an event behind the position, and is looked at again.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/domain/clock.h"
#include "server/domain/filter.h"
#include "server/domain/segment.h"
#include "server/workers/reactor.h"
#include "storage/store.h"

namespace relais::workers {

class SegmentReaction final : public Reaction {
 public:
  // Store and clock outlive it.
  SegmentReaction(storage::Store& store, const domain::Clock& clock, domain::TenantId tenant,
                  std::chrono::seconds sweep = std::chrono::minutes(5));

  std::string_view name() const override { return "segments"; }
  std::vector<domain::EventType> types(const domain::Config& config) const override;
  std::vector<std::string> paths() const override { return {}; }
  std::optional<Effect> React(const domain::Event& event,
                              const commands::Once& once) const override;
  bool by_pages() const override { return true; }
  absl::Status ReactToPage(absl::Span<const domain::Event> events, const Fence& fence) override;
  void Begin() override;
  bool wants_to_tend(domain::Timestamp now) override;
  absl::Status Tend(const Fence& fence) override;

 private:
  // A segment that is built, or looked through because time has passed, and how far.
  struct Pass {
    std::string after;  // id of the last lead that was compared
  };

  absl::Status Read(const storage::ReadBody& body);
  // The segments that are kept; those that are gone are forgotten.
  absl::Status LoadSegments();
  absl::StatusOr<std::optional<domain::Filter>> FilterOf(const domain::Segment& segment) const;
  // What differs of a segment; `told` with events.
  struct Change {
    domain::SegmentId segment;
    std::string filter;  // under which it was found
    storage::SegmentDifference difference;
    bool told = false;
  };
  static void AddChanges(const domain::Segment& segment,
                         const std::vector<storage::SegmentDifference>& differences,
                         std::vector<Change>& changes);
  static storage::Keys KeysOf(const std::vector<Change>& changes, size_t first, size_t count,
                              const Fence& fence);
  static absl::Status Write(storage::WriteTxn& tx, const std::vector<Change>& changes, size_t first,
                            size_t count, const Fence& fence);
  // As ordinary units, which wait for nobody: what follows a change of a lead.
  absl::Status ApplyNow(std::vector<Change> changes, const Fence& fence);
  // As long work, which lets everybody else go first: what is built.
  absl::Status ApplyBeside(std::vector<Change> changes, const Fence& fence);
  absl::Status Complete(const domain::Segment& segment, const Fence& fence);

  storage::Store& store_;
  const domain::Clock& clock_;
  const domain::TenantId tenant_;
  const int64_t sweep_micros_;
  std::vector<domain::Segment> segments_;
  std::map<domain::SegmentId, Pass> passes_;
  bool loaded_ = false;
  domain::Timestamp next_sweep_;
};

}  // namespace relais::workers
