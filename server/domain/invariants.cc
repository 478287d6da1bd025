#include "server/domain/invariants.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "server/domain/concat.h"
#include "server/domain/enums.h"
#include "server/domain/merge.h"

namespace relais::domain {
namespace {

class Findings {
 public:
  explicit Findings(std::string subject) : subject_(std::move(subject)) {}

  void Expect(bool holds, std::string_view rule) {
    if (!holds) broken_.push_back(Concat(subject_, ": ", rule));
  }

  std::vector<std::string> broken() && { return std::move(broken_); }

 private:
  std::string subject_;
  std::vector<std::string> broken_;
};

void CheckStage(const Lead& lead, Findings& findings) {
  const Counters& counters = lead.counters;
  const Milestones& marks = lead.milestones;
  bool open = counters.open_opportunities > 0;
  bool won = counters.won_opportunities > 0;
  bool had_any = open || won || counters.lost_opportunities > 0;
  switch (lead.stage) {
    case Stage::kLead:
      findings.Expect(!open && !won, "LEAD has an open or a won opportunity");
      break;
    case Stage::kProspect:
      findings.Expect(!open && !won, "PROSPECT has an open or a won opportunity");
      findings.Expect(marks.prospect_time.has_value(), "PROSPECT without prospect_time");
      break;
    case Stage::kOpportunity:
      findings.Expect(open, "OPPORTUNITY without an open opportunity");
      break;
    case Stage::kCustomer:
      findings.Expect(!open && won, "CUSTOMER with an open or without a won opportunity");
      findings.Expect(marks.customer_time.has_value(), "CUSTOMER without customer_time");
      break;
    case Stage::kDisqualified:
      findings.Expect(!open && !won, "DISQUALIFIED has an open or a won opportunity");
      findings.Expect(marks.disqualified_time.has_value(),
                      "DISQUALIFIED without disqualified_time");
      break;
    case Stage::kUnspecified:
      findings.Expect(false, "no stage");
      break;
  }
  findings.Expect(marks.stage_time.has_value(), "no stage_time");
  findings.Expect(lead.disqualify_reason.empty() == (lead.stage != Stage::kDisqualified),
                  "disqualify_reason is given exactly in DISQUALIFIED");
  findings.Expect(!marks.customer_time.has_value() || won, "customer_time without a won one");
  findings.Expect(!had_any || marks.opportunity_time.has_value(),
                  "opportunities without opportunity_time");
  findings.Expect(!marks.opportunity_time.has_value() || had_any,
                  "opportunity_time without opportunities");
  findings.Expect(!marks.opportunity_time.has_value() || marks.prospect_time.has_value(),
                  "opportunity_time without prospect_time");
  findings.Expect(
      marks.recycle_count >= 0 && marks.recycled_time.has_value() == (marks.recycle_count > 0),
      "recycled_time is given exactly when recycle_count is above 0");
}

void CheckOpportunity(const Opportunity& opportunity, Findings& findings) {
  bool open = opportunity.state == OpportunityState::kOpen;
  bool won = opportunity.state == OpportunityState::kWon;
  bool lost = opportunity.state == OpportunityState::kLost;
  findings.Expect(open || won || lost, "opportunity without a state");
  findings.Expect(open != opportunity.close_time.has_value(),
                  "close_time is given exactly when an opportunity is closed");
  findings.Expect(!lost || !opportunity.close_reason.empty(), "lost without a reason");
  findings.Expect(!won || opportunity.probability_percent == 100, "won with less than 100 percent");
  findings.Expect(!lost || opportunity.probability_percent == 0, "lost with more than 0 percent");
  findings.Expect(!opportunity.stage.empty(), "opportunity without a pipeline stage");
}

}  // namespace

std::vector<std::string> CheckInvariants(const Lead& lead,
                                         absl::Span<const Opportunity> opportunities) {
  Findings findings(NameOf(lead.id));
  CheckStage(lead, findings);
  auto count = [&](OpportunityState state) {
    return std::count_if(opportunities.begin(), opportunities.end(),
                         [state](const Opportunity& o) { return o.state == state; });
  };
  findings.Expect(lead.counters.open_opportunities == count(OpportunityState::kOpen),
                  "open_opportunities is not the number of open ones");
  findings.Expect(lead.counters.won_opportunities == count(OpportunityState::kWon),
                  "won_opportunities is not the number of won ones");
  findings.Expect(lead.counters.lost_opportunities == count(OpportunityState::kLost),
                  "lost_opportunities is not the number of lost ones");
  for (const Opportunity& opportunity : opportunities) {
    findings.Expect(
        StandsFor(lead, opportunity.lead) && opportunity.lead_name == NameOf(opportunity.lead),
        "an opportunity of another lead");
    CheckOpportunity(opportunity, findings);
  }
  findings.Expect(lead.score == lead.fit_score + lead.engagement_score + lead.intent_score,
                  "score is not the sum of its parts");
  findings.Expect(lead.market != Market::kUnspecified, "no market");
  return std::move(findings).broken();
}

}  // namespace relais::domain
