// What the server may ask of storage. Knows the domain; knows no SQL and no engine.
//
// Writing. A write never owns a transaction: it is a unit of work put in a queue. `Store::Write`
// takes the keys that the unit will touch, a body and a completion. A writer thread loads the keys
// of many units in one transaction, runs their bodies one after the other on an identity map,
// flushes the changes in bulk and commits once; only then are the completions called, each exactly
// once, on a storage thread (they must not block).
//   - A body is pure but for the WriteTxn: it may be run several times and must give the same
//   result
//     each time. It captures values, never references to a handler's frame.
//   - What is too heavy for a batch goes through `Store::WriteSlices`, or `Store::Write` with many
//     units: it has a queue of its own and runs beside the batches, so that it does not delay them.
//   - A body that returns an error leaves no trace and fails alone.
//   - A body reads only what its keys name. Reading anything else is served by a query of its own
//   in
//     production and is an error when StoreOptions::unnamed_reads_fail is set (all tests).
// Reading. `Store::Read` runs a body on a reader thread in a snapshot of its own; it never waits
// for writes.
//
// Errors, for both: those of the body; Expired (DEADLINE_EXCEEDED) when the deadline passed in the
// queue; Overloaded (RESOURCE_EXHAUSTED, with the time that the backlog takes) when the queue or
// the tenant's share of it is full, or so long that the deadline would pass in it;
// StorageUnavailable (UNAVAILABLE) when the database is away or contention did not clear;
// OutcomeUnknown (UNAVAILABLE) when a commit could be neither confirmed nor excluded; INTERNAL
// otherwise.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/builtin.h"
#include "server/domain/clock.h"
#include "server/domain/configuration.h"
#include "server/domain/directory.h"
#include "server/domain/enums.h"
#include "server/domain/event.h"
#include "server/domain/filter.h"
#include "server/domain/handoff.h"
#include "server/domain/history.h"
#include "server/domain/identity.h"
#include "server/domain/ids.h"
#include "server/domain/lead.h"
#include "server/domain/operation.h"
#include "server/domain/opportunity.h"
#include "server/domain/routing.h"
#include "server/domain/segment.h"
#include "server/domain/value.h"

namespace relais::storage {

// Who calls, for what, and until when. Made by the service wrapper from the authenticated caller.
struct Call {
  domain::TenantId tenant;
  std::string principal;  // who: recorded as actor; part of the request log's key
  std::string method;     // "CaptureLead": recorded as the trigger of events
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  // Set by the transport when the caller went away: the unit is dropped if it still waits.
  std::shared_ptr<std::atomic<bool>> cancelled;
};

// What a lead's key loads beside the lead itself. Combine with |.
enum LoadPlan : uint32_t {
  kLeadOnly = 0,
  kAssessments = 1,    // all assessments of the lead
  kOpportunities = 2,  // all opportunities of the lead
  kIdentities = 4,     // the owners of the lead's present identities
  kTouchpoints = 8,    // all touchpoints of the lead
  kHandoffs = 16,      // all hand-offs of the lead
  kConsents = 32,      // all consents of the lead
  kMerges = 64         // the lead's LEAD_MERGED events
};

// The keys a unit will touch. A key that leads to nothing is remembered as absent.
class Keys {
 public:
  // Of a lead that was merged into another, also that one, with the same plan; what a plan loads of
  // a lead it loads of all those that the lead stands for, and these, too.
  Keys& Lead(const domain::LeadId& id, uint32_t plan = kLeadOnly);
  // The lead that owns an identity, with the same plan.
  Keys& Identity(domain::IdentityKind kind, std::string value, uint32_t plan = kLeadOnly);
  // An opportunity, its lead, and the owners of its present keys in other systems.
  Keys& Opportunity(const domain::OpportunityId& id, uint32_t plan = kLeadOnly);
  Keys& OpportunityKey(std::string system, std::string id, uint32_t plan = kLeadOnly);
  // The touchpoint known by (source, external_id), and its lead.
  Keys& TouchpointKey(std::string source, std::string external_id);
  Keys& Touchpoint(const domain::TouchpointId& id);
  Keys& Consent(const domain::ConsentId& id);
  // A user or team, and the owners of its present unique keys (domain/directory.h).
  Keys& User(const domain::UserId& id);
  Keys& UserKey(std::string kind, std::string value);
  Keys& Team(const domain::TeamId& id);  // and the teams above it
  Keys& TeamKey(std::string kind, std::string value);
  Keys& Import(const domain::ImportId& id);
  Keys& Operation(const domain::OperationId& id);
  // All documents of a kind of configuration. A unit with such a key waits for the batches under
  // way, of all servers, and holds up those that come: configuration changes rarely.
  Keys& Configuration(domain::ConfigKind kind);
  Keys& Calendar(const domain::CalendarId& id);
  // A hand-off and its lead.
  Keys& Handoff(const domain::HandoffId& id, uint32_t plan = kLeadOnly);
  Keys& Segment(const domain::SegmentId& id);
  // Whether a lead is a member of a segment; neither is loaded.
  Keys& SegmentMember(const domain::SegmentId& segment, const domain::LeadId& lead);
  // Everybody who may be given something: all users that are not archived with the number of their
  // open leads, all teams, all calendars. Not locked: they are read, not changed.
  Keys& Directory();
  // Whose turn it is, locked until the transaction ends; and the directory, as it is behind that
  // lock.
  Keys& Rotation();
  // Position and lease of a reader of the feed, locked until the transaction ends.
  Keys& Reaction(std::string name);
  // The request log's entry of the calling principal, and the resource it made. Empty ids are
  // ignored.
  Keys& Request(std::string request_id);
  Keys& Add(const Keys& other);

