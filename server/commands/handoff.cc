// The hand-over of leads to sales: by hand, by the reaction, by the clock.

#include "server/domain/handoff.h"

#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "server/commands/commands.h"
#include "server/commands/once.h"
#include "server/commands/routing.h"

namespace relais::commands {
namespace {

using domain::Handoff;
using domain::HandoffState;
using domain::Lead;
using storage::Keys;
using storage::WriteTxn;

absl::StatusOr<Handoff> GetHandoff(WriteTxn& tx, const domain::HandoffId& id) {
  return Existing(tx.FindHandoff(id), "Handoff", NameOf(id));
}

// Who gets it, and what that rests on when it was not said by hand.
struct Recipient {
  domain::Desk desk;
  std::string team, rule;
  std::vector<domain::FieldChange> facts;
};

absl::StatusOr<Recipient> Find(WriteTxn& tx, const Lead& lead,
                               const std::optional<domain::UserId>& owner, const std::string& team,
                               const std::set<std::string>& excluded) {
  Recipient recipient;
  std::string name;
  if (owner.has_value()) {
    name = NameOf(*owner);
    recipient.team = team;
    RETURN_IF_ERROR(CheckAssignable(tx, name, "owner"));
  } else {
    ASSIGN_OR_RETURN(domain::RoutingDecision decision, TakeRoute(tx, lead, team, excluded));
    name = decision.owner;
    recipient.team = decision.team;
    recipient.rule = decision.rule;
    recipient.facts = domain::FactsOf(decision);
  }
  ASSIGN_OR_RETURN(recipient.desk, DeskOf(tx, name));
  return recipient;
}

absl::Status KeepStep(WriteTxn& tx, domain::HandoffStep& step,
                      std::vector<domain::FieldChange> facts = {}) {
  step.lead_draft.facts = std::move(facts);
  RETURN_IF_ERROR(RescoreLead(tx, step.lead));
  RETURN_IF_ERROR(tx.Keep(step.handoff, step.handoff_draft));
  return tx.Keep(step.lead, step.lead_draft);
}

absl::StatusOr<Handoff> HandOver(WriteTxn& tx, const Lead& lead,
                                 const std::vector<Handoff>& earlier,
                                 const std::optional<domain::UserId>& owner,
                                 const std::string& team, domain::HandoffTerms terms) {
  RETURN_IF_ERROR(domain::CheckHandoffAllowed(lead, earlier, tx.now()));
  ASSIGN_OR_RETURN(Recipient to, Find(tx, lead, owner, team, {}));
  terms.id = domain::HandoffId(tx.NewId());
  terms.team = to.team;
  terms.routing_rule = to.rule;
  ASSIGN_OR_RETURN(domain::HandoffStep step,
                   domain::CreateHandoff(lead, earlier, terms, to.desk,
                                         tx.config().handoff_policy(lead.market), tx.now()));
  RETURN_IF_ERROR(KeepStep(tx, step, std::move(to.facts)));
  return step.handoff;
}

std::string TeamText(const std::optional<domain::TeamId>& team) {
  return team.has_value() ? NameOf(*team) : std::string();
}

absl::Status CheckTeam(WriteTxn& tx, const std::optional<domain::TeamId>& team) {
  if (!team.has_value()) return absl::OkStatus();
  ASSIGN_OR_RETURN(domain::Team found, Existing(tx.FindTeam(*team), "Team", NameOf(*team)));
  if (!found.archived) return absl::OkStatus();
  return domain::PreconditionFailed("TEAM_ARCHIVED",
                                    NameOf(*team) + " is archived and gets nothing new",
                                    {{"TEAM", NameOf(*team), "is archived"}});
}

// Whether a unit that nobody waits for found nothing to do, as opposed to not getting it done.
bool IsRefusal(const absl::Status& status) {
  return status.code() == absl::StatusCode::kFailedPrecondition;
}

std::set<std::string> OwnersOf(const Handoff& handoff) {
  std::set<std::string> owners(handoff.earlier_owners.begin(), handoff.earlier_owners.end());
  owners.insert(handoff.owner);
  return owners;
}

}  // namespace

// ---- by hand ----------------------------------------------------------------------------------

Keys KeysOf(const CreateHandoffCommand& command) {
  Keys keys;
  keys.Request(command.once.id).Lead(command.lead, storage::kHandoffs);
  if (command.team.has_value()) keys.Team(*command.team);
  return command.owner.has_value() ? keys.User(*command.owner).Directory() : keys.Rotation();
}

absl::StatusOr<Result<Handoff>> Run(WriteTxn& tx, const CreateHandoffCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  if (earlier != nullptr) {
    auto id = domain::ParseName<domain::HandoffTag>(earlier->resource);
    if (!id.has_value()) return domain::InternalFault("a request log entry names no hand-off");
    ASSIGN_OR_RETURN(Handoff handoff, GetHandoff(tx, *id));
    return Result<Handoff>{std::move(handoff), true};
  }
  ASSIGN_OR_RETURN(Lead lead, GetLead(tx, command.lead));
  RETURN_IF_ERROR(CheckTeam(tx, command.team));
  ASSIGN_OR_RETURN(std::vector<Handoff> handoffs, tx.Handoffs(lead.id));
  ASSIGN_OR_RETURN(Handoff handoff,
                   HandOver(tx, lead, handoffs, command.owner, TeamText(command.team),
                            {.id = {},
                             .trigger = domain::HandoffTrigger::kManual,
                             .trigger_time = tx.now(),
                             .team = {},
                             .routing_rule = {},
                             .reason = command.reason}));
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(handoff.id)));
  return Result<Handoff>{std::move(handoff)};
}

