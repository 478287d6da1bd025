#include "server/domain/criteria.h"

#include <string>
#include <vector>

#include "server/domain/builtin.h"
#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

const Timestamp kNow = At(2026, 3, 1, 3600);

const QualificationPolicy& Bant() {
  return *BuiltInConfig().FindPolicy("qualificationPolicies/bant");
}

Answer Met(std::string criterion) {
  Answer answer;
  answer.criterion = std::move(criterion);
  answer.state = CriterionState::kMet;
  return answer;
}

Answer In(CriterionState state, std::string criterion) {
  Answer answer = Met(std::move(criterion));
  answer.state = state;
  return answer;
}

Assessment Given(int number, Timestamp occur_time, std::vector<Answer> answers,
                 Timestamp create_time = kNow) {
  Assessment assessment;
  assessment.id = AssessmentId(Uuid(number));
  assessment.lead = LeadId(Uuid(1));
  assessment.occur_time = occur_time;
  assessment.create_time = create_time;
  for (const Answer& answer : answers) assessment.answers.push_back(FormatAnswer(answer));
  return assessment;
}

std::vector<Answer> AllMet() {
  return {Met("budget"), Met("authority"), Met("need"), Met("timeline")};
}

TransitionContext Context(Timestamp occur_time) {
  return {.now = kNow, .occur_time = occur_time, .reason = "talked"};
}

// ---- records ----------------------------------------------------------------------------------

