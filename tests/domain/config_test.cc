#include "server/domain/config.h"

#include <set>
#include <string>

#include "server/domain/builtin.h"
#include "server/domain/documents.h"
#include "server/domain/opportunity.h"
#include "tests/domain/samples.h"

namespace relais::domain {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> RequiredOf(const QualificationPolicy& policy) {
  std::vector<std::string> required;
  for (const Criterion& criterion : policy.criteria) {
    if (criterion.required) required.push_back(criterion.id);
  }
  return required;
}

TEST(BuiltInConfigTest, EachMarketHasItsPolicyAndItsModel) {
  const Config& config = BuiltInConfig();
  EXPECT_EQ(config.policy(Market::kB2b).name(), "qualificationPolicies/bant");
  EXPECT_EQ(config.policy(Market::kB2c).name(), "qualificationPolicies/b2c");
  EXPECT_EQ(config.model(Market::kB2b).model().name(), "scoringModels/b2b");
  EXPECT_EQ(config.model(Market::kB2c).model().name(), "scoringModels/b2c");
  EXPECT_EQ(&config.model(Market::kUnspecified), &config.model(Market::kB2c));
  EXPECT_EQ(config.pipeline().name(), "pipelines/default");
}

TEST(BuiltInConfigTest, BantAsksForAllFourAndConsumersForLess) {
  const Config& config = BuiltInConfig();
  EXPECT_THAT(RequiredOf(config.policy(Market::kB2b)),
              ElementsAre("budget", "authority", "need", "timeline"));
  EXPECT_THAT(RequiredOf(config.policy(Market::kB2c)), ElementsAre("need", "timeline"));
  for (const QualificationPolicy& policy : config.policies) {
    EXPECT_TRUE(policy.built_in);
    for (const Criterion& criterion : policy.criteria) {
      EXPECT_NE(criterion.kind, CriterionKind::kUnspecified);
      EXPECT_FALSE(criterion.question.empty());
      EXPECT_GT(criterion.valid_days, 0);
    }
  }
}

TEST(BuiltInConfigTest, ListsAreOrderedByName) {
  const Config& config = BuiltInConfig();
  for (size_t i = 1; i < config.policies.size(); ++i) {
    EXPECT_LT(config.policies[i - 1].versioned_name(), config.policies[i].versioned_name());
  }
  for (size_t i = 1; i < config.models.size(); ++i) {
    EXPECT_LT(config.models[i - 1]->model().versioned_name(),
              config.models[i]->model().versioned_name());
  }
}

TEST(BuiltInConfigTest, BothModelsKeepTheSameEvidence) {
  const CompiledModel& b2b = BuiltInConfig().model(Market::kB2b);
  const CompiledModel& b2c = BuiltInConfig().model(Market::kB2c);
  auto evidence = [](const CompiledModel& model) {
    std::set<std::string> rules;
    for (const CompiledModel::Rule& rule : model.rules()) {
      if (!rule.on_touchpoints) continue;
      rules.insert(Concat(rule.spec->id, "|", rule.spec->touchpoint_filter, "|",
                          rule.spec->repeat_limit_per_day, "|", rule.spec->window_days));
    }
    return rules;
  };
  EXPECT_EQ(evidence(b2b), evidence(b2c));
  EXPECT_GE(evidence(b2b).size(), 10u);
}

TEST(BuiltInConfigTest, EveryModelUsesEveryDimensionAndSaysWhatItsRulesMean) {
  for (const auto& model : BuiltInConfig().models) {
    std::set<ScoreDimension> dimensions;
    for (const ScoringRule& rule : model->model().rules) {
      dimensions.insert(rule.dimension);
      EXPECT_FALSE(rule.description.empty()) << rule.id;
    }
    EXPECT_EQ(dimensions.size(), 3u);
    EXPECT_GT(model->model().threshold_points, 0);
    EXPECT_TRUE(model->model().built_in);
  }
}

TEST(BuiltInConfigTest, ADirectorWhoAsksForADemoIsMarketingQualifiedAndAVisitorIsNot) {
  const CompiledModel& model = BuiltInConfig().model(Market::kB2b);
  Lead director = LeadIn(Stage::kLead);
  director.organization = {.display_name = "Example", .domain = "example.org", .headcount = 1200};
  director.person.job_title = "Sales Director";
  director.person.country = "FR";
  director.person.emails = {{"d@example.org", ""}};
  Lead visitor = LeadIn(Stage::kLead);
  Timestamp now = At(2026, 3, 1);
  Touchpoint demo;
  demo.kind = TouchpointKind::kDemoRequest;
  demo.occur_time = now;
  Touchpoint page = demo;
  page.kind = TouchpointKind::kPageView;
  ASSERT_TRUE(ApplyTouchpoint(director, demo, model, now).ok());
  ASSERT_TRUE(ApplyTouchpoint(visitor, page, model, now).ok());
  ASSERT_TRUE(Rescore(director, model, now).ok());
  ASSERT_TRUE(Rescore(visitor, model, now).ok());
  EXPECT_EQ(director.score, 5 + 5 + 15 + 10 + 3 + 30);
  EXPECT_EQ(director.grade, "A2");
  EXPECT_TRUE(director.milestones.marketing_qualified_time.has_value());
  EXPECT_EQ(visitor.score, 1);
  EXPECT_EQ(visitor.grade, "D4");
  EXPECT_FALSE(visitor.milestones.marketing_qualified_time.has_value());
}

TEST(BuiltInConfigTest, ThePipelineRisesAndDemandsFieldsThatExist) {
  const Pipeline& pipeline = BuiltInConfig().pipeline();
  int64_t before = 0;
  for (const PipelineStage& stage : pipeline.stages) {
    EXPECT_GT(stage.probability_percent, before);
    EXPECT_LT(stage.probability_percent, 100);
    before = stage.probability_percent;
    for (const std::string& path : stage.required_fields) {
      EXPECT_NE(FindField<Opportunity>(path), nullptr) << path;
    }
  }
  EXPECT_TRUE(pipeline.stages.front().required_fields.empty());
}

TEST(ConfigTest, NamesAreFoundWithAndWithoutRevision) {
  const Config& config = BuiltInConfig();
  EXPECT_EQ(config.FindPolicy("qualificationPolicies/bant@1"),
            config.FindPolicy("qualificationPolicies/bant"));
  EXPECT_NE(config.FindModel("scoringModels/b2c@1"), nullptr);
  EXPECT_NE(config.FindPipeline("pipelines/default"), nullptr);
  for (const char* name : {"qualificationPolicies/bant@2", "qualificationPolicies/bant@",
                           "qualificationPolicies/bant@01", "qualificationPolicies/bant@0",
                           "qualificationPolicies/bant@-1", "qualificationPolicies/", "bant", "",
                           "qualificationPolicies/bant@1@1"}) {
    EXPECT_EQ(config.FindPolicy(name), nullptr) << name;
  }
  EXPECT_EQ(config.FindModel("scoringModels/bant"), nullptr);
  EXPECT_EQ(config.FindPipeline("pipelines/default@1"), nullptr);
}

TEST(ConfigTest, WhereNothingWasActivatedTheGreatestRevisionIsInForce) {
  Config config = BuiltInConfig();
  config.active_policies = {};
  QualificationPolicy next = config.policies[1];
  next.revision = 2;
  config.policies.insert(config.policies.begin(), next);
  EXPECT_EQ(config.policy(Market::kB2b).revision, 2);
  EXPECT_EQ(config.FindPolicy("qualificationPolicies/bant")->revision, 2);
  EXPECT_EQ(config.FindPolicy("qualificationPolicies/bant@1")->revision, 1);
}

ConfigDocument RevisionOf(const ScoringModel& model, int64_t version, RevisionState state) {
  ConfigDocument document;
  document.kind = ConfigKind::kScoringModel;
  document.name = model.id;
  document.version = version;
  document.slot = SlotOf(model.market);
  document.state = state;
  document.document = DocumentOf(model);
  return document;
}

TEST(ConfigTest, WhatIsStoredJoinsWhatIsShippedAndOneOfThemIsInForce) {
  ScoringModel model = BuiltInConfig().model(Market::kB2b).model();
  model.built_in = false;
  model.threshold_points = 77;
  const std::vector<ConfigDocument> documents = {RevisionOf(model, 2, RevisionState::kRetired),
                                                 RevisionOf(model, 3, RevisionState::kActive),
                                                 RevisionOf(model, 4, RevisionState::kDraft)};
  auto config = BuildConfig(BuiltInConfig(), documents, nullptr).value();
  EXPECT_EQ(config->model(Market::kB2b).versioned_name(), "scoringModels/b2b@3");
  EXPECT_EQ(config->model(Market::kB2c).versioned_name(), "scoringModels/b2c@1");
  EXPECT_NE(config->FindModel("scoringModels/b2b@1"), nullptr);
  EXPECT_NE(config->FindModel("scoringModels/b2b@2"), nullptr);
  EXPECT_EQ(config->FindModel("scoringModels/b2b@4"), nullptr) << "a draft";
  // What did not change is not compiled again.
  auto again = BuildConfig(BuiltInConfig(), documents, config.get()).value();
  EXPECT_EQ(&again->model(Market::kB2b), &config->model(Market::kB2b));
}

TEST(ConfigTest, ADocumentThatCannotBeReadIsNotPassedOver) {
  ConfigDocument document =
      RevisionOf(BuiltInConfig().model(Market::kB2b).model(), 2, RevisionState::kActive);
  document.document = Value("nonsense");
  EXPECT_EQ(BuildConfig(BuiltInConfig(), {document}, nullptr).status().code(),
            absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace relais::domain