  std::map<std::string, uint32_t> leads;
  std::map<std::pair<domain::IdentityKind, std::string>, uint32_t> identities;
  std::map<std::string, uint32_t> opportunities;
  std::map<std::pair<std::string, std::string>, uint32_t> opportunity_keys;
  std::vector<std::pair<std::string, std::string>> touchpoint_keys;
  std::vector<std::string> touchpoints, consents, users, teams, imports, operations, requests;
  std::vector<std::string> calendars, reactions, segments;
  std::vector<std::pair<std::string, std::string>> segment_members;
  std::map<std::string, uint32_t> handoffs;
  std::vector<std::pair<std::string, std::string>> user_keys, team_keys;
  std::vector<domain::ConfigKind> configurations;
  bool directory = false, rotation = false;
};

// How far a reader of the feed has come, and who does the reading. Whoever takes the lease raises
// `fence`: work that was begun under an older one can be told.
struct ReactionState {
  int64_t position = 0;  // number of the last event that was dealt with
  std::string owner;     // one server's; empty: nobody's
  domain::Timestamp lease_until;
  int64_t fence = 0;
  friend bool operator==(const ReactionState&, const ReactionState&) = default;
};

// One entry of the request log.
struct RequestRecord {
  std::string request_id;  // canonical UUID
  std::string method;
  std::string digest;    // keyed HMAC of the decoded command
  std::string resource;  // name of what it made or changed
  std::string note;      // what a replay cannot read from the resource; never personal
};

// What a unit sees of the database, and where it leaves its changes. Handed to bodies only.
// Pointers stay valid until the next change made through the same WriteTxn.
class WriteTxn {
 public:
  virtual ~WriteTxn() = default;

  virtual const Call& call() const = 0;
  virtual domain::Timestamp now() const = 0;
  // What is in force since before the batch: a change that a unit of the same batch makes counts
  // from the next batch on.
  virtual const domain::Config& config() const = 0;
  // A fresh UUIDv7; the n-th call of a unit answers the same id each time the body is rerun.
  virtual std::string NewId() = 0;