TEST(AnswerTest, EveryMemberComesBackFromItsRecord) {
  Answer answer;
  answer.criterion = "budget";
  answer.state = CriterionState::kNotMet;
  answer.budget_minimum = Money{"EUR", 10'000, 500'000'000};
  answer.budget_maximum = Money{"EUR", 20'000, 0};
  answer.authority_role = AuthorityRole::kChampion;
  answer.need = "a quicker engine";
  answer.need_severity = NeedSeverity::kCritical;
  answer.target_time = At(2026, 9, 30);
  answer.evidence = "said so";
  answer.confidence_percent = 0;
  answer.expire_time = Timestamp{0};
  absl::StatusOr<Answer> back = ParseAnswer(FormatAnswer(answer));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, answer);
  EXPECT_EQ(*ParseAnswer(FormatAnswer(Answer{})), Answer{});
}

TEST(AnswerTest, DamagedRecordsAreFaultsOfOurs) {
  CriterionAnswer good = FormatAnswer(Met("budget"));
  for (std::string CriterionAnswer::*member :
       {&CriterionAnswer::state, &CriterionAnswer::budget_minimum, &CriterionAnswer::budget_maximum,
        &CriterionAnswer::authority_role, &CriterionAnswer::need_severity,
        &CriterionAnswer::target_time, &CriterionAnswer::confidence_percent,
        &CriterionAnswer::expire_time}) {
    CriterionAnswer bad = good;
    bad.*member = "?";
    EXPECT_EQ(ParseAnswer(bad).status().code(), absl::StatusCode::kInternal);
  }
}

// ---- checking answers -------------------------------------------------------------------------

std::vector<std::string> Broken(std::vector<Answer> answers) {
  std::vector<std::string> fields;
  for (const FieldViolation& violation : CheckAnswers(Bant(), answers, kNow, "assessment")) {
    fields.push_back(violation.field);
  }
  return fields;
}

TEST(CheckAnswersTest, GoodAnswersBreakNothing) {
  Answer budget = Met("budget");
  budget.budget_minimum = budget.budget_maximum = Money{"EUR", 1, 0};
  budget.confidence_percent = 100;
  budget.expire_time = At(2026, 12, 1);
  Answer need = Met("need");
  need.need = "x";
  need.need_severity = NeedSeverity::kLow;
  EXPECT_THAT(Broken({budget, need, In(CriterionState::kUnknown, "timeline")}), IsEmpty());
}

TEST(CheckAnswersTest, NoneAndTooManyAreRefused) {
  EXPECT_THAT(Broken({}), ElementsAre("assessment.answers"));
  std::vector<Answer> many(kMaxAnswers + 1, Met("budget"));
  EXPECT_THAT(Broken(many), ::testing::Contains("assessment.answers"));
}

TEST(CheckAnswersTest, UnknownEmptyAndRepeatedCriteriaAreNamed) {
  EXPECT_THAT(Broken({Met("budget"), Met("colour"), Met(""), Met("budget")}),
              ElementsAre("assessment.answers[1].criterion", "assessment.answers[2].criterion",
                          "assessment.answers[3].criterion"));
}

TEST(CheckAnswersTest, AnAnswerNeedsAState) {
  EXPECT_THAT(Broken({In(CriterionState::kUnspecified, "budget")}),
              ElementsAre("assessment.answers[0].state"));
}

TEST(CheckAnswersTest, ValuesOfAnotherKindAreNamedOneByOne) {
  Answer wrong = Met("budget");
  wrong.authority_role = AuthorityRole::kUser;
  wrong.need = "x";
  wrong.need_severity = NeedSeverity::kLow;
  wrong.target_time = kNow;
  EXPECT_THAT(
      Broken({wrong}),
      ElementsAre("assessment.answers[0].authority_role", "assessment.answers[0].need",
                  "assessment.answers[0].need_severity", "assessment.answers[0].target_time"));
  Answer need = Met("need");
  need.budget_maximum = Money{"EUR", 1, 0};
  EXPECT_THAT(Broken({need}), ElementsAre("assessment.answers[0].budget"));
}

TEST(CheckAnswersTest, BudgetsAreOneCurrencyNotNegativeAndTheRightWayUp) {
  Answer budget = Met("budget");
  budget.budget_minimum = Money{"EUR", 2, 0};
  budget.budget_maximum = Money{"EUR", 1, 999'999'999};
  EXPECT_THAT(Broken({budget}), ElementsAre("assessment.answers[0].budget.maximum"));
  budget.budget_maximum = Money{"USD", 3, 0};
  EXPECT_THAT(Broken({budget}), ElementsAre("assessment.answers[0].budget.maximum"));
  budget.budget_minimum = Money{"EUR", 0, -1};
  budget.budget_maximum.reset();
  EXPECT_THAT(Broken({budget}), ElementsAre("assessment.answers[0].budget.minimum"));
}

TEST(CheckAnswersTest, ConfidenceAndExpiryHaveTheirBounds) {
  Answer answer = Met("budget");
  answer.confidence_percent = 101;
  answer.expire_time = kNow;
  EXPECT_THAT(Broken({answer}), ElementsAre("assessment.answers[0].confidence_percent",
                                            "assessment.answers[0].expire_time"));
  answer.confidence_percent = -1;
  answer.expire_time = Timestamp{kNow.micros + 1};
  EXPECT_THAT(Broken({answer}), ElementsAre("assessment.answers[0].confidence_percent"));
}

TEST(AssessTest, AnswersAreCompletedFromThePolicy) {
  Assessment draft = Given(5, At(2026, 1, 1), {});
  Answer explicit_answer = Met("need");
  explicit_answer.confidence_percent = 40;
  explicit_answer.expire_time = At(2027, 1, 1);
  std::vector<Answer> answers = {Met("budget"), explicit_answer};
  absl::StatusOr<Assessment> kept = Assess(Bant(), draft, answers, kNow);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->policy, "qualificationPolicies/bant@1");
  EXPECT_EQ(kept->source, AssessmentSource::kPerson);
  Answer budget = *ParseAnswer(kept->answers[0]);
  EXPECT_EQ(budget.confidence_percent, 100);
  EXPECT_EQ(budget.expire_time, At(2026, 6, 30));  // 180 days
  EXPECT_EQ(*ParseAnswer(kept->answers[1]), explicit_answer);
  // The same from records.
  draft.answers = {FormatAnswer(answers[0]), FormatAnswer(answers[1])};
  EXPECT_EQ(*Assess(Bant(), draft, kNow), *kept);
}

