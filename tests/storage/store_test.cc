// The one suite of the Store: what it promises, on each engine.

#include "storage/store.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/commands/commands.h"
#include "server/domain/concat.h"
#include "server/domain/invariants.h"
#include "server/domain/replay.h"
#include "server/domain/scoring.h"
#include "tests/fixtures/fakes.h"
#include "tests/storage/commands_fixture.h"
#include "tests/storage/store_fixture.h"

namespace relais::testing {
namespace {

using commands::Captured;
using domain::EventType;
using domain::Lead;
using domain::LeadId;
using domain::Stage;
using storage::Keys;
using storage::WriteTxn;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

std::string ReasonOf(const absl::Status& status) {
  std::optional<domain::Fault> fault = domain::FaultOf(status);
  return fault.has_value() ? fault->reason : std::string(status.message());
}

class StoreTest : public ::testing::TestWithParam<Engine> {
 protected:
  StoreTest() : database_(GetParam()), store_(database_.url(), clock_, ids_) {}

  TestDatabase database_;
  FakeClock clock_;
  CountingIds ids_;
  TestStore store_;
};

INSTANTIATE_TEST_SUITE_P(Engines, StoreTest, ::testing::Values(Engine::kSqlite, Engine::kPostgres),
                         EngineName);

// ---- captures and identity --------------------------------------------------------------------

TEST_P(StoreTest, CaptureKeepsLeadTouchpointAndEventsTogether) {
  auto captured = store_.Run(CaptureOf("ana@example.com"));
  ASSERT_TRUE(captured.ok()) << captured.status();
  EXPECT_EQ(captured->value.outcome, domain::CaptureOutcome::kCreated);
  std::optional<Lead> lead = store_.GetLead(captured->value.lead.id);
  ASSERT_TRUE(lead.has_value());
  EXPECT_EQ(*lead, captured->value.lead);
  EXPECT_EQ(lead->stage, Stage::kLead);
  EXPECT_EQ(lead->counters.touchpoints, 1);
  std::vector<domain::Event> events = store_.AllEvents();
  ASSERT_THAT(events, SizeIs(2));
  EXPECT_EQ(events[0].number, 1);
  EXPECT_EQ(events[1].number, 2);
  EXPECT_EQ(events[0].type, EventType::kLeadCreated);
  EXPECT_EQ(events[1].type, EventType::kTouchpointRecorded);
  EXPECT_LT(events[0].record_time, events[1].record_time);
}

TEST_P(StoreTest, SecondCaptureOfAnAddressMatchesTheFirst) {
  auto first = store_.Run(CaptureOf("ana@example.com"));
  auto second = store_.Run(CaptureOf("ana@example.com"));
  ASSERT_TRUE(first.ok() && second.ok()) << second.status();
  EXPECT_EQ(second->value.lead.id, first->value.lead.id);
  EXPECT_EQ(second->value.outcome, domain::CaptureOutcome::kMatched);
  EXPECT_EQ(second->value.matched_by, domain::IdentityKind::kEmail);
  EXPECT_EQ(second->value.lead.counters.touchpoints, 2);
  EXPECT_EQ(second->value.lead.revision, 2);
  EXPECT_THAT(store_.AllLeads(), SizeIs(1));
}

TEST_P(StoreTest, TouchpointWithAKnownExternalIdChangesNothing) {
  commands::CaptureCommand command = CaptureOf("ana@example.com");
  command.touchpoint.source = "form";
  command.touchpoint.external_id = "42";
  auto first = store_.Run(command);
  const size_t events = store_.AllEvents().size();
  auto second = store_.Run(command);
  ASSERT_TRUE(first.ok() && second.ok()) << second.status();
  EXPECT_TRUE(second->value.touchpoint_known);
  EXPECT_EQ(second->value.touchpoint, first->value.touchpoint);
  EXPECT_EQ(second->value.lead, first->value.lead);
  EXPECT_THAT(store_.AllEvents(), SizeIs(events));
}

TEST_P(StoreTest, AddressOfAnotherLeadStaysAnAttributeAndIsNamed) {
  auto ana = store_.Run(CaptureOf("ana@example.com"));
  commands::CaptureCommand both = CaptureOf("bob@example.com");
  both.lead.external_ids = {{"crm", "b-1"}};
  auto bob = store_.Run(both);
  both.lead.person.emails.push_back({"ana@example.com", ""});
  auto again = store_.Run(both);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->value.lead.id, bob->value.lead.id);
  EXPECT_EQ(again->value.matched_by, domain::IdentityKind::kExternalId);
  ASSERT_THAT(again->value.conflicts, SizeIs(1));
  EXPECT_EQ(again->value.conflicts[0].lead, ana->value.lead.id);
}

TEST_P(StoreTest, PhoneOfTwoPeopleIsNoLongerAKey) {
  commands::CaptureCommand ana = CaptureOf("ana@example.com");
  ana.lead.person.phones = {{"+33612345678", "06 12 34 56 78", ""}};
  commands::CaptureCommand bob = CaptureOf("bob@example.com");
  bob.lead.person.phones = ana.lead.person.phones;
  ASSERT_TRUE(store_.Run(ana).ok());
  auto second = store_.Run(bob);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->value.outcome, domain::CaptureOutcome::kCreated);
  commands::CaptureCommand nameless = ana;
  nameless.lead.person.emails.clear();
  auto third = store_.Run(nameless);
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_EQ(third->value.outcome, domain::CaptureOutcome::kCreated);
}