  // Null when there is none. A lead that was merged is found as it is (domain/merge.h).
  virtual absl::StatusOr<const domain::Lead*> FindLead(const domain::LeadId& id) = 0;
  virtual absl::StatusOr<const domain::Opportunity*> FindOpportunity(
      const domain::OpportunityId& id) = 0;
  virtual absl::StatusOr<const domain::Touchpoint*> FindTouchpoint(
      const domain::TouchpointId& id) = 0;
  virtual absl::StatusOr<const domain::Consent*> FindConsent(const domain::ConsentId& id) = 0;
  virtual absl::StatusOr<const domain::User*> FindUser(const domain::UserId& id) = 0;
  virtual absl::StatusOr<const domain::Team*> FindTeam(const domain::TeamId& id) = 0;
  virtual absl::StatusOr<const domain::Import*> FindImport(const domain::ImportId& id) = 0;
  virtual absl::StatusOr<const domain::Operation*> FindOperation(const domain::OperationId& id) = 0;
  virtual absl::StatusOr<const RequestRecord*> FindRequest(const std::string& request_id) = 0;
  virtual absl::StatusOr<const domain::Calendar*> FindCalendar(const domain::CalendarId& id) = 0;
  virtual absl::StatusOr<const domain::Handoff*> FindHandoff(const domain::HandoffId& id) = 0;
  virtual absl::StatusOr<const domain::Segment*> FindSegment(const domain::SegmentId& id) = 0;
  virtual absl::StatusOr<bool> IsSegmentMember(const domain::SegmentId& segment,
                                               const domain::LeadId& lead) = 0;
  // Null for a reader that has never kept anything.
  virtual absl::StatusOr<const ReactionState*> FindReaction(const std::string& name) = 0;

  // Everybody of the directory, ordered by id, with the number of their open leads as this unit
  // would leave it. Needs Keys::Directory.
  virtual absl::StatusOr<std::vector<domain::Colleague>> Colleagues() = 0;
  // Needs Keys::Rotation.
  virtual absl::StatusOr<domain::Rotation> FindRotation() = 0;

  // The holder of a unique key; nullopt when it is free. An identity stays with the lead that it
  // was claimed for, also when that lead is merged into another: so an unmerge knows whose it is.
  virtual absl::StatusOr<std::optional<domain::LeadId>> IdentityOwner(domain::IdentityKind kind,
                                                                      const std::string& value) = 0;
  virtual absl::StatusOr<std::optional<domain::OpportunityId>> OpportunityByKey(
      const std::string& system, const std::string& id) = 0;
  virtual absl::StatusOr<std::optional<domain::TouchpointId>> TouchpointByKey(
      const std::string& source, const std::string& external_id) = 0;
  virtual absl::StatusOr<std::optional<domain::UserId>> UserByKey(const std::string& kind,
                                                                  const std::string& value) = 0;
  virtual absl::StatusOr<std::optional<domain::TeamId>> TeamByKey(const std::string& kind,
                                                                  const std::string& value) = 0;

  // All of a lead's and of those that it stands for, those of this unit included, in no particular
  // order. Needs the plan.
  virtual absl::StatusOr<std::vector<domain::Assessment>> Assessments(const domain::LeadId& id) = 0;
  virtual absl::StatusOr<std::vector<domain::Opportunity>> Opportunities(
      const domain::LeadId& id) = 0;
  // The one thing that may be read without its key: a lead's evidence is counted anew only when the
  // rules that it is judged by have changed since it was judged, which no caller can know before.
  virtual absl::StatusOr<std::vector<domain::Touchpoint>> Touchpoints(const domain::LeadId& id) = 0;
  virtual absl::StatusOr<std::vector<domain::Consent>> Consents(const domain::LeadId& id) = 0;
  // The lead's own LEAD_MERGED events in the order of the log; of those that are not committed yet,
  // number and record_time are 0. Needs the plan.
  virtual absl::StatusOr<std::vector<domain::Event>> Merges(const domain::LeadId& id) = 0;
  // Every revision of every document of the kind, by name and version. Needs the key.
  virtual absl::StatusOr<domain::ConfigDocuments> Configurations(domain::ConfigKind kind) = 0;
  virtual absl::StatusOr<std::vector<domain::Handoff>> Handoffs(const domain::LeadId& id) = 0;

