// Requests to commands and queries: decoded, checked, normalised.
//
// Every Parse function reports all that is wrong at once: INVALID_ARGUMENT, reason INVALID_FIELD,
// one violation for each field with its path in the request and the rule; the value stands there
// only when the field is not personal. A bad page token, filter or order is reported alone (reasons
// INVALID_PAGE_TOKEN, INVALID_FILTER, INVALID_FIELD). Nothing here reads storage: whether a name
// exists is found out later.
//
// Output-only fields of a resource are ignored on input. A request id is checked and made
// canonical; with validate_only it is left out of the command, which then neither reads nor keeps
// it.
//
// Thread-safe: pure but for the key material in the context.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "relais/v1/directory_service.pb.h"
#include "relais/v1/event_service.pb.h"
#include "relais/v1/import_service.pb.h"
#include "relais/v1/insight_service.pb.h"
#include "relais/v1/lead_service.pb.h"
#include "relais/v1/operations_service.pb.h"
#include "relais/v1/opportunity_service.pb.h"
#include "relais/v1/privacy_service.pb.h"
#include "relais/v1/qualification_service.pb.h"
#include "server/commands/commands.h"
#include "server/convert/digest.h"
#include "server/convert/page_token.h"
#include "server/domain/configuration.h"
#include "server/domain/filter.h"
#include "server/domain/identity.h"
#include "server/domain/value.h"

