// The use cases: what each changing call does, free of transport. A command is a decoded, checked
// request; `KeysOf` names what it will touch; `Run` is the body handed to Store::Write. Services,
// batch calls, imports and tests all go through these, so no path bypasses a rule.
//
// Every Run may be executed several times (storage/store.h). Errors are the faults of the domain.
// Order within each: request id, existence, etag, guards, effects.
//
// A Once names the request for idempotency: `id` empty means no request id. `digest` is the keyed
// HMAC of the decoded command. Results carry `replayed` when an earlier success was found.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/domain/criteria.h"
#include "server/domain/directory.h"
#include "server/domain/enums.h"
#include "server/domain/handoff.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "server/domain/operation.h"
#include "server/domain/opportunity.h"
#include "server/domain/revisions.h"
#include "server/domain/routing.h"
#include "server/domain/segment.h"
#include "server/domain/value.h"
#include "storage/store.h"

namespace relais::commands {

struct Once {
  std::string id;      // request_id, canonical; empty: none
  std::string digest;  // keyed HMAC of the command
};

template <class T>
struct Result {
  T value;
  bool replayed = false;
};

// ---- LeadService ------------------------------------------------------------------------------

struct CaptureCommand {
  Once once;
  domain::Lead lead;  // descriptive fields only, normalised; acquisition.first_touch_time unset
  domain::Touchpoint touchpoint;                // kind never unspecified
  std::optional<domain::Timestamp> occur_time;  // of the touchpoint; absent: now
  std::vector<domain::Consent> consents;
};
struct IdentityConflict {
  domain::IdentityKind kind;
  std::string value;
  domain::LeadId lead;
};
struct Captured {
  domain::Lead lead;
  domain::Touchpoint touchpoint;
  domain::CaptureOutcome outcome = domain::CaptureOutcome::kUnspecified;
  domain::IdentityKind matched_by = domain::IdentityKind::kUnspecified;
  std::vector<IdentityConflict> conflicts;
  bool touchpoint_known = false;  // its (source, external_id) was there: nothing changed
};
storage::Keys KeysOf(const CaptureCommand& command);
absl::StatusOr<Result<Captured>> Run(storage::WriteTxn& tx, const CaptureCommand& command);

struct UpdateLeadCommand {
  Once once;
  domain::LeadId lead;
  std::string etag;
  domain::Lead values;
  std::vector<std::string> paths;  // field table paths to take from `values`; descriptive ones only
};
storage::Keys KeysOf(const UpdateLeadCommand& command);
absl::StatusOr<Result<domain::Lead>> Run(storage::WriteTxn& tx, const UpdateLeadCommand& command);

struct RecordTouchpointCommand {
  Once once;
  domain::LeadId lead;
  domain::Touchpoint touchpoint;
  std::optional<domain::Timestamp> occur_time;
};
struct Recorded {
  domain::Touchpoint touchpoint;
  bool known = false;  // its (source, external_id) was there: nothing changed
};
storage::Keys KeysOf(const RecordTouchpointCommand& command);
absl::StatusOr<Result<Recorded>> Run(storage::WriteTxn& tx, const RecordTouchpointCommand& command);

struct AssignLeadCommand {
  Once once;
  domain::LeadId lead;
  std::optional<domain::UserId> owner;  // nullopt takes the owner away, unless `by_rules`
  std::string reason, etag;
  bool by_rules = false;  // the routing rules find the owner
};
storage::Keys KeysOf(const AssignLeadCommand& command);
absl::StatusOr<Result<domain::Lead>> Run(storage::WriteTxn& tx, const AssignLeadCommand& command);

// Where a field of the survivor is to come from.
struct FieldSource {
  std::string path;  // of the field table; domain::MayChoose
  domain::LeadId lead;
};
struct MergeLeadsCommand {
  Once once;
  domain::LeadId survivor;
  std::vector<domain::LeadId> leads;  // merged into it one after the other
  std::vector<FieldSource> sources;   // of the leads above
  std::string etag, reason;           // the survivor's
};
storage::Keys KeysOf(const MergeLeadsCommand& command);
absl::StatusOr<Result<domain::Lead>> Run(storage::WriteTxn& tx, const MergeLeadsCommand& command);

struct UnmergeLeadCommand {
  Once once;
  domain::LeadId lead;  // the one that was merged
  std::string etag;     // of the lead that stands for it
  std::string reason;
};
struct UnmergedLeads {
  domain::Lead lead, survivor;
};
storage::Keys KeysOf(const UnmergeLeadCommand& command);
absl::StatusOr<Result<UnmergedLeads>> Run(storage::WriteTxn& tx, const UnmergeLeadCommand& command);

// ---- PrivacyService ---------------------------------------------------------------------------

struct SetConsentCommand {
  Once once;
  domain::LeadId lead;
  domain::Consent consent;
  std::optional<domain::Timestamp> occur_time;
};
storage::Keys KeysOf(const SetConsentCommand& command);
absl::StatusOr<Result<domain::Consent>> Run(storage::WriteTxn& tx,
                                            const SetConsentCommand& command);

// ---- QualificationService ---------------------------------------------------------------------

struct AssessLeadCommand {
  Once once;
  domain::LeadId lead;
  domain::Assessment assessment;
  std::optional<domain::Timestamp> occur_time;
};
storage::Keys KeysOf(const AssessLeadCommand& command);
absl::StatusOr<Result<domain::Assessment>> Run(storage::WriteTxn& tx,
                                               const AssessLeadCommand& command);

// kOverride makes a prospect of a lead whatever its criteria say.
enum class LeadStep { kQualify, kDisqualify, kRecycle, kOverride };
struct LeadStepCommand {
  Once once;
  LeadStep step = LeadStep::kQualify;
  domain::LeadId lead;
  std::string reason, etag;
  std::optional<domain::Timestamp> occur_time;
};
storage::Keys KeysOf(const LeadStepCommand& command);
absl::StatusOr<Result<domain::Lead>> Run(storage::WriteTxn& tx, const LeadStepCommand& command);

// Passes a lead to sales: to `owner`, else within `team`, else by the routing rules.
struct CreateHandoffCommand {
  Once once;
  domain::LeadId lead;
  std::optional<domain::UserId> owner;
  std::optional<domain::TeamId> team;
  std::string reason;
};
storage::Keys KeysOf(const CreateHandoffCommand& command);
absl::StatusOr<Result<domain::Handoff>> Run(storage::WriteTxn& tx,
                                            const CreateHandoffCommand& command);

enum class HandoffAction { kAccept, kReject, kReassign };
struct HandoffActionCommand {
  Once once;
  HandoffAction action = HandoffAction::kAccept;
  domain::HandoffId handoff;
  std::string etag;
  std::optional<domain::UserId> owner;  // kAccept: who takes it over; kReassign: who gets it
  std::optional<domain::TeamId> team;   // kReassign
  std::string reason;                   // kReject, kReassign
};
storage::Keys KeysOf(const HandoffActionCommand& command);
absl::StatusOr<Result<domain::Handoff>> Run(storage::WriteTxn& tx,
                                            const HandoffActionCommand& command);

// Each change of a routing rule or of a policy of hand-offs is a new revision that is in force from
// the next transaction on.
struct SaveRoutingRuleCommand {
  Once once;
  bool create = false;
  std::string etag;
  domain::RoutingRule values;      // `id` says which
  std::vector<std::string> paths;  // RoutingRulePaths of decode.h
};
storage::Keys KeysOf(const SaveRoutingRuleCommand& command);
absl::StatusOr<Result<domain::StoredRoutingRule>> Run(storage::WriteTxn& tx,
                                                      const SaveRoutingRuleCommand& command);

struct ArchiveRoutingRuleCommand {
  Once once;
  std::string rule;  // id
  std::string etag;
};
storage::Keys KeysOf(const ArchiveRoutingRuleCommand& command);
absl::StatusOr<Result<domain::StoredRoutingRule>> Run(storage::WriteTxn& tx,
                                                      const ArchiveRoutingRuleCommand& command);

struct SaveHandoffPolicyCommand {
  Once once;
  std::string etag;
  domain::HandoffPolicy values;    // `id` says which
  std::vector<std::string> paths;  // HandoffPolicyPaths of decode.h
};
storage::Keys KeysOf(const SaveHandoffPolicyCommand& command);
absl::StatusOr<Result<domain::HandoffPolicy>> Run(storage::WriteTxn& tx,
                                                  const SaveHandoffPolicyCommand& command);

struct SaveSegmentCommand {  // create when `segment` is absent, else update the given paths
  Once once;
  std::optional<domain::SegmentId> segment;
  std::string etag;
  domain::Segment values;  // time_dependent goes with the filter
  std::vector<std::string> paths;
};
storage::Keys KeysOf(const SaveSegmentCommand& command);
absl::StatusOr<Result<domain::Segment>> Run(storage::WriteTxn& tx,
                                            const SaveSegmentCommand& command);

struct ArchiveSegmentCommand {
  Once once;
  domain::SegmentId segment;
  std::string etag;
};
storage::Keys KeysOf(const ArchiveSegmentCommand& command);
absl::StatusOr<Result<domain::Segment>> Run(storage::WriteTxn& tx,
                                            const ArchiveSegmentCommand& command);

// What the server does by itself. Each is done once for its request id, and does nothing where
// nothing is to be done any more.

// Hands a lead over when the policy of its market asks for it at `trigger`.
struct HandOverCommand {
  Once once;
  domain::LeadId lead;
  domain::HandoffTrigger trigger = domain::HandoffTrigger::kUnspecified;
  domain::Timestamp trigger_time;
};
storage::Keys KeysOf(const HandOverCommand& command);
absl::Status Run(storage::WriteTxn& tx, const HandOverCommand& command);

// Ends what is pending for a lead that has left the way to a sale.
struct CancelHandoffsCommand {
  Once once;
  domain::LeadId lead;
};
storage::Keys KeysOf(const CancelHandoffsCommand& command);
absl::Status Run(storage::WriteTxn& tx, const CancelHandoffsCommand& command);

// Passes an overdue hand-off to the next owner; without one, or after the policy's last, it
// expires.
struct EscalateHandoffCommand {
  domain::HandoffId handoff;
};
storage::Keys KeysOf(const EscalateHandoffCommand& command);
absl::Status Run(storage::WriteTxn& tx, const EscalateHandoffCommand& command);

// A draft of a model or a policy: made, or changed in the given parts (update paths of decode.h).
template <class T>
struct SaveRevisionCommand {
  Once once;
  bool create = false;
  domain::ConfigName name;  // when it is changed: the revision to start from, 0 for the latest
  std::string etag;
  T values;
  std::vector<std::string> paths;
};
template <class T>
struct ActivateRevisionCommand {
  Once once;
  domain::ConfigName name;
  std::string etag;
};
using SaveScoringModelCommand = SaveRevisionCommand<domain::ScoringModel>;
using SavePolicyCommand = SaveRevisionCommand<domain::QualificationPolicy>;
using ActivateScoringModelCommand = ActivateRevisionCommand<domain::ScoringModel>;
using ActivatePolicyCommand = ActivateRevisionCommand<domain::QualificationPolicy>;
storage::Keys KeysOf(const SaveScoringModelCommand& command);
absl::StatusOr<Result<domain::Revised<domain::ScoringModel>>> Run(
    storage::WriteTxn& tx, const SaveScoringModelCommand& command);
storage::Keys KeysOf(const SavePolicyCommand& command);
absl::StatusOr<Result<domain::Revised<domain::QualificationPolicy>>> Run(
    storage::WriteTxn& tx, const SavePolicyCommand& command);
storage::Keys KeysOf(const ActivateScoringModelCommand& command);
absl::StatusOr<Result<domain::Revised<domain::ScoringModel>>> Run(
    storage::WriteTxn& tx, const ActivateScoringModelCommand& command);
storage::Keys KeysOf(const ActivatePolicyCommand& command);
absl::StatusOr<Result<domain::Revised<domain::QualificationPolicy>>> Run(
    storage::WriteTxn& tx, const ActivatePolicyCommand& command);

// Begins the rescoring of all leads. The work itself is done by workers, slice by slice, through
// RescoreSlice.
struct RescoreLeadsCommand {
  Once once;
};
storage::Keys KeysOf(const RescoreLeadsCommand& command);
absl::StatusOr<Result<domain::Operation>> Run(storage::WriteTxn& tx,
                                              const RescoreLeadsCommand& command);
inline constexpr char kRescoreKind[] = "rescore";  // Operation.kind

// The leads that come next, in the order of their ids. `counted` are those whose evidence is to be
// counted anew as far as the worker could see; it is counted for others, too, where need be.
struct RescoreSliceCommand {
  domain::OperationId operation;
  std::string after;  // where the operation must stand: the id of the last lead judged
  std::vector<domain::LeadId> leads;
  std::vector<bool> counted;  // of each lead
  int64_t total = 0;          // leads in all, as counted at the beginning
  bool last = false;          // none comes after these
};
storage::Keys KeysOf(const RescoreSliceCommand& command);
// FAILED_PRECONDITION, reason OPERATION_MOVED, when the operation stands elsewhere or has ended.
absl::StatusOr<domain::Operation> Run(storage::WriteTxn& tx, const RescoreSliceCommand& command);

// Ends an operation that runs, with an error of google.rpc.Code `code`.
struct FailOperationCommand {
  domain::OperationId operation;
  int64_t code = 0;
  std::string message;
};
storage::Keys KeysOf(const FailOperationCommand& command);
absl::StatusOr<domain::Operation> Run(storage::WriteTxn& tx, const FailOperationCommand& command);

// Leads whose scores are another because time passed.
struct RefreshScoresCommand {
  std::vector<domain::LeadId> leads;
};
storage::Keys KeysOf(const RefreshScoresCommand& command);
// How many deserved an event.
absl::StatusOr<int64_t> Run(storage::WriteTxn& tx, const RefreshScoresCommand& command);

// ---- OpportunityService -----------------------------------------------------------------------

struct CreateOpportunityCommand {
  Once once;
  domain::Opportunity opportunity;  // `lead` set, descriptive fields
  std::optional<domain::Timestamp> occur_time;
};
storage::Keys KeysOf(const CreateOpportunityCommand& command);
absl::StatusOr<Result<domain::Opportunity>> Run(storage::WriteTxn& tx,
                                                const CreateOpportunityCommand& command);

struct UpdateOpportunityCommand {
  Once once;
  domain::OpportunityId opportunity;
  std::string etag;
  domain::Opportunity values;
  std::vector<std::string> paths;
};
storage::Keys KeysOf(const UpdateOpportunityCommand& command);
absl::StatusOr<Result<domain::Opportunity>> Run(storage::WriteTxn& tx,
                                                const UpdateOpportunityCommand& command);

enum class OpportunityStep { kMove, kClose, kReopen };
struct OpportunityStepCommand {
  Once once;
  OpportunityStep step = OpportunityStep::kMove;
  domain::OpportunityId opportunity;
  std::string etag;
  std::string stage;                                                  // kMove
  domain::CloseOutcome outcome = domain::CloseOutcome::kUnspecified;  // kClose
  std::string reason, winning_competitor;                             // kClose, kReopen
  std::optional<domain::Money> amount;                                // kClose
  std::optional<domain::Timestamp> occur_time;
};
storage::Keys KeysOf(const OpportunityStepCommand& command);
absl::StatusOr<Result<domain::Opportunity>> Run(storage::WriteTxn& tx,
                                                const OpportunityStepCommand& command);

// ---- DirectoryService -------------------------------------------------------------------------

struct SaveUserCommand {  // create when `user` is absent, else update the given paths
  Once once;
  std::optional<domain::UserId> user;
  std::string etag;
  domain::User values;
  std::vector<std::string> paths;
};
storage::Keys KeysOf(const SaveUserCommand& command);
absl::StatusOr<Result<domain::User>> Run(storage::WriteTxn& tx, const SaveUserCommand& command);

struct SaveTeamCommand {
  Once once;
  std::optional<domain::TeamId> team;
  std::string etag;
  domain::Team values;
  std::vector<std::string> paths;
};
storage::Keys KeysOf(const SaveTeamCommand& command);
absl::StatusOr<Result<domain::Team>> Run(storage::WriteTxn& tx, const SaveTeamCommand& command);

struct ArchiveUserCommand {
  Once once;
  domain::UserId user;
  std::string etag;
};
storage::Keys KeysOf(const ArchiveUserCommand& command);
absl::StatusOr<Result<domain::User>> Run(storage::WriteTxn& tx, const ArchiveUserCommand& command);

struct ArchiveTeamCommand {
  Once once;
  domain::TeamId team;
  std::string etag;
};
storage::Keys KeysOf(const ArchiveTeamCommand& command);
absl::StatusOr<Result<domain::Team>> Run(storage::WriteTxn& tx, const ArchiveTeamCommand& command);

struct SaveCalendarCommand {
  Once once;
  std::optional<domain::CalendarId> calendar;
  std::string etag;
  domain::Calendar values;
  std::vector<std::string> paths;
};
storage::Keys KeysOf(const SaveCalendarCommand& command);
absl::StatusOr<Result<domain::Calendar>> Run(storage::WriteTxn& tx,
                                             const SaveCalendarCommand& command);

struct ArchiveCalendarCommand {
  Once once;
  domain::CalendarId calendar;
  std::string etag;
};
storage::Keys KeysOf(const ArchiveCalendarCommand& command);
absl::StatusOr<Result<domain::Calendar>> Run(storage::WriteTxn& tx,
                                             const ArchiveCalendarCommand& command);

// ---- OperationsService ------------------------------------------------------------------------

struct CancelOperationCommand {
  Once once;
  domain::OperationId operation;
};
storage::Keys KeysOf(const CancelOperationCommand& command);
absl::StatusOr<Result<domain::Operation>> Run(storage::WriteTxn& tx,
                                              const CancelOperationCommand& command);

// ---- Many in one unit -------------------------------------------------------------------------

// Items fail alone; the unit succeeds unless storage fails. Each item has its own Once.
struct BatchCaptureCommand {
  std::vector<absl::StatusOr<CaptureCommand>> items;  // an error: the item was malformed
};
storage::Keys KeysOf(const BatchCaptureCommand& command);
std::vector<absl::StatusOr<Result<Captured>>> Run(storage::WriteTxn& tx,
                                                  const BatchCaptureCommand& command);

struct BatchRecordTouchpointsCommand {
  std::vector<absl::StatusOr<RecordTouchpointCommand>> items;
};
storage::Keys KeysOf(const BatchRecordTouchpointsCommand& command);
std::vector<absl::StatusOr<Result<Recorded>>> Run(storage::WriteTxn& tx,
                                                  const BatchRecordTouchpointsCommand& command);

struct BatchAssignCommand {
  std::vector<absl::StatusOr<AssignLeadCommand>> items;
};
storage::Keys KeysOf(const BatchAssignCommand& command);
std::vector<absl::StatusOr<Result<domain::Lead>>> Run(storage::WriteTxn& tx,
                                                      const BatchAssignCommand& command);

// ---- ImportService ----------------------------------------------------------------------------

// By name, or by key in another system.
using LeadReference = std::variant<domain::LeadId, domain::ExternalId>;

struct CaptureRow {
  CaptureCommand capture;
};
struct TouchpointRow {
  LeadReference lead;
  RecordTouchpointCommand touchpoint;  // `lead` unset
};
struct QualificationRow {
  LeadReference lead;
  std::optional<AssessLeadCommand> assessment;  // `lead` unset
  bool qualify = false;
  std::optional<domain::Timestamp> occur_time;
};
struct OpportunityRow {
  LeadReference lead;
  CreateOpportunityCommand opportunity;  // `lead` unset
  std::string stage;                     // moved there at once; empty: stays in the first
};
struct CloseRow {
  domain::ExternalId opportunity;
  OpportunityStepCommand close;  // `opportunity` unset
};
struct ImportRow {
  int64_t row = 0;
  // An error: the row was malformed.
  absl::StatusOr<
      std::variant<CaptureRow, TouchpointRow, QualificationRow, OpportunityRow, CloseRow>>
      content;
};
struct ImportRowResult {
  int64_t row = 0;
  domain::ImportRowOutcome outcome = domain::ImportRowOutcome::kUnspecified;
  std::string resource;
  absl::Status status;
};
struct ImportRowsCommand {
  domain::ImportId import;
  std::string display_name;
  int64_t rows_total = 0;
  std::vector<ImportRow> rows;  // strictly increasing row numbers
  bool complete = false;
};
struct Imported {
  domain::Import import;
  std::vector<ImportRowResult> results;  // one a row
};
// The import's operation shares its id.
storage::Keys KeysOf(const ImportRowsCommand& command);
absl::StatusOr<Imported> Run(storage::WriteTxn& tx, const ImportRowsCommand& command);

}  // namespace relais::commands