TEST(AssessTest, ViolationsOfTimeAndAnswersComeTogetherUnderTheGivenPrefix) {
  Assessment draft = Given(5, {kNow.micros + kMicrosPerDay}, {});
  std::vector<Answer> answers = {Met("colour")};
  absl::StatusOr<Assessment> refused = Assess(Bant(), draft, answers, kNow, "row.assessment");
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(
      FieldsIn(refused.status()),
      UnorderedElementsAre("row.assessment.answers[0].criterion", "row.assessment.occur_time"));
}

// ---- what holds -------------------------------------------------------------------------------

TEST(CurrentAnswersTest, TheLatestOccurTimeHoldsWhateverTheOrderOfRecording) {
  std::vector<Assessment> assessments = {
      Given(1, At(2026, 2, 10), {In(CriterionState::kNotMet, "budget")}, At(2026, 2, 10)),
      Given(2, At(2026, 2, 5), {Met("budget"), Met("need")}, At(2026, 2, 20))};
  auto current = CurrentAnswers(assessments, kNow);
  ASSERT_TRUE(current.ok());
  EXPECT_EQ(current->at("budget").answer.state, CriterionState::kNotMet);
  EXPECT_EQ(current->at("budget").assessment.value, Uuid(1));
  EXPECT_EQ(current->at("need").answer.state, CriterionState::kMet);
}

TEST(CurrentAnswersTest, OfTheSameMomentTheLaterRecordedThenTheGreaterIdHolds) {
  Timestamp at = At(2026, 2, 10);
  std::vector<Assessment> assessments = {
      Given(1, at, {In(CriterionState::kNotMet, "budget")}, At(2026, 2, 12)),
      Given(2, at, {Met("budget")}, At(2026, 2, 11))};
  EXPECT_EQ(CurrentAnswers(assessments, kNow)->at("budget").assessment.value, Uuid(1));
  assessments[1].create_time = At(2026, 2, 12);
  EXPECT_EQ(CurrentAnswers(assessments, kNow)->at("budget").assessment.value, Uuid(2));
  std::swap(assessments[0], assessments[1]);
  EXPECT_EQ(CurrentAnswers(assessments, kNow)->at("budget").assessment.value, Uuid(2));
}

TEST(CurrentAnswersTest, AnswersGivenLaterAreNotKnownYet) {
  std::vector<Assessment> assessments = {Given(1, At(2026, 2, 10), {Met("budget")})};
  EXPECT_THAT(*CurrentAnswers(assessments, At(2026, 2, 9)), IsEmpty());
  EXPECT_THAT(*CurrentAnswers(assessments, At(2026, 2, 10)), SizeIs(1));
  EXPECT_THAT(*CurrentAnswers(assessments, {At(2026, 2, 10).micros - kClockSkewMicros}), SizeIs(1));
}

TEST(CheckCriteriaTest, EveryUnmetCriterionIsListedWithItsCause) {
  Answer expired = Met("authority");
  expired.expire_time = At(2026, 2, 28);
  std::vector<Assessment> assessments = {Given(
      1, At(2026, 2, 1),
      {In(CriterionState::kNotMet, "budget"), expired, In(CriterionState::kUnknown, "need")})};
  auto unmet = CheckCriteria(Bant(), assessments, kNow);
  ASSERT_TRUE(unmet.ok());
  ASSERT_THAT(*unmet, SizeIs(4));
  EXPECT_EQ((*unmet)[0].criterion, "budget");
  EXPECT_EQ((*unmet)[0].why, Unmet::kNotMet);
  EXPECT_EQ((*unmet)[0].description, "not met");
  EXPECT_EQ((*unmet)[1].criterion, "authority");
  EXPECT_EQ((*unmet)[1].why, Unmet::kExpired);
  EXPECT_EQ((*unmet)[1].description, "expired on 2026-02-28");
  EXPECT_EQ((*unmet)[2].criterion, "need");
  EXPECT_EQ((*unmet)[2].why, Unmet::kUnknown);
  EXPECT_EQ((*unmet)[3].criterion, "timeline");
  EXPECT_EQ((*unmet)[3].why, Unmet::kUnknown);
}