  // Keeps the new state of an entity and appends one event that holds the difference to the state
  // before. An entity that was not found before is inserted (`revision` is set to 1), else its
  // revision is raised by one; the given entity is updated with it. A state equal to the one before
  // (but for update_time) writes nothing. update_time is set to now().
  virtual absl::Status Keep(domain::Lead& lead, const domain::EventDraft& draft) = 0;
  // Keeps what time alone made of a lead's score: no event, no new revision, update_time stays.
  // Only the fields of the score may differ (score, its parts, grade, band, state,
  // next_score_time).
  virtual absl::Status KeepScore(const domain::Lead& lead) = 0;
  virtual absl::Status Keep(domain::Opportunity& opportunity, const domain::EventDraft& draft) = 0;
  virtual absl::Status Keep(domain::User& user, const domain::EventDraft& draft) = 0;
  virtual absl::Status Keep(domain::Team& team, const domain::EventDraft& draft) = 0;
  virtual absl::Status Keep(domain::Import& import, const domain::EventDraft& draft) = 0;
  virtual absl::Status Keep(domain::Operation& operation, const domain::EventDraft& draft) = 0;
  // Of a document that is no draft, before or after, also moves the tenant's config_version.
  virtual absl::Status Keep(domain::ConfigDocument& document, const domain::EventDraft& draft) = 0;
  virtual absl::Status Keep(domain::Calendar& calendar, const domain::EventDraft& draft) = 0;
  virtual absl::Status Keep(domain::Handoff& handoff, const domain::EventDraft& draft) = 0;
  virtual absl::Status Keep(domain::Segment& segment, const domain::EventDraft& draft) = 0;
  // Makes a lead a member or takes it out; what it is already writes nothing. `told`: with an event
  // SEGMENT_ENTERED or SEGMENT_EXITED, whose subject is the segment.
  virtual absl::Status KeepSegmentMember(const domain::SegmentId& segment,
                                         const domain::LeadId& lead, bool member, bool told) = 0;
  // Append-only entities.
  virtual absl::Status Keep(const domain::Touchpoint& touchpoint,
                            const domain::EventDraft& draft) = 0;
  virtual absl::Status Keep(const domain::Consent& consent, const domain::EventDraft& draft) = 0;
  virtual absl::Status Keep(const domain::Assessment& assessment,
                            const domain::EventDraft& draft) = 0;

  // Claims or gives up unique keys; the caller has checked that a claimed key is free.
  virtual absl::Status Claim(domain::IdentityKind kind, const std::string& value,
                             const domain::LeadId& owner) = 0;
  virtual absl::Status Release(domain::IdentityKind kind, const std::string& value) = 0;
  virtual absl::Status ClaimOpportunityKey(const std::string& system, const std::string& id,
                                           const domain::OpportunityId& owner) = 0;
  virtual absl::Status ReleaseOpportunityKey(const std::string& system, const std::string& id) = 0;
  virtual absl::Status ClaimUserKey(const std::string& kind, const std::string& value,
                                    const domain::UserId& owner) = 0;
  virtual absl::Status ReleaseUserKey(const std::string& kind, const std::string& value) = 0;
  virtual absl::Status ClaimTeamKey(const std::string& kind, const std::string& value,
                                    const domain::TeamId& owner) = 0;
  virtual absl::Status ReleaseTeamKey(const std::string& kind, const std::string& value) = 0;

  // Machinery, of which the log says nothing.
  virtual absl::Status KeepRotation(const domain::Rotation& rotation) = 0;
  virtual absl::Status KeepReaction(const std::string& name, const ReactionState& state) = 0;

  // Writes the request log's entry for the calling principal.
  virtual absl::Status Remember(const RequestRecord& record) = 0;