TEST_P(StoreTest, UpdateCannotLeaveALeadWithoutMarketOrAnythingToKnowItBy) {
  commands::UpdateLeadCommand update;
  update.lead = store_.Run(CaptureOf("ana@example.com"))->value.lead.id;
  update.paths = {"market", "person.emails", "organization.display_name"};
  absl::Status refused = store_.Run(update).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(domain::FaultOf(refused)->fields, SizeIs(2));
}

TEST_P(StoreTest, ContactsOfAnOpportunityMustExist) {
  commands::CreateOpportunityCommand create =
      OpportunityOf(QualifiedLead(store_, "ana@example.com"));
  create.opportunity.contacts = {{"leads/0190aaaa-0000-7000-8000-00000000dead", "champion"}};
  EXPECT_EQ(store_.Run(create).status().code(), absl::StatusCode::kNotFound);
  create.opportunity.contacts = {
      {NameOf(store_.Run(CaptureOf("bob@example.com"))->value.lead.id), "champion"}};
  EXPECT_TRUE(store_.Run(create).ok());
}

TEST_P(StoreTest, UpdateMovesIdentitiesWithTheAddress) {
  auto ana = store_.Run(CaptureOf("ana@example.com"));
  commands::UpdateLeadCommand update;
  update.lead = ana->value.lead.id;
  update.values.person.emails = {{"ana.new@example.com", ""}};
  update.paths = {"person.emails"};
  auto updated = store_.Run(update);
  ASSERT_TRUE(updated.ok()) << updated.status();
  auto old_address = store_.Run(CaptureOf("ana@example.com"));
  EXPECT_EQ(old_address->value.outcome, domain::CaptureOutcome::kCreated);
  auto new_address = store_.Run(CaptureOf("ana.new@example.com"));
  EXPECT_EQ(new_address->value.lead.id, ana->value.lead.id);
  update.lead = old_address->value.lead.id;
  auto taken = store_.Run(update);
  EXPECT_EQ(taken.status().code(), absl::StatusCode::kAlreadyExists) << taken.status();
}

// ---- request ids, etags, validate_only --------------------------------------------------------

TEST_P(StoreTest, SameRequestIdHasNoSecondEffect) {
  commands::CaptureCommand command = CaptureOf("ana@example.com");
  command.once = {"0190aaaa-0000-7000-8000-000000000001", "digest-1"};
  auto first = store_.Run(command);
  const size_t events = store_.AllEvents().size();
  auto second = store_.Run(command);
  ASSERT_TRUE(first.ok() && second.ok()) << second.status();
  EXPECT_FALSE(first->replayed);
  EXPECT_TRUE(second->replayed);
  EXPECT_EQ(second->value.touchpoint, first->value.touchpoint);
  EXPECT_EQ(second->value.outcome, domain::CaptureOutcome::kCreated);
  EXPECT_THAT(store_.AllEvents(), SizeIs(events));
}

TEST_P(StoreTest, ReplayAnswersThePresentState) {
  commands::CaptureCommand command = CaptureOf("ana@example.com");
  command.once = {"0190aaaa-0000-7000-8000-000000000001", "digest-1"};
  ASSERT_TRUE(store_.Run(command).ok());
  ASSERT_TRUE(store_.Run(CaptureOf("ana@example.com")).ok());
  auto replay = store_.Run(command);
  ASSERT_TRUE(replay.ok());
  EXPECT_TRUE(replay->replayed);
  EXPECT_EQ(replay->value.lead.counters.touchpoints, 2);
}

TEST_P(StoreTest, ReusedRequestIdIsRefused) {
  commands::CaptureCommand command = CaptureOf("ana@example.com");
  command.once = {"0190aaaa-0000-7000-8000-000000000001", "digest-1"};
  ASSERT_TRUE(store_.Run(command).ok());
  commands::CaptureCommand other = CaptureOf("bob@example.com");
  other.once = {command.once.id, "digest-2"};
  auto refused = store_.Run(other);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(ReasonOf(refused.status()), "REQUEST_ID_REUSED");
  EXPECT_THAT(store_.AllLeads(), SizeIs(1));
}

