// Every call of the contract that decodes a request: a good request of each, and how it is decoded.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "server/convert/decode.h"

namespace relais::convert {

inline constexpr domain::Timestamp kNow = {1'767'225'600'000'000};  // 2026-01-01T00:00:00Z
inline constexpr char kLeadName[] = "leads/0190a0b0-0000-7000-8000-000000000001";
inline constexpr char kUserName[] = "users/0190a0b0-0000-7000-8000-0000000000a1";
inline constexpr char kTeamName[] = "teams/0190a0b0-0000-7000-8000-0000000000b1";
inline constexpr char kOpportunityName[] = "opportunities/0190a0b0-0000-7000-8000-0000000000c1";
inline constexpr char kImportName[] = "imports/0190a0b0-0000-7000-8000-0000000000d1";
inline constexpr char kCalendarName[] = "calendars/0190a0b0-0000-7000-8000-0000000000f1";
inline constexpr char kHandoffName[] = "handoffs/0190a0b0-0000-7000-8000-0000000000f2";
inline constexpr char kRequestId[] = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";

// Keys of tests, never of an installation.
inline DecodeContext TestContext() {
  static const auto* const kDigester = new Digester("test key of digests");
  static const auto* const kPages = new PageTokens("test key of pages");
  return {.now = kNow, .digester = kDigester, .pages = kPages, .tenant = "default"};
}

struct CallCase {
  std::unique_ptr<google::protobuf::Message> good;
  // What decoding says of a request: one status, or those of the items of a batch.
  std::function<std::vector<absl::Status>(const google::protobuf::Message&)> parse;
};

template <class T>
std::vector<absl::Status> StatusesOf(const absl::StatusOr<T>& parsed) {
  if (!parsed.ok()) return {parsed.status()};
  std::vector<absl::Status> out;
  if constexpr (requires { parsed->command.items; }) {
    for (const auto& item : parsed->command.items) out.push_back(item.status());
  } else if constexpr (requires { parsed->command.rows; }) {
    for (const auto& row : parsed->command.rows) out.push_back(row.content.status());
  }
  if (out.empty()) out.push_back(absl::OkStatus());
  return out;
}

class Calls {
 public:
  Calls();
  const std::map<std::string, CallCase>& cases() const { return cases_; }

 private:
  template <class R, class P>
  void Add(std::string name, P (*parse)(const R&, const DecodeContext&), const std::string& text) {
    auto good = std::make_unique<R>();
    if (!google::protobuf::TextFormat::ParseFromString(text, good.get())) std::abort();
    cases_[std::move(name)] = {std::move(good), [parse](const google::protobuf::Message& in) {
                                 return StatusesOf(parse(static_cast<const R&>(in), TestContext()));
                               }};
  }

  std::map<std::string, CallCase> cases_;
};

inline Calls::Calls() {
  const std::string lead = kLeadName, user = kUserName, team = kTeamName, deal = kOpportunityName,
                    import = kImportName;
  const std::string capture =
      R"(lead { person { emails { address: "ada@example.com" } } } )"
      R"(touchpoint { kind: TOUCHPOINT_KIND_FORM source: "site" } )"
      R"(consents { channel: CONSENT_CHANNEL_EMAIL purpose: CONSENT_PURPOSE_MARKETING
                    state: CONSENT_STATE_GRANTED } )";
  const std::string touchpoint = R"(touchpoint { kind: TOUCHPOINT_KIND_CALL source: "pbx" } )";
  const std::string answers = R"(answers { criterion: "budget" state: CRITERION_STATE_MET } )";
  auto name = [](const std::string& value) { return "name: '" + value + "' "; };
  auto parent = [](const std::string& value) { return "parent: '" + value + "' "; };

  Add("CaptureLead", &ParseCaptureLead, capture);
  Add("BatchCaptureLeads", &ParseBatchCaptureLeads, "requests {" + capture + "}");
  Add("GetLead", &ParseGetLead, name(lead));
  Add("BatchGetLeads", &ParseBatchGetLeads, "names: '" + lead + "'");
  Add("LookupLead", &ParseLookupLead, "email: 'ada@example.com'");
  Add("ListLeads", &ParseListLeads, "");
  Add("SearchLeads", &ParseSearchLeads, "query: 'ada'");
  Add("FindDuplicates", &ParseFindDuplicates, name(lead));
  const std::string other = "leads/0190a0b0-0000-7000-8000-000000000002";
  Add("MergeLeads", &ParseMergeLeads,
      name(lead) + "leads: '" + other + "' sources { path: 'person.given_name' lead: '" + other +
          "' }");
  Add("UnmergeLead", &ParseUnmergeLead, name(lead));
  Add("UpdateLead", &ParseUpdateLead, "lead {" + name(lead) + "}");
  Add("RecordTouchpoint", &ParseRecordTouchpoint, parent(lead) + touchpoint);
  Add("BatchRecordTouchpoints", &ParseBatchRecordTouchpoints,
      "requests {" + parent(lead) + touchpoint + "}");
  Add("ListTouchpoints", &ParseListTouchpoints, parent(lead));
  Add("ListLeadTransitions", &ParseListLeadTransitions, parent(lead));
  Add("ListLeadChanges", &ParseListLeadChanges, parent(lead));
  Add("AssignLead", &ParseAssignLead, name(lead) + "owner: '" + user + "'");
  Add("BatchAssignLeads", &ParseBatchAssignLeads,
      "requests {" + name(lead) + "owner: '" + user + "' }");