  // Runs a part of the unit that may fail alone: on an error its effects are undone and the error
  // is returned; the unit goes on.
  virtual absl::Status Attempt(const std::function<absl::Status()>& part) = 0;
};

// Where a unit was committed.
struct Committed {
  // Number of the unit's last event; of the feed's last event where the unit left none, and where
  // the answer to its commit was lost.
  int64_t position = 0;
  domain::Timestamp record_time;  // of that event
};

// The order and place of a page. Equal values are ordered by id.
struct Cursor {
  domain::Value value;  // of the ordering field in the last row seen
  std::string id;
};
struct ListQuery {
  std::optional<domain::LeadId> parent;      // children of this lead only
  std::optional<domain::SegmentId> segment;  // of leads: members of it only
  std::vector<domain::LeadId> merged;        // and of these, which the parent stands for
  std::optional<domain::Filter> filter;
  std::string order_path = "create_time";  // a field of the entity; closed lists in services
  bool descending = false;
  int limit = 50;  // at least 1
  std::optional<Cursor> after;
  domain::Timestamp now;  // for now() in filters
};

// What a segment's members are compared with.
struct SegmentQuery {
  domain::SegmentId segment;
  std::optional<domain::Filter> filter;  // nullopt: every lead
  std::vector<domain::LeadId> leads;     // these alone; empty: all
  std::string after;                     // ids greater than this one, where `leads` is empty
  int limit = 1000;
  domain::Timestamp now;
};
struct SegmentDifference {
  domain::LeadId lead;
  bool enters = false;  // else it leaves
};

struct FeedHead {
  int64_t number = 0;
  domain::Timestamp record_time;
};

struct EventQuery {
  int64_t after_number = 0;
  int64_t up_to_number = INT64_MAX;
  std::optional<domain::Timestamp> up_to_time;  // record_time, inclusive
  std::optional<domain::LeadId> lead;
  std::vector<domain::LeadId> merged;    // and of these, which the lead stands for
  std::vector<domain::EventType> types;  // empty: all
  int limit = 1000;
  // Events in outline: number, record_time, type, lead, actor, the changes at these paths as far as
  // they are not personal, and whether there are personal ones (Event::sealed). Nothing is
  // decrypted.
  std::optional<std::vector<std::string>> only_paths;
};

// One group of the funnel; keys as the breakdown says.
struct FunnelGroup {
  std::string key;
  bool key_absent = false;
  std::map<domain::Stage, int64_t> by_stage;
  int64_t reached_prospect = 0, reached_opportunity = 0, reached_customer = 0;
  int64_t open_opportunities = 0, won_opportunities = 0, lost_opportunities = 0;
  std::vector<int64_t> cycle_days;  // one a lead that was won: calendar days (UTC)
};
enum class FunnelBreakdown { kNone, kChannel, kSource, kFirstTouchMonth };
struct FunnelQuery {
  FunnelBreakdown breakdown = FunnelBreakdown::kNone;
  std::optional<domain::Market> market;
  std::optional<domain::Timestamp> first_touch_start, first_touch_end;
};

struct SearchHit {
  domain::LeadId lead;
  int relevance = 0;  // 1 to 1000
};

struct ScoredLead {
  domain::LeadId lead;
  std::string score_model;
};

// A snapshot to read from. Handed to bodies only.
class ReadTxn {
 public:
  virtual ~ReadTxn() = default;

  virtual const Call& call() const = 0;
  virtual domain::Timestamp now() const = 0;
  // What is in force in this snapshot. Read when it is first asked for; when that fails, the
  // transaction is at its end and so is the read, whatever its body answers.
  virtual const domain::Config& config() const = 0;
  // As WriteTxn::Configurations.
  virtual absl::StatusOr<domain::ConfigDocuments> Configurations(domain::ConfigKind kind) = 0;

  // In the order asked; nullopt where there is none. In place of a lead that was merged, the one
  // that stands for it.
  virtual absl::StatusOr<std::vector<std::optional<domain::Lead>>> GetLeads(
      absl::Span<const domain::LeadId> ids) = 0;
  // The leads themselves, of each only its id, revision and the fields at `paths`.
  virtual absl::StatusOr<std::vector<std::optional<domain::Lead>>> GetPartsOfLeads(
      absl::Span<const domain::LeadId> ids, absl::Span<const std::string_view> paths) = 0;
  virtual absl::StatusOr<std::optional<domain::Touchpoint>> GetTouchpoint(
      const domain::TouchpointId& id) = 0;
  virtual absl::StatusOr<std::optional<domain::Opportunity>> GetOpportunity(
      const domain::OpportunityId& id) = 0;
  virtual absl::StatusOr<std::optional<domain::User>> GetUser(const domain::UserId& id) = 0;
  virtual absl::StatusOr<std::optional<domain::Team>> GetTeam(const domain::TeamId& id) = 0;
  virtual absl::StatusOr<std::optional<domain::Import>> GetImport(const domain::ImportId& id) = 0;
  virtual absl::StatusOr<std::optional<domain::Operation>> GetOperation(
      const domain::OperationId& id) = 0;
  // The same, of who holds the identities.
  virtual absl::StatusOr<std::vector<std::optional<domain::LeadId>>> IdentityOwners(
      absl::Span<const domain::IdentityKey> keys) = 0;
  virtual absl::StatusOr<std::optional<domain::Calendar>> GetCalendar(
      const domain::CalendarId& id) = 0;
  virtual absl::StatusOr<std::optional<domain::Handoff>> GetHandoff(
      const domain::HandoffId& id) = 0;
  virtual absl::StatusOr<std::optional<domain::Segment>> GetSegment(
      const domain::SegmentId& id) = 0;