TEST_P(StoreTest, RefusedRequestIdsAreNotRemembered) {
  commands::LeadStepCommand qualify{.step = commands::LeadStep::kQualify,
                                    .lead = store_.Run(CaptureOf("a@example.com"))->value.lead.id};
  qualify.once = {"0190aaaa-0000-7000-8000-000000000002", "q"};
  EXPECT_EQ(ReasonOf(store_.Run(qualify).status()), "CRITERIA_NOT_MET");
  ASSERT_TRUE(store_.Run(AssessmentOf(qualify.lead)).ok());
  auto qualified = store_.Run(qualify);
  ASSERT_TRUE(qualified.ok()) << qualified.status();
  EXPECT_FALSE(qualified->replayed);
  EXPECT_TRUE(store_.Run(qualify)->replayed);
}

TEST_P(StoreTest, StaleEtagIsRefusedAndWritesNothing) {
  auto ana = store_.Run(CaptureOf("ana@example.com"));
  ASSERT_TRUE(store_.Run(CaptureOf("ana@example.com")).ok());
  const size_t events = store_.AllEvents().size();
  commands::UpdateLeadCommand update;
  update.lead = ana->value.lead.id;
  update.etag = domain::EtagOf(ana->value.lead.revision);
  update.values.person.job_title = "CFO";
  update.paths = {"person.job_title"};
  EXPECT_EQ(store_.Run(update).status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(store_.AllEvents(), SizeIs(events));
}

TEST_P(StoreTest, ValidateOnlyAnswersAndWritesNothing) {
  commands::CaptureCommand command = CaptureOf("ana@example.com");
  command.once = {"0190aaaa-0000-7000-8000-000000000001", "digest-1"};
  auto tried = store_.Run(command, /*validate_only=*/true);
  ASSERT_TRUE(tried.ok()) << tried.status();
  EXPECT_EQ(tried->value.outcome, domain::CaptureOutcome::kCreated);
  EXPECT_THAT(store_.AllLeads(), IsEmpty());
  EXPECT_THAT(store_.AllEvents(), IsEmpty());
  EXPECT_FALSE(store_.Run(command)->replayed);
}

// ---- batches ----------------------------------------------------------------------------------

// Queues units while the writer pauses, so that they meet in one transaction.
std::vector<absl::Status> WriteTogether(TestStore& store,
                                        const std::vector<std::pair<Keys, storage::Body>>& units) {
  std::vector<Waiter<absl::Status>> waiters(units.size());
  store->PauseWrites();
  for (size_t i = 0; i < units.size(); ++i) {
    store->Write(
        TestStore::CallOf(), units[i].first, units[i].second,
        [&waiters, i](absl::Status status, storage::Committed) { waiters[i].Set(status); }, false,
        1);
  }
  store->ResumeWrites();
  std::vector<absl::Status> statuses;
  for (Waiter<absl::Status>& waiter : waiters) statuses.push_back(waiter.Get());
  return statuses;
}

template <class Command>
std::pair<Keys, storage::Body> UnitOf(const Command& command) {
  return {commands::KeysOf(command),
          [command](WriteTxn& tx) -> absl::Status { return commands::Run(tx, command).status(); }};
}

TEST_P(StoreTest, UnitsOfOneTransactionSeeEachOther) {
  std::vector<std::pair<Keys, storage::Body>> units;
  for (int i = 0; i < 64; ++i) units.push_back(UnitOf(CaptureOf("ana@example.com")));
  for (const absl::Status& status : WriteTogether(store_, units)) EXPECT_TRUE(status.ok());
  std::vector<Lead> leads = store_.AllLeads();
  ASSERT_THAT(leads, SizeIs(1));
  EXPECT_EQ(leads[0].counters.touchpoints, 64);
  EXPECT_EQ(leads[0].revision, 64);
  EXPECT_THAT(store_.AllEvents(), SizeIs(128));
}

TEST_P(StoreTest, UnitThatFailsFailsAlone) {
  auto ana = store_.Run(CaptureOf("ana@example.com"));
  std::vector<std::pair<Keys, storage::Body>> units;
  for (int i = 0; i < 64; ++i) {
    units.push_back(UnitOf(CaptureOf(Concat("p", i, "@example.com"))));
    if (i % 4 == 0) {
      Keys keys = Keys().Lead(ana->value.lead.id);
      units.emplace_back(keys, [id = ana->value.lead.id](WriteTxn& tx) -> absl::Status {
        absl::StatusOr<const Lead*> found = tx.FindLead(id);
        if (!found.ok()) return found.status();
        Lead lead = **found;
        lead.person.job_title = "ghost";
        absl::Status kept = tx.Keep(lead, {.type = EventType::kLeadUpdated});
        if (!kept.ok()) return kept;
        return domain::InvalidField("lead", "fails after it wrote");
      });
    }
  }
  std::vector<absl::Status> statuses = WriteTogether(store_, units);
  EXPECT_EQ(
      std::count_if(statuses.begin(), statuses.end(), [](const absl::Status& s) { return s.ok(); }),
      64);
  EXPECT_THAT(store_.AllLeads(), SizeIs(65));
  EXPECT_EQ(store_.GetLead(ana->value.lead.id)->person.job_title, "");
  for (const domain::Event& event : store_.AllEvents()) {
    for (const domain::FieldChange& change : event.changes) {
      EXPECT_NE(change.after, domain::Value("ghost"));
    }
  }
}

TEST_P(StoreTest, BodyThatReadsWhatItDidNotNameFails) {
  auto ana = store_.Run(CaptureOf("ana@example.com"));
  auto written = store_.Write(Keys(), [&](WriteTxn& tx) -> absl::Status {
    return tx.FindLead(ana->value.lead.id).status();
  });
  EXPECT_EQ(written.status.code(), absl::StatusCode::kInternal);
}

TEST_P(StoreTest, BodyThatDiffersWhenRunTwiceFails) {
  int runs = 0;
  auto written = store_.Write(Keys(), [&](WriteTxn&) -> absl::Status {
    return ++runs == 1 ? absl::OkStatus() : domain::InvalidField("x", "second run");
  });
  EXPECT_EQ(written.status.code(), absl::StatusCode::kInternal);
}

TEST_P(StoreTest, UnnamedReadsAreServedInProduction) {
  CountingIds ids(2);
  TestStore lenient(database_.url(), clock_, ids, {});
  auto ana = lenient.Run(CaptureOf("ana@example.com"));
  ASSERT_TRUE(ana.ok()) << ana.status();
  std::string title;
  auto written = lenient.Write(Keys(), [&](WriteTxn& tx) -> absl::Status {
    absl::StatusOr<const Lead*> found = tx.FindLead(ana->value.lead.id);
    if (!found.ok()) return found.status();
    Lead lead = **found;
    lead.person.job_title = "CFO";
    return tx.Keep(lead, {.type = EventType::kLeadUpdated, .occur_time = tx.now()});
  });
  EXPECT_TRUE(written.status.ok()) << written.status;
  EXPECT_EQ(lenient.GetLead(ana->value.lead.id)->person.job_title, "CFO");
}

TEST_P(StoreTest, ExpiredUnitsAreDroppedWithoutATrace) {
  storage::Call call = TestStore::CallOf();
  call.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  bool ran = false;
  auto written = store_.Write(
      Keys(),
      [&](WriteTxn&) {
        ran = true;
        return absl::OkStatus();
      },
      false, call);
  EXPECT_EQ(written.status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(ran);
}

TEST_P(StoreTest, FullQueueRefusesWithRetryInfo) {
  CountingIds ids(3);
  storage::StoreOptions options = StrictOptions();
  options.max_queued_units = 2;
  TestStore small(database_.url(), clock_, ids, options);
  small->PauseWrites();
  std::vector<Waiter<absl::Status>> waiters(3);
  for (size_t i = 0; i < waiters.size(); ++i) {
    small->Write(
        TestStore::CallOf(), Keys(), [](WriteTxn&) { return absl::OkStatus(); },
        [&waiters, i](absl::Status status, storage::Committed) { waiters[i].Set(status); }, false,
        1);
  }
  absl::Status refused = waiters[2].Get();
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(domain::FaultOf(refused)->retry_after_millis.has_value());
  small->ResumeWrites();
  EXPECT_TRUE(waiters[0].Get().ok());
  EXPECT_TRUE(waiters[1].Get().ok());
}

TEST_P(StoreTest, BatchCaptureFailsItemByItem) {
  commands::BatchCaptureCommand batch;
  batch.items.push_back(CaptureOf("a@example.com"));
  batch.items.push_back(domain::InvalidField("requests[1].lead", "is malformed"));
  commands::CaptureCommand future = CaptureOf("b@example.com");
  future.occur_time = domain::Timestamp{clock_.Now().micros + domain::kMicrosPerDay};
  batch.items.push_back(future);
  batch.items.push_back(CaptureOf("a@example.com"));
  auto results = store_.Run(batch);
  ASSERT_THAT(results, SizeIs(4));
  EXPECT_TRUE(results[0].ok());
  EXPECT_FALSE(results[1].ok());
  EXPECT_FALSE(results[2].ok());
  ASSERT_TRUE(results[3].ok());
  EXPECT_EQ(results[3]->value.lead.id, results[0]->value.lead.id);
  EXPECT_THAT(store_.AllLeads(), SizeIs(1));
}

// ---- the lifecycle ----------------------------------------------------------------------------

TEST_P(StoreTest, OneLeadGoesFromInterestToSignedSale) {
  LeadId id = store_.Run(CaptureOf("ana@example.com"))->value.lead.id;
  commands::LeadStepCommand qualify{.step = commands::LeadStep::kQualify, .lead = id};
  absl::Status unmet = store_.Run(qualify).status();
  EXPECT_EQ(ReasonOf(unmet), "CRITERIA_NOT_MET");
  ASSERT_TRUE(store_.Run(AssessmentOf(id)).ok());
  EXPECT_EQ(store_.Run(qualify)->value.stage, Stage::kProspect);
  auto opportunity = store_.Run(OpportunityOf(id));
  ASSERT_TRUE(opportunity.ok()) << opportunity.status();
  EXPECT_EQ(store_.GetLead(id)->stage, Stage::kOpportunity);
  commands::OpportunityStepCommand close{.step = commands::OpportunityStep::kClose,
                                         .opportunity = opportunity->value.id};
  close.outcome = domain::CloseOutcome::kWon;
  auto closed = store_.Run(close);
  ASSERT_TRUE(closed.ok()) << closed.status();
  std::optional<Lead> lead = store_.GetLead(id);
  EXPECT_EQ(lead->stage, Stage::kCustomer);
  EXPECT_EQ(lead->counters.won_opportunities, 1);

  std::vector<std::string> transitions;
  for (const domain::Event& event : store_.AllEvents(id)) {
    for (const domain::FieldChange& change : event.changes) {
      if (change.path == "stage" && event.subject == NameOf(id)) {
        transitions.emplace_back(
            NameOf(static_cast<Stage>(change.after.if_int() ? *change.after.if_int() : 0)));
      }
    }
  }
  EXPECT_THAT(transitions, ElementsAre("LEAD", "PROSPECT", "OPPORTUNITY", "CUSTOMER"));
}

TEST_P(StoreTest, OpportunityKeyIsUnique) {
  LeadId id = QualifiedLead(store_, "ana@example.com");
  commands::CreateOpportunityCommand create = OpportunityOf(id);
  create.opportunity.external_ids = {{"crm", "O-1"}};
  ASSERT_TRUE(store_.Run(create).ok());
  auto again = store_.Run(create);
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists) << again.status();
}

TEST_P(StoreTest, UsersAndTeamsKeepTheirKeysUnique) {
  commands::SaveTeamCommand team;
  team.values.display_name = "North";
  auto north = store_.Run(team);
  ASSERT_TRUE(north.ok()) << north.status();
  EXPECT_EQ(store_.Run(team).status().code(), absl::StatusCode::kAlreadyExists);

  commands::SaveUserCommand user;
  user.values.display_name = "Zoé";
  user.values.email = "zoe@relais.example";
  user.values.teams = {NameOf(north->value.id)};
  auto zoe = store_.Run(user);
  ASSERT_TRUE(zoe.ok()) << zoe.status();
  EXPECT_EQ(store_.Run(user).status().code(), absl::StatusCode::kAlreadyExists);

  commands::SaveUserCommand change;
  change.user = zoe->value.id;
  change.values.email = "zoe.new@relais.example";
  change.paths = {"email"};
  ASSERT_TRUE(store_.Run(change).ok());
  EXPECT_TRUE(store_.Run(user).ok()) << "the old address is free again";

  commands::SaveTeamCommand circle;
  circle.team = north->value.id;
  circle.values.parent_team = NameOf(north->value.id);
  circle.paths = {"parent_team"};
  EXPECT_EQ(store_.Run(circle).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(StoreTest, ArchivedUsersGetNothingNew) {
  commands::SaveUserCommand user;
  user.values.display_name = "Zoé";
  auto zoe = store_.Run(user);
  LeadId id = store_.Run(CaptureOf("ana@example.com"))->value.lead.id;
  commands::AssignLeadCommand assign{.lead = id, .owner = zoe->value.id};
  auto assigned = store_.Run(assign);
  ASSERT_TRUE(assigned.ok()) << assigned.status();
  EXPECT_EQ(assigned->value.owner, NameOf(zoe->value.id));
  ASSERT_TRUE(store_.Run(commands::ArchiveUserCommand{.user = zoe->value.id}).ok());
  EXPECT_EQ(ReasonOf(store_.Run(assign).status()), "USER_ARCHIVED");
  assign.owner = domain::UserId("0190aaaa-0000-7000-8000-00000000dead");
  EXPECT_EQ(store_.Run(assign).status().code(), absl::StatusCode::kNotFound);
}

// ---- imports ----------------------------------------------------------------------------------

TEST_P(StoreTest, ImportedChunkSentAgainIsSkipped) {
  commands::ImportRowsCommand chunk = ImportOf(20);
  auto first = store_.Run(chunk);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->import.rows_done, 20);
  EXPECT_EQ(first->import.committed_row, 20);
  auto second = store_.Run(chunk);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(second->import.rows_done, 20);
  EXPECT_THAT(store_.AllLeads(), SizeIs(20));
}

TEST_P(StoreTest, SameRowsInAnotherImportAreUnchanged) {
  ASSERT_TRUE(store_.Run(ImportOf(20)).ok());
  std::vector<Lead> before = store_.AllLeads();
  commands::ImportRowsCommand again = ImportOf(20);
  again.import = domain::ImportId("0190aaaa-0000-7000-8000-00000000beef");
  again.complete = true;
  auto second = store_.Run(again);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(second->import.rows_unchanged, 20);
  EXPECT_EQ(second->import.state, domain::ImportState::kCompleted);
  EXPECT_EQ(store_.AllLeads(), before);
  again.rows.clear();
  EXPECT_EQ(ReasonOf(store_.Run(again).status()), "IMPORT_ENDED");
}

TEST_P(StoreTest, ImportCarriesALeadToTheSignedSaleInOneChunk) {
  commands::ImportRowsCommand chunk = ImportedSale("m-1");
  auto imported = store_.Run(chunk);
  ASSERT_TRUE(imported.ok()) << imported.status();
  for (const commands::ImportRowResult& row : imported->results) {
    EXPECT_TRUE(row.status.ok()) << row.row << ": " << row.status;
  }
  std::vector<Lead> leads = store_.AllLeads();
  ASSERT_THAT(leads, SizeIs(1));
  EXPECT_EQ(leads[0].stage, Stage::kCustomer);
  const size_t events = store_.AllEvents().size();
  chunk.import = domain::ImportId("0190aaaa-0000-7000-8000-00000000beef");
  auto again = store_.Run(chunk);
  EXPECT_EQ(again->import.rows_unchanged, static_cast<int64_t>(chunk.rows.size()));
  EXPECT_THAT(store_.AllEvents(), SizeIs(events + 2)) << "the import's own two events only";
}

TEST_P(StoreTest, CancelledImportTakesNoMoreRows) {
  commands::ImportRowsCommand chunk = ImportOf(3);
  ASSERT_TRUE(store_.Run(chunk).ok());
  auto cancelled = store_.Run(
      commands::CancelOperationCommand{.operation = domain::OperationId(chunk.import.value)});
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
  EXPECT_EQ(cancelled->value.state, domain::OperationState::kCancelled);
  EXPECT_EQ(ReasonOf(store_.Run(chunk).status()), "IMPORT_ENDED");
}

// ---- the log ----------------------------------------------------------------------------------

TEST_P(StoreTest, NumbersAreGaplessAndTimesIncreaseEvenWhenTheClockStands) {
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(store_.Run(CaptureOf(Concat(i, "@example.com"))).ok());
  std::vector<domain::Event> events = store_.AllEvents();
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].number, static_cast<int64_t>(i) + 1);
    if (i > 0) {
      EXPECT_GT(events[i].record_time, events[i - 1].record_time);
    }
  }
}

