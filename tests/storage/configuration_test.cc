// Configuration in the database: kept in revisions, in force from the next batch on, the same for
// all servers of a database. One suite, on SQLite and on PostgreSQL.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/domain/builtin.h"
#include "server/domain/concat.h"
#include "server/domain/documents.h"
#include "tests/storage/commands_fixture.h"
#include "tests/storage/store_fixture.h"

namespace relais::testing {
namespace {

using domain::ConfigDocument;
using domain::ConfigKind;
using domain::RevisionState;
using storage::Keys;
using storage::WriteTxn;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The model that is shipped for companies, with a rule more.
domain::ScoringModel ModelWith(const std::string& rule, const std::string& touchpoint_filter) {
  domain::ScoringModel model = domain::BuiltInConfig().model(domain::Market::kB2b).model();
  model.built_in = false;
  model.rules.push_back({.id = rule,
                         .dimension = domain::ScoreDimension::kIntent,
                         .description = "Made for the test",
                         .lead_filter = "",
                         .touchpoint_filter = touchpoint_filter,
                         .points = 7,
                         .window_days = 30});
  return model;
}

class ConfigurationTest : public ::testing::TestWithParam<Engine> {
 protected:
  ConfigurationTest() : database_(GetParam()), store_(database_.url(), clock_, ids_) {}

  // Keeps a draft of `model`; answers its revision.
  absl::StatusOr<int64_t> Draft(const domain::ScoringModel& model, TestStore& store) {
    int64_t version = 0;
    absl::Status status =
        store
            .Write(Keys().Configuration(ConfigKind::kScoringModel),
                   [&](WriteTxn& tx) -> absl::Status {
                     auto documents = tx.Configurations(ConfigKind::kScoringModel);
                     if (!documents.ok()) return documents.status();
                     ConfigDocument draft =
                         domain::NextDraft(*documents, ConfigKind::kScoringModel, model.id, 1,
                                           domain::ConfigDocumentId(tx.NewId()));
                     draft.slot = domain::SlotOf(model.market);
                     draft.document = domain::DocumentOf(model);
                     draft.author = tx.call().principal;
                     if (draft.revision == 0) draft.create_time = tx.now();
                     version = draft.version;
                     return tx.Keep(draft, {.type = domain::EventType::kConfigurationChanged,
                                            .occur_time = tx.now()});
                   })
            .status;
    if (!status.ok()) return status;
    return version;
  }
  absl::StatusOr<int64_t> Draft(const domain::ScoringModel& model) { return Draft(model, store_); }

  absl::Status Activate(const std::string& name, int64_t version, TestStore& store) {
    return store
        .Write(Keys().Configuration(ConfigKind::kScoringModel),
               [&](WriteTxn& tx) -> absl::Status {
                 auto documents = tx.Configurations(ConfigKind::kScoringModel);
                 if (!documents.ok()) return documents.status();
                 auto changed = domain::Activate(
                     *documents, *domain::FindDocument(*documents, name, version), tx.now());
                 if (!changed.ok()) return changed.status();
                 for (ConfigDocument& document : *changed) {
                   absl::Status kept = tx.Keep(
                       document,
                       {.type = domain::EventType::kConfigurationChanged, .occur_time = tx.now()});
                   if (!kept.ok()) return kept;
                 }
                 return absl::OkStatus();
               })
        .status;
  }
  absl::Status Activate(const std::string& name, int64_t version) {
    return Activate(name, version, store_);
  }

  // What a write and a read take for the model of companies.
  static std::string ModelOfWrites(TestStore& store) {
    std::string name;
    EXPECT_TRUE(store
                    .Write(Keys(),
                           [&](WriteTxn& tx) -> absl::Status {
                             name =
                                 tx.config().model(domain::Market::kB2b).model().versioned_name();
                             return absl::OkStatus();
                           })
                    .status.ok());
    return name;
  }
  static std::string ModelOfReads(TestStore& store) {
    std::string name;
    EXPECT_TRUE(store
                    .Read([&](storage::ReadTxn& tx) -> absl::Status {
                      name = tx.config().model(domain::Market::kB2b).model().versioned_name();
                      return absl::OkStatus();
                    })
                    .ok());
    return name;
  }

