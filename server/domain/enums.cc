#include "server/domain/enums.h"

namespace relais::domain {
namespace {

template <size_t N>
constexpr EnumNames Names(std::string_view type, const std::string_view (&names)[N]) {
  return EnumNames{type, absl::MakeConstSpan(names, N)};
}

}  // namespace

const EnumNames& EnumTraits<Stage>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "LEAD",     "PROSPECT",
                                                "OPPORTUNITY", "CUSTOMER", "DISQUALIFIED"};
  static constexpr EnumNames kEnum = Names("Stage", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<Market>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "B2B", "B2C"};
  static constexpr EnumNames kEnum = Names("Market", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<Maturity>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "DISCOVERY", "CONSIDERATION",
                                                "DECISION"};
  static constexpr EnumNames kEnum = Names("Maturity", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<Channel>::names() {
  static constexpr std::string_view kNames[] = {
      "UNSPECIFIED",   "WEBSITE_FORM", "CONTENT_DOWNLOAD", "SEO",   "SOCIAL",  "PAID_SEARCH",
      "PAID_SOCIAL",   "DISPLAY",      "DIRECT",           "EMAIL", "WEBINAR", "EVENT",
      "BUSINESS_CARD", "REFERRAL",     "PARTNER",          "PHONE", "CHAT",    "IMPORT",
      "API",           "OTHER",        "UNKNOWN"};
  static constexpr EnumNames kEnum = Names("Channel", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<TouchpointKind>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED",
                                                "PAGE_VIEW",
                                                "FORM",
                                                "DOWNLOAD_ARTICLE",
                                                "DOWNLOAD_WHITE_PAPER",
                                                "DOWNLOAD_VIDEO",
                                                "WEBINAR_REGISTERED",
                                                "WEBINAR_ATTENDED",
                                                "EVENT_REGISTERED",
                                                "EVENT_ATTENDED",
                                                "BUSINESS_CARD",
                                                "CHAT",
                                                "CALL",
                                                "MEETING",
                                                "NOTE",
                                                "DEMO_REQUEST",
                                                "PRICING_VIEW",
                                                "EMAIL_SENT",
                                                "EMAIL_DELIVERED",
                                                "EMAIL_OPENED",
                                                "EMAIL_CLICKED",
                                                "EMAIL_BOUNCED",
                                                "EMAIL_COMPLAINED",
                                                "EMAIL_UNSUBSCRIBED",
                                                "QUOTE_VIEWED",
                                                "CUSTOM"};
  static constexpr EnumNames kEnum = Names("TouchpointKind", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<ConsentChannel>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "EMAIL", "PHONE",
                                                "SMS",         "POST",  "ANY"};
  static constexpr EnumNames kEnum = Names("ConsentChannel", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<ConsentPurpose>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "MARKETING", "SALES", "PROFILING",
                                                "SHARING"};
  static constexpr EnumNames kEnum = Names("ConsentPurpose", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<ConsentState>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "GRANTED", "WITHDRAWN"};
  static constexpr EnumNames kEnum = Names("ConsentState", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<LegalBasis>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "CONSENT", "CONTRACT",
                                                "LEGITIMATE_INTEREST", "LEGAL_OBLIGATION"};
  static constexpr EnumNames kEnum = Names("LegalBasis", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<CriterionState>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "UNKNOWN", "MET", "NOT_MET"};
  static constexpr EnumNames kEnum = Names("CriterionState", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<CriterionKind>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "BUDGET",   "AUTHORITY",
                                                "NEED",        "TIMELINE", "TEXT"};
  static constexpr EnumNames kEnum = Names("CriterionKind", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<AuthorityRole>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "DECISION_MAKER", "BUDGET_HOLDER",
                                                "CHAMPION",    "INFLUENCER",     "USER"};
  static constexpr EnumNames kEnum = Names("AuthorityRole", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<NeedSeverity>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "LOW", "MEDIUM", "HIGH", "CRITICAL"};
  static constexpr EnumNames kEnum = Names("NeedSeverity", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<AssessmentSource>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "PERSON", "FORM", "IMPORT", "MODEL"};
  static constexpr EnumNames kEnum = Names("AssessmentSource", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<ScoreBand>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "CURIOUS", "WARM", "READY"};
  static constexpr EnumNames kEnum = Names("ScoreBand", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<QualificationRound>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "MARKETING", "SALES"};
  static constexpr EnumNames kEnum = Names("QualificationRound", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<ScoreDimension>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "FIT", "ENGAGEMENT", "INTENT"};
  static constexpr EnumNames kEnum = Names("ScoreDimension", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<OpportunityState>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "OPEN", "WON", "LOST"};
  static constexpr EnumNames kEnum = Names("OpportunityState", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<CloseOutcome>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "WON", "LOST"};
  static constexpr EnumNames kEnum = Names("CloseOutcome", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<IdentityKind>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "EXTERNAL_ID", "EMAIL", "PHONE"};
  static constexpr EnumNames kEnum = Names("IdentityKind", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<CaptureOutcome>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "CREATED", "MATCHED"};
  static constexpr EnumNames kEnum = Names("CaptureOutcome", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<ImportState>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "RUNNING", "COMPLETED", "CANCELLED"};
  static constexpr EnumNames kEnum = Names("ImportState", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<ImportRowOutcome>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "DONE", "UNCHANGED", "FAILED"};
  static constexpr EnumNames kEnum = Names("ImportRowOutcome", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<OperationState>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "RUNNING", "SUCCEEDED", "FAILED",
                                                "CANCELLED"};
  static constexpr EnumNames kEnum = Names("OperationState", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<ConfigKind>::names() {
  static constexpr std::string_view kNames[] = {
      "UNSPECIFIED", "SCORING_MODEL", "QUALIFICATION_POLICY", "ROUTING_RULE", "HANDOFF_POLICY"};
  static constexpr EnumNames kEnum = Names("ConfigKind", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<RevisionState>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "DRAFT", "ACTIVE", "RETIRED",
                                                "ARCHIVED"};
  static constexpr EnumNames kEnum = Names("RevisionState", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<Weekday>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "MONDAY", "TUESDAY",  "WEDNESDAY",
                                                "THURSDAY",    "FRIDAY", "SATURDAY", "SUNDAY"};
  static constexpr EnumNames kEnum = Names("Weekday", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<HandoffState>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "PENDING", "ACCEPTED",
                                                "REJECTED",    "EXPIRED", "CANCELLED"};
  static constexpr EnumNames kEnum = Names("HandoffState", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<HandoffTrigger>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "MANUAL", "QUALIFIED", "THRESHOLD"};
  static constexpr EnumNames kEnum = Names("HandoffTrigger", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<SegmentState>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "BUILDING", "READY", "ARCHIVED"};
  static constexpr EnumNames kEnum = Names("SegmentState", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<RoutingStrategy>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "ROUND_ROBIN", "WEIGHTED",
                                                "LEAST_LOADED"};
  static constexpr EnumNames kEnum = Names("RoutingStrategy", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<DuplicateReason>::names() {
  static constexpr std::string_view kNames[] = {
      "UNSPECIFIED", "GIVEN_NAME",  "FAMILY_NAME", "SWAPPED_NAMES", "ORGANIZATION",
      "DOMAIN",      "EMAIL",       "PHONE",       "BIRTH_DATE",    "STREET",
      "LOCALITY",    "POSTAL_CODE", "COMMON_MATCH"};
  static constexpr EnumNames kEnum = Names("DuplicateReason", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<Likeness>::names() {
  static constexpr std::string_view kNames[] = {"UNSPECIFIED", "EXACT",    "NEAR",
                                                "SIMILAR",     "NICKNAME", "DIFFERENT"};
  static constexpr EnumNames kEnum = Names("Likeness", kNames);
  return kEnum;
}

const EnumNames& EnumTraits<EventType>::names() {
  static constexpr std::string_view kNames[] = {
      "UNSPECIFIED",          "LEAD_CREATED",        "LEAD_UPDATED",          "LEAD_TRANSITIONED",
      "LEAD_ASSIGNED",        "TOUCHPOINT_RECORDED", "CONSENT_SET",           "LEAD_ASSESSED",
      "OPPORTUNITY_CREATED",  "OPPORTUNITY_UPDATED", "OPPORTUNITY_MOVED",     "OPPORTUNITY_CLOSED",
      "OPPORTUNITY_REOPENED", "USER_CHANGED",        "TEAM_CHANGED",          "IMPORT_CHANGED",
      "OPERATION_CHANGED",    "LEAD_RESCORED",       "CONFIGURATION_CHANGED", "CALENDAR_CHANGED",
      "HANDOFF_CREATED",      "HANDOFF_ACCEPTED",    "HANDOFF_REJECTED",      "HANDOFF_REASSIGNED",
      "HANDOFF_CLOSED",       "SEGMENT_CHANGED",     "SEGMENT_ENTERED",       "SEGMENT_EXITED",
      "LEAD_MERGED",          "LEAD_UNMERGED"};
  static constexpr EnumNames kEnum = Names("EventType", kNames);
  return kEnum;
}

}  // namespace relais::domain
