// Merging and unmerging as the store keeps it, on both engines: nothing is lost, each thing comes
// back to whom it belongs, and the past stays as it was.
#include "server/domain/merge.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "server/domain/replay.h"
#include "tests/storage/commands_fixture.h"

namespace relais::testing {
namespace {

using domain::IdentityKind;
using domain::Lead;
using domain::LeadId;
using domain::Stage;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// What an export tells of a lead: everything but its version and the time of its last change.
Lead Exported(Lead lead) {
  lead.revision = 0;
  lead.update_time = {};
  return lead;
}

class MergeTest : public ::testing::TestWithParam<Engine> {
 protected:
  Lead Capture(const std::string& email, const std::string& given = "") {
    commands::CaptureCommand command = CaptureOf(email);
    command.lead.person.given_name = given;
    auto captured = store.Run(command);
    EXPECT_TRUE(captured.ok()) << captured.status();
    return captured->value.lead;
  }
  absl::StatusOr<Lead> Merge(const LeadId& survivor, std::vector<LeadId> leads) {
    auto merged =
        store.Run(commands::MergeLeadsCommand{.survivor = survivor, .leads = std::move(leads)});
    if (!merged.ok()) return merged.status();
    return merged->value;
  }
  absl::StatusOr<commands::UnmergedLeads> Unmerge(const LeadId& lead) {
    auto unmerged = store.Run(commands::UnmergeLeadCommand{.lead = lead});
    if (!unmerged.ok()) return unmerged.status();
    return unmerged->value;
  }
  // Every lead of the base, by id, as an export tells it.
  std::map<std::string, Lead> Export() {
    std::map<std::string, Lead> leads;
    for (Lead& lead : store.AllLeads()) {
      std::string id = lead.id.value;
      leads.emplace(std::move(id), Exported(std::move(lead)));
    }
    return leads;
  }
  std::vector<domain::Opportunity> OpportunitiesOf(const LeadId& id) {
    std::vector<domain::Opportunity> found;
    const Lead lead = *store.GetLead(id);
    absl::Status status = store.Read([&](storage::ReadTxn& tx) -> absl::Status {
      auto list = tx.ListOpportunities(
          {.parent = lead.id, .merged = domain::MergedLeads(lead), .limit = 1000});
      if (!list.ok()) return list.status();
      found = *std::move(list);
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return found;
  }
  std::vector<domain::Touchpoint> TouchpointsOf(const LeadId& id) {
    std::vector<domain::Touchpoint> found;
    const Lead lead = *store.GetLead(id);
    absl::Status status = store.Read([&](storage::ReadTxn& tx) -> absl::Status {
      auto list = tx.ListTouchpoints({.parent = lead.id,
                                      .merged = domain::MergedLeads(lead),
                                      .order_path = "occur_time",
                                      .limit = 100'000});
      if (!list.ok()) return list.status();
      found = *std::move(list);
      return absl::OkStatus();
    });
    EXPECT_TRUE(status.ok()) << status;
    return found;
  }
  // The stored state of a lead, also of one that was merged, is what its events tell.
  void ExpectReplayed(const LeadId& id) {
    const std::vector<domain::Event> events = store.AllEvents(id);
    auto replayed = domain::ReplayLead(id, events);
    ASSERT_TRUE(replayed.ok()) << replayed.status();
    const Lead standing = *store.GetLead(id);
    if (!replayed->merged_into.empty()) {
      EXPECT_EQ(NameOf(standing.id), replayed->merged_into);
      return;
    }
    Lead stored = Exported(standing);
    Lead told = Exported(*std::move(replayed));
    told.score_state = stored.score_state;
    told.next_score_time = stored.next_score_time;
    EXPECT_EQ(told, stored);
  }

  FakeClock clock{kStart};
  CountingIds ids;
  TestDatabase database{GetParam()};
  TestStore store{database.url(), clock, ids};
};
INSTANTIATE_TEST_SUITE_P(Engines, MergeTest, ::testing::Values(Engine::kSqlite, Engine::kPostgres),
                         EngineName);

TEST_P(MergeTest, TheSurvivorStandsForTheOther) {
  const Lead ana = Capture("ana@example.com", "Ana"), other = Capture("a.lopez@example.com");
  absl::StatusOr<Lead> merged = Merge(ana.id, {other.id});
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->id, ana.id);
  EXPECT_THAT(merged->merged_leads, ElementsAre(NameOf(other.id)));
  EXPECT_EQ(merged->counters.touchpoints, 2);
  EXPECT_EQ(merged->person.emails.size(), 2u);
  EXPECT_EQ(store.GetLead(other.id)->id, ana.id);
  EXPECT_EQ(store.AllLeads().size(), 1u);
  EXPECT_EQ(TouchpointsOf(other.id).size(), 2u);
  ExpectReplayed(ana.id);
  ExpectReplayed(other.id);
}

TEST_P(MergeTest, ACaptureThatMatchesTheMergedLeadLandsOnTheSurvivor) {
  const Lead ana = Capture("ana@example.com"), other = Capture("a.lopez@example.com");
  ASSERT_TRUE(Merge(ana.id, {other.id}).ok());
  auto captured = store.Run(CaptureOf("a.lopez@example.com"));
  ASSERT_TRUE(captured.ok()) << captured.status();
  EXPECT_EQ(captured->value.outcome, domain::CaptureOutcome::kMatched);
  EXPECT_EQ(captured->value.lead.id, ana.id);
  EXPECT_EQ(captured->value.touchpoint.lead, other.id);
  EXPECT_EQ(captured->value.lead.counters.touchpoints, 3);
  EXPECT_EQ(store.AllLeads().size(), 1u);
}

TEST_P(MergeTest, ARequestThatWasMadeForTheMergedLeadIsAnsweredWithTheSurvivor) {
  commands::CaptureCommand command = CaptureOf("a.lopez@example.com");
  command.once = {"0190aaaa-0000-7000-8000-000000000001", "digest"};
  const LeadId other = store.Run(command)->value.lead.id;
  const Lead ana = Capture("ana@example.com");
  ASSERT_TRUE(Merge(ana.id, {other}).ok());
  auto replay = store.Run(command);
  ASSERT_TRUE(replay.ok()) << replay.status();
  EXPECT_TRUE(replay->replayed);
  EXPECT_EQ(replay->value.lead.id, ana.id);
}

TEST_P(MergeTest, MergeThenUnmergeWithNothingBetweenLeavesTheSameExport) {
  const LeadId ana = QualifiedLead(store, "ana@example.com");
  const LeadId other = QualifiedLead(store, "a.lopez@example.com");
  ASSERT_TRUE(store.Run(OpportunityOf(other)).ok());
  commands::SetConsentCommand consent{.lead = other};
  consent.consent.channel = domain::ConsentChannel::kEmail;
  consent.consent.purpose = domain::ConsentPurpose::kMarketing;
  consent.consent.state = domain::ConsentState::kGranted;
  ASSERT_TRUE(store.Run(consent).ok());
  const auto before = Export();
  absl::StatusOr<Lead> merged = Merge(ana, {other});
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->stage, Stage::kOpportunity);
  EXPECT_EQ(merged->consents.size(), 1u);
  auto unmerged = Unmerge(other);
  ASSERT_TRUE(unmerged.ok()) << unmerged.status();
  EXPECT_EQ(unmerged->lead.id, other);
  EXPECT_EQ(unmerged->survivor.id, ana);
  EXPECT_EQ(Export(), before);
  ExpectReplayed(ana);
  ExpectReplayed(other);
}

TEST_P(MergeTest, WhatCameInBetweenGoesToWhomItBelongs) {
  const Lead ana = Capture("ana@example.com", "Ana"), other = Capture("a.lopez@example.com");
  ASSERT_TRUE(Merge(ana.id, {other.id}).ok());
  // To the other: by an identity, which brings a new one, and by name.
  commands::CaptureCommand capture = CaptureOf("a.lopez@example.com");
  capture.lead.person.phones = {{"+33612345678", "+33612345678", ""}};
  ASSERT_TRUE(store.Run(capture).ok());
  auto opportunity = store.Run(AssessmentOf(other.id));
  ASSERT_TRUE(opportunity.ok()) << opportunity.status();
  // To the survivor: a field, a touchpoint.
  commands::UpdateLeadCommand update{.lead = ana.id};
  update.values.person.job_title = "CTO";
  update.paths = {"person.job_title"};
  ASSERT_TRUE(store.Run(update).ok());
  commands::RecordTouchpointCommand record{.lead = ana.id};
  record.touchpoint.kind = domain::TouchpointKind::kCall;
  ASSERT_TRUE(store.Run(record).ok());

  auto unmerged = Unmerge(other.id);
  ASSERT_TRUE(unmerged.ok()) << unmerged.status();
  EXPECT_EQ(unmerged->lead.counters.touchpoints, 2);
  ASSERT_EQ(unmerged->lead.person.phones.size(), 1u);
  EXPECT_EQ(unmerged->lead.person.job_title, "");
  EXPECT_EQ(unmerged->survivor.counters.touchpoints, 2);
  EXPECT_THAT(unmerged->survivor.person.phones, IsEmpty());
  EXPECT_EQ(unmerged->survivor.person.emails.size(), 1u);
  EXPECT_EQ(unmerged->survivor.person.job_title, "CTO");
  EXPECT_TRUE(unmerged->survivor.milestones.first_contacted_time.has_value());
  EXPECT_FALSE(unmerged->lead.milestones.first_contacted_time.has_value());
  // The other was assessed, so it alone can be qualified.
  auto qualify = [&](const LeadId& id) {
    return store.Run(commands::LeadStepCommand{.step = commands::LeadStep::kQualify, .lead = id});
  };
  EXPECT_TRUE(qualify(other.id).ok());
  EXPECT_EQ(qualify(ana.id).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_P(MergeTest, OpportunitiesOfTheMergedLeadMoveTheSurvivorAndGoBackWithTheirLead) {
  const Lead ana = Capture("ana@example.com");
  const LeadId other = QualifiedLead(store, "a.lopez@example.com");
  const domain::OpportunityId opportunity = store.Run(OpportunityOf(other))->value.id;
  EXPECT_EQ(Merge(ana.id, {other})->stage, Stage::kOpportunity);
  commands::OpportunityStepCommand close{.step = commands::OpportunityStep::kClose,
                                         .opportunity = opportunity};
  close.outcome = domain::CloseOutcome::kWon;
  ASSERT_TRUE(store.Run(close).ok());
  EXPECT_EQ(store.GetLead(ana.id)->stage, Stage::kCustomer);
  EXPECT_THAT(domain::CheckInvariants(*store.GetLead(ana.id), OpportunitiesOf(ana.id)), IsEmpty());
  auto unmerged = Unmerge(other);
  ASSERT_TRUE(unmerged.ok()) << unmerged.status();
  EXPECT_EQ(unmerged->lead.stage, Stage::kCustomer);
  EXPECT_EQ(unmerged->survivor.stage, Stage::kLead);
  EXPECT_EQ(unmerged->survivor.counters.won_opportunities, 0);
  EXPECT_THAT(domain::CheckInvariants(unmerged->lead, OpportunitiesOf(other)), IsEmpty());
  EXPECT_THAT(domain::CheckInvariants(unmerged->survivor, OpportunitiesOf(ana.id)), IsEmpty());
}

TEST_P(MergeTest, AnIdentityIsTakenBackByItsLeadAndFindsItAgain) {
  const Lead ana = Capture("ana@example.com"), other = Capture("a.lopez@example.com");
  ASSERT_TRUE(Merge(ana.id, {other.id}).ok());
  ASSERT_TRUE(Unmerge(other.id).ok());
  EXPECT_EQ(store.Run(CaptureOf("a.lopez@example.com"))->value.lead.id, other.id);
  EXPECT_EQ(store.Run(CaptureOf("ana@example.com"))->value.lead.id, ana.id);
}

TEST_P(MergeTest, WhatWasTakenFromTheSurvivorIsTakenFromBoth) {
  const Lead ana = Capture("ana@example.com"), other = Capture("a.lopez@example.com");
  ASSERT_TRUE(Merge(ana.id, {other.id}).ok());
  commands::UpdateLeadCommand update{.lead = ana.id};
  update.values.person.emails = {{"ana@example.com", ""}};
  update.paths = {"person.emails"};
  ASSERT_TRUE(store.Run(update).ok());
  auto unmerged = Unmerge(other.id);
  ASSERT_TRUE(unmerged.ok()) << unmerged.status();
  EXPECT_THAT(unmerged->lead.person.emails, IsEmpty());
  EXPECT_EQ(unmerged->survivor.person.emails.size(), 1u);
  EXPECT_EQ(store.Run(CaptureOf("a.lopez@example.com"))->value.outcome,
            domain::CaptureOutcome::kCreated);
}

TEST_P(MergeTest, ALeadThatWasMergedBringsItsOwnAndTakesThemBack) {
  const Lead a = Capture("a@example.com"), b = Capture("b@example.com"),
             c = Capture("c@example.com");
  const auto before = Export();
  ASSERT_TRUE(Merge(b.id, {c.id}).ok());
  const auto between = Export();
  ASSERT_TRUE(Merge(a.id, {b.id}).ok());
  EXPECT_EQ(store.GetLead(c.id)->id, a.id);
  EXPECT_EQ(store.GetLead(c.id)->counters.touchpoints, 3);
  absl::Status within = Unmerge(c.id).status();
  ASSERT_TRUE(domain::FaultOf(within).has_value());
  EXPECT_EQ(domain::FaultOf(within)->reason, "MERGED_WITHIN");
  ASSERT_TRUE(Unmerge(b.id).ok());
  EXPECT_EQ(Export(), between);
  EXPECT_EQ(store.GetLead(c.id)->id, b.id);
  ASSERT_TRUE(Unmerge(c.id).ok());
  EXPECT_EQ(Export(), before);
}

TEST_P(MergeTest, SeveralAreMergedAtOnceAndUnmergedInAnyOrder) {
  const Lead a = Capture("a@example.com", "Ana"), b = Capture("b@example.com", "Bea"),
             c = Capture("c@example.com");
  const auto before = Export();
  absl::StatusOr<Lead> merged = Merge(c.id, {a.id, b.id});
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_EQ(merged->person.given_name, "Ana");
  EXPECT_THAT(merged->merged_leads, UnorderedElementsAre(NameOf(a.id), NameOf(b.id)));
  auto first = Unmerge(a.id);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->survivor.person.given_name, "");
  ASSERT_TRUE(Unmerge(b.id).ok());
  EXPECT_EQ(Export(), before);
}

TEST_P(MergeTest, TheChosenFieldsComeFromTheMergedLead) {
  const Lead ana = Capture("ana@example.com", "Ana"), other = Capture("b@example.com", "Anna");
  commands::MergeLeadsCommand command{.survivor = ana.id, .leads = {other.id}};
  command.sources = {{"person.given_name", other.id}};
  const auto before = Export();
  auto tried = store.Run(command, /*validate_only=*/true);
  ASSERT_TRUE(tried.ok()) << tried.status();
  EXPECT_EQ(tried->value.person.given_name, "Anna");
  EXPECT_EQ(Export(), before);
  EXPECT_EQ(store.Run(command)->value.person.given_name, "Anna");
  ASSERT_TRUE(Unmerge(other.id).ok());
  EXPECT_EQ(Export(), before);
}

TEST_P(MergeTest, RefusalsSayWhyAndLeaveNothing) {
  const Lead a = Capture("a@example.com"), b = Capture("b@example.com"),
             c = Capture("c@example.com");
  ASSERT_TRUE(Merge(a.id, {b.id}).ok());
  const size_t events = store.AllEvents().size();
  auto reason = [](const absl::Status& status) {
    auto fault = domain::FaultOf(status);
    return fault.has_value() ? fault->reason : std::string(status.message());
  };
  EXPECT_EQ(reason(Merge(c.id, {b.id}).status()), "ALREADY_MERGED");
  EXPECT_EQ(Merge(a.id, {a.id}).status().code(), absl::StatusCode::kInvalidArgument);
  // By its old name, too, a survivor is itself.
  EXPECT_EQ(Merge(b.id, {a.id}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(reason(Unmerge(c.id).status()), "NOT_MERGED");
  EXPECT_EQ(Unmerge(LeadId("00000000-0000-7000-8000-000000000000")).status().code(),
            absl::StatusCode::kNotFound);
  auto stale = store.Run(
      commands::MergeLeadsCommand{.survivor = a.id, .leads = {c.id}, .etag = domain::EtagOf(1)});
  EXPECT_EQ(stale.status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(store.AllEvents().size(), events);
}

TEST_P(MergeTest, ALeadStandsForAHundredAndNoMore) {
  const Lead survivor = Capture("s@example.com");
  for (size_t i = 0; i < domain::kMaxMergedLeads; i += domain::kMaxLeadsPerMerge) {
    std::vector<LeadId> leads;
    for (size_t j = 0; j < domain::kMaxLeadsPerMerge; ++j) {
      leads.push_back(Capture(Concat("m", i + j, "@example.com")).id);
    }
    ASSERT_TRUE(Merge(survivor.id, leads).ok());
  }
  EXPECT_EQ(store.GetLead(survivor.id)->counters.touchpoints, 101);
  const Lead one_more = Capture("more@example.com");
  auto fault = domain::FaultOf(Merge(survivor.id, {one_more.id}).status());
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->reason, "TOO_MANY_MERGED");
}

TEST_P(MergeTest, ARepeatedRequestHasNoSecondEffect) {
  const Lead a = Capture("a@example.com"), b = Capture("b@example.com");
  commands::MergeLeadsCommand merge{.survivor = a.id, .leads = {b.id}};
  merge.once = {"0190aaaa-0000-7000-8000-000000000001", "merge"};
  commands::UnmergeLeadCommand unmerge{.lead = b.id};
  unmerge.once = {"0190aaaa-0000-7000-8000-000000000002", "unmerge"};
  ASSERT_TRUE(store.Run(merge).ok());
  EXPECT_TRUE(store.Run(merge)->replayed);
  ASSERT_TRUE(store.Run(unmerge).ok());
  const auto replay = store.Run(unmerge);
  ASSERT_TRUE(replay.ok()) << replay.status();
  EXPECT_TRUE(replay->replayed);
  EXPECT_EQ(replay->value.lead.id, b.id);
  EXPECT_EQ(replay->value.survivor.id, a.id);
  // The merge is not done again either: the answer is the present state.
  EXPECT_EQ(store.Run(merge)->value.merged_leads.size(), 0u);
}

TEST_P(MergeTest, UnitsOfOneTransactionSeeEachOthersMerges) {
  const Lead a = Capture("a@example.com"), b = Capture("b@example.com");
  const auto before = Export();
  store->PauseWrites();
  auto run = [&](auto command) {
    auto waiter = std::make_shared<Waiter<absl::Status>>();
    store->Write(
        TestStore::CallOf(), commands::KeysOf(command),
        [command](storage::WriteTxn& tx) { return commands::Run(tx, command).status(); },
        [waiter](absl::Status status, storage::Committed) { waiter->Set(std::move(status)); });
    return waiter;
  };
  auto merged = run(commands::MergeLeadsCommand{.survivor = a.id, .leads = {b.id}});
  commands::RecordTouchpointCommand record{.lead = b.id};
  record.touchpoint.kind = domain::TouchpointKind::kForm;
  auto recorded = run(record);
  auto unmerged = run(commands::UnmergeLeadCommand{.lead = b.id});
  store->ResumeWrites();
  EXPECT_TRUE(merged->Get().ok()) << merged->Get();
  EXPECT_TRUE(recorded->Get().ok()) << recorded->Get();
  EXPECT_TRUE(unmerged->Get().ok()) << unmerged->Get();
  EXPECT_EQ(store.GetLead(b.id)->counters.touchpoints, 2);
  EXPECT_EQ(Export().at(a.id.value), before.at(a.id.value));
  ExpectReplayed(a.id);
  ExpectReplayed(b.id);
}

// Random lives of a few people, merged and unmerged along the way. After each step every lead obeys
// the invariants and equals what its events tell, and nothing is lost; at the end all are unmerged
// and have the touchpoints that were recorded for them.
class RandomMerges {
 public:
  RandomMerges(TestStore& store, FakeClock& clock, uint64_t seed)
      : store_(store), clock_(clock), random_(seed) {}

  void Run(int people, int steps) {
    for (int i = 0; i < people; ++i) {
      auto captured = store_.Run(CaptureOf(Concat("p", i, "@example.com")));
      ASSERT_TRUE(captured.ok());
      leads_.push_back(captured->value.lead.id);
      touchpoints_[leads_.back().value] = 1;
    }
    for (int i = 0; i < steps && !::testing::Test::HasFatalFailure(); ++i) Step();
    // Until a round changes nothing: what was merged within another comes after it.
    for (bool changed = true; changed;) {
      changed = false;
      for (const LeadId& lead : leads_) {
        changed |= store_.Run(commands::UnmergeLeadCommand{.lead = lead}).ok();
      }
    }
    Check();
    EXPECT_EQ(store_.AllLeads().size(), leads_.size());
    for (const LeadId& lead : leads_) {
      const Lead stored = *store_.GetLead(lead);
      EXPECT_EQ(stored.id, lead);
      EXPECT_EQ(stored.counters.touchpoints, touchpoints_[lead.value]) << NameOf(lead);
      EXPECT_THAT(stored.merged_leads, IsEmpty());
    }
  }

 private:
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  int PickLead() { return Pick(static_cast<int>(leads_.size())); }

  void Step() {
    clock_.Advance(domain::kMicrosPerSecond * (1 + Pick(40'000)));
    const int who = PickLead();
    const LeadId lead = leads_[static_cast<size_t>(who)];
    absl::Status status;
    switch (Pick(11)) {
      case 0:
      case 1: {
        const LeadId other = leads_[static_cast<size_t>(PickLead())];
        status =
            store_.Run(commands::MergeLeadsCommand{.survivor = lead, .leads = {other}}).status();
        break;
      }
      case 2:
      case 3:
        status = store_.Run(commands::UnmergeLeadCommand{.lead = lead}).status();
        break;
      case 4: {
        auto captured = store_.Run(CaptureOf(Concat("p", who, "@example.com")));
        status = captured.status();
        if (captured.ok()) {
          EXPECT_EQ(captured->value.touchpoint.lead, lead);
          ++touchpoints_[lead.value];
        }
        break;
      }
      case 5: {
        commands::RecordTouchpointCommand record{.lead = lead};
        record.touchpoint.kind = static_cast<domain::TouchpointKind>(1 + Pick(25));
        status = store_.Run(record).status();
        if (status.ok()) ++touchpoints_[lead.value];
        break;
      }
      case 6:
        status = store_.Run(AssessmentOf(lead)).status();
        break;
      case 7:
        status = store_
                     .Run(commands::LeadStepCommand{
                         .step = Pick(3) == 0   ? commands::LeadStep::kDisqualify
                                 : Pick(3) == 0 ? commands::LeadStep::kRecycle
                                                : commands::LeadStep::kQualify,
                         .lead = lead,
                         .reason = "so it is"})
                     .status();
        break;
      case 8: {
        auto created = store_.Run(OpportunityOf(lead));
        status = created.status();
        if (created.ok()) opportunities_.push_back(created->value.id);
        break;
      }
      case 9: {
        if (opportunities_.empty()) return;
        commands::OpportunityStepCommand step;
        step.opportunity =
            opportunities_[static_cast<size_t>(Pick(static_cast<int>(opportunities_.size())))];
        step.step =
            Pick(3) == 0 ? commands::OpportunityStep::kReopen : commands::OpportunityStep::kClose;
        step.outcome = Pick(2) == 0 ? domain::CloseOutcome::kWon : domain::CloseOutcome::kLost;
        step.reason = "price";
        status = store_.Run(step).status();
        break;
      }
      default: {
        commands::UpdateLeadCommand update{.lead = lead};
        update.values.person.job_title = Pick(2) == 0 ? "CTO" : "";
        update.values.needs = {"crm"};
        update.paths = {"person.job_title", "needs"};
        status = store_.Run(update).status();
      }
    }
    EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kFailedPrecondition ||
                status.code() == absl::StatusCode::kInvalidArgument)
        << status;
    Check();
  }

  void Check() {
    int64_t seen = 0, recorded = 0;
    for (const Lead& lead : store_.AllLeads()) {
      seen += lead.counters.touchpoints;
      std::vector<domain::Opportunity> opportunities;
      absl::Status status = store_.Read([&](storage::ReadTxn& tx) -> absl::Status {
        auto found = tx.ListOpportunities(
            {.parent = lead.id, .merged = domain::MergedLeads(lead), .limit = 1000});
        if (!found.ok()) return found.status();
        opportunities = *std::move(found);
        return absl::OkStatus();
      });
      ASSERT_TRUE(status.ok()) << status;
      ASSERT_THAT(domain::CheckInvariants(lead, opportunities), IsEmpty());
      auto replayed = domain::ReplayLead(lead.id, store_.AllEvents(lead.id));
      ASSERT_TRUE(replayed.ok()) << replayed.status();
      Lead told = Exported(*std::move(replayed)), stored = Exported(lead);
      told.score_state = stored.score_state;
      told.next_score_time = stored.next_score_time;
      ASSERT_EQ(told, stored);
    }
    for (const auto& [lead, count] : touchpoints_) recorded += count;
    ASSERT_EQ(seen, recorded);
  }

  TestStore& store_;
  FakeClock& clock_;
  std::mt19937_64 random_;
  std::vector<LeadId> leads_;
  std::vector<domain::OpportunityId> opportunities_;
  std::map<std::string, int64_t> touchpoints_;
};

TEST_P(MergeTest, RandomLivesSurviveMergesAndUnmerges) {
  for (uint64_t seed : {1u, 2u, 3u}) {
    SCOPED_TRACE(seed);
    TestDatabase fresh(GetParam());
    TestStore base(fresh.url(), clock, ids);
    RandomMerges(base, clock, seed).Run(6, 60);
    if (HasFatalFailure()) return;
  }
}

// Without anything between, whatever two leads had lived through before.
TEST_P(MergeTest, RandomLivesComeBackByteByByte) {
  RandomHistory history(store, clock, 17);
  history.Run(120);
  const std::vector<Lead> leads = store.AllLeads();
  ASSERT_GE(leads.size(), 4u);
  std::mt19937 random(5);
  for (int round = 0; round < 12; ++round) {
    const LeadId a = leads[random() % leads.size()].id, b = leads[random() % leads.size()].id;
    if (a == b) continue;
    // Both are brought to today first: an export tells the score of the day that it was kept.
    ASSERT_TRUE(Merge(a, {b}).ok());
    ASSERT_TRUE(Unmerge(b).ok());
    const auto before = Export();
    ASSERT_TRUE(Merge(a, {b}).ok());
    ASSERT_TRUE(Unmerge(b).ok());
    EXPECT_EQ(Export(), before) << round;
  }
}

TEST_P(MergeTest, TwoServersThatRaceMergeEachLeadOnce) {
  std::vector<LeadId> leads;
  for (int i = 0; i < 12; ++i) leads.push_back(Capture(Concat("r", i, "@example.com")).id);
  storage::StoreOptions options;
  options.max_batch = 8;
  CountingIds first_ids{2}, second_ids{3};
  TestStore first(database.url(), clock, first_ids, options),
      second(database.url(), clock, second_ids, options);
  auto race = [&](TestStore& server, uint32_t seed) {
    std::mt19937 random(seed);
    for (int i = 0; i < 40; ++i) {
      const LeadId a = leads[random() % leads.size()], b = leads[random() % leads.size()];
      absl::Status status =
          random() % 3 == 0
              ? server.Run(commands::UnmergeLeadCommand{.lead = a}).status()
              : server.Run(commands::MergeLeadsCommand{.survivor = a, .leads = {b}}).status();
      EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kFailedPrecondition ||
                  status.code() == absl::StatusCode::kInvalidArgument)
          << status;
      (void)server.Run(CaptureOf(Concat("r", random() % 12, "@example.com")));
    }
  };
  std::thread one([&] { race(first, 1); }), two([&] { race(second, 2); });
  one.join();
  two.join();
  // Every lead stands for itself or is named by exactly the one that stands for it.
  std::map<std::string, int> named;
  int64_t touchpoints = 0;
  for (const Lead& lead : store.AllLeads()) {
    ++named[lead.id.value];
    for (const LeadId& merged : domain::MergedLeads(lead)) ++named[merged.value];
    touchpoints += lead.counters.touchpoints;
    ExpectReplayed(lead.id);
  }
  EXPECT_EQ(named.size(), leads.size());
  for (const auto& [lead, times] : named) EXPECT_EQ(times, 1) << lead;
  EXPECT_EQ(touchpoints, 12 + 80);
}

}  // namespace
}  // namespace relais::testing
