// Criteria of qualification: what a policy asks, what is known, and what is missing.
//
// Assessments are append-only. Per criterion the answer with the latest occur_time holds; of two
// given at the same moment the one recorded later, then the one with the greater id. An answer that
// has expired is not met.
//
// Pure values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/enums.h"
#include "server/domain/faults.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "server/domain/lifecycle.h"
#include "server/domain/value.h"

namespace relais::domain {

// Answers of one assessment (qualification.proto).
inline constexpr size_t kMaxAnswers = 50;

// The typed view of a CriterionAnswer.
struct Answer {
  std::string criterion;
  CriterionState state = CriterionState::kUnspecified;
  std::optional<Money> budget_minimum, budget_maximum;
  AuthorityRole authority_role = AuthorityRole::kUnspecified;
  std::string need;
  NeedSeverity need_severity = NeedSeverity::kUnspecified;
  std::optional<Timestamp> target_time;
  std::string evidence;
  std::optional<int64_t> confidence_percent;  // 0 to 100
  std::optional<Timestamp> expire_time;       // from then on it does not hold
  friend bool operator==(const Answer&, const Answer&) = default;
};

CriterionAnswer FormatAnswer(const Answer& answer);
// INTERNAL when the stored record cannot be read back.
absl::StatusOr<Answer> ParseAnswer(const CriterionAnswer& record);

struct Criterion {
  std::string id;  // "budget"
  CriterionKind kind = CriterionKind::kUnspecified;
  bool required = false;
  std::string question;
  int64_t valid_days = 0;  // 0: an answer never expires by itself
  // MARKETING before a lead is handed to sales, SALES before it becomes a prospect.
  QualificationRound round = QualificationRound::kSales;
  int64_t weight = 0;                  // 1 to 100 where it is not required; 0 where it is
  int64_t min_confidence_percent = 0;  // an answer that is less sure is not met; 0 to 100
};

struct QualificationPolicy {
  std::string id;  // "bant"
  std::string display_name;
  Market market = Market::kUnspecified;
  int64_t revision = 1;
  std::vector<Criterion> criteria;
  bool built_in = false;
  // Least sum of the weights of those weighted criteria of a round that are met; 0: none needed.
  int64_t marketing_weight = 0, sales_weight = 0;

  std::string name() const;                                 // "qualificationPolicies/bant"
  std::string versioned_name() const;                       // "qualificationPolicies/bant@1"
  const Criterion* Find(std::string_view criterion) const;  // null when it asks no such thing
};

// Every rule that `answers` break, each with its path below `prefix` ("assessment" gives
// "assessment.answers[0].criterion"): none or too many answers; a criterion that the policy does
// not know, or twice; no state; a value of another kind than the criterion's; a budget that is
// negative, upside down or in two currencies; a confidence outside 0 to 100; an expiry not after
// occur_time.
std::vector<FieldViolation> CheckAnswers(const QualificationPolicy& policy,
                                         absl::Span<const Answer> answers, Timestamp occur_time,
                                         std::string_view prefix);

// The assessment ready to be kept: `draft` (id, lead, author, source, times) with the answers
// checked and completed: confidence 100 where none is given, expiry after the policy's term, source
// PERSON, the policy's versioned name. Errors: INVALID_ARGUMENT with every violation of
// CheckAnswers and of occur_time ("{prefix}.occur_time").
absl::StatusOr<Assessment> Assess(const QualificationPolicy& policy, Assessment draft,
                                  absl::Span<const Answer> answers, Timestamp now,
                                  std::string_view prefix = "assessment");

// The same, with the answers as records in `draft`. INTERNAL for a record that FormatAnswer did not
// make.
absl::StatusOr<Assessment> Assess(const QualificationPolicy& policy, Assessment draft,
                                  Timestamp now, std::string_view prefix = "assessment");

struct CurrentAnswer {
  Answer answer;
  AssessmentId assessment;
  Timestamp occur_time;
};

// The answers that hold at `at`, by criterion; expired ones included. Answers given later than
// `at` (beyond the allowed clock skew) are not known yet. INTERNAL for a damaged record.
absl::StatusOr<std::map<std::string, CurrentAnswer>> CurrentAnswers(
    absl::Span<const Assessment> assessments, Timestamp at);

enum class Unmet : int8_t { kUnknown, kNotMet, kExpired, kUnsure, kWeight };

struct UnmetCriterion {
  std::string criterion;  // of kWeight the round: "MARKETING"
  Unmet why = Unmet::kUnknown;
  std::optional<Timestamp> expire_time = {};  // kExpired only
  std::string description = {};               // "unknown: ...", "not met", "expired on 2026-01-31"
};

// What keeps a lead from passing the rounds up to `round` at `at`: the required criteria that are
// not met, in the policy's order, then each round whose weights do not reach its sum. INTERNAL as
// above.
absl::StatusOr<std::vector<UnmetCriterion>> CheckCriteria(
    const QualificationPolicy& policy, absl::Span<const Assessment> assessments, Timestamp at,
    QualificationRound round = QualificationRound::kSales);

// A policy's own rules, with paths such as "criteria[2].criterion"; INVALID_ARGUMENT with every
// violation.
absl::Status CheckPolicy(const QualificationPolicy& policy);
inline constexpr size_t kMaxCriteria = 50;
inline constexpr int64_t kMaxValidDays = 3650;
inline constexpr int64_t kMaxWeight = 100;

struct QualifyOutcome {
  Lead lead;
  std::string basis =
      {};  // leads/{l}/assessments/{a} with the latest answer that counted, or empty
  std::string rule_version;  // the policy's versioned name
};

// LEAD to PROSPECT at context.occur_time. Errors, in this order:
//   INVALID_ARGUMENT: occur_time in the future;
//   FAILED_PRECONDITION, reason ILLEGAL_TRANSITION: the lead is not LEAD;
//   FAILED_PRECONDITION, reason CRITERIA_NOT_MET: one violation of type CRITERION per unmet one.
absl::StatusOr<QualifyOutcome> Qualify(const Lead& lead, absl::Span<const Assessment> assessments,
                                       const QualificationPolicy& policy,
                                       const TransitionContext& context);

}  // namespace relais::domain
