#include "server/domain/criteria.h"

#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "server/domain/calendar.h"
#include "server/domain/concat.h"
#include "server/domain/status_macros.h"

namespace relais::domain {
namespace {

constexpr int64_t kSure = 100;  // percent

template <Enumeration E>
std::string EnumText(E value) {
  return static_cast<int64_t>(value) == 0 ? std::string() : std::string(NameOf(value));
}

std::string MoneyText(const std::optional<Money>& money) {
  return money.has_value() ? FormatMoney(*money) : std::string();
}

// Readers of one member; an empty text is an absent value. False: not what Format wrote.
template <Enumeration E>
bool Read(const std::string& text, E& out) {
  if (text.empty()) return true;
  std::optional<int64_t> number = EnumTraits<E>::names().Number(text);
  if (!number.has_value()) return false;
  out = static_cast<E>(*number);
  return true;
}

bool Read(const std::string& text, std::optional<Money>& out) {
  if (text.empty()) return true;
  absl::StatusOr<Money> money = ParseMoney(text);
  if (!money.ok()) return false;
  out = *std::move(money);
  return true;
}

bool Read(const std::string& text, std::optional<int64_t>& out) {
  if (text.empty()) return true;
  int64_t number = 0;
  if (!absl::SimpleAtoi(text, &number)) return false;
  out = number;
  return true;
}

bool Read(const std::string& text, std::optional<Timestamp>& out) {
  std::optional<int64_t> micros;
  if (!Read(text, micros)) return false;
  if (micros.has_value()) out = Timestamp{*micros};
  return true;
}

// The values of an answer, each with the kind of criterion that it belongs to.
struct GivenValue {
  std::string_view field;
  CriterionKind kind;
};

std::vector<GivenValue> GivenValues(const Answer& answer) {
  std::vector<GivenValue> given;
  if (answer.budget_minimum.has_value() || answer.budget_maximum.has_value()) {
    given.push_back({"budget", CriterionKind::kBudget});
  }
  if (answer.authority_role != AuthorityRole::kUnspecified) {
    given.push_back({"authority_role", CriterionKind::kAuthority});
  }
  if (!answer.need.empty()) given.push_back({"need", CriterionKind::kNeed});
  if (answer.need_severity != NeedSeverity::kUnspecified) {
    given.push_back({"need_severity", CriterionKind::kNeed});
  }
  if (answer.target_time.has_value()) given.push_back({"target_time", CriterionKind::kTimeline});
  return given;
}

bool IsNegative(const std::optional<Money>& money) {
  return money.has_value() && money->total_nanos() < 0;
}

class AnswerCheck {
 public:
  AnswerCheck(std::string path, std::vector<FieldViolation>& out)
      : path_(std::move(path)), out_(out) {}

  void Say(std::string_view field, std::string description) {
    out_.push_back({Concat(path_, ".", field), std::move(description)});
  }

  void Budget(const Answer& answer) {
    if (IsNegative(answer.budget_minimum)) Say("budget.minimum", "must not be negative");
    if (IsNegative(answer.budget_maximum)) Say("budget.maximum", "must not be negative");
    if (!answer.budget_minimum.has_value() || !answer.budget_maximum.has_value()) return;
    if (answer.budget_minimum->currency_code != answer.budget_maximum->currency_code) {
      Say("budget.maximum", "must have the currency of the minimum");
    } else if (answer.budget_minimum->total_nanos() > answer.budget_maximum->total_nanos()) {
      Say("budget.maximum", "must not be less than the minimum");
    }
  }