  Add("SetConsent", &ParseSetConsent,
      parent(lead) +
          "consent { channel: CONSENT_CHANNEL_SMS purpose: CONSENT_PURPOSE_SALES "
          "state: CONSENT_STATE_WITHDRAWN }");
  Add("ListConsents", &ParseListConsents, parent(lead));

  Add("AssessLead", &ParseAssessLead, parent(lead) + "assessment {" + answers + "}");
  Add("ListAssessments", &ParseListAssessments, parent(lead));
  Add("QualifyLead", &ParseQualifyLead, name(lead));
  Add("DisqualifyLead", &ParseDisqualifyLead, name(lead) + "reason: 'no need'");
  Add("RecycleLead", &ParseRecycleLead, name(lead) + "reason: 'came back'");
  Add("OverrideQualification", &ParseOverrideQualification, name(lead) + "reason: 'known'");
  Add("CreateQualificationPolicy", &ParseCreateQualificationPolicy,
      "qualification_policy_id: 'two' qualification_policy { display_name: 'Two' market: "
      "MARKET_B2B criteria { criterion: 'pain' kind: CRITERION_KIND_NEED required: true } }");
  Add("UpdateQualificationPolicy", &ParseUpdateQualificationPolicy,
      "qualification_policy {" + name("qualificationPolicies/bant") + "}");
  Add("ActivateQualificationPolicy", &ParseActivateQualificationPolicy,
      name("qualificationPolicies/bant@2"));
  Add("CreateScoringModel", &ParseCreateScoringModel,
      "scoring_model_id: 'calls' scoring_model { display_name: 'Calls' market: MARKET_B2B "
      "grade_bounds { fit: [3, 2, 1] engagement: [3, 2, 1] } groups { group: 'g' cap_points: 5 } "
      "rules { rule: 'call' dimension: SCORE_DIMENSION_INTENT touchpoint_filter: 'kind = CALL' "
      "points: 3 window_days: 30 group: 'g' } }");
  Add("UpdateScoringModel", &ParseUpdateScoringModel,
      "scoring_model {" + name("scoringModels/b2b") + "}");
  Add("ActivateScoringModel", &ParseActivateScoringModel, name("scoringModels/b2b@2"));
  Add("SimulateScoringModel", &ParseSimulateScoringModel, name("scoringModels/b2b"));
  Add("RescoreLeads", &ParseRescoreLeads, "");
  Add("GetQualificationPolicy", &ParseGetQualificationPolicy, name("qualificationPolicies/bant"));
  Add("ListQualificationPolicies", &ParseListQualificationPolicies, "");
  Add("GetScoringModel", &ParseGetScoringModel, name("scoringModels/b2b@1"));
  Add("ListScoringModels", &ParseListScoringModels, "");
  Add("ScoreLead", &ParseScoreLead, name(lead));
  Add("ExplainScore", &ParseExplainScore, name(lead));

  Add("CreateOpportunity", &ParseCreateOpportunity,
      "opportunity { lead: '" + lead + "' intention: 'wants ten seats' }");
  Add("GetOpportunity", &ParseGetOpportunity, name(deal));
  Add("ListOpportunities", &ParseListOpportunities, "");
  Add("UpdateOpportunity", &ParseUpdateOpportunity, "opportunity {" + name(deal) + "}");
  Add("MoveOpportunity", &ParseMoveOpportunity, name(deal) + "stage: 'negotiation'");
  Add("CloseOpportunity", &ParseCloseOpportunity,
      name(deal) + "outcome: CLOSE_OUTCOME_LOST reason: 'price'");
  Add("ReopenOpportunity", &ParseReopenOpportunity, name(deal) + "reason: 'new budget'");
  Add("GetPipeline", &ParseGetPipeline, name("pipelines/default"));
  Add("ListPipelines", &ParseListPipelines, "");

  Add("CreateUser", &ParseCreateUser, "user { display_name: 'Grace' }");
  Add("GetUser", &ParseGetUser, name(user));
  Add("ListUsers", &ParseListUsers, "");
  Add("UpdateUser", &ParseUpdateUser, "user {" + name(user) + "}");
  Add("ArchiveUser", &ParseArchiveUser, name(user));
  Add("CreateTeam", &ParseCreateTeam, "team { display_name: 'North' }");
  Add("GetTeam", &ParseGetTeam, name(team));
  Add("ListTeams", &ParseListTeams, "");
  Add("UpdateTeam", &ParseUpdateTeam, "team {" + name(team) + "}");
  Add("ArchiveTeam", &ParseArchiveTeam, name(team));

