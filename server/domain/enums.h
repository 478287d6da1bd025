// The enums of the domain. Numbers and names equal those of the contract (a test in tests/convert
// compares them with the descriptors), so conversions are casts and filters share the names.
#pragma once

#include <cstdint>

#include "server/domain/fields.h"

namespace relais::domain {

enum class Stage : int8_t {
  kUnspecified,
  kLead,
  kProspect,
  kOpportunity,
  kCustomer,
  kDisqualified
};
enum class Market : int8_t { kUnspecified, kB2b, kB2c };
enum class Maturity : int8_t { kUnspecified, kDiscovery, kConsideration, kDecision };
enum class Channel : int8_t {
  kUnspecified,
  kWebsiteForm,
  kContentDownload,
  kSeo,
  kSocial,
  kPaidSearch,
  kPaidSocial,
  kDisplay,
  kDirect,
  kEmail,
  kWebinar,
  kEvent,
  kBusinessCard,
  kReferral,
  kPartner,
  kPhone,
  kChat,
  kImport,
  kApi,
  kOther,
  kUnknown
};
enum class TouchpointKind : int8_t {
  kUnspecified,
  kPageView,
  kForm,
  kDownloadArticle,
  kDownloadWhitePaper,
  kDownloadVideo,
  kWebinarRegistered,
  kWebinarAttended,
  kEventRegistered,
  kEventAttended,
  kBusinessCard,
  kChat,
  kCall,
  kMeeting,
  kNote,
  kDemoRequest,
  kPricingView,
  kEmailSent,
  kEmailDelivered,
  kEmailOpened,
  kEmailClicked,
  kEmailBounced,
  kEmailComplained,
  kEmailUnsubscribed,
  kQuoteViewed,
  kCustom
};
enum class ConsentChannel : int8_t { kUnspecified, kEmail, kPhone, kSms, kPost, kAny };
enum class ConsentPurpose : int8_t { kUnspecified, kMarketing, kSales, kProfiling, kSharing };
enum class ConsentState : int8_t { kUnspecified, kGranted, kWithdrawn };
enum class LegalBasis : int8_t {
  kUnspecified,
  kConsent,
  kContract,
  kLegitimateInterest,
  kLegalObligation
};
enum class CriterionState : int8_t { kUnspecified, kUnknown, kMet, kNotMet };
enum class CriterionKind : int8_t { kUnspecified, kBudget, kAuthority, kNeed, kTimeline, kText };
enum class AuthorityRole : int8_t {
  kUnspecified,
  kDecisionMaker,
  kBudgetHolder,
  kChampion,
  kInfluencer,
  kUser
};
enum class NeedSeverity : int8_t { kUnspecified, kLow, kMedium, kHigh, kCritical };
enum class AssessmentSource : int8_t { kUnspecified, kPerson, kForm, kImport, kModel };
enum class ScoreBand : int8_t { kUnspecified, kCurious, kWarm, kReady };
enum class QualificationRound : int8_t { kUnspecified, kMarketing, kSales };
enum class ScoreDimension : int8_t { kUnspecified, kFit, kEngagement, kIntent };
enum class OpportunityState : int8_t { kUnspecified, kOpen, kWon, kLost };
enum class CloseOutcome : int8_t { kUnspecified, kWon, kLost };
enum class IdentityKind : int8_t { kUnspecified, kExternalId, kEmail, kPhone };
enum class CaptureOutcome : int8_t { kUnspecified, kCreated, kMatched };
enum class ImportState : int8_t { kUnspecified, kRunning, kCompleted, kCancelled };
enum class ImportRowOutcome : int8_t { kUnspecified, kDone, kUnchanged, kFailed };
enum class OperationState : int8_t { kUnspecified, kRunning, kSucceeded, kFailed, kCancelled };
// What a stored document of configuration is (domain/configuration.h). Kept in the database: a
// number is never given another meaning.
enum class ConfigKind : int8_t {
  kUnspecified,
  kScoringModel,
  kQualificationPolicy,
  kRoutingRule,
  kHandoffPolicy
};
enum class RevisionState : int8_t { kUnspecified, kDraft, kActive, kRetired, kArchived };
enum class Weekday : int8_t {
  kUnspecified,
  kMonday,
  kTuesday,
  kWednesday,
  kThursday,
  kFriday,
  kSaturday,
  kSunday
};
enum class HandoffState : int8_t {
  kUnspecified,
  kPending,
  kAccepted,
  kRejected,
  kExpired,
  kCancelled
};
enum class HandoffTrigger : int8_t { kUnspecified, kManual, kQualified, kThreshold };
enum class SegmentState : int8_t { kUnspecified, kBuilding, kReady, kArchived };
enum class RoutingStrategy : int8_t { kUnspecified, kRoundRobin, kWeighted, kLeastLoaded };
// What of two records is alike (domain/duplicates.h).
enum class DuplicateReason : int8_t {
  kUnspecified,
  kGivenName,
  kFamilyName,
  kSwappedNames,  // given and family name in each other's place
  kOrganization,
  kDomain,
  kEmail,
  kPhone,
  kBirthDate,
  kStreet,
  kLocality,
  kPostalCode,
  kCommonMatch,  // not alike by themselves: both are like a third
};

// How far the compared values agree.
enum class Likeness : int8_t { kUnspecified, kExact, kNear, kSimilar, kNickname, kDifferent };
enum class EventType : int8_t {
  kUnspecified,
  kLeadCreated,
  kLeadUpdated,
  kLeadTransitioned,
  kLeadAssigned,
  kTouchpointRecorded,
  kConsentSet,
  kLeadAssessed,
  kOpportunityCreated,
  kOpportunityUpdated,
  kOpportunityMoved,
  kOpportunityClosed,
  kOpportunityReopened,
  kUserChanged,
  kTeamChanged,
  kImportChanged,
  kOperationChanged,
  kLeadRescored,
  kConfigurationChanged,
  kCalendarChanged,
  kHandoffCreated,
  kHandoffAccepted,
  kHandoffRejected,
  kHandoffReassigned,
  kHandoffClosed,
  kSegmentChanged,
  kSegmentEntered,
  kSegmentExited,
  kLeadMerged,
  kLeadUnmerged
};

#define RELAIS_ENUM_NAMES(E)         \
  template <>                        \
  struct EnumTraits<E> {             \
    static const EnumNames& names(); \
  }
RELAIS_ENUM_NAMES(Stage);
RELAIS_ENUM_NAMES(Market);
RELAIS_ENUM_NAMES(Maturity);
RELAIS_ENUM_NAMES(Channel);
RELAIS_ENUM_NAMES(TouchpointKind);
RELAIS_ENUM_NAMES(ConsentChannel);
RELAIS_ENUM_NAMES(ConsentPurpose);
RELAIS_ENUM_NAMES(ConsentState);
RELAIS_ENUM_NAMES(LegalBasis);
RELAIS_ENUM_NAMES(CriterionState);
RELAIS_ENUM_NAMES(CriterionKind);
RELAIS_ENUM_NAMES(AuthorityRole);
RELAIS_ENUM_NAMES(NeedSeverity);
RELAIS_ENUM_NAMES(AssessmentSource);
RELAIS_ENUM_NAMES(ScoreBand);
RELAIS_ENUM_NAMES(QualificationRound);
RELAIS_ENUM_NAMES(ScoreDimension);
RELAIS_ENUM_NAMES(OpportunityState);
RELAIS_ENUM_NAMES(CloseOutcome);
RELAIS_ENUM_NAMES(IdentityKind);
RELAIS_ENUM_NAMES(CaptureOutcome);
RELAIS_ENUM_NAMES(ImportState);
RELAIS_ENUM_NAMES(ImportRowOutcome);
RELAIS_ENUM_NAMES(OperationState);
RELAIS_ENUM_NAMES(ConfigKind);
RELAIS_ENUM_NAMES(RevisionState);
RELAIS_ENUM_NAMES(Weekday);
RELAIS_ENUM_NAMES(HandoffState);
RELAIS_ENUM_NAMES(HandoffTrigger);
RELAIS_ENUM_NAMES(SegmentState);
RELAIS_ENUM_NAMES(RoutingStrategy);
RELAIS_ENUM_NAMES(DuplicateReason);
RELAIS_ENUM_NAMES(Likeness);
RELAIS_ENUM_NAMES(EventType);
#undef RELAIS_ENUM_NAMES

template <Enumeration E>
std::string_view NameOf(E value) {
  return EnumTraits<E>::names().Name(static_cast<int64_t>(value));
}

}  // namespace relais::domain