TEST_P(StoreTest, AnotherKeyFileIsRefused) {
  CountingIds ids(4);
  auto other =
      storage::OpenStore({database_.url(), std::string(32, 'x'), StrictOptions()}, clock_, ids);
  EXPECT_EQ(other.status().code(), absl::StatusCode::kFailedPrecondition) << other.status();
  auto same =
      storage::OpenStore({database_.url(), std::string(32, 'k'), StrictOptions()}, clock_, ids);
  EXPECT_TRUE(same.ok()) << same.status();
}

TEST_P(StoreTest, LeadsRebuiltFromTheLogEqualTheTable) {
  RandomHistory history(store_, clock_, 7);
  history.Run(120);
  std::map<std::string, std::vector<domain::Event>> by_lead;
  for (domain::Event& event : store_.AllEvents()) {
    if (!event.lead.empty()) by_lead[event.lead.value].push_back(event);
  }
  std::vector<Lead> leads = store_.AllLeads();
  ASSERT_FALSE(leads.empty());
  for (Lead lead : leads) {
    absl::StatusOr<Lead> rebuilt = domain::ReplayLead(lead.id, by_lead[lead.id.value]);
    ASSERT_TRUE(rebuilt.ok()) << rebuilt.status();
    lead.score_state.clear();
    lead.next_score_time.reset();
    rebuilt->revision = lead.revision;
    for (const auto& field : domain::FieldsOf<Lead>()) {
      EXPECT_EQ(field.get(*rebuilt), field.get(lead)) << field.spec.path;
    }
  }
}