TEST(CheckCriteriaTest, AnAnswerHoldsUntilTheMomentItExpires) {
  Answer answer = Met("budget");
  answer.expire_time = At(2026, 3, 1);
  std::vector<Assessment> assessments = {
      Given(1, At(2026, 2, 1), {answer, Met("authority"), Met("need"), Met("timeline")})};
  EXPECT_THAT(*CheckCriteria(Bant(), assessments, {At(2026, 3, 1).micros - 1}), IsEmpty());
  EXPECT_THAT(*CheckCriteria(Bant(), assessments, At(2026, 3, 1)), SizeIs(1));
}

TEST(CheckCriteriaTest, OptionalCriteriaAreNotMissed) {
  const QualificationPolicy& b2c = BuiltInConfig().policy(Market::kB2c);
  std::vector<Assessment> assessments = {Given(
      1, At(2026, 2, 1), {Met("need"), Met("timeline"), In(CriterionState::kNotMet, "budget")})};
  EXPECT_THAT(*CheckCriteria(b2c, assessments, kNow), IsEmpty());
  EXPECT_THAT(*CheckCriteria(b2c, {}, kNow), SizeIs(2));
}

// ---- qualifying -------------------------------------------------------------------------------

TEST(QualifyTest, ALeadWithAllCriteriaMetBecomesAProspectWhenItHappened) {
  std::vector<Assessment> assessments = {Given(1, At(2026, 2, 1), {Met("budget"), Met("need")}),
                                         Given(2, At(2026, 2, 3), {Met("authority")}),
                                         Given(3, At(2026, 2, 2), {Met("timeline")})};
  absl::StatusOr<QualifyOutcome> outcome =
      Qualify(LeadIn(Stage::kLead), assessments, Bant(), Context(At(2026, 2, 4)));
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->lead.stage, Stage::kProspect);
  EXPECT_EQ(outcome->lead.milestones.prospect_time, At(2026, 2, 4));
  EXPECT_EQ(outcome->basis, Concat("leads/", Uuid(1), "/assessments/", Uuid(2)));
  EXPECT_EQ(outcome->rule_version, "qualificationPolicies/bant@1");
}

TEST(QualifyTest, TheRefusalListsEveryUnmetCriterion) {
  std::vector<Assessment> assessments = {
      Given(1, At(2026, 2, 1), {Met("need"), In(CriterionState::kNotMet, "budget")})};
  absl::StatusOr<QualifyOutcome> refused =
      Qualify(LeadIn(Stage::kLead), assessments, Bant(), Context(kNow));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(refused.status()), "CRITERIA_NOT_MET");
  std::vector<std::string> told;
  for (const PreconditionViolation& violation : PreconditionsIn(refused.status())) {
    EXPECT_EQ(violation.type, "CRITERION");
    EXPECT_FALSE(violation.description.empty());
    told.push_back(violation.subject);
  }
  EXPECT_THAT(told, ElementsAre("budget", "authority", "timeline"));
}

TEST(QualifyTest, TheStageIsCheckedBeforeTheCriteria) {
  for (Stage stage :
       {Stage::kProspect, Stage::kOpportunity, Stage::kCustomer, Stage::kDisqualified}) {
    EXPECT_EQ(ReasonOf(Qualify(LeadIn(stage), {}, Bant(), Context(kNow)).status()),
              "ILLEGAL_TRANSITION");
  }
}

TEST(QualifyTest, CriteriaAreJudgedAtTheMomentItHappened) {
  std::vector<Answer> answers = AllMet();
  for (Answer& answer : answers) answer.expire_time = At(2026, 2, 20);
  std::vector<Assessment> assessments = {Given(1, At(2026, 2, 1), answers)};
  EXPECT_TRUE(Qualify(LeadIn(Stage::kLead), assessments, Bant(), Context(At(2026, 2, 19))).ok());
  EXPECT_EQ(ReasonOf(Qualify(LeadIn(Stage::kLead), assessments, Bant(), Context(kNow)).status()),
            "CRITERIA_NOT_MET");
  EXPECT_EQ(
      ReasonOf(
          Qualify(LeadIn(Stage::kLead), assessments, Bant(), Context(At(2026, 1, 1))).status()),
      "CRITERIA_NOT_MET");
}

