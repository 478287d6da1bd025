#include "server/workers/segments.h"

#include <algorithm>
#include <future>
#include <memory>
#include <set>
#include <utility>

#include "server/convert/filters.h"
#include "server/domain/status_macros.h"

namespace relais::workers {
namespace {

constexpr char kPrincipal[] = "reactions/segments";
constexpr int kMaxSegments = 1000;             // of a tenant that are kept
constexpr size_t kUnit = 128;                  // changes in one unit
constexpr int kPart = 1000;                    // differences found in one look at the base
constexpr std::chrono::seconds kDeadline{60};  // a look at a big base takes its time

storage::Call CallOf(const domain::TenantId& tenant, std::string method) {
  storage::Call call;
  call.tenant = tenant;
  call.principal = kPrincipal;
  call.method = std::move(method);
  call.deadline = std::chrono::steady_clock::now() + kDeadline;
  return call;
}

}  // namespace

SegmentReaction::SegmentReaction(storage::Store& store, const domain::Clock& clock,
                                 domain::TenantId tenant, std::chrono::seconds sweep)
    : store_(store),
      clock_(clock),
      tenant_(std::move(tenant)),
      sweep_micros_(std::chrono::microseconds(sweep).count()) {}

std::vector<domain::EventType> SegmentReaction::types(const domain::Config&) const {
  using enum domain::EventType;
  // Without segments nothing but their coming concerns it.
  if (loaded_ && segments_.empty()) return {kSegmentChanged};
  return {kLeadCreated,        kLeadUpdated,    kLeadTransitioned, kLeadAssigned, kLeadRescored,
          kTouchpointRecorded, kSegmentChanged, kLeadMerged,       kLeadUnmerged};
}

std::optional<Effect> SegmentReaction::React(const domain::Event& event,
                                             const commands::Once&) const {
  const bool about_segments = event.type == domain::EventType::kSegmentChanged;
  if (about_segments || !loaded_ || !segments_.empty()) return Effect{};
  return std::nullopt;
}

absl::Status SegmentReaction::Read(const storage::ReadBody& body) {
  auto done = std::make_shared<std::promise<absl::Status>>();
  store_.Read(CallOf(tenant_, "CompareSegments"), body,
              [done](const absl::Status& status) { done->set_value(status); });
  return done->get_future().get();
}

absl::Status SegmentReaction::LoadSegments() {
  auto found = std::make_shared<std::vector<domain::Segment>>();
  RETURN_IF_ERROR(Read([found](storage::ReadTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(*found, txn.ListSegments({.limit = kMaxSegments}));
    return absl::OkStatus();
  }));
  std::map<domain::SegmentId, Pass> passes;
  std::vector<domain::Segment> kept;
  for (domain::Segment& segment : *found) {
    if (segment.state == domain::SegmentState::kArchived) continue;
    auto before = std::find_if(segments_.begin(), segments_.end(),
                               [&](const domain::Segment& s) { return s.id == segment.id; });
    const bool same = before != segments_.end() && before->filter == segment.filter;
    auto pass = passes_.find(segment.id);
    // A pass that was begun goes on as long as the filter is the same.
    if (same && pass != passes_.end()) {
      passes[segment.id] = pass->second;
    } else if (segment.state == domain::SegmentState::kBuilding) {
      passes[segment.id] = {};
    }
    kept.push_back(std::move(segment));
  }
  segments_ = std::move(kept);
  passes_ = std::move(passes);
  loaded_ = true;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<domain::Filter>> SegmentReaction::FilterOf(
    const domain::Segment& segment) const {
  return convert::ParseFilterField(segment.filter, convert::LeadFilterSchema());
}

void SegmentReaction::AddChanges(const domain::Segment& segment,
                                 const std::vector<storage::SegmentDifference>& differences,
                                 std::vector<Change>& changes) {
  for (const storage::SegmentDifference& difference : differences) {
    changes.push_back({segment.id, segment.filter, difference, segment.ready_time.has_value()});
  }
}

storage::Keys SegmentReaction::KeysOf(const std::vector<Change>& changes, size_t first,
                                      size_t count, const Fence& fence) {
  storage::Keys keys;
  keys.Reaction(fence.reaction);
  for (size_t i = first; i < first + count; ++i) {
    keys.Segment(changes[i].segment).SegmentMember(changes[i].segment, changes[i].difference.lead);
  }
  return keys;
}

absl::Status SegmentReaction::Write(storage::WriteTxn& tx, const std::vector<Change>& changes,
                                    size_t first, size_t count, const Fence& fence) {
  RETURN_IF_ERROR(CheckFence(tx, fence));
  for (size_t i = first; i < first + count; ++i) {
    const Change& change = changes[i];
    ASSIGN_OR_RETURN(const domain::Segment* now, tx.FindSegment(change.segment));
    // What was found under another filter is of no use; the segment's event brings it back here.
    if (now == nullptr || now->filter != change.filter ||
        now->state == domain::SegmentState::kArchived) {
      continue;
    }
    RETURN_IF_ERROR(tx.KeepSegmentMember(change.segment, change.difference.lead,
                                         change.difference.enters, change.told));
  }
  return absl::OkStatus();
}

absl::Status SegmentReaction::ApplyNow(std::vector<Change> changes, const Fence& fence) {
  auto work = std::make_shared<const std::vector<Change>>(std::move(changes));
  std::vector<std::future<absl::Status>> ends;
  for (size_t first = 0; first < work->size(); first += kUnit) {
    const size_t count = std::min(kUnit, work->size() - first);
    auto done = std::make_shared<std::promise<absl::Status>>();
    ends.push_back(done->get_future());
    store_.Write(
        CallOf(tenant_, "KeepSegment"), KeysOf(*work, first, count, fence),
        [work, first, count, fence](storage::WriteTxn& tx) {
          return Write(tx, *work, first, count, fence);
        },
        [done](const absl::Status& status, const storage::Committed&) { done->set_value(status); });
  }
  absl::Status failure;
  for (std::future<absl::Status>& end : ends) failure.Update(end.get());
  return failure;
}

absl::Status SegmentReaction::ApplyBeside(std::vector<Change> changes, const Fence& fence) {
  if (changes.empty()) return absl::OkStatus();
  auto work = std::make_shared<const std::vector<Change>>(std::move(changes));
  storage::Slices slices;
  slices.items = static_cast<int>(work->size());
  slices.keys = [work, fence](int first, int count) {
    return KeysOf(*work, static_cast<size_t>(first), static_cast<size_t>(count), fence);
  };
  slices.body = [work, fence](storage::WriteTxn& tx, int first, int count) {
    return Write(tx, *work, static_cast<size_t>(first), static_cast<size_t>(count), fence);
  };
  auto done = std::make_shared<std::promise<absl::Status>>();
  store_.WriteSlices(
      CallOf(tenant_, "KeepSegment"), std::move(slices),
      [done](const absl::Status& status, const storage::Committed&) { done->set_value(status); });
  return done->get_future().get();
}

absl::Status SegmentReaction::ReactToPage(absl::Span<const domain::Event> events,
                                          const Fence& fence) {
  std::set<domain::LeadId> changed;
  bool reload = !loaded_;
  for (const domain::Event& event : events) {
    if (event.type == domain::EventType::kSegmentChanged) {
      reload = true;
    } else if (!event.lead.empty()) {
      changed.insert(event.lead);
    }
  }
  if (reload) RETURN_IF_ERROR(LoadSegments());
  if (changed.empty()) return absl::OkStatus();
  std::vector<storage::SegmentQuery> queries;
  for (const domain::Segment& segment : segments_) {
    storage::SegmentQuery& query = queries.emplace_back();
    query.segment = segment.id;
    ASSIGN_OR_RETURN(query.filter, FilterOf(segment));
    query.leads.assign(changed.begin(), changed.end());
    query.limit = static_cast<int>(changed.size());
    query.now = clock_.Now();
  }
  auto found = std::make_shared<std::vector<std::vector<storage::SegmentDifference>>>();
  RETURN_IF_ERROR(Read([found, queries](storage::ReadTxn& txn) -> absl::Status {
    found->clear();
    for (const storage::SegmentQuery& query : queries) {
      ASSIGN_OR_RETURN(std::vector<storage::SegmentDifference> differences,
                       txn.CompareSegment(query));
      found->push_back(std::move(differences));
    }
    return absl::OkStatus();
  }));
  std::vector<Change> changes;
  for (size_t i = 0; i < segments_.size(); ++i) AddChanges(segments_[i], (*found)[i], changes);
  return ApplyNow(std::move(changes), fence);
}

void SegmentReaction::Begin() {
  loaded_ = false;
  passes_.clear();
}

bool SegmentReaction::wants_to_tend(domain::Timestamp now) {
  // Without a lease it is enough to know whether there is something to take it for.
  if (!loaded_ && !LoadSegments().ok()) return false;
  return !passes_.empty() ||
         (now >= next_sweep_ && std::any_of(segments_.begin(), segments_.end(),
                                            [](const auto& s) { return s.time_dependent; }));
}

absl::Status SegmentReaction::Tend(const Fence& fence) {
  if (!loaded_) RETURN_IF_ERROR(LoadSegments());
  const domain::Timestamp now = clock_.Now();
  if (now >= next_sweep_) {
    for (const domain::Segment& segment : segments_) {
      if (segment.time_dependent) passes_.try_emplace(segment.id);
    }
    next_sweep_ = {now.micros + sweep_micros_};
  }
  if (passes_.empty()) return absl::OkStatus();
  auto pass = passes_.begin();
  auto segment = std::find_if(segments_.begin(), segments_.end(),
                              [&](const domain::Segment& s) { return s.id == pass->first; });
  if (segment == segments_.end()) {
    passes_.erase(pass);
    return absl::OkStatus();
  }
  storage::SegmentQuery query;
  query.segment = segment->id;
  ASSIGN_OR_RETURN(query.filter, FilterOf(*segment));
  query.after = pass->second.after;
  query.limit = kPart;
  query.now = now;
  auto found = std::make_shared<std::vector<storage::SegmentDifference>>();
  RETURN_IF_ERROR(Read([found, query](storage::ReadTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(*found, txn.CompareSegment(query));
    return absl::OkStatus();
  }));
  const bool last = found->size() < kPart;
  const std::string after = found->empty() ? std::string() : found->back().lead.value;
  std::vector<Change> changes;
  AddChanges(*segment, *found, changes);
  RETURN_IF_ERROR(ApplyBeside(std::move(changes), fence));
  if (!last) {
    pass->second.after = after;
    return absl::OkStatus();
  }
  if (segment->state == domain::SegmentState::kBuilding) {
    RETURN_IF_ERROR(Complete(*segment, fence));
    segment->state = domain::SegmentState::kReady;
    if (!segment->ready_time.has_value()) segment->ready_time = now;
  }
  passes_.erase(pass);
  return absl::OkStatus();
}

absl::Status SegmentReaction::Complete(const domain::Segment& segment, const Fence& fence) {
  auto done = std::make_shared<std::promise<absl::Status>>();
  store_.Write(
      CallOf(tenant_, "CompleteSegment"),
      storage::Keys().Reaction(fence.reaction).Segment(segment.id),
      [id = segment.id, filter = segment.filter, fence](storage::WriteTxn& tx) -> absl::Status {
        RETURN_IF_ERROR(CheckFence(tx, fence));
        ASSIGN_OR_RETURN(const domain::Segment* found, tx.FindSegment(id));
        if (found == nullptr || found->filter != filter ||
            found->state != domain::SegmentState::kBuilding) {
          return absl::OkStatus();
        }
        domain::Segment ready = *found;
        ready.state = domain::SegmentState::kReady;
        if (!ready.ready_time.has_value()) ready.ready_time = tx.now();
        return tx.Keep(ready, {.type = domain::EventType::kSegmentChanged, .occur_time = tx.now()});
      },
      [done](const absl::Status& status, const storage::Committed&) { done->set_value(status); });
  return done->get_future().get();
}

}  // namespace relais::workers
