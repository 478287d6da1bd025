// What is kept about a lead as it happened: touchpoints, consents, assessments. All append-only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/domain/enums.h"
#include "server/domain/fields.h"
#include "server/domain/ids.h"
#include "server/domain/money.h"
#include "server/domain/value.h"

namespace relais::domain {

struct Touchpoint {
  TouchpointId id;
  LeadId lead;
  TouchpointKind kind = TouchpointKind::kUnspecified;
  Channel channel = Channel::kUnspecified;
  Timestamp occur_time, create_time;
  std::string source, external_id;
  std::string campaign, topic, url, body;
  std::optional<Money> value;
  std::optional<int64_t> duration_seconds;
  std::map<std::string, std::string> properties;
  std::string actor;
  friend bool operator==(const Touchpoint&, const Touchpoint&) = default;
};

struct Consent {
  ConsentId id;
  LeadId lead;
  ConsentChannel channel = ConsentChannel::kUnspecified;
  ConsentPurpose purpose = ConsentPurpose::kUnspecified;
  ConsentState state = ConsentState::kUnspecified;
  LegalBasis legal_basis = LegalBasis::kUnspecified;
  std::string wording_version, source, proof;
  Timestamp occur_time, create_time;
  std::string actor;
  friend bool operator==(const Consent&, const Consent&) = default;
};

// The answer to one criterion, in text members so that it is stored as a record: enums by name,
// money as FormatMoney writes it, times as decimal microseconds; empty when not given. The typed
// view is in criteria.h.
struct CriterionAnswer {
  static constexpr std::string_view kMemberNames[] = {
      "criterion",  "state",         "budget_minimum", "budget_maximum", "authority_role",
      "need",       "need_severity", "target_time",    "evidence",       "confidence_percent",
      "expire_time"};
  static constexpr absl::Span<const std::string_view> kMembers = kMemberNames;
  std::string criterion, state, budget_minimum, budget_maximum, authority_role, need, need_severity,
      target_time, evidence, confidence_percent, expire_time;
  friend bool operator==(const CriterionAnswer&, const CriterionAnswer&) = default;
};

struct Assessment {
  AssessmentId id;
  LeadId lead;
  std::vector<CriterionAnswer> answers;
  AssessmentSource source = AssessmentSource::kUnspecified;
  std::string author;
  Timestamp occur_time, create_time;
  std::string policy;  // qualificationPolicies/{id}@{revision}
  friend bool operator==(const Assessment&, const Assessment&) = default;
};

Value ToValue(const std::vector<CriterionAnswer>& v);
void FromValue(const Value& v, std::vector<CriterionAnswer>& out);

template <>
absl::Span<const Field<Touchpoint>> FieldsOf<Touchpoint>();
template <>
absl::Span<const Field<Consent>> FieldsOf<Consent>();
template <>
absl::Span<const Field<Assessment>> FieldsOf<Assessment>();

}  // namespace relais::domain
