// Commands for tests, and random histories of them.
#pragma once

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "server/commands/commands.h"
#include "server/domain/concat.h"
#include "server/domain/criteria.h"
#include "server/domain/invariants.h"
#include "tests/storage/store_fixture.h"

namespace relais::testing {

inline commands::CaptureCommand CaptureOf(const std::string& email) {
  commands::CaptureCommand command;
  command.lead.person.emails = {{email, ""}};
  command.lead.organization.display_name = "Exemple SA";
  command.lead.acquisition.channel = domain::Channel::kWebinar;
  command.touchpoint.kind = domain::TouchpointKind::kForm;
  command.touchpoint.channel = domain::Channel::kWebinar;
  return command;
}

// All four BANT criteria met.
inline commands::AssessLeadCommand AssessmentOf(const domain::LeadId& lead) {
  commands::AssessLeadCommand command;
  command.lead = lead;
  domain::Answer budget{.criterion = "budget", .state = domain::CriterionState::kMet};
  budget.budget_minimum = domain::Money{"EUR", 10'000, 0};
  domain::Answer authority{.criterion = "authority", .state = domain::CriterionState::kMet};
  authority.authority_role = domain::AuthorityRole::kDecisionMaker;
  domain::Answer need{.criterion = "need", .state = domain::CriterionState::kMet};
  need.need = "a shared view of leads";
  domain::Answer timeline{.criterion = "timeline", .state = domain::CriterionState::kMet};
  for (const domain::Answer& answer : {budget, authority, need, timeline}) {
    command.assessment.answers.push_back(domain::FormatAnswer(answer));
  }
  return command;
}

inline commands::CreateOpportunityCommand OpportunityOf(const domain::LeadId& lead) {
  commands::CreateOpportunityCommand command;
  command.opportunity.lead = lead;
  command.opportunity.lead_name = NameOf(lead);
  command.opportunity.display_name = "First order";
  command.opportunity.intention = "wants an offer by Friday";
  command.opportunity.amount = domain::Money{"EUR", 12'000, 500'000'000};
  return command;
}

inline domain::LeadId QualifiedLead(TestStore& store, const std::string& email) {
  domain::LeadId id = store.Run(CaptureOf(email))->value.lead.id;
  EXPECT_TRUE(store.Run(AssessmentOf(id)).ok());
  EXPECT_TRUE(
      store.Run(commands::LeadStepCommand{.step = commands::LeadStep::kQualify, .lead = id}).ok());
  return id;
}

inline commands::ImportRowsCommand ImportOf(int rows) {
  commands::ImportRowsCommand command;
  command.import = domain::ImportId("0190aaaa-0000-7000-8000-00000000f00d");
  command.display_name = "test.csv";
  for (int i = 1; i <= rows; ++i) {
    commands::CaptureCommand capture = CaptureOf(Concat("row", i, "@example.com"));
    capture.touchpoint.source = "list";
    capture.touchpoint.external_id = Concat(i);
    command.rows.push_back({i, commands::CaptureRow{std::move(capture)}});
  }
  return command;
}

inline commands::ImportRowsCommand ImportedSale(const std::string& key) {
  constexpr domain::Timestamp kFirst = {kStart.micros - 30 * domain::kMicrosPerDay};
  constexpr domain::Timestamp kWon = {kStart.micros - 10 * domain::kMicrosPerDay};
  commands::ImportRowsCommand command;
  command.import = domain::ImportId("0190aaaa-0000-7000-8000-00000000f00d");
  const domain::ExternalId id{"list", key};
  commands::CaptureCommand capture = CaptureOf(key + "@example.com");
  capture.lead.external_ids = {id};
  capture.touchpoint.source = "list";
  capture.touchpoint.external_id = key;
  capture.occur_time = kFirst;
  commands::QualificationRow qualification{.lead = id, .assessment = AssessmentOf({})};
  qualification.assessment->assessment.source = domain::AssessmentSource::kImport;
  qualification.assessment->occur_time = kWon;
  qualification.qualify = true;
  commands::OpportunityRow opportunity{.lead = id, .opportunity = OpportunityOf({})};
  opportunity.opportunity.opportunity.external_ids = {{"deal", key}};
  opportunity.opportunity.occur_time = kWon;
  commands::CloseRow close{.opportunity = {"deal", key}};
  close.close.outcome = domain::CloseOutcome::kWon;
  close.close.occur_time = kWon;
  command.rows.push_back({1, commands::CaptureRow{std::move(capture)}});
  command.rows.push_back({2, std::move(qualification)});
  command.rows.push_back({3, std::move(opportunity)});
  command.rows.push_back({4, std::move(close)});
  return command;
}

// A random history of commands, legal and illegal, over a few people; refusals are part of it.
class RandomHistory {
 public:
  // Over at most `people` people.
  RandomHistory(TestStore& store, FakeClock& clock, uint64_t seed, int people = 8)
      : store_(store), clock_(clock), random_(seed), seed_(seed), people_(people) {}

  void Run(int steps) {
    for (int i = 0; i < steps; ++i) Step();
  }

  // What CheckInvariants says of every lead of this history, after every step so far.
  const std::vector<std::string>& Violations() const { return violations_; }

 private:
  int Pick(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }

  void Step() {
    clock_.Advance(domain::kMicrosPerSecond * (1 + Pick(40'000)));
    if (leads_.empty() || Pick(4) == 0) {
      commands::CaptureCommand command =
          CaptureOf(Concat("p", seed_, "-", Pick(people_), "@example.com"));
      command.touchpoint.kind = static_cast<domain::TouchpointKind>(1 + Pick(25));
      command.occur_time =
          domain::Timestamp{clock_.Now().micros - Pick(20) * domain::kMicrosPerDay};
      command.lead.organization.headcount = Pick(5000);
      command.lead.person.job_title = Pick(2) == 0 ? "CEO" : "";
      if (Pick(3) == 0) command.lead.labels = {{"k", Concat(Pick(3))}};
      auto captured = store_.Run(command);
      ASSERT_TRUE(captured.ok()) << captured.status();
      Note(captured->value.lead.id);
      return;
    }
    const domain::LeadId lead = leads_[static_cast<size_t>(Pick(static_cast<int>(leads_.size())))];
    absl::Status status;
    switch (Pick(9)) {
      case 0:
        status = store_.Run(AssessmentOf(lead)).status();
        break;
      case 1:
        status =
            store_
                .Run(commands::LeadStepCommand{.step = commands::LeadStep::kQualify, .lead = lead})
                .status();
        break;
      case 2:
        status =
            store_
                .Run(commands::LeadStepCommand{
                    .step = commands::LeadStep::kDisqualify, .lead = lead, .reason = "no budget"})
                .status();
        break;
      case 3:
        status =
            store_
                .Run(commands::LeadStepCommand{
                    .step = commands::LeadStep::kRecycle, .lead = lead, .reason = "budget again"})
                .status();
        break;
      case 4: {
        auto created = store_.Run(OpportunityOf(lead));
        status = created.status();
        if (created.ok()) opportunities_.emplace_back(created->value.id, lead);
        break;
      }
      case 5:
      case 6:
        if (opportunities_.empty()) return;
        status = CloseOrReopen(
            opportunities_[static_cast<size_t>(Pick(static_cast<int>(opportunities_.size())))]);
        break;
      case 7: {
        commands::UpdateLeadCommand update;
        update.lead = lead;
        update.values.person.job_title = Pick(2) == 0 ? "CTO" : "";
        update.values.needs = {"crm"};
        update.paths = {"person.job_title", "needs"};
        status = store_.Run(update).status();
        break;
      }
      default: {
        commands::RecordTouchpointCommand record;
        record.lead = lead;
        record.touchpoint.kind = static_cast<domain::TouchpointKind>(1 + Pick(25));
        status = store_.Run(record).status();
      }
    }
    EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kFailedPrecondition) << status;
    Note(lead);
  }

  absl::Status CloseOrReopen(const std::pair<domain::OpportunityId, domain::LeadId>& which) {
    commands::OpportunityStepCommand step;
    step.opportunity = which.first;
    if (Pick(3) == 0) {
      step.step = commands::OpportunityStep::kReopen;
      step.reason = "they came back";
    } else {
      step.step = commands::OpportunityStep::kClose;
      step.outcome = Pick(2) == 0 ? domain::CloseOutcome::kWon : domain::CloseOutcome::kLost;
      step.reason = "price";
    }
    absl::Status status = store_.Run(step).status();
    Note(which.second);
    return status;
  }

  void Note(const domain::LeadId& id) {
    if (std::find(leads_.begin(), leads_.end(), id) == leads_.end()) leads_.push_back(id);
    std::optional<domain::Lead> lead = store_.GetLead(id);
    ASSERT_TRUE(lead.has_value());
    std::vector<domain::Opportunity> opportunities;
    absl::Status status = store_.Read([&](storage::ReadTxn& tx) -> absl::Status {
      auto found = tx.ListOpportunities({.parent = id, .limit = 1000});
      if (!found.ok()) return found.status();
      opportunities = *std::move(found);
      return absl::OkStatus();
    });
    ASSERT_TRUE(status.ok()) << status;
    for (std::string& violation : domain::CheckInvariants(*lead, opportunities)) {
      violations_.push_back(std::move(violation));
    }
  }

  TestStore& store_;
  FakeClock& clock_;
  std::mt19937_64 random_;
  const uint64_t seed_;
  const int people_;
  std::vector<domain::LeadId> leads_;
  std::vector<std::pair<domain::OpportunityId, domain::LeadId>> opportunities_;
  std::vector<std::string> violations_;
};

}  // namespace relais::testing