Keys KeysOf(const HandoffActionCommand& command) {
  Keys keys;
  keys.Request(command.once.id).Handoff(command.handoff);
  if (command.owner.has_value()) keys.User(*command.owner);
  if (command.team.has_value()) keys.Team(*command.team);
  const bool routes = command.action == HandoffAction::kReassign && !command.owner.has_value();
  return routes ? keys.Rotation() : keys.Directory();
}

absl::StatusOr<Result<Handoff>> Run(WriteTxn& tx, const HandoffActionCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  ASSIGN_OR_RETURN(Handoff handoff, GetHandoff(tx, command.handoff));
  if (earlier != nullptr) return Result<Handoff>{std::move(handoff), true};
  RETURN_IF_ERROR(domain::CheckEtag(NameOf(handoff.id), command.etag, handoff.revision));
  ASSIGN_OR_RETURN(Lead lead, GetLead(tx, handoff.lead));

  absl::StatusOr<domain::HandoffStep> step = absl::UnknownError("not run");
  std::vector<domain::FieldChange> facts;
  switch (command.action) {
    case HandoffAction::kAccept: {
      const std::string owner = command.owner.has_value() ? NameOf(*command.owner) : handoff.owner;
      if (command.owner.has_value()) RETURN_IF_ERROR(CheckAssignable(tx, owner, "user"));
      ASSIGN_OR_RETURN(domain::Desk desk, DeskOf(tx, owner));
      step = domain::AcceptHandoff(lead, handoff, desk, tx.now());
      break;
    }
    case HandoffAction::kReject: {
      ASSIGN_OR_RETURN(domain::Desk desk, DeskOf(tx, handoff.owner));
      step = domain::RejectHandoff(lead, handoff, desk, command.reason, tx.now());
      break;
    }
    case HandoffAction::kReassign: {
      RETURN_IF_ERROR(CheckTeam(tx, command.team));
      ASSIGN_OR_RETURN(Recipient to,
                       Find(tx, lead, command.owner, TeamText(command.team), OwnersOf(handoff)));
      facts = std::move(to.facts);
      step = domain::ReassignHandoff(
          lead, handoff, {.team = to.team, .routing_rule = to.rule, .reason = command.reason},
          to.desk, tx.config().handoff_policy(lead.market), tx.now());
      break;
    }
  }
  if (!step.ok()) return step.status();
  RETURN_IF_ERROR(KeepStep(tx, *step, std::move(facts)));
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(handoff.id)));
  return Result<Handoff>{std::move(step->handoff)};
}

// ---- by the reaction --------------------------------------------------------------------------

Keys KeysOf(const HandOverCommand& command) {
  return Keys().Request(command.once.id).Lead(command.lead, storage::kHandoffs).Rotation();
}