TEST(QualifyTest, AFutureMomentIsRefused) {
  absl::StatusOr<QualifyOutcome> refused =
      Qualify(LeadIn(Stage::kLead), {}, Bant(), Context({kNow.micros + kClockSkewMicros + 1}));
  EXPECT_THAT(FieldsIn(refused.status()), ElementsAre("occur_time"));
}

// ---- rounds, weights, confidence --------------------------------------------------------------

const QualificationPolicy& Meddic() {
  return *BuiltInConfig().FindPolicy("qualificationPolicies/meddic@1");
}

std::vector<std::string> UnmetOf(const QualificationPolicy& policy, std::vector<Answer> answers,
                                 QualificationRound round) {
  const std::vector<Assessment> assessments = {Given(7, kNow, std::move(answers))};
  std::vector<std::string> unmet;
  const std::vector<UnmetCriterion> missed =
      CheckCriteria(policy, assessments, kNow, round).value();
  for (const UnmetCriterion& missing : missed) {
    unmet.push_back(missing.criterion);
  }
  return unmet;
}

TEST(RoundTest, MarketingAsksForItsOwnAndSalesForAllOfIt) {
  EXPECT_THAT(UnmetOf(Meddic(), {Met("champion")}, QualificationRound::kMarketing),
              ElementsAre("identified_pain"));
  EXPECT_THAT(UnmetOf(Meddic(), {Met("champion")}, QualificationRound::kSales),
              ElementsAre("identified_pain", "economic_buyer", "SALES"));
}

TEST(RoundTest, WeightsOfWhatIsMetMustReachTheSum) {
  std::vector<Answer> answers = {Met("champion"), Met("identified_pain"), Met("economic_buyer"),
                                 Met("decision_criteria")};
  const std::vector<Assessment> some = {Given(7, kNow, answers)};
  const std::vector<UnmetCriterion> unmet = CheckCriteria(Meddic(), some, kNow).value();
  ASSERT_THAT(unmet, SizeIs(1));
  EXPECT_EQ(unmet[0].why, Unmet::kWeight);
  EXPECT_EQ(unmet[0].description,
            "weighted criteria reach 30 of 60; not met: metrics 40, decision_process 30");
  answers.push_back(Met("decision_process"));
  EXPECT_THAT(UnmetOf(Meddic(), answers, QualificationRound::kSales), IsEmpty());
}

TEST(RoundTest, AnAnswerThatIsTooUnsureIsNotMet) {
  QualificationPolicy policy = Bant();
  policy.criteria[0].min_confidence_percent = 80;
  std::vector<Answer> answers = AllMet();
  answers[0].confidence_percent = 79;
  EXPECT_THAT(UnmetOf(policy, answers, QualificationRound::kSales), ElementsAre("budget"));
  answers[0].confidence_percent = 80;
  EXPECT_THAT(UnmetOf(policy, answers, QualificationRound::kSales), IsEmpty());
}

TEST(PolicyCheckTest, EveryMistakeIsNamedAtOnce) {
  QualificationPolicy policy = Bant();
  policy.criteria[1].id = "budget";
  policy.criteria[1].weight = 5;
  policy.criteria[2].valid_days = -1;
  policy.criteria[3].min_confidence_percent = 101;
  policy.sales_weight = 1;
  std::vector<std::string> fields;
  const Fault fault = *FaultOf(CheckPolicy(policy));
  for (const FieldViolation& violation : fault.fields) {
    fields.push_back(violation.field);
  }
  EXPECT_THAT(fields,
              ElementsAre("criteria[1].criterion", "criteria[1].weight", "criteria[2].valid_days",
                          "criteria[3].min_confidence_percent", "sales_weight"));
  EXPECT_TRUE(CheckPolicy(Meddic()).ok());
}

}  // namespace
}  // namespace relais::domain