  // Leads after `after` (empty: from the first) in the order of their ids, with the revision of the
  // model that judged them.
  virtual absl::StatusOr<std::vector<ScoredLead>> ScoredLeads(const domain::LeadId& after,
                                                              int limit) = 0;
  virtual absl::StatusOr<int64_t> CountLeads() = 0;
  // Leads whose next_score_time is at or before `now`, the earliest first.
  virtual absl::StatusOr<std::vector<domain::LeadId>> LeadsDueForScore(domain::Timestamp now,
                                                                       int limit) = 0;

  // Those that were merged into another are not in it.
  virtual absl::StatusOr<std::vector<domain::Lead>> ListLeads(const ListQuery& query) = 0;
  virtual absl::StatusOr<std::vector<domain::Touchpoint>> ListTouchpoints(
      const ListQuery& query) = 0;
  virtual absl::StatusOr<std::vector<domain::Consent>> ListConsents(const ListQuery& query) = 0;
  virtual absl::StatusOr<std::vector<domain::Assessment>> ListAssessments(
      const ListQuery& query) = 0;
  virtual absl::StatusOr<std::vector<domain::Opportunity>> ListOpportunities(
      const ListQuery& query) = 0;
  virtual absl::StatusOr<std::vector<domain::User>> ListUsers(const ListQuery& query) = 0;
  virtual absl::StatusOr<std::vector<domain::Team>> ListTeams(const ListQuery& query) = 0;
  virtual absl::StatusOr<std::vector<domain::Import>> ListImports(const ListQuery& query) = 0;
  virtual absl::StatusOr<std::vector<domain::Operation>> ListOperations(const ListQuery& query) = 0;
  virtual absl::StatusOr<std::vector<domain::Calendar>> ListCalendars(const ListQuery& query) = 0;
  virtual absl::StatusOr<std::vector<domain::Handoff>> ListHandoffs(const ListQuery& query) = 0;
  virtual absl::StatusOr<std::vector<domain::Segment>> ListSegments(const ListQuery& query) = 0;

  // Leads that the filter selects and that are no members, and the reverse, by id.
  virtual absl::StatusOr<std::vector<SegmentDifference>> CompareSegment(
      const SegmentQuery& query) = 0;
  // In the order asked.
  virtual absl::StatusOr<std::vector<int64_t>> CountSegmentMembers(
      absl::Span<const domain::SegmentId> ids) = 0;
  // Pending hand-offs whose due time is `now` or earlier, the longest overdue first.
  virtual absl::StatusOr<std::vector<domain::HandoffId>> OverdueHandoffs(domain::Timestamp now,
                                                                         int limit) = 0;