absl::Status Run(WriteTxn& tx, const HandOverCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  if (earlier != nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Lead* found, tx.FindLead(command.lead));
  // One that was merged since is handed over as the lead that stands for it, if at all.
  if (found == nullptr || !found->merged_into.empty()) return absl::OkStatus();
  const Lead lead = *found;
  const domain::HandoffPolicy& policy = tx.config().handoff_policy(lead.market);
  const bool asked =
      policy.trigger == command.trigger || (policy.trigger == domain::HandoffTrigger::kThreshold &&
                                            command.trigger == domain::HandoffTrigger::kQualified);
  if (!asked) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::vector<Handoff> handoffs, tx.Handoffs(lead.id));
  // One that sales has accepted already at the threshold is not handed over again when it
  // qualifies; after a recycling it is.
  for (const Handoff& handoff : handoffs) {
    if (handoff.state == HandoffState::kAccepted &&
        handoff.create_time >= lead.milestones.recycled_time.value_or(domain::Timestamp{})) {
      return absl::OkStatus();
    }
  }
  ASSIGN_OR_RETURN(Handoff handoff, HandOver(tx, lead, handoffs, std::nullopt, {},
                                             {.id = {},
                                              .trigger = command.trigger,
                                              .trigger_time = command.trigger_time,
                                              .team = {},
                                              .routing_rule = {},
                                              .reason = {}}));
  return Remember(tx, command.once, NameOf(handoff.id));
}

Keys KeysOf(const CancelHandoffsCommand& command) {
  return Keys().Request(command.once.id).Lead(command.lead, storage::kHandoffs);
}

absl::Status Run(WriteTxn& tx, const CancelHandoffsCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  if (earlier != nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Lead* lead, tx.FindLead(command.lead));
  if (lead == nullptr || lead->stage != domain::Stage::kDisqualified) return absl::OkStatus();
  ASSIGN_OR_RETURN(std::vector<Handoff> handoffs, tx.Handoffs(command.lead));
  for (const Handoff& handoff : handoffs) {
    if (handoff.state != HandoffState::kPending) continue;
    ASSIGN_OR_RETURN(Handoff closed, domain::CloseHandoff(handoff, HandoffState::kCancelled,
                                                          "the lead was disqualified", tx.now()));
    RETURN_IF_ERROR(tx.Keep(closed, {.type = domain::EventType::kHandoffClosed,
                                     .occur_time = tx.now(),
                                     .reason = closed.reject_reason}));
    RETURN_IF_ERROR(Remember(tx, command.once, NameOf(handoff.id)));
  }
  return absl::OkStatus();
}

// ---- by the clock -----------------------------------------------------------------------------

Keys KeysOf(const EscalateHandoffCommand& command) {
  return Keys().Handoff(command.handoff).Rotation();
}

absl::Status Run(WriteTxn& tx, const EscalateHandoffCommand& command) {
  ASSIGN_OR_RETURN(const Handoff* found, tx.FindHandoff(command.handoff));
  // Another server's clock, or an answer, was quicker.
  if (found == nullptr || !domain::IsOverdue(*found, tx.now())) return absl::OkStatus();
  const Handoff handoff = *found;
  ASSIGN_OR_RETURN(Lead lead, GetLead(tx, handoff.lead));
  const domain::HandoffPolicy& policy = tx.config().handoff_policy(lead.market);
  std::string why = "nobody answered in time, and it has been escalated as often as it may be";
  if (handoff.escalation_count < policy.max_escalations) {
    absl::StatusOr<Recipient> to = Find(tx, lead, std::nullopt, {}, OwnersOf(handoff));
    if (IsRefusal(to.status()) && !handoff.team.empty()) {
      to = Find(tx, lead, std::nullopt, handoff.team, OwnersOf(handoff));
    }
    if (to.ok()) {
      ASSIGN_OR_RETURN(domain::HandoffStep step,
                       domain::ReassignHandoff(lead, handoff,
                                               {.team = to->team,
                                                .routing_rule = to->rule,
                                                .reason = "not answered in time",
                                                .escalation = true},
                                               to->desk, policy, tx.now()));
      return KeepStep(tx, step, std::move(to->facts));
    }
    if (!IsRefusal(to.status())) return to.status();
    why = "nobody answered in time, and nobody is left to ask";
  }
  ASSIGN_OR_RETURN(Handoff closed,
                   domain::CloseHandoff(handoff, HandoffState::kExpired, why, tx.now()));
  return tx.Keep(closed, {.type = domain::EventType::kHandoffClosed,
                          .occur_time = tx.now(),
                          .rule_version = policy.versioned_name(),
                          .reason = why});
}

}  // namespace relais::commands