  const std::string calendar = kCalendarName, handoff = kHandoffName;
  Add("CreateCalendar", &ParseCreateCalendar,
      "calendar { display_name: 'Office' time_zone: 'Europe/Paris' working_hours { "
      "day: WEEKDAY_MONDAY start: '09:00' end: '17:00' } holidays { date: '2026-12-25' } }");
  Add("GetCalendar", &ParseGetCalendar, name(calendar));
  Add("ListCalendars", &ParseListCalendars, "");
  Add("UpdateCalendar", &ParseUpdateCalendar, "calendar {" + name(calendar) + "}");
  Add("ArchiveCalendar", &ParseArchiveCalendar, name(calendar));

  Add("CreateHandoff", &ParseCreateHandoff, "handoff { lead: '" + lead + "' }");
  Add("AcceptHandoff", &ParseAcceptHandoff, name(handoff));
  Add("RejectHandoff", &ParseRejectHandoff, name(handoff) + "reason: 'too small'");
  Add("ReassignHandoff", &ParseReassignHandoff, name(handoff));
  Add("GetHandoff", &ParseGetHandoff, name(handoff));
  const std::string segment = "segments/0190a0b0-0000-7000-8000-0000000000f3";
  Add("CreateSegment", &ParseCreateSegment, "segment { display_name: 'Hot' filter: 'score > 50' }");
  Add("GetSegment", &ParseGetSegment, name(segment));
  Add("ListSegments", &ParseListSegments, "");
  Add("UpdateSegment", &ParseUpdateSegment, "segment {" + name(segment) + "}");
  Add("ArchiveSegment", &ParseArchiveSegment, name(segment));
  Add("ListSegmentLeads", &ParseListSegmentLeads, parent(segment));
  Add("CountSegments", &ParseCountSegments, "");
  Add("CreateRoutingRule", &ParseCreateRoutingRule,
      "routing_rule_id: 'field' routing_rule { display_name: 'Field' team: '" + team +
          "' strategy: ROUTING_STRATEGY_ROUND_ROBIN }");
  Add("UpdateRoutingRule", &ParseUpdateRoutingRule, "routing_rule { name: 'routingRules/field' }");
  Add("ArchiveRoutingRule", &ParseArchiveRoutingRule, name("routingRules/field"));
  Add("GetRoutingRule", &ParseGetRoutingRule, name("routingRules/field@2"));
  Add("ListRoutingRules", &ParseListRoutingRules, "");
  Add("UpdateHandoffPolicy", &ParseUpdateHandoffPolicy,
      "handoff_policy { name: 'handoffPolicies/b2b' }");
  Add("GetHandoffPolicy", &ParseGetHandoffPolicy, name("handoffPolicies/b2b@1"));
  Add("ListHandoffPolicies", &ParseListHandoffPolicies, "");
  Add("ListHandoffs", &ParseListHandoffs, "");

  const std::string by_key = "lead { external_id { system: 'crm' id: '7' } } ";
  Add("ImportRows", &ParseImportRows, name(import) + "rows { row: 1 capture {" + capture + "} }");
  Add("ImportRows of touchpoints", &ParseImportRows,
      name(import) + "rows { row: 1 touchpoint {" + by_key + touchpoint + "} }");
  Add("ImportRows of qualifications", &ParseImportRows,
      name(import) + "rows { row: 1 qualification {" + by_key + "assessment {" + answers +
          "} qualify: true } }");
  Add("ImportRows of opportunities", &ParseImportRows,
      name(import) + "rows { row: 1 opportunity {" + by_key +
          "opportunity { intention: 'wants it' } } }");
  Add("ImportRows of closes", &ParseImportRows,
      name(import) +
          "rows { row: 1 close { opportunity { system: 'crm' id: '9' } "
          "outcome: CLOSE_OUTCOME_LOST reason: 'price' } }");
  Add("GetImport", &ParseGetImport, name(import));
  Add("ListImports", &ParseListImports, "");
  Add("ExportLeads", &ParseExportLeads, "");

  Add("Watch", &ParseWatch, "");
  Add("GetFunnel", &ParseGetFunnel, "");
  const std::string operation = "operations/0190a0b0-0000-7000-8000-0000000000e1";
  Add("GetOperation", &ParseGetOperation, name(operation));
  Add("WatchOperation", &ParseWatchOperation, name(operation));
  Add("ListOperations", &ParseListOperations, "");
  Add("CancelOperation", &ParseCancelOperation, name(operation));
}

}  // namespace relais::convert