  virtual absl::StatusOr<FeedHead> Head() = 0;
  // In order of number, personal values decrypted (or erased).
  virtual absl::StatusOr<std::vector<domain::Event>> Events(const EventQuery& query) = 0;
  virtual absl::StatusOr<std::vector<FunnelGroup>> Funnel(const FunnelQuery& query) = 0;
  // Leads whose search terms begin with every one of `words` (folded), then those that resemble
  // them; the best first, at most `limit`.
  virtual absl::StatusOr<std::vector<SearchHit>> Search(absl::Span<const std::string> words,
                                                        int limit) = 0;
  // How many leads have each of the search terms, in any field, counted up to `most`.
  virtual absl::StatusOr<std::vector<int64_t>> CountTerms(absl::Span<const std::string> terms,
                                                          int64_t most) = 0;
  // About how many leads there are: counted up to 20,000, beyond that reckoned from the length of
  // the log, four events a lead.
  virtual absl::StatusOr<int64_t> EstimateLeads() = 0;
};

// A searchable word of a lead, folded.
struct SearchTerm {
  std::string term;
  int field = 0;  // 1 name, 2 e-mail, 3 company, 4 phone
};

struct StoreOptions {
  int max_batch = 64;      // units in one transaction
  int writer_threads = 1;  // SQLite: always 1
  int reader_threads = 2;
  // Past these: Overloaded.
  int max_queued_units = 4096;
  int max_queued_reads = 4096;
  int max_queued_items = 16'384;  // of long work
  // How long a slice of long work may take while batches are written as well, more than 0. On
  // PostgreSQL it is longer when there are none.
  std::chrono::microseconds slice_time{5'000};
  // Between two looks at a database that is away.
  std::chrono::milliseconds probe_pause{1'000};
  // Called on the writing thread before each transaction, with the weight of its units. Whatever it
  // does slows storage down: the way of tests and of relaisd's failpoint to a slow disk.
  std::function<void(int units)> before_transaction;
  // Test modes.
  bool unnamed_reads_fail = false;
  bool run_bodies_twice = false;
};

using Body = std::function<absl::Status(WriteTxn&)>;
using Done = std::function<void(absl::Status, Committed)>;
using ReadBody = std::function<absl::Status(ReadTxn&)>;
using ReadDone = std::function<void(absl::Status)>;
using LeadDone = std::function<void(absl::StatusOr<std::optional<domain::Lead>>)>;

// Long work on many items: `keys` and `body` are asked for the items [first, first + count), as
// often and with such counts as the store sees fit, in order. What Write says of keys and bodies
// holds for each slice. With no items there is one empty slice.
struct Slices {
  int items = 0;
  std::function<Keys(int first, int count)> keys;
  std::function<absl::Status(WriteTxn&, int first, int count)> body;
};

// Thread-safe.
class Store {
 public:
  virtual ~Store() = default;

  // `units` (1 for ordinary calls) is what a batch call counts for in the queue: it is admitted
  // whole or refused whole, and one that would fill a batch alone is a transaction of its own
  // beside the batches. With `validate_only` the body runs and its effects are dropped.
  virtual void Write(Call call, Keys keys, Body body, Done done, bool validate_only = false,
                     int units = 1) = 0;
  // Admitted whole or refused whole; then one transaction a slice, each short, with batches and the
  // slices of other tenants in between. `done` gets the last slice's place. A slice that fails ends
  // the work with its error, as do deadline and cancellation between two slices: what was committed
  // stays, so the body must be such that the whole work may be sent again. With `validate_only` all
  // items are one slice, since a slice would not see what the one before it did.
  virtual void WriteSlices(Call call, Slices work, Done done, bool validate_only = false) = 0;
  virtual void Read(Call call, ReadBody body, ReadDone done) = 0;
  // One lead by id, in place of one that was merged the one that stands for it; nullopt when there
  // is none. What many callers of a tenant ask for at the same time is answered by one query.
  // Errors as for Read.
  virtual void GetLead(Call call, domain::LeadId id, LeadDone done) = 0;
  // The same for the lead that holds an identity.
  virtual void LookupLead(Call call, domain::IdentityKey key, LeadDone done) = 0;

  // Calls `wake` (cheap, not blocking) after each commit made through this store, until the
  // returned handle is destroyed. Commits of other servers are not seen.
  virtual std::shared_ptr<void> OnCommit(std::function<void()> wake) = 0;

  // The search index follows the feed: replaces the terms of leads and moves the reaction's
  // position together with the last of them, so that what was not finished is done again.
  // FAILED_PRECONDITION when another server moved it meanwhile.
  virtual absl::Status ReplaceSearchTerms(
      const domain::TenantId& tenant,
      absl::Span<const std::pair<domain::LeadId, std::vector<SearchTerm>>> leads,
      int64_t old_position, int64_t new_position) = 0;
  virtual absl::StatusOr<int64_t> ReactionPosition(const domain::TenantId& tenant,
                                                   std::string_view reaction) = 0;
  // Deletes request log entries and batch rows older than 7 days, at most `limit` of each.
  // Answers how many there were: none means that none are left.
  virtual absl::StatusOr<int64_t> Sweep(const domain::TenantId& tenant, int limit) = 0;

  // True while the database answers.
  virtual bool healthy() const = 0;
  // Refuses new work (UNAVAILABLE), finishes what waits, joins the threads. Idempotent.
  virtual void Stop() = 0;
  // Lets units pile up (tests: to put a known set of units into one transaction).
  virtual void PauseWrites() = 0;
  virtual void ResumeWrites() = 0;
};

}  // namespace relais::storage
