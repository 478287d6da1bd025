// What is encoded from more than one entity: events, histories, scores, funnels, progress, results.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "server/convert/encode.h"
#include "server/convert/page_token.h"
#include "server/domain/builtin.h"
#include "server/domain/calendar.h"
#include "server/domain/concat.h"
#include "server/domain/criteria.h"
#include "server/domain/faults.h"
#include "tests/convert/calls.h"

namespace relais::convert {
namespace {

using domain::Event;
using domain::EventType;
using domain::Value;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const domain::LeadId kLead("0190a0b0-0000-7000-8000-000000000001");
const domain::TenantId kTenant("default");

Event LeadEvent(int64_t number, EventType type) {
  Event event;
  event.number = number;
  event.type = type;
  event.subject = kLeadName;
  event.lead = kLead;
  event.occur_time = {1'000'000};
  event.record_time = {2'000'001};
  event.actor = "users/x";
  event.trigger = "CaptureLead";
  event.digest = "0a1b";
  return event;
}

std::string Json(const Value& value, const domain::FieldSpec* spec = nullptr) {
  google::protobuf::Value out;
  Encode(value, spec, &out);
  switch (out.kind_case()) {
    case google::protobuf::Value::kNullValue:
      return "null";
    case google::protobuf::Value::kBoolValue:
      return out.bool_value() ? "true" : "false";
    case google::protobuf::Value::kNumberValue:
      return Concat("number ", static_cast<int64_t>(out.number_value()));
    case google::protobuf::Value::kStringValue:
      return out.string_value();
    default:
      return out.ShortDebugString();
  }
}

template <class E>
const domain::FieldSpec* Spec(std::string_view path) {
  return &domain::FindField<E>(path)->spec;
}

TEST(EventValueTest, EachKindHasItsForm) {
  EXPECT_EQ(Json(Value()), "null");
  EXPECT_EQ(Json(Value(true)), "true");
  EXPECT_EQ(Json(Value(int64_t{-7})), "number -7");
  EXPECT_EQ(Json(Value(int64_t{1} << 53)), "number 9007199254740992");
  EXPECT_EQ(Json(Value((int64_t{1} << 53) + 1)), "9007199254740993");
  EXPECT_EQ(Json(Value(-(int64_t{1} << 53) - 1)), "-9007199254740993");
  EXPECT_EQ(Json(Value(std::numeric_limits<int64_t>::min())), "-9223372036854775808");
  EXPECT_EQ(Json(Value("text")), "text");
  EXPECT_EQ(Json(Value(domain::Timestamp{1'767'225'600'500'000})), "2026-01-01T00:00:00.5Z");
  EXPECT_EQ(Json(Value(int64_t{2}), Spec<domain::Lead>("stage")), "PROSPECT");

  google::protobuf::Value money;
  Encode(Value(domain::Money{"EUR", -9'007'199'254'740'993, -5}), nullptr, &money);
  const auto& fields = money.struct_value().fields();
  EXPECT_EQ(fields.at("currency_code").string_value(), "EUR");
  EXPECT_EQ(fields.at("units").string_value(), "-9007199254740993");
  EXPECT_EQ(fields.at("nanos").number_value(), -5);
}

TEST(EventValueTest, TimesInsideRecordsAndMapsAreTimes) {
  domain::Answer answer;
  answer.criterion = "timeline";
  answer.state = domain::CriterionState::kMet;
  answer.target_time = domain::Timestamp{1'767'225'600'000'000};
  google::protobuf::Value out;
  Encode(domain::ToValue(std::vector<domain::CriterionAnswer>{domain::FormatAnswer(answer)}),
         Spec<domain::Assessment>("answers"), &out);
  const auto& record = out.list_value().values(0).struct_value().fields();
  EXPECT_EQ(record.at("target_time").string_value(), "2026-01-01T00:00:00Z");
  EXPECT_EQ(record.at("state").string_value(), "MET");

  google::protobuf::Value times;
  Encode(Value(domain::ValueMap{{"EMAIL/MARKETING", Value("1767225600000000")}}),
         Spec<domain::Lead>("consent_times"), &times);
  EXPECT_EQ(times.struct_value().fields().at("EMAIL/MARKETING").string_value(),
            "2026-01-01T00:00:00Z");

  // A label that merely looks like a time stays what it is.
  google::protobuf::Value labels;
  Encode(Value(domain::ValueMap{{"start_time", Value("1767225600000000")}}),
         Spec<domain::Lead>("labels"), &labels);
  EXPECT_EQ(labels.struct_value().fields().at("start_time").string_value(), "1767225600000000");
}

TEST(EventTest, CarriesItsChangesAndAResumeToken) {
  Event event = LeadEvent(12, EventType::kLeadCreated);
  event.changes = {{"stage", Value(), Value(int64_t{1}), false},
                   {"person.given_name", Value("Ad"), Value("Ada"), true},
                   {"unknown_field", Value(int64_t{1}), Value(), false}};
  event.rule_version = "scoringModels/b2b@1";
  event.basis = "x";
  event.reason = "why";
  v1::Event out;
  Encode(event, kTenant, &out);
  EXPECT_EQ(out.number(), 12);
  EXPECT_EQ(out.type(), v1::EVENT_TYPE_LEAD_CREATED);
  EXPECT_EQ(out.lead(), kLeadName);
  EXPECT_EQ(out.record_time().seconds(), 2);
  EXPECT_EQ(out.record_time().nanos(), 1000);
  ASSERT_EQ(out.changes_size(), 3);
  EXPECT_FALSE(out.changes(0).has_old_value());
  EXPECT_EQ(out.changes(0).new_value().string_value(), "LEAD");
  EXPECT_EQ(out.changes(1).old_value().string_value(), "Ad");
  EXPECT_FALSE(out.changes(2).has_new_value());
  auto point = ReadResumeToken(out.resume_token(), kTenant);
  ASSERT_TRUE(point.ok());
  EXPECT_EQ(point->number, 12);
  EXPECT_EQ(point->digest, "0a1b");

  event.lead = {};
  event.subject = "imports/0190a0b0-0000-7000-8000-0000000000d1";
  event.changes = {{"state", Value(int64_t{1}), Value(int64_t{2}), false}};
  v1::Event import;
  Encode(event, kTenant, &import);
  EXPECT_TRUE(import.lead().empty());
  EXPECT_EQ(import.changes(0).new_value().string_value(), "COMPLETED");
}

TEST(EventTest, FieldsAreThoseOfTheSubject) {
  Event event = LeadEvent(1, EventType::kTouchpointRecorded);
  event.subject = Concat(kLeadName, "/touchpoints/0190a0b0-0000-7000-8000-000000000002");
  event.changes = {{"kind", Value(), Value(int64_t{2}), false}};
  v1::Event out;
  Encode(event, kTenant, &out);
  EXPECT_EQ(out.changes(0).new_value().string_value(), "FORM");
}

TEST(TransitionTest, AStageChangeIsOneAndTheScoreIsCarriedAlong) {
  int64_t score = 0;
  Event created = LeadEvent(1, EventType::kLeadCreated);
  created.changes = {{"stage", Value(), Value(int64_t{1}), false},
                     {"score", Value(int64_t{0}), Value(int64_t{40}), false}};
  std::optional<v1::Transition> first = TransitionOf(created, score);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->from(), v1::STAGE_UNSPECIFIED);
  EXPECT_EQ(first->to(), v1::STAGE_LEAD);
  EXPECT_EQ(first->score(), 40);

  Event scored = LeadEvent(2, EventType::kLeadUpdated);
  scored.changes = {{"score", Value(int64_t{40}), Value(int64_t{55}), false}};
  EXPECT_FALSE(TransitionOf(scored, score).has_value());
  EXPECT_EQ(score, 55);

  // A stage of an opportunity is no stage of its lead.
  Event moved = LeadEvent(3, EventType::kOpportunityMoved);
  moved.subject = kOpportunityName;
  moved.changes = {{"stage", Value("a"), Value("b"), false}};
  EXPECT_FALSE(TransitionOf(moved, score).has_value());

  Event qualified = LeadEvent(4, EventType::kLeadTransitioned);
  qualified.changes = {{"stage", Value(int64_t{1}), Value(int64_t{2}), false}};
  qualified.basis = Concat(kLeadName, "/assessments/0190a0b0-0000-7000-8000-0000000000f1");
  qualified.rule_version = "qualificationPolicies/bant@1";
  qualified.reason = "all met";
  std::optional<v1::Transition> second = TransitionOf(qualified, score);
  ASSERT_TRUE(second.has_value());
  EXPECT_EQ(second->score(), 55);
  EXPECT_EQ(second->assessment(), qualified.basis);
  EXPECT_TRUE(second->opportunity().empty());
  EXPECT_EQ(second->position(), 4);
  EXPECT_EQ(second->reason(), "all met");

  qualified.basis = kOpportunityName;
  EXPECT_EQ(TransitionOf(qualified, score)->opportunity(), kOpportunityName);
}

TEST(ChangesTest, OnlyTheLeadsOwnChangesAreListed) {
  google::protobuf::RepeatedPtrField<v1::LeadChange> out;
  Event event = LeadEvent(5, EventType::kLeadUpdated);
  event.erased = true;
  event.changes = {{"person.job_title", Value(), Value(), true},
                   {"market", Value(int64_t{1}), Value(int64_t{2}), false}};
  AppendChanges(event, &out);
  event.subject = Concat(kLeadName, "/consents/0190a0b0-0000-7000-8000-000000000002");
  AppendChanges(event, &out);
  ASSERT_EQ(out.size(), 2);
  EXPECT_TRUE(out[0].erased());
  EXPECT_FALSE(out[0].has_new_value());
  EXPECT_FALSE(out[1].erased());
  EXPECT_EQ(out[1].old_value().string_value(), "B2B");
  EXPECT_EQ(out[1].new_value().string_value(), "B2C");
  EXPECT_EQ(out[1].position(), 5);
}

// ---- Figures ----------------------------------------------------------------------------------

storage::FunnelGroup Group(std::string key, int64_t leads, int64_t won, std::vector<int64_t> days) {
  storage::FunnelGroup group;
  group.key = std::move(key);
  group.by_stage = {{domain::Stage::kLead, leads - won}};
  if (won > 0) group.by_stage[domain::Stage::kCustomer] = won;
  group.reached_prospect = group.reached_opportunity = group.reached_customer = won;
  group.won_opportunities = won;
  group.cycle_days = std::move(days);
  return group;
}

TEST(FunnelTest, TotalsAddUpAndRowsAreOrderedBySize) {
  std::vector<storage::FunnelGroup> groups = {Group("b", 10, 1, {5}), Group("a", 10, 0, {}),
                                              Group("c", 30, 3, {-1, 14, 30})};
  groups[0].lost_opportunities = 1;
  groups[1].open_opportunities = 2;
  v1::Funnel out;
  Encode(groups, storage::FunnelBreakdown::kSource, {77, {3'000'000}}, &out);
  EXPECT_EQ(out.as_of_number(), 77);
  EXPECT_EQ(out.as_of_time().seconds(), 3);
  std::vector<std::string> keys;
  for (const v1::FunnelRow& row : out.rows()) keys.push_back(row.key());
  EXPECT_THAT(keys, ElementsAre("c", "a", "b"));

  const v1::FunnelRow& total = out.total();
  EXPECT_EQ(total.leads(), 50);
  EXPECT_EQ(total.by_stage().at("LEAD"), 46);
  EXPECT_EQ(total.by_stage().at("CUSTOMER"), 4);
  EXPECT_EQ(total.open_opportunities(), 2);
  EXPECT_EQ(total.lead_to_customer().numerator(), 4);
  EXPECT_EQ(total.lead_to_customer().denominator(), 50);
  EXPECT_DOUBLE_EQ(total.lead_to_customer().value(), 0.08);
  EXPECT_DOUBLE_EQ(total.win_rate().value(), 0.8);
  EXPECT_EQ(total.cycle().count(), 4);
  EXPECT_DOUBLE_EQ(total.cycle().median_days(), 9.5);
  EXPECT_DOUBLE_EQ(total.cycle().mean_days(), 12);
  EXPECT_DOUBLE_EQ(total.cycle().p90_days(), 30);

  // Nothing to divide by is absent, not 0.
  const v1::FunnelRow& none = out.rows(1);
  EXPECT_FALSE(none.win_rate().has_value());
  EXPECT_FALSE(none.prospect_to_opportunity().has_value());
  EXPECT_TRUE(none.lead_to_prospect().has_value());
  EXPECT_FALSE(none.cycle().has_median_days());
}

TEST(FunnelTest, MonthsStayInOrderAndATotalNeedsNoRows) {
  std::vector<storage::FunnelGroup> groups = {
      Group("2018-02", 99, 0, {}), Group("2017-12", 1, 0, {}), Group("2018-01", 50, 0, {})};
  v1::Funnel months, none;
  Encode(groups, storage::FunnelBreakdown::kFirstTouchMonth, {}, &months);
  EXPECT_EQ(months.rows(0).key(), "2017-12");
  EXPECT_EQ(months.rows(2).key(), "2018-02");
  Encode(groups, storage::FunnelBreakdown::kNone, {}, &none);
  EXPECT_EQ(none.rows_size(), 0);
  EXPECT_EQ(none.total().leads(), 150);
  v1::Funnel empty;
  Encode({}, storage::FunnelBreakdown::kNone, {}, &empty);
  EXPECT_EQ(empty.total().leads(), 0);
  EXPECT_FALSE(empty.total().lead_to_customer().has_value());
}

TEST(OperationTest, RateAndEndAreReckonedFromProgress) {
  domain::Operation operation;
  operation.id = domain::OperationId("0190a0b0-0000-7000-8000-0000000000e1");
  operation.state = domain::OperationState::kRunning;
  operation.create_time = {0};
  operation.update_time = {10'000'000};
  EXPECT_EQ(ToProto(operation).rows_per_second(), 0);
  operation.rows_read = 500;
  EXPECT_DOUBLE_EQ(ToProto(operation).rows_per_second(), 50);
  EXPECT_FALSE(ToProto(operation).has_estimated_end_time());  // how many are to come is not known
  operation.rows_total = 1500;
  EXPECT_EQ(ToProto(operation).estimated_end_time().seconds(), 30);
  operation.rows_total = std::numeric_limits<int64_t>::max();
  EXPECT_FALSE(ToProto(operation).has_estimated_end_time());
  operation.rows_total = 1500;
  operation.state = domain::OperationState::kSucceeded;
  operation.end_time = domain::Timestamp{20'000'000};
  EXPECT_FALSE(ToProto(operation).has_estimated_end_time());
  EXPECT_DOUBLE_EQ(ToProto(operation).rows_per_second(), 25);
  EXPECT_FALSE(ToProto(operation).has_error());
  operation.error_code = 5;
  operation.error_message = "gone";
  EXPECT_EQ(ToProto(operation).error().message(), "gone");
}

TEST(TimeTest, MomentsBeforeTheEpochRoundDown) {
  google::protobuf::Timestamp out;
  Encode(domain::Timestamp{-1}, &out);
  EXPECT_EQ(out.seconds(), -1);
  EXPECT_EQ(out.nanos(), 999'999'000);
}

// ---- Configuration and scores -----------------------------------------------------------------

TEST(ConfigTest, BuiltInConfigurationIsShownWhole) {
  const domain::Config& config = domain::BuiltInConfig();
  for (const domain::QualificationPolicy& policy : config.policies) {
    v1::QualificationPolicy out = ToProto(policy);
    EXPECT_EQ(out.name(), policy.name());
    EXPECT_TRUE(out.built_in());
    ASSERT_EQ(static_cast<size_t>(out.criteria_size()), policy.criteria.size());
    EXPECT_EQ(out.criteria(0).criterion(), policy.criteria[0].id);
    EXPECT_EQ(out.criteria(0).valid_days(), policy.criteria[0].valid_days);
  }
  for (const auto& model : config.models) {
    v1::ScoringModel out = ToProto(model->model());
    ASSERT_EQ(static_cast<size_t>(out.rules_size()), model->model().rules.size());
    EXPECT_EQ(out.grade_bounds().fit_size(), 3);
    for (const v1::ScoringRule& rule : out.rules()) {
      EXPECT_NE(rule.lead_filter().empty(), rule.touchpoint_filter().empty()) << rule.rule();
    }
  }
  for (const domain::Pipeline& pipeline : config.pipelines) {
    v1::Pipeline out = ToProto(pipeline);
    ASSERT_EQ(static_cast<size_t>(out.stages_size()), pipeline.stages.size());
    EXPECT_EQ(out.stages(0).stage(), pipeline.stages[0].id);
  }
}

TEST(ScoreTest, EvidenceNamesTheTouchpointsThatCounted) {
  auto compiled =
      domain::CompiledModel::Compile({.id = "m",
                                      .market = domain::Market::kB2b,
                                      .revision = 3,
                                      .rules = {{.id = "calls",
                                                 .dimension = domain::ScoreDimension::kEngagement,
                                                 .touchpoint_filter = "kind = CALL",
                                                 .points = 5,
                                                 .repeat_limit_per_day = 2,
                                                 .window_days = 30},
                                                {.id = "country",
                                                 .dimension = domain::ScoreDimension::kFit,
                                                 .lead_filter = "person.country = \"FR\"",
                                                 .points = 10}},
                                      .threshold_points = 15,
                                      .fit_bounds = {30, 20, 10},
                                      .engagement_bounds = {30, 20, 10}});
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  const domain::CompiledModel& model = **compiled;

  std::vector<domain::Touchpoint> touchpoints;
  domain::ScoreState state;
  auto add = [&](domain::TouchpointKind kind, int64_t days_ago, const char* id) {
    domain::Touchpoint touchpoint;
    touchpoint.lead = kLead;
    touchpoint.id = domain::TouchpointId(id);
    touchpoint.kind = kind;
    touchpoint.occur_time = {kNow.micros - days_ago * domain::kMicrosPerDay};
    domain::AddTouchpoint(model, touchpoint, state);
    touchpoints.push_back(touchpoint);
  };
  add(domain::TouchpointKind::kCall, 1, "t1");
  add(domain::TouchpointKind::kForm, 1, "t2");
  add(domain::TouchpointKind::kCall, 1, "t3");
  add(domain::TouchpointKind::kCall, 1, "t4");  // beyond the day's limit
  add(domain::TouchpointKind::kCall, 2, "t5");

  domain::Lead lead;
  lead.id = kLead;
  lead.market = domain::Market::kB2b;
  domain::ScoreBreakdown breakdown = domain::Evaluate(model, lead, state, kNow);
  v1::ExplainScoreResponse out;
  Encode(breakdown, kLead, model.model(), kNow, &out);
  AddEvidence(model, touchpoints, &out);

  EXPECT_EQ(out.score().lead(), kLeadName);
  EXPECT_EQ(out.score().score(), 15);
  EXPECT_EQ(out.score().model(), "scoringModels/m@3");
  EXPECT_TRUE(out.score().marketing_qualified());
  EXPECT_EQ(out.missing_points(), 0);
  ASSERT_EQ(out.parts_size(), 1);
  ASSERT_EQ(out.parts(0).evidence_size(), 2);
  const v1::ScoreEvidence& yesterday = out.parts(0).evidence(0);
  EXPECT_EQ(yesterday.day(), "2025-12-31");
  EXPECT_EQ(yesterday.count(), 2);
  EXPECT_THAT(yesterday.touchpoints(), ElementsAre(Concat(kLeadName, "/touchpoints/t1"),
                                                   Concat(kLeadName, "/touchpoints/t3")));
  EXPECT_THAT(out.parts(0).evidence(1).touchpoints(),
              ElementsAre(Concat(kLeadName, "/touchpoints/t5")));
  ASSERT_EQ(out.missed_size(), 1);
  EXPECT_EQ(out.missed(0).rule(), "country");
  EXPECT_EQ(out.missed(0).filter(), "person.country = \"FR\"");
}

// ---- Results ----------------------------------------------------------------------------------

TEST(ResultTest, NamesAloneUnlessResourcesAreAskedFor) {
  commands::Captured captured;
  captured.lead.id = kLead;
  captured.lead.person.given_name = "Ada";
  captured.touchpoint.lead = kLead;
  captured.touchpoint.id = domain::TouchpointId("t1");
  captured.touchpoint.body = "private";
  captured.outcome = domain::CaptureOutcome::kMatched;
  captured.matched_by = domain::IdentityKind::kEmail;
  captured.conflicts.push_back({domain::IdentityKind::kPhone, "+33612345678", kLead});
  v1::CaptureLeadResponse names, whole;
  Encode(captured, Detail::kNames, &names);
  EXPECT_EQ(names.lead().ByteSizeLong(), 2 + std::string(kLeadName).size());
  EXPECT_TRUE(names.touchpoint().body().empty());
  EXPECT_EQ(names.outcome(), v1::CAPTURE_OUTCOME_MATCHED);
  EXPECT_EQ(names.matched_by(), v1::IDENTITY_KIND_EMAIL);
  EXPECT_EQ(names.conflicts(0).lead(), kLeadName);
  Encode(captured, Detail::kWhole, &whole);
  EXPECT_EQ(whole.lead().person().given_name(), "Ada");
  EXPECT_EQ(whole.touchpoint().body(), "private");
}

TEST(ResultTest, RefusedRowsSayWhy) {
  v1::ImportRowResult out;
  Encode(commands::ImportRowResult{.row = 9,
                                   .outcome = domain::ImportRowOutcome::kFailed,
                                   .resource = "",
                                   .status = domain::InvalidField("rows[0].row", "must rise")},
         "call-7", &out);
  EXPECT_EQ(out.row(), 9);
  EXPECT_EQ(out.outcome(), v1::IMPORT_ROW_OUTCOME_FAILED);
  EXPECT_EQ(out.status().code(), 3);
  v1::ImportRowResult good;
  Encode(commands::ImportRowResult{.row = 1, .outcome = domain::ImportRowOutcome::kDone}, "c",
         &good);
  EXPECT_FALSE(good.has_status());
}

}  // namespace
}  // namespace relais::convert