TEST_P(StoreTest, PastStatesAndScoresAreReplayedExactly) {
  RandomHistory history(store_, clock_, 11, /*people=*/130);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(store_.Run(CaptureOf(Concat("p11-", i, "@example.com"))).ok());
  }
  struct Copy {
    domain::Timestamp at;
    Lead lead;
    int64_t score;
  };
  std::vector<Copy> copies;
  for (int moment = 0; moment < 20; ++moment) {
    history.Run(40);
    clock_.AdvanceDays(1);
    for (const Lead& lead : store_.AllLeads()) {
      const domain::CompiledModel& model = domain::BuiltInConfig().model(lead.market);
      absl::StatusOr<domain::ScoreState> state = domain::ScoreState::Parse(lead.score_state);
      ASSERT_TRUE(state.ok());
      const domain::Timestamp at = clock_.Now();
      copies.push_back({at, lead, domain::Evaluate(model, lead, *state, at).score});
    }
    clock_.Advance(domain::kMicrosPerSecond);
  }
  std::map<std::string, std::vector<domain::Event>> by_lead;
  for (domain::Event& event : store_.AllEvents()) {
    if (!event.lead.empty()) by_lead[event.lead.value].push_back(event);
  }
  ASSERT_GE(copies.size(), 20u * 100u);
  for (Copy& copy : copies) {
    const std::vector<domain::Event>& events = by_lead[copy.lead.id.value];
    const domain::CompiledModel& model = domain::BuiltInConfig().model(copy.lead.market);
    absl::StatusOr<domain::ReplayedScore> replayed =
        domain::ReplayScore(model, copy.lead.id, events, copy.at);
    ASSERT_TRUE(replayed.ok()) << replayed.status();
    for (const auto& field : domain::FieldsOf<Lead>()) {
      if (!field.spec.history) continue;
      EXPECT_EQ(field.get(replayed->lead), field.get(copy.lead)) << field.spec.path;
    }
    EXPECT_EQ(replayed->breakdown.score, copy.score);
  }
}