  domain::ConfigDocuments Documents(TestStore& store) {
    domain::ConfigDocuments found;
    EXPECT_TRUE(store
                    .Read([&](storage::ReadTxn& tx) -> absl::Status {
                      auto documents = tx.Configurations(ConfigKind::kScoringModel);
                      if (!documents.ok()) return documents.status();
                      found = *std::move(documents);
                      return absl::OkStatus();
                    })
                    .ok());
    return found;
  }

  FakeClock clock_;
  CountingIds ids_;
  TestDatabase database_;
  TestStore store_;
};

TEST_P(ConfigurationTest, WhatIsShippedIsInForceUntilSomethingIsActivated) {
  EXPECT_EQ(ModelOfWrites(store_), "scoringModels/b2b@1");
  ASSERT_EQ(Draft(ModelWith("third", "kind = CALL")).value(), 2);
  EXPECT_EQ(ModelOfWrites(store_), "scoringModels/b2b@1") << "a draft decides nothing";
  ASSERT_TRUE(Activate("b2b", 2).ok());
  EXPECT_EQ(ModelOfWrites(store_), "scoringModels/b2b@2");
  EXPECT_EQ(ModelOfReads(store_), "scoringModels/b2b@2");
}

TEST_P(ConfigurationTest, ADraftIsChangedInPlaceAndALaterChangeMakesTheNextRevision) {
  ASSERT_EQ(Draft(ModelWith("a", "kind = CALL")).value(), 2);
  ASSERT_EQ(Draft(ModelWith("b", "kind = CALL")).value(), 2);
  ASSERT_TRUE(Activate("b2b", 2).ok());
  ASSERT_EQ(Draft(ModelWith("c", "kind = CALL")).value(), 3);
  const domain::ConfigDocuments documents = Documents(store_);
  ASSERT_THAT(documents, SizeIs(2));
  EXPECT_EQ(documents[0].state, RevisionState::kActive);
  EXPECT_EQ(domain::ScoringModelOf(documents[0])->rules.back().id, "b");
  EXPECT_EQ(documents[1].state, RevisionState::kDraft);
  EXPECT_EQ(domain::ScoringModelOf(documents[1])->rules.back().id, "c");
}

TEST_P(ConfigurationTest, ADocumentComesBackAsItWasKept) {
  const domain::ScoringModel model = ModelWith("odd", R"(topic = "a \"b\" <ü>")");
  ASSERT_TRUE(Draft(model).ok());
  const domain::ConfigDocuments documents = Documents(store_);
  ASSERT_THAT(documents, SizeIs(1));
  EXPECT_EQ(documents[0].document, domain::DocumentOf(model));
  EXPECT_EQ(domain::DocumentOf(*domain::ScoringModelOf(documents[0])), domain::DocumentOf(model));
}

TEST_P(ConfigurationTest, WhatWasActiveOnceStaysKnownForEver) {
  ASSERT_TRUE(Draft(ModelWith("a", "kind = CALL")).ok());
  ASSERT_TRUE(Activate("b2b", 2).ok());
  ASSERT_TRUE(Draft(ModelWith("b", "kind = CALL")).ok());
  ASSERT_TRUE(Activate("b2b", 3).ok());
  ASSERT_TRUE(store_
                  .Read([](storage::ReadTxn& tx) -> absl::Status {
                    for (const char* name :
                         {"scoringModels/b2b@1", "scoringModels/b2b@2", "scoringModels/b2b@3"}) {
                      EXPECT_NE(tx.config().FindModel(name), nullptr) << name;
                    }
                    return absl::OkStatus();
                  })
                  .ok());
  // And may come back.
  ASSERT_TRUE(Activate("b2b", 2).ok());
  EXPECT_EQ(ModelOfWrites(store_), "scoringModels/b2b@2");
}

TEST_P(ConfigurationTest, EveryChangeIsAnEventThatNamesTheRevision) {
  ASSERT_TRUE(Draft(ModelWith("a", "kind = CALL")).ok());
  ASSERT_TRUE(Activate("b2b", 2).ok());
  std::vector<std::string> subjects;
  for (const domain::Event& event : store_.AllEvents()) {
    EXPECT_EQ(event.type, domain::EventType::kConfigurationChanged);
    subjects.push_back(event.subject);
  }
  EXPECT_THAT(subjects, ElementsAre("scoringModels/b2b@2", "scoringModels/b2b@2"));
}

TEST_P(ConfigurationTest, ATryLeavesNothing) {
  absl::Status status =
      store_
          .Write(
              Keys().Configuration(ConfigKind::kScoringModel),
              [](WriteTxn& tx) -> absl::Status {
                ConfigDocument draft = domain::NextDraft({}, ConfigKind::kScoringModel, "x", 0,
                                                         domain::ConfigDocumentId(tx.NewId()));
                draft.document = domain::Value(domain::ValueMap{{"a", "b"}});
                return tx.Keep(draft, {.type = domain::EventType::kConfigurationChanged});
              },
              true)
          .status;
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(Documents(store_), IsEmpty());
}

TEST_P(ConfigurationTest, WhatWasPutAwayDoesNotComeBack) {
  ConfigDocument document;
  document.kind = ConfigKind::kScoringModel;
  document.name = "old";
  document.state = RevisionState::kArchived;
  EXPECT_EQ(domain::FaultOf(domain::Activate({}, document, clock_.Now()).status())->reason,
            "REVISION_ARCHIVED");
}

TEST_P(ConfigurationTest, AWriteThatReadsConfigurationWithoutItsKeyFails) {
  EXPECT_EQ(
      store_
          .Write(Keys(),
                 [](WriteTxn& tx) { return tx.Configurations(ConfigKind::kScoringModel).status(); })
          .status.code(),
      absl::StatusCode::kInternal);
}

TEST_P(ConfigurationTest, TheServersOfADatabaseAgreeFromTheNextBatchOn) {
  CountingIds other_ids(2);
  TestStore other(database_.url(), clock_, other_ids);
  EXPECT_EQ(ModelOfWrites(other), "scoringModels/b2b@1");
  ASSERT_TRUE(Draft(ModelWith("a", "kind = CALL")).ok());
  ASSERT_TRUE(Activate("b2b", 2).ok());
  EXPECT_EQ(ModelOfWrites(other), "scoringModels/b2b@2");
  EXPECT_EQ(ModelOfReads(other), "scoringModels/b2b@2");
  ASSERT_EQ(Draft(ModelWith("b", "kind = CALL"), other).value(), 3);
  ASSERT_TRUE(Activate("b2b", 3, other).ok());
  EXPECT_EQ(ModelOfWrites(store_), "scoringModels/b2b@3");
}

TEST_P(ConfigurationTest, TheTouchpointsOfALeadMayBeReadByAnyWrite) {
  domain::LeadId lead = store_.Run(CaptureOf("a@example.com"))->value.lead.id;
  commands::RecordTouchpointCommand record;
  record.lead = lead;
  record.touchpoint.kind = domain::TouchpointKind::kCall;
  ASSERT_TRUE(store_.Run(record).ok());
  std::vector<domain::Touchpoint> found;
  ASSERT_TRUE(store_
                  .Write(Keys().Lead(lead),
                         [&](WriteTxn& tx) -> absl::Status {
                           auto touchpoints = tx.Touchpoints(lead);
                           if (!touchpoints.ok()) return touchpoints.status();
                           found = *std::move(touchpoints);
                           return absl::OkStatus();
                         })
                  .status.ok());
  EXPECT_THAT(found, SizeIs(2));
}

INSTANTIATE_TEST_SUITE_P(Engines, ConfigurationTest,
                         ::testing::Values(Engine::kSqlite, Engine::kPostgres), EngineName);

}  // namespace
}  // namespace relais::testing
