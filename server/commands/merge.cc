// Two leads made one, and two again (domain/merge.h).

#include "server/domain/merge.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/commands/commands.h"
#include "server/commands/once.h"
#include "server/domain/concat.h"
#include "server/domain/identity.h"
#include "server/domain/scoring.h"

namespace relais::commands {
namespace {

using domain::EventType;
using domain::Lead;
using domain::LeadId;
using storage::Keys;
using storage::WriteTxn;

constexpr uint32_t kWholeLife = storage::kAssessments | storage::kOpportunities |
                                storage::kIdentities | storage::kTouchpoints | storage::kConsents |
                                storage::kMerges;

absl::StatusOr<domain::Children> AllChildren(WriteTxn& tx, const LeadId& lead) {
  domain::Children children;
  ASSIGN_OR_RETURN(children.touchpoints, tx.Touchpoints(lead));
  ASSIGN_OR_RETURN(children.consents, tx.Consents(lead));
  ASSIGN_OR_RETURN(children.opportunities, tx.Opportunities(lead));
  return children;
}

template <class T>
void Join(std::vector<T>& to, const std::vector<T>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

absl::Status CheckMergeable(const Lead& survivor, const Lead& merged) {
  if (merged.id == survivor.id) {
    return domain::InvalidField("leads", "must not name the lead that survives");
  }
  if (!merged.merged_into.empty()) {
    return domain::PreconditionFailed(
        "ALREADY_MERGED", Concat(NameOf(merged.id), " was merged into ", merged.merged_into),
        {{"LEAD", NameOf(merged.id),
          Concat("was merged into ", merged.merged_into,
                 "; merge that one, or unmerge it first")}});
  }
  for (const Lead* lead : {&survivor, &merged}) {
    if (!lead->milestones.erased_time.has_value()) continue;
    return domain::PreconditionFailed("ERASED", Concat(NameOf(lead->id), " was erased"),
                                      {{"LEAD", NameOf(lead->id), "was erased"}});
  }
  if (survivor.merged_leads.size() + merged.merged_leads.size() + 1 > domain::kMaxMergedLeads) {
    return domain::PreconditionFailed(
        "TOO_MANY_MERGED", Concat(NameOf(survivor.id), " stands for too many leads"),
        {{"LEAD", NameOf(survivor.id),
          Concat("would stand for more than ", domain::kMaxMergedLeads, " leads")}});
  }
  return absl::OkStatus();
}

// The leads that `lead` stands for point to `into`.
absl::Status Redirect(WriteTxn& tx, const Lead& lead, const LeadId& into,
                      const domain::EventDraft& draft) {
  for (const LeadId& id : domain::MergedLeads(lead)) {
    ASSIGN_OR_RETURN(Lead merged, Existing(tx.FindLead(id), "Lead", NameOf(id)));
    merged.merged_into = NameOf(into);
    RETURN_IF_ERROR(tx.Keep(merged, draft));
  }
  return absl::OkStatus();
}

}  // namespace

Keys KeysOf(const MergeLeadsCommand& command) {
  Keys keys;
  keys.Request(command.once.id).Lead(command.survivor, kWholeLife);
  for (const LeadId& lead : command.leads) keys.Lead(lead, kWholeLife);
  return keys;
}

absl::StatusOr<Result<Lead>> Run(WriteTxn& tx, const MergeLeadsCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  ASSIGN_OR_RETURN(Lead survivor, GetLead(tx, command.survivor));
  if (earlier != nullptr) return Result<Lead>{std::move(survivor), true};
  RETURN_IF_ERROR(domain::CheckEtag(NameOf(survivor.id), command.etag, survivor.revision));

  const domain::CompiledModel& model = tx.config().model(survivor.market);
  ASSIGN_OR_RETURN(domain::Children children, AllChildren(tx, survivor.id));
  for (const LeadId& id : command.leads) {
    ASSIGN_OR_RETURN(Lead merged, Existing(tx.FindLead(id), "Lead", NameOf(id)));
    RETURN_IF_ERROR(CheckMergeable(survivor, merged));
    std::vector<std::string> from_merged;
    for (const FieldSource& source : command.sources) {
      if (source.lead == id) from_merged.push_back(source.path);
    }
    Lead after = domain::MergeInto(survivor, merged, from_merged);
    ASSIGN_OR_RETURN(domain::Children others, AllChildren(tx, id));
    Join(children.touchpoints, others.touchpoints);
    Join(children.consents, others.consents);
    Join(children.opportunities, others.opportunities);
    RETURN_IF_ERROR(domain::CountAnew(after, children, model, tx.now()));
    domain::SettleStage(after, children.opportunities, tx.now());
    // The stage is part of what rules look at.
    RETURN_IF_ERROR(domain::Rescore(after, model, tx.now()));

    domain::EventDraft draft{.type = EventType::kLeadMerged,
                             .occur_time = tx.now(),
                             .rule_version = after.score_model,
                             .basis = NameOf(id),
                             .reason = command.reason};
    RETURN_IF_ERROR(tx.Keep(after, draft));
    draft.rule_version.clear();
    draft.basis = NameOf(survivor.id);
    RETURN_IF_ERROR(Redirect(tx, merged, survivor.id, draft));
    merged.merged_into = NameOf(survivor.id);
    RETURN_IF_ERROR(tx.Keep(merged, draft));
    survivor = std::move(after);
  }
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(survivor.id)));
  return Result<Lead>{std::move(survivor)};
}