TEST_P(StoreTest, RandomHistoriesKeepTheInvariants) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    RandomHistory history(store_, clock_, seed);
    history.Run(6);
    ASSERT_THAT(history.Violations(), IsEmpty()) << "seed " << seed;
  }
}

// ---- reading ----------------------------------------------------------------------------------

TEST_P(StoreTest, PagesFollowEachOtherWithoutGapInEveryOrder) {
  for (int i = 0; i < 25; ++i) {
    commands::CaptureCommand command = CaptureOf(Concat(i, "@example.com"));
    command.lead.person.family_name = i % 3 == 0 ? "" : Concat("Name", i % 5);
    ASSERT_TRUE(store_.Run(command).ok());
    if (i % 4 == 0) clock_.Advance(domain::kMicrosPerSecond);
  }
  for (const char* path : {"create_time", "update_time", "score", "milestones.stage_time",
                           "milestones.last_touch_time", "person.family_name"}) {
    for (bool descending : {false, true}) {
      std::vector<std::string> seen;
      storage::ListQuery query{.order_path = path, .descending = descending, .limit = 4};
      for (;;) {
        std::vector<Lead> page;
        absl::Status status = store_.Read([&](storage::ReadTxn& tx) -> absl::Status {
          auto found = tx.ListLeads(query);
          if (!found.ok()) return found.status();
          page = *std::move(found);
          return absl::OkStatus();
        });
        ASSERT_TRUE(status.ok()) << status;
        if (page.empty()) break;
        for (const Lead& lead : page) seen.push_back(lead.id.value);
        query.after =
            storage::Cursor{domain::FindField<Lead>(path)->get(page.back()), page.back().id.value};
      }
      EXPECT_THAT(std::set<std::string>(seen.begin(), seen.end()), SizeIs(25)) << path;
      EXPECT_THAT(seen, SizeIs(25)) << path;
    }
  }
}