 private:
  std::string path_;
  std::vector<FieldViolation>& out_;
};

std::string Describe(const UnmetCriterion& unmet, const Criterion& criterion) {
  switch (unmet.why) {
    case Unmet::kUnknown:
      return criterion.question.empty() ? "unknown" : Concat("unknown: ", criterion.question);
    case Unmet::kNotMet:
      return "not met";
    case Unmet::kExpired:
      return Concat("expired on ", DayText(DayOf(*unmet.expire_time)));
    case Unmet::kUnsure:
      return Concat("met with too little confidence: at least ", criterion.min_confidence_percent,
                    " percent are asked for");
    case Unmet::kWeight:
      break;
  }
  return "";
}

std::optional<UnmetCriterion> Judge(const Criterion& criterion, const CurrentAnswer* current,
                                    Timestamp at) {
  UnmetCriterion unmet{.criterion = criterion.id};
  if (current != nullptr && current->answer.state == CriterionState::kMet) {
    const std::optional<Timestamp>& expiry = current->answer.expire_time;
    if (expiry.has_value() && at >= *expiry) {
      unmet.why = Unmet::kExpired;
      unmet.expire_time = expiry;
    } else if (current->answer.confidence_percent.value_or(kSure) <
               criterion.min_confidence_percent) {
      unmet.why = Unmet::kUnsure;
    } else {
      return std::nullopt;
    }
  } else if (current != nullptr && current->answer.state == CriterionState::kNotMet) {
    unmet.why = Unmet::kNotMet;
  }
  unmet.description = Describe(unmet, criterion);
  return unmet;
}

std::vector<UnmetCriterion> Judge(const QualificationPolicy& policy,
                                  const std::map<std::string, CurrentAnswer>& current, Timestamp at,
                                  QualificationRound last) {
  std::vector<UnmetCriterion> unmet;
  // Of each round, the weight of what is met, and what else would add to it.
  std::map<QualificationRound, int64_t> reached;
  std::map<QualificationRound, std::string> missing_weights;
  for (const Criterion& criterion : policy.criteria) {
    if (criterion.round > last) continue;
    auto found = current.find(criterion.id);
    std::optional<UnmetCriterion> missing =
        Judge(criterion, found == current.end() ? nullptr : &found->second, at);
    if (!missing.has_value()) {
      reached[criterion.round] += criterion.weight;
    } else if (criterion.required) {
      unmet.push_back(*std::move(missing));
    } else if (criterion.weight > 0) {
      std::string& list = missing_weights[criterion.round];
      Append(list, list.empty() ? "" : ", ", criterion.id, " ", criterion.weight);
    }
  }
  for (auto [round, least] : {std::pair(QualificationRound::kMarketing, policy.marketing_weight),
                              std::pair(QualificationRound::kSales, policy.sales_weight)}) {
    if (round > last || reached[round] >= least) continue;
    unmet.push_back({.criterion = std::string(NameOf(round)),
                     .why = Unmet::kWeight,
                     .description = Concat("weighted criteria reach ", reached[round], " of ",
                                           least, "; not met: ", missing_weights[round])});
  }
  return unmet;
}

}  // namespace

CriterionAnswer FormatAnswer(const Answer& answer) {
  CriterionAnswer record;
  record.criterion = answer.criterion;
  record.state = EnumText(answer.state);
  record.budget_minimum = MoneyText(answer.budget_minimum);
  record.budget_maximum = MoneyText(answer.budget_maximum);
  record.authority_role = EnumText(answer.authority_role);
  record.need = answer.need;
  record.need_severity = EnumText(answer.need_severity);
  if (answer.target_time.has_value()) record.target_time = Concat(answer.target_time->micros);
  record.evidence = answer.evidence;
  if (answer.confidence_percent.has_value()) {
    record.confidence_percent = Concat(*answer.confidence_percent);
  }
  if (answer.expire_time.has_value()) record.expire_time = Concat(answer.expire_time->micros);
  return record;
}

absl::StatusOr<Answer> ParseAnswer(const CriterionAnswer& record) {
  Answer answer;
  answer.criterion = record.criterion;
  answer.need = record.need;
  answer.evidence = record.evidence;
  if (!Read(record.state, answer.state) || !Read(record.budget_minimum, answer.budget_minimum) ||
      !Read(record.budget_maximum, answer.budget_maximum) ||
      !Read(record.authority_role, answer.authority_role) ||
      !Read(record.need_severity, answer.need_severity) ||
      !Read(record.target_time, answer.target_time) ||
      !Read(record.confidence_percent, answer.confidence_percent) ||
      !Read(record.expire_time, answer.expire_time)) {
    return InternalFault("a stored answer to a criterion cannot be read");
  }
  return answer;
}

std::string QualificationPolicy::name() const { return Concat("qualificationPolicies/", id); }

std::string QualificationPolicy::versioned_name() const { return Concat(name(), "@", revision); }

const Criterion* QualificationPolicy::Find(std::string_view criterion) const {
  for (const Criterion& known : criteria) {
    if (known.id == criterion) return &known;
  }
  return nullptr;
}

std::vector<FieldViolation> CheckAnswers(const QualificationPolicy& policy,
                                         absl::Span<const Answer> answers, Timestamp occur_time,
                                         std::string_view prefix) {
  std::vector<FieldViolation> violations;
  if (answers.empty() || answers.size() > kMaxAnswers) {
    violations.push_back(
        {Concat(prefix, ".answers"), Concat("must hold 1 to ", kMaxAnswers, " answers")});
  }
  std::set<std::string> seen;
  for (size_t i = 0; i < answers.size(); ++i) {
    const Answer& answer = answers[i];
    AnswerCheck check(Concat(prefix, ".answers[", i, "]"), violations);
    const Criterion* criterion = policy.Find(answer.criterion);
    if (answer.criterion.empty()) {
      check.Say("criterion", "must be given");
    } else if (criterion == nullptr) {
      check.Say("criterion", Concat("is not a criterion of ", policy.name()));
    } else if (!seen.insert(answer.criterion).second) {
      check.Say("criterion", "is answered twice");
    }
    if (answer.state == CriterionState::kUnspecified) {
      check.Say("state", "must be UNKNOWN, MET or NOT_MET");
    }
    for (const GivenValue& value : GivenValues(answer)) {
      if (criterion != nullptr && criterion->kind != value.kind) {
        check.Say(value.field,
                  Concat("does not answer a criterion of kind ", NameOf(criterion->kind)));
      }
    }
    check.Budget(answer);
    if (answer.confidence_percent.has_value() &&
        (*answer.confidence_percent < 0 || *answer.confidence_percent > 100)) {
      check.Say("confidence_percent", "must be 0 to 100");
    }
    if (answer.expire_time.has_value() && *answer.expire_time <= occur_time) {
      check.Say("expire_time", "must lie after the assessment's occur_time");
    }
  }
  return violations;
}

absl::StatusOr<Assessment> Assess(const QualificationPolicy& policy, Assessment draft,
                                  absl::Span<const Answer> answers, Timestamp now,
                                  std::string_view prefix) {
  std::vector<FieldViolation> violations = CheckAnswers(policy, answers, draft.occur_time, prefix);
  absl::Status time = CheckOccurTime(Concat(prefix, ".occur_time"), draft.occur_time, now);
  if (!time.ok()) violations.push_back(FaultOf(time)->fields.front());
  if (!violations.empty()) return InvalidFields(std::move(violations));

  draft.answers.clear();
  for (Answer answer : answers) {
    if (!answer.confidence_percent.has_value()) answer.confidence_percent = 100;
    int64_t valid_days = policy.Find(answer.criterion)->valid_days;
    if (!answer.expire_time.has_value() && valid_days > 0) {
      answer.expire_time = Timestamp{draft.occur_time.micros + valid_days * kMicrosPerDay};
    }
    draft.answers.push_back(FormatAnswer(answer));
  }
  if (draft.source == AssessmentSource::kUnspecified) draft.source = AssessmentSource::kPerson;
  draft.policy = policy.versioned_name();
  return draft;
}

absl::StatusOr<Assessment> Assess(const QualificationPolicy& policy, Assessment draft,
                                  Timestamp now, std::string_view prefix) {
  std::vector<Answer> answers;
  for (const CriterionAnswer& record : draft.answers) {
    ASSIGN_OR_RETURN(Answer answer, ParseAnswer(record));
    answers.push_back(std::move(answer));
  }
  return Assess(policy, std::move(draft), answers, now, prefix);
}

absl::StatusOr<std::map<std::string, CurrentAnswer>> CurrentAnswers(
    absl::Span<const Assessment> assessments, Timestamp at) {
  struct Rank {
    Timestamp occur_time, create_time;
    AssessmentId id;
    auto operator<=>(const Rank&) const = default;
  };
  std::map<std::string, CurrentAnswer> current;
  std::map<std::string, Rank> ranks;
  for (const Assessment& assessment : assessments) {
    if (assessment.occur_time.micros > at.micros + kClockSkewMicros) continue;
    Rank rank{assessment.occur_time, assessment.create_time, assessment.id};
    for (const CriterionAnswer& record : assessment.answers) {
      auto [held, is_new] = ranks.try_emplace(record.criterion, rank);
      if (!is_new) {
        if (rank < held->second) continue;
        held->second = rank;
      }
      ASSIGN_OR_RETURN(Answer answer, ParseAnswer(record));
      current[record.criterion] = {std::move(answer), assessment.id, assessment.occur_time};
    }
  }
  return current;
}

absl::StatusOr<std::vector<UnmetCriterion>> CheckCriteria(const QualificationPolicy& policy,
                                                          absl::Span<const Assessment> assessments,
                                                          Timestamp at, QualificationRound round) {
  ASSIGN_OR_RETURN(auto current, CurrentAnswers(assessments, at));
  return Judge(policy, current, at, round);
}

absl::Status CheckPolicy(const QualificationPolicy& policy) {
  std::vector<FieldViolation> violations;
  auto say = [&](std::string field, std::string description) {
    violations.push_back({std::move(field), std::move(description)});
  };
  auto range = [&](std::string field, int64_t value, int64_t least, int64_t most) {
    if (value < least || value > most) {
      say(std::move(field), Concat("must be ", least, " to ", most));
    }
  };
  if (policy.criteria.empty() || policy.criteria.size() > kMaxCriteria) {
    say("criteria", Concat("must hold 1 to ", kMaxCriteria, " criteria"));
  }
  std::set<std::string> ids;
  std::map<QualificationRound, int64_t> weights;
  for (size_t i = 0; i < policy.criteria.size(); ++i) {
    const Criterion& criterion = policy.criteria[i];
    const std::string path = Concat("criteria[", i, "].");
    if (!criterion.id.empty() && !ids.insert(criterion.id).second) {
      say(path + "criterion", "is used twice");
    }
    range(path + "valid_days", criterion.valid_days, 0, kMaxValidDays);
    range(path + "min_confidence_percent", criterion.min_confidence_percent, 0, kSure);
    if (criterion.required && criterion.weight != 0) {
      say(path + "weight", "must be 0: a required criterion is not weighed");
    } else {
      range(path + "weight", criterion.weight, 0, kMaxWeight);
    }
    if (!criterion.required) weights[criterion.round] += criterion.weight;
  }
  for (auto [field, round, least] :
       {std::tuple("marketing_weight", QualificationRound::kMarketing, policy.marketing_weight),
        std::tuple("sales_weight", QualificationRound::kSales, policy.sales_weight)}) {
    if (least < 0 || least > weights[round]) {
      say(field, Concat("must be 0 to ", weights[round], ", the sum of the weights of its round"));
    }
  }
  return violations.empty() ? absl::OkStatus() : InvalidFields(std::move(violations));
}

absl::StatusOr<QualifyOutcome> Qualify(const Lead& lead, absl::Span<const Assessment> assessments,
                                       const QualificationPolicy& policy,
                                       const TransitionContext& context) {
  // The stage first: a lead that cannot be qualified at all should not be told to answer questions.
  ASSIGN_OR_RETURN(Lead prospect, Transit(lead, Trigger::kQualifyLead, context));
  ASSIGN_OR_RETURN(auto current, CurrentAnswers(assessments, context.occur_time));
  std::vector<UnmetCriterion> unmet =
      Judge(policy, current, context.occur_time, QualificationRound::kSales);
  if (!unmet.empty()) {
    std::vector<PreconditionViolation> violations;
    for (UnmetCriterion& missing : unmet) {
      violations.push_back({missing.why == Unmet::kWeight ? "WEIGHT" : "CRITERION",
                            std::move(missing.criterion), std::move(missing.description)});
    }
    std::string message =
        Concat(violations.size(), violations.size() == 1 ? " criterion" : " criteria", " of ",
               policy.name(), " not met");
    return PreconditionFailed("CRITERIA_NOT_MET", message, std::move(violations));
  }
  QualifyOutcome outcome{.lead = std::move(prospect), .rule_version = policy.versioned_name()};
  const CurrentAnswer* latest = nullptr;
  for (const Criterion& criterion : policy.criteria) {
    auto found = current.find(criterion.id);
    if (found == current.end() || found->second.answer.state != CriterionState::kMet) continue;
    if (latest == nullptr || std::tie(latest->occur_time, latest->assessment) <
                                 std::tie(found->second.occur_time, found->second.assessment)) {
      latest = &found->second;
    }
  }
  if (latest != nullptr) outcome.basis = NameOf(lead.id, latest->assessment);
  return outcome;
}

}  // namespace relais::domain