namespace relais::convert {

struct DecodeContext {
  domain::Timestamp now;               // the server's clock at the call
  const Digester* digester = nullptr;  // for calls that take a request id
  const PageTokens* pages = nullptr;   // for lists
  std::string_view tenant;             // for lists and the feed
};

template <class C>
struct Parsed {
  C command;
  bool validate_only = false;
};

// ---- LeadService ------------------------------------------------------------------------------

absl::StatusOr<Parsed<commands::CaptureCommand>> ParseCaptureLead(
    const v1::CaptureLeadRequest& request, const DecodeContext& context);
// A malformed item is an error in its place, with paths that begin with "requests[i]."; the request
// itself is refused when it is empty or has more than 1000 items.
absl::StatusOr<Parsed<commands::BatchCaptureCommand>> ParseBatchCaptureLeads(
    const v1::BatchCaptureLeadsRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::UpdateLeadCommand>> ParseUpdateLead(
    const v1::UpdateLeadRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::RecordTouchpointCommand>> ParseRecordTouchpoint(
    const v1::RecordTouchpointRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::BatchRecordTouchpointsCommand>> ParseBatchRecordTouchpoints(
    const v1::BatchRecordTouchpointsRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::MergeLeadsCommand>> ParseMergeLeads(
    const v1::MergeLeadsRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::UnmergeLeadCommand>> ParseUnmergeLead(
    const v1::UnmergeLeadRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::AssignLeadCommand>> ParseAssignLead(
    const v1::AssignLeadRequest& request, const DecodeContext& context);

absl::StatusOr<Parsed<commands::BatchAssignCommand>> ParseBatchAssignLeads(
    const v1::BatchAssignLeadsRequest& request, const DecodeContext& context);

struct LeadAt {
  domain::LeadId lead;
  std::optional<domain::Timestamp> read_time;  // absent: now
  // The model to judge by, of calls that take one; absent: the lead's own.
  std::optional<domain::ConfigName> model = {};
};
absl::StatusOr<LeadAt> ParseGetLead(const v1::GetLeadRequest& request,
                                    const DecodeContext& context);
absl::StatusOr<std::vector<domain::LeadId>> ParseBatchGetLeads(
    const v1::BatchGetLeadsRequest& request, const DecodeContext& context);
absl::StatusOr<domain::IdentityKey> ParseLookupLead(const v1::LookupLeadRequest& request,
                                                    const DecodeContext& context);

// A page of a list. Read `query.limit + 1` rows to learn whether there is another page; its token
// is NextPageToken(context, page, last row sent).
struct ListPage {
  storage::ListQuery query;
  std::string scope;  // digest of the PageScope
};
absl::StatusOr<ListPage> ParseListLeads(const v1::ListLeadsRequest& request,
                                        const DecodeContext& context);
absl::StatusOr<ListPage> ParseListTouchpoints(const v1::ListTouchpointsRequest& request,
                                              const DecodeContext& context);

// Words of a search, folded, and how many of the best hits earlier pages have shown.
struct SearchPage {
  std::vector<std::string> words;
  int limit = 0;
  int64_t offset = 0;
  std::string scope;
};
absl::StatusOr<SearchPage> ParseSearchLeads(const v1::SearchLeadsRequest& request,
                                            const DecodeContext& context);

// Candidates of a lead, the likeliest first, and how many of them earlier pages have shown.
struct DuplicatesPage {
  domain::LeadId lead;
  int min_score = 0;
  int limit = 0;
  int64_t offset = 0;
  std::string scope;
};
absl::StatusOr<DuplicatesPage> ParseFindDuplicates(const v1::FindDuplicatesRequest& request,
                                                   const DecodeContext& context);
std::string NextPageToken(const DecodeContext& context, const DuplicatesPage& page, int64_t shown);

// A page of one lead's history, by event number. `score` is the lead's score after `after_number`,
// for TransitionOf (encode.h).
struct HistoryPage {
  domain::LeadId lead;
  int limit = 0;
  int64_t after_number = 0;
  int64_t score = 0;
  std::string scope;
};
absl::StatusOr<HistoryPage> ParseListLeadTransitions(const v1::ListLeadTransitionsRequest& request,
                                                     const DecodeContext& context);
absl::StatusOr<HistoryPage> ParseListLeadChanges(const v1::ListLeadChangesRequest& request,
                                                 const DecodeContext& context);

// ---- PrivacyService ---------------------------------------------------------------------------

absl::StatusOr<Parsed<commands::SetConsentCommand>> ParseSetConsent(
    const v1::SetConsentRequest& request, const DecodeContext& context);
absl::StatusOr<ListPage> ParseListConsents(const v1::ListConsentsRequest& request,
                                           const DecodeContext& context);

// ---- QualificationService ---------------------------------------------------------------------

absl::StatusOr<Parsed<commands::AssessLeadCommand>> ParseAssessLead(
    const v1::AssessLeadRequest& request, const DecodeContext& context);
absl::StatusOr<ListPage> ParseListAssessments(const v1::ListAssessmentsRequest& request,
                                              const DecodeContext& context);
absl::StatusOr<Parsed<commands::LeadStepCommand>> ParseQualifyLead(
    const v1::QualifyLeadRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::LeadStepCommand>> ParseDisqualifyLead(
    const v1::DisqualifyLeadRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::LeadStepCommand>> ParseRecycleLead(
    const v1::RecycleLeadRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::LeadStepCommand>> ParseOverrideQualification(
    const v1::OverrideQualificationRequest& request, const DecodeContext& context);
// Paths of an update are field names of the message: "rules", "grade_bounds".
absl::StatusOr<Parsed<commands::SaveScoringModelCommand>> ParseCreateScoringModel(
    const v1::CreateScoringModelRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::SaveScoringModelCommand>> ParseUpdateScoringModel(
    const v1::UpdateScoringModelRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::ActivateScoringModelCommand>> ParseActivateScoringModel(
    const v1::ActivateScoringModelRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::SavePolicyCommand>> ParseCreateQualificationPolicy(
    const v1::CreateQualificationPolicyRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::SavePolicyCommand>> ParseUpdateQualificationPolicy(
    const v1::UpdateQualificationPolicyRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::ActivatePolicyCommand>> ParseActivateQualificationPolicy(
    const v1::ActivateQualificationPolicyRequest& request, const DecodeContext& context);
struct SimulationQuery {
  domain::ConfigName model;
  std::optional<domain::Timestamp> end_time;  // absent: now
  bool figures_only = false;
};
absl::StatusOr<SimulationQuery> ParseSimulateScoringModel(
    const v1::SimulateScoringModelRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::RescoreLeadsCommand>> ParseRescoreLeads(
    const v1::RescoreLeadsRequest& request, const DecodeContext& context);
absl::StatusOr<LeadAt> ParseScoreLead(const v1::ScoreLeadRequest& request,
                                      const DecodeContext& context);
absl::StatusOr<LeadAt> ParseExplainScore(const v1::ExplainScoreRequest& request,
                                         const DecodeContext& context);

absl::StatusOr<Parsed<commands::CreateHandoffCommand>> ParseCreateHandoff(
    const v1::CreateHandoffRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::HandoffActionCommand>> ParseAcceptHandoff(
    const v1::AcceptHandoffRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::HandoffActionCommand>> ParseRejectHandoff(
    const v1::RejectHandoffRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::HandoffActionCommand>> ParseReassignHandoff(
    const v1::ReassignHandoffRequest& request, const DecodeContext& context);
absl::StatusOr<domain::HandoffId> ParseGetHandoff(const v1::GetHandoffRequest& request,
                                                  const DecodeContext& context);
absl::StatusOr<ListPage> ParseListHandoffs(const v1::ListHandoffsRequest& request,
                                           const DecodeContext& context);

absl::StatusOr<Parsed<commands::SaveRoutingRuleCommand>> ParseCreateRoutingRule(
    const v1::CreateRoutingRuleRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::SaveRoutingRuleCommand>> ParseUpdateRoutingRule(
    const v1::UpdateRoutingRuleRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::ArchiveRoutingRuleCommand>> ParseArchiveRoutingRule(
    const v1::ArchiveRoutingRuleRequest& request, const DecodeContext& context);
absl::StatusOr<domain::ConfigName> ParseGetRoutingRule(const v1::GetRoutingRuleRequest& request,
                                                       const DecodeContext& context);
absl::StatusOr<Parsed<commands::SaveHandoffPolicyCommand>> ParseUpdateHandoffPolicy(
    const v1::UpdateHandoffPolicyRequest& request, const DecodeContext& context);
// As Config::FindHandoffPolicy takes it.
absl::StatusOr<std::string> ParseGetHandoffPolicy(const v1::GetHandoffPolicyRequest& request,
                                                  const DecodeContext& context);

absl::StatusOr<Parsed<commands::SaveSegmentCommand>> ParseCreateSegment(
    const v1::CreateSegmentRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::SaveSegmentCommand>> ParseUpdateSegment(
    const v1::UpdateSegmentRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::ArchiveSegmentCommand>> ParseArchiveSegment(
    const v1::ArchiveSegmentRequest& request, const DecodeContext& context);
absl::StatusOr<domain::SegmentId> ParseGetSegment(const v1::GetSegmentRequest& request,
                                                  const DecodeContext& context);
absl::StatusOr<ListPage> ParseListSegments(const v1::ListSegmentsRequest& request,
                                           const DecodeContext& context);
absl::StatusOr<ListPage> ParseListSegmentLeads(const v1::ListSegmentLeadsRequest& request,
                                               const DecodeContext& context);
// Empty: all that are not archived.
absl::StatusOr<std::vector<domain::SegmentId>> ParseCountSegments(
    const v1::CountSegmentsRequest& request, const DecodeContext& context);

absl::StatusOr<domain::ConfigName> ParseGetQualificationPolicy(
    const v1::GetQualificationPolicyRequest& request, const DecodeContext& context);
absl::StatusOr<domain::ConfigName> ParseGetScoringModel(const v1::GetScoringModelRequest& request,
                                                        const DecodeContext& context);
// As Config::FindPipeline takes it.
absl::StatusOr<std::string> ParseGetPipeline(const v1::GetPipelineRequest& request,
                                             const DecodeContext& context);

// A page of configuration: the names greater than `after`, in their order (of a policy or model
// what services/named.h makes of name and revision).
struct NamePage {
  int limit = 0;
  std::string after;
  std::string scope;
};
absl::StatusOr<NamePage> ParseListQualificationPolicies(
    const v1::ListQualificationPoliciesRequest& request, const DecodeContext& context);
absl::StatusOr<NamePage> ParseListRoutingRules(const v1::ListRoutingRulesRequest& request,
                                               const DecodeContext& context);
absl::StatusOr<NamePage> ParseListHandoffPolicies(const v1::ListHandoffPoliciesRequest& request,
                                                  const DecodeContext& context);
absl::StatusOr<NamePage> ParseListScoringModels(const v1::ListScoringModelsRequest& request,
                                                const DecodeContext& context);
absl::StatusOr<NamePage> ParseListPipelines(const v1::ListPipelinesRequest& request,
                                            const DecodeContext& context);

// ---- OpportunityService -----------------------------------------------------------------------

absl::StatusOr<Parsed<commands::CreateOpportunityCommand>> ParseCreateOpportunity(
    const v1::CreateOpportunityRequest& request, const DecodeContext& context);
absl::StatusOr<domain::OpportunityId> ParseGetOpportunity(const v1::GetOpportunityRequest& request,
                                                          const DecodeContext& context);
absl::StatusOr<ListPage> ParseListOpportunities(const v1::ListOpportunitiesRequest& request,
                                                const DecodeContext& context);
absl::StatusOr<Parsed<commands::UpdateOpportunityCommand>> ParseUpdateOpportunity(
    const v1::UpdateOpportunityRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::OpportunityStepCommand>> ParseMoveOpportunity(
    const v1::MoveOpportunityRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::OpportunityStepCommand>> ParseCloseOpportunity(
    const v1::CloseOpportunityRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::OpportunityStepCommand>> ParseReopenOpportunity(
    const v1::ReopenOpportunityRequest& request, const DecodeContext& context);

// ---- DirectoryService -------------------------------------------------------------------------

absl::StatusOr<Parsed<commands::SaveUserCommand>> ParseCreateUser(
    const v1::CreateUserRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::SaveUserCommand>> ParseUpdateUser(
    const v1::UpdateUserRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::ArchiveUserCommand>> ParseArchiveUser(
    const v1::ArchiveUserRequest& request, const DecodeContext& context);
absl::StatusOr<domain::UserId> ParseGetUser(const v1::GetUserRequest& request,
                                            const DecodeContext& context);
absl::StatusOr<ListPage> ParseListUsers(const v1::ListUsersRequest& request,
                                        const DecodeContext& context);
absl::StatusOr<Parsed<commands::SaveTeamCommand>> ParseCreateTeam(
    const v1::CreateTeamRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::SaveTeamCommand>> ParseUpdateTeam(
    const v1::UpdateTeamRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::ArchiveTeamCommand>> ParseArchiveTeam(
    const v1::ArchiveTeamRequest& request, const DecodeContext& context);
absl::StatusOr<domain::TeamId> ParseGetTeam(const v1::GetTeamRequest& request,
                                            const DecodeContext& context);
absl::StatusOr<ListPage> ParseListTeams(const v1::ListTeamsRequest& request,
                                        const DecodeContext& context);

absl::StatusOr<Parsed<commands::SaveCalendarCommand>> ParseCreateCalendar(
    const v1::CreateCalendarRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::SaveCalendarCommand>> ParseUpdateCalendar(
    const v1::UpdateCalendarRequest& request, const DecodeContext& context);
absl::StatusOr<Parsed<commands::ArchiveCalendarCommand>> ParseArchiveCalendar(
    const v1::ArchiveCalendarRequest& request, const DecodeContext& context);
absl::StatusOr<domain::CalendarId> ParseGetCalendar(const v1::GetCalendarRequest& request,
                                                    const DecodeContext& context);
absl::StatusOr<ListPage> ParseListCalendars(const v1::ListCalendarsRequest& request,
                                            const DecodeContext& context);

// ---- ImportService ----------------------------------------------------------------------------

// A malformed row is an error in its place, with paths that begin with "rows[i]."; the chunk itself
// is refused for a bad name, more than 1000 rows, or rows that do not rise.
absl::StatusOr<Parsed<commands::ImportRowsCommand>> ParseImportRows(
    const v1::ImportRowsRequest& request, const DecodeContext& context);
absl::StatusOr<domain::ImportId> ParseGetImport(const v1::GetImportRequest& request,
                                                const DecodeContext& context);
absl::StatusOr<ListPage> ParseListImports(const v1::ListImportsRequest& request,
                                          const DecodeContext& context);
// The query of the first page; go on with `query.after = CursorOf(last, query.order_path)`.
absl::StatusOr<storage::ListQuery> ParseExportLeads(const v1::ExportLeadsRequest& request,
                                                    const DecodeContext& context);

// ---- EventService -----------------------------------------------------------------------------

struct WatchQuery {
  std::optional<ResumePoint> resume;  // when given, the digest of its event is to be compared
  int64_t after_number = 0;           // that of `resume`, else the caller's; -1: from the head on
  std::optional<domain::Filter> filter;  // against EventSubject
  bool until_now = false;
};
absl::StatusOr<WatchQuery> ParseWatch(const v1::WatchRequest& request,
                                      const DecodeContext& context);

// ---- InsightService ---------------------------------------------------------------------------

absl::StatusOr<storage::FunnelQuery> ParseGetFunnel(const v1::GetFunnelRequest& request,
                                                    const DecodeContext& context);

// ---- OperationsService ------------------------------------------------------------------------

absl::StatusOr<domain::OperationId> ParseGetOperation(const v1::GetOperationRequest& request,
                                                      const DecodeContext& context);
absl::StatusOr<domain::OperationId> ParseWatchOperation(const v1::WatchOperationRequest& request,
                                                        const DecodeContext& context);
absl::StatusOr<ListPage> ParseListOperations(const v1::ListOperationsRequest& request,
                                             const DecodeContext& context);
absl::StatusOr<Parsed<commands::CancelOperationCommand>> ParseCancelOperation(
    const v1::CancelOperationRequest& request, const DecodeContext& context);

// ---- Tokens of following pages ----------------------------------------------------------------

// The place of an entity in a list ordered by `order_path`: the path of a field of its table, or
// "<money field>.units".
template <class E>
storage::Cursor CursorOf(const E& entity, std::string_view order_path) {
  if (const domain::Field<E>* field = domain::FindField<E>(order_path)) {
    return {field->get(entity), entity.id.value};
  }
  constexpr std::string_view kUnits = ".units";
  domain::Value units;
  if (order_path.ends_with(kUnits)) {
    order_path.remove_suffix(kUnits.size());
    if (const domain::Field<E>* field = domain::FindField<E>(order_path)) {
      domain::Value money = field->get(entity);
      if (money.if_money() != nullptr) units = domain::Value(money.if_money()->units);
    }
  }
  return {std::move(units), entity.id.value};
}

template <class E>
std::string NextPageToken(const DecodeContext& context, const ListPage& page, const E& last) {
  return context.pages->Make(page.scope, CursorOf(last, page.query.order_path));
}
// After the hits of this page, `shown` of them.
std::string NextPageToken(const DecodeContext& context, const SearchPage& page, int64_t shown);
// After event `number`, when the lead had `score`.
std::string NextPageToken(const DecodeContext& context, const HistoryPage& page, int64_t number,
                          int64_t score);
std::string NextPageToken(const DecodeContext& context, const NamePage& page,
                          std::string_view last_name);

}  // namespace relais::convert