TEST_P(StoreTest, SearchFindsBeginningsAndSmallSlips) {
  LeadId id = store_.Run(CaptureOf("marie.dupont@example.fr"))->value.lead.id;
  LeadId other = store_.Run(CaptureOf("paul@example.fr"))->value.lead.id;
  std::vector<std::pair<LeadId, std::vector<storage::SearchTerm>>> terms = {
      {id, {{"marie", 1}, {"dupont", 1}, {"marie.dupont@example.fr", 2}}},
      {other, {{"paul", 1}, {"martin", 1}}}};
  ASSERT_TRUE(store_->ReplaceSearchTerms(domain::TenantId("default"), terms, 0, 4).ok());
  auto search = [&](std::vector<std::string> words) {
    std::vector<storage::SearchHit> hits;
    absl::Status status = store_.Read([&](storage::ReadTxn& tx) -> absl::Status {
      auto found = tx.Search(words, 10);
      if (!found.ok()) return found.status();
      hits = *found;
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return hits;
  };
  ASSERT_THAT(search({"dup"}), SizeIs(1));
  EXPECT_EQ(search({"dupont"})[0].relevance, 1000);
  EXPECT_THAT(search({"dupond"}), SizeIs(1));
  EXPECT_THAT(search({"dupotn", "mar"}), SizeIs(1));
  EXPECT_THAT(search({"dupont", "paul"}), IsEmpty());
  // A lead that changes its name is found by the new one only, also by what resembles it.
  terms.pop_back();
  terms[0].second = {{"marie", 1}, {"lefevre", 1}};
  ASSERT_TRUE(store_->ReplaceSearchTerms(domain::TenantId("default"), terms, 4, 6).ok());
  EXPECT_THAT(search({"dupond"}), IsEmpty());
  EXPECT_THAT(search({"lefebre"}), SizeIs(1));
  EXPECT_EQ(store_->ReplaceSearchTerms(domain::TenantId("default"), {}, 1, 9).code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(*store_->ReactionPosition(domain::TenantId("default"), "search"), 6);
}

// ---- two servers, lost connections, sweeping --------------------------------------------------

TEST_P(StoreTest, TwoServersCapturingTheSameIdentitiesMakeEachOnce) {
  if (GetParam() == Engine::kSqlite) return;  // one server per file
  CountingIds ids(9);
  TestStore second(database_.url(), clock_, ids);
  constexpr int kPeople = 1000;
  std::atomic<int> failures{0};
  auto capture_all = [&](TestStore& store) {
    std::vector<Waiter<absl::Status>> waiters(kPeople);
    for (int i = 0; i < kPeople; ++i) {
      commands::CaptureCommand command = CaptureOf(Concat("p", i, "@example.com"));
      store->Write(
          TestStore::CallOf(), commands::KeysOf(command),
          [command](WriteTxn& tx) { return commands::Run(tx, command).status(); },
          [&waiters, i](absl::Status status, storage::Committed) {
            waiters[static_cast<size_t>(i)].Set(status);
          },
          false, 1);
    }
    for (Waiter<absl::Status>& waiter : waiters) {
      if (!waiter.Get().ok()) ++failures;
    }
  };
  std::thread other([&] { capture_all(second); });
  capture_all(store_);
  other.join();
  EXPECT_EQ(failures, 0);
  EXPECT_THAT(store_.AllLeads(), SizeIs(kPeople));
  std::vector<domain::Event> events = store_.AllEvents();
  EXPECT_THAT(events, SizeIs(4 * kPeople));
  EXPECT_EQ(events.back().number, 4 * kPeople);
}

TEST_P(StoreTest, SweepForgetsRequestsAfterSevenDays) {
  commands::CaptureCommand command = CaptureOf("ana@example.com");
  command.once = {"0190aaaa-0000-7000-8000-000000000001", "digest-1"};
  ASSERT_TRUE(store_.Run(command).ok());
  auto sweep = [&] { return *store_->Sweep(domain::TenantId("default"), 100); };
  clock_.AdvanceDays(6);
  EXPECT_EQ(sweep(), 0);
  EXPECT_TRUE(store_.Run(command)->replayed);
  clock_.AdvanceDays(2);
  EXPECT_GT(sweep(), 0);
  EXPECT_EQ(sweep(), 0);
  EXPECT_FALSE(store_.Run(command)->replayed);
}

TEST_P(StoreTest, StoppedStoreRefusesNewWork) {
  store_->Stop();
  auto written = store_.Write(Keys(), [](WriteTxn&) { return absl::OkStatus(); });
  EXPECT_EQ(written.status.code(), absl::StatusCode::kUnavailable);
}

TEST_P(StoreTest, CommitsWakeListeners) {
  std::atomic<int> wakes{0};
  auto handle = store_->OnCommit([&] { ++wakes; });
  ASSERT_TRUE(store_.Run(CaptureOf("ana@example.com")).ok());
  ASSERT_TRUE(store_.Run(CaptureOf("bob@example.com")).ok());
  EXPECT_GE(wakes, 1);
  handle.reset();
  const int before = wakes;
  ASSERT_TRUE(store_.Run(CaptureOf("cyd@example.com")).ok());
  ASSERT_TRUE(store_.Run(CaptureOf("dan@example.com")).ok());
  EXPECT_EQ(wakes, before);
}

TEST(PostgresStoreTest, ReconnectsByItselfAfterEverySessionWasCut) {
  TestDatabase database(Engine::kPostgres);
  FakeClock clock;
  CountingIds ids;
  TestStore store(database.url(), clock, ids);
  ASSERT_TRUE(store.Run(CaptureOf("ana@example.com")).ok());
  PgCluster::Shared().Execute(
      "postgres",
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
      "datname IS NOT NULL");
  auto after = store.Run(CaptureOf("bob@example.com"));
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_THAT(store.AllLeads(), SizeIs(2));
}

}  // namespace
}  // namespace relais::testing