Keys KeysOf(const UnmergeLeadCommand& command) {
  Keys keys;
  keys.Request(command.once.id).Lead(command.lead, kWholeLife);
  return keys;
}

absl::StatusOr<Result<UnmergedLeads>> Run(WriteTxn& tx, const UnmergeLeadCommand& command) {
  ASSIGN_OR_RETURN(const storage::RequestRecord* earlier, Earlier(tx, command.once));
  ASSIGN_OR_RETURN(Lead merged, Existing(tx.FindLead(command.lead), "Lead", NameOf(command.lead)));
  if (earlier != nullptr) {
    auto survivor = domain::ParseName<domain::LeadTag>(earlier->resource);
    if (!survivor.has_value()) return domain::InternalFault("a request log entry names no lead");
    Result<UnmergedLeads> replay{.value = {}, .replayed = true};
    ASSIGN_OR_RETURN(replay.value.lead, GetLead(tx, command.lead));
    ASSIGN_OR_RETURN(replay.value.survivor, GetLead(tx, *survivor));
    return replay;
  }
  const std::string name = NameOf(merged.id);
  std::optional<LeadId> into = domain::MergedInto(merged);
  if (!into.has_value()) {
    return domain::PreconditionFailed("NOT_MERGED",
                                      Concat(name, " is not merged into another lead"),
                                      {{"LEAD", name, "stands for itself"}});
  }
  ASSIGN_OR_RETURN(Lead survivor, Existing(tx.FindLead(*into), "Lead", NameOf(*into)));
  RETURN_IF_ERROR(domain::CheckEtag(NameOf(survivor.id), command.etag, survivor.revision));

  for (const LeadId& id : domain::MergedLeads(survivor)) {
    if (domain::StandsFor(merged, id)) continue;
    ASSIGN_OR_RETURN(Lead other, Existing(tx.FindLead(id), "Lead", NameOf(id)));
    if (domain::StandsFor(other, merged.id)) {
      return domain::PreconditionFailed("MERGED_WITHIN",
                                        Concat(name, " was merged into ", NameOf(id), " before"),
                                        {{"LEAD", NameOf(id),
                                          Concat("stood for ", name, " when it was merged into ",
                                                 NameOf(survivor.id), "; unmerge it first")}});
    }
  }
  ASSIGN_OR_RETURN(std::vector<domain::Event> merges, tx.Merges(survivor.id));
  auto merge = std::find_if(merges.rbegin(), merges.rend(), [&](const domain::Event& event) {
    return event.subject == NameOf(survivor.id) && event.basis == name;
  });
  if (merge == merges.rend()) return domain::InternalFault("a merge has no event");

  // Owners are looked up before anything changes; what a lead no longer lists cannot come back.
  std::vector<domain::IdentityKey> own;
  for (const domain::IdentityKey& key : domain::IdentitiesOf(survivor)) {
    ASSIGN_OR_RETURN(std::optional<LeadId> owner, tx.IdentityOwner(key.kind, key.value));
    if (owner.has_value() && domain::StandsFor(merged, *owner)) own.push_back(key);
  }
  ASSIGN_OR_RETURN(domain::Children children, AllChildren(tx, survivor.id));
  domain::Unmerged step = domain::Unmerge(
      survivor, merged, merge->changes,
      [&own](domain::IdentityKind kind, const std::string& value) {
        return std::find(own.begin(), own.end(), domain::IdentityKey{kind, value}) != own.end();
      });
  for (Lead* lead : {&step.survivor, &step.returned}) {
    const domain::CompiledModel& model = tx.config().model(lead->market);
    const domain::Children part = domain::ChildrenOf(*lead, children);
    RETURN_IF_ERROR(domain::CountAnew(*lead, part, model, tx.now()));
    domain::SettleStage(*lead, part.opportunities, tx.now());
    RETURN_IF_ERROR(domain::Rescore(*lead, model, tx.now()));
  }

  domain::EventDraft draft{.type = EventType::kLeadUnmerged,
                           .occur_time = tx.now(),
                           .rule_version = step.survivor.score_model,
                           .basis = name,
                           .reason = command.reason};
  RETURN_IF_ERROR(tx.Keep(step.survivor, draft));
  draft.rule_version = step.returned.score_model;
  draft.basis = NameOf(survivor.id);
  RETURN_IF_ERROR(tx.Keep(step.returned, draft));
  draft.rule_version.clear();
  draft.basis = name;
  RETURN_IF_ERROR(Redirect(tx, step.returned, step.returned.id, draft));
  RETURN_IF_ERROR(Remember(tx, command.once, NameOf(survivor.id)));
  return Result<UnmergedLeads>{{std::move(step.returned), std::move(step.survivor)}};
}

}  // namespace relais::commands
