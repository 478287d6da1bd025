#include "storage/engine/batch_map.h"

#include <algorithm>

#include "server/domain/concat.h"
#include "server/domain/merge.h"

namespace relais::storage {
namespace {

template <class E>
ChangesText MadeWith(const E& entity) {
  static const E* const kNothing = new E();
  return ChangesOf(*kNothing, entity, true);
}

}  // namespace

using domain::InternalFault;

std::string UnitTxn::NewId() {
  if (ids_used_ == ids_.ids.size()) ids_.ids.push_back(id_source_.NewId());
  return ids_.ids[ids_used_++];
}

void UnitTxn::UndoTo(size_t mark) {
  while (undo_.size() > mark) {
    undo_.back()();
    undo_.pop_back();
  }
}

// The entries of all maps are nodes: they and their keys stay where they are until they are erased,
// so an undo step may point at them. What it points at was there, or was made, when the step was
// added, and steps are undone in the reverse order.
template <class Map>
typename Map::mapped_type& UnitTxn::Made(Map& map, const typename Map::key_type& key) {
  auto [it, made] = map.try_emplace(key);
  if (made) {
    undo_.push_back([&map, key = &it->first] { map.erase(map.find(*key)); });
  }
  return it->second;
}

template <class T>
void UnitTxn::Replace(Slot<T>& slot, std::optional<T> current) {
  if (slot.current.has_value()) {
    undo_.push_back(
        [&slot, before = std::move(slot.current)]() mutable { slot.current = std::move(before); });
  } else {
    undo_.push_back([&slot] { slot.current.reset(); });
  }
  slot.current = std::move(current);
}

template <class Map, class Name>
absl::StatusOr<typename Map::mapped_type*> UnitTxn::Entry(Map& map,
                                                          const typename Map::key_type& key,
                                                          Name name, std::string_view what) {
  auto it = map.find(key);
  if (it != map.end()) return &it->second;
  if (unnamed_reads_fail_) {
    return InternalFault(Concat(call_.method, " reads a ", what, " that its keys do not name"));
  }
  Keys keys;
  name(keys);
  RETURN_IF_ERROR(load_(keys));
  it = map.find(key);
  if (it == map.end()) return InternalFault(Concat("a load left out its ", what));
  return &it->second;
}

template <class E, class Name>
absl::StatusOr<const E*> UnitTxn::Find(const std::string& id, Name name, std::string_view what) {
  ASSIGN_OR_RETURN(Slot<E> * slot, Entry(map_.map<E>(), id, name, what));
  return slot->current.has_value() ? &*slot->current : nullptr;
}

absl::StatusOr<const domain::Lead*> UnitTxn::FindLead(const domain::LeadId& id) {
  return Find<domain::Lead>(
      id.value, [&](Keys& keys) { keys.Lead(id); }, "lead");
}
absl::StatusOr<const domain::Opportunity*> UnitTxn::FindOpportunity(
    const domain::OpportunityId& id) {
  return Find<domain::Opportunity>(
      id.value, [&](Keys& keys) { keys.Opportunity(id); }, "opportunity");
}
absl::StatusOr<const domain::Touchpoint*> UnitTxn::FindTouchpoint(const domain::TouchpointId& id) {
  return Find<domain::Touchpoint>(
      id.value, [&](Keys& keys) { keys.Touchpoint(id); }, "touchpoint");
}
absl::StatusOr<const domain::Consent*> UnitTxn::FindConsent(const domain::ConsentId& id) {
  return Find<domain::Consent>(
      id.value, [&](Keys& keys) { keys.Consent(id); }, "consent");
}
absl::StatusOr<const domain::User*> UnitTxn::FindUser(const domain::UserId& id) {
  return Find<domain::User>(
      id.value, [&](Keys& keys) { keys.User(id); }, "user");
}
absl::StatusOr<const domain::Team*> UnitTxn::FindTeam(const domain::TeamId& id) {
  return Find<domain::Team>(
      id.value, [&](Keys& keys) { keys.Team(id); }, "team");
}
absl::StatusOr<const domain::Import*> UnitTxn::FindImport(const domain::ImportId& id) {
  return Find<domain::Import>(
      id.value, [&](Keys& keys) { keys.Import(id); }, "import");
}
absl::StatusOr<const domain::Operation*> UnitTxn::FindOperation(const domain::OperationId& id) {
  return Find<domain::Operation>(
      id.value, [&](Keys& keys) { keys.Operation(id); }, "operation");
}

absl::StatusOr<const domain::Calendar*> UnitTxn::FindCalendar(const domain::CalendarId& id) {
  return Find<domain::Calendar>(
      id.value, [&](Keys& keys) { keys.Calendar(id); }, "calendar");
}
absl::StatusOr<const domain::Handoff*> UnitTxn::FindHandoff(const domain::HandoffId& id) {
  return Find<domain::Handoff>(
      id.value, [&](Keys& keys) { keys.Handoff(id); }, "hand-off");
}
absl::StatusOr<const domain::Segment*> UnitTxn::FindSegment(const domain::SegmentId& id) {
  return Find<domain::Segment>(
      id.value, [&](Keys& keys) { keys.Segment(id); }, "segment");
}
absl::StatusOr<bool> UnitTxn::IsSegmentMember(const domain::SegmentId& segment,
                                              const domain::LeadId& lead) {
  ASSIGN_OR_RETURN(Slot<domain::Timestamp> * slot,
                   Entry(
                       map_.segment_members, KeyPair(segment.value, lead.value),
                       [&](Keys& keys) { keys.SegmentMember(segment, lead); }, "segment's member"));
  return slot->current.has_value();
}
absl::StatusOr<const ReactionState*> UnitTxn::FindReaction(const std::string& name) {
  ASSIGN_OR_RETURN(Slot<ReactionState> * slot,
                   Entry(
                       map_.reactions, name, [&](Keys& keys) { keys.Reaction(name); }, "reaction"));
  return slot->current.has_value() ? &*slot->current : nullptr;
}

absl::StatusOr<std::vector<domain::Colleague>> UnitTxn::Colleagues() {
  ASSIGN_OR_RETURN(auto* counts, Entry(
                                     map_.open_leads, std::string(kDirectory),
                                     [](Keys& keys) { keys.Directory(); }, "directory"));
  std::vector<domain::Colleague> colleagues;
  for (const auto& [id, slot] : map_.map<domain::User>()) {
    if (!slot.current.has_value() || slot.current->archived) continue;
    domain::Colleague colleague{.user = &*slot.current};
    if (auto it = counts->find(id); it != counts->end()) colleague.open_leads = it->second;
    if (auto it = map_.open_leads_added.find(NameOf(slot.current->id));
        it != map_.open_leads_added.end()) {
      colleague.open_leads += it->second;
    }
    colleagues.push_back(colleague);
  }
  std::sort(colleagues.begin(), colleagues.end(),
            [](const domain::Colleague& a, const domain::Colleague& b) {
              return a.user->id < b.user->id;
            });
  return colleagues;
}

absl::StatusOr<domain::Rotation> UnitTxn::FindRotation() {
  ASSIGN_OR_RETURN(
      Slot<domain::Rotation> * slot,
      Entry(
          map_.rotations, std::string(kRouting), [](Keys& keys) { keys.Rotation(); }, "rotation"));
  return slot->current.value_or(domain::Rotation());
}

absl::StatusOr<const RequestRecord*> UnitTxn::FindRequest(const std::string& request_id) {
  ASSIGN_OR_RETURN(Slot<RequestRecord> * slot,
                   Entry(
                       map_.requests, KeyPair(call_.principal, request_id),
                       [&](Keys& keys) { keys.Request(request_id); }, "request"));
  return slot->current.has_value() ? &*slot->current : nullptr;
}

template <class Id, class K, class Name>
absl::StatusOr<std::optional<Id>> UnitTxn::Owner(OwnerMap<K>& map, const K& key, Name name,
                                                 std::string_view what) {
  ASSIGN_OR_RETURN(Slot<std::string> * slot, Entry(map, key, name, what));
  if (!slot->current.has_value()) return std::optional<Id>();
  return std::optional<Id>(Id(*slot->current));
}

absl::StatusOr<std::optional<domain::LeadId>> UnitTxn::IdentityOwner(domain::IdentityKind kind,
                                                                     const std::string& value) {
  return Owner<domain::LeadId>(
      map_.identities, IdentityKey(kind, value), [&](Keys& keys) { keys.Identity(kind, value); },
      "identity");
}
absl::StatusOr<std::optional<domain::OpportunityId>> UnitTxn::OpportunityByKey(
    const std::string& system, const std::string& id) {
  return Owner<domain::OpportunityId>(
      map_.opportunity_keys, KeyPair(system, id),
      [&](Keys& keys) { keys.OpportunityKey(system, id); }, "opportunity key");
}
absl::StatusOr<std::optional<domain::TouchpointId>> UnitTxn::TouchpointByKey(
    const std::string& source, const std::string& external_id) {
  return Owner<domain::TouchpointId>(
      map_.touchpoint_keys, KeyPair(source, external_id),
      [&](Keys& keys) { keys.TouchpointKey(source, external_id); }, "touchpoint key");
}
absl::StatusOr<std::optional<domain::UserId>> UnitTxn::UserByKey(const std::string& kind,
                                                                 const std::string& value) {
  return Owner<domain::UserId>(
      map_.user_keys, KeyPair(kind, value), [&](Keys& keys) { keys.UserKey(kind, value); },
      "user key");
}
absl::StatusOr<std::optional<domain::TeamId>> UnitTxn::TeamByKey(const std::string& kind,
                                                                 const std::string& value) {
  return Owner<domain::TeamId>(
      map_.team_keys, KeyPair(kind, value), [&](Keys& keys) { keys.TeamKey(kind, value); },
      "team key");
}

template <class E>
absl::StatusOr<std::vector<E>> UnitTxn::Children(
    std::unordered_map<std::string, std::vector<std::string>>& index, const domain::LeadId& id,
    LoadPlan plan, std::string_view what) {
  std::vector<std::string> parents = {id.value};
  if (auto lead = map_.map<domain::Lead>().find(id.value);
      lead != map_.map<domain::Lead>().end() && lead->second.current.has_value()) {
    for (const domain::LeadId& merged : domain::MergedLeads(*lead->second.current)) {
      parents.push_back(merged.value);
    }
  }
  std::vector<E> children;
  for (const std::string& parent : parents) {
    ASSIGN_OR_RETURN(
        std::vector<std::string> * ids,
        Entry(
            index, parent, [&](Keys& keys) { keys.Lead(domain::LeadId(parent), plan); }, what));
    for (const std::string& child : *ids) {
      // One that a unit made which was undone since the load is gone.
      auto slot = map_.map<E>().find(child);
      if (slot != map_.map<E>().end() && slot->second.current.has_value()) {
        children.push_back(*slot->second.current);
      }
    }
  }
  return children;
}

absl::StatusOr<std::vector<domain::Assessment>> UnitTxn::Assessments(const domain::LeadId& id) {
  return Children<domain::Assessment>(map_.assessments_of, id, kAssessments, "lead's assessments");
}
absl::StatusOr<std::vector<domain::Opportunity>> UnitTxn::Opportunities(const domain::LeadId& id) {
  return Children<domain::Opportunity>(map_.opportunities_of, id, kOpportunities,
                                       "lead's opportunities");
}

absl::StatusOr<std::vector<domain::Touchpoint>> UnitTxn::Touchpoints(const domain::LeadId& id) {
  if (!map_.touchpoints_of.contains(id.value)) {
    RETURN_IF_ERROR(load_(Keys().Lead(id, kTouchpoints)));
  }
  return Children<domain::Touchpoint>(map_.touchpoints_of, id, kTouchpoints, "lead's touchpoints");
}

absl::StatusOr<std::vector<domain::Consent>> UnitTxn::Consents(const domain::LeadId& id) {
  return Children<domain::Consent>(map_.consents_of, id, kConsents, "lead's consents");
}

absl::StatusOr<std::vector<domain::Event>> UnitTxn::Merges(const domain::LeadId& id) {
  ASSIGN_OR_RETURN(
      std::vector<domain::Event> * events,
      Entry(
          map_.merges_of, id.value, [&](Keys& keys) { keys.Lead(id, kMerges); }, "lead's merges"));
  return *events;
}

absl::StatusOr<domain::ConfigDocuments> UnitTxn::Configurations(domain::ConfigKind kind) {
  if (!map_.configurations.contains(kind)) {
    return InternalFault(Concat(call_.method, " reads configuration that its keys do not name"));
  }
  domain::ConfigDocuments documents;
  for (const auto& [id, slot] : map_.map<domain::ConfigDocument>()) {
    if (slot.current.has_value() && slot.current->kind == kind) documents.push_back(*slot.current);
  }
  std::sort(documents.begin(), documents.end(), [](const auto& a, const auto& b) {
    return a.name != b.name ? a.name < b.name : a.version < b.version;
  });
  return documents;
}

absl::StatusOr<std::vector<domain::Handoff>> UnitTxn::Handoffs(const domain::LeadId& id) {
  return Children<domain::Handoff>(map_.handoffs_of, id, kHandoffs, "lead's hand-offs");
}

void UnitTxn::AddChild(std::unordered_map<std::string, std::vector<std::string>>& index,
                       const domain::LeadId& lead, const std::string& id) {
  auto it = index.find(lead.value);
  if (it == index.end()) return;  // not loaded: a later load reads it from the map's entities
  // Known already when it was loaded after an earlier run of the unit had made it.
  if (std::find(it->second.begin(), it->second.end(), id) != it->second.end()) return;
  it->second.push_back(id);
  undo_.push_back([&ids = it->second] { ids.pop_back(); });
}

void UnitTxn::Append(ChangesText changes, std::string subject, const domain::LeadId& lead,
                     const domain::EventDraft& draft) {
  domain::Event event;
  event.type = draft.type;
  event.subject = std::move(subject);
  event.lead = lead;
  event.occur_time = draft.occur_time;
  event.actor = call_.principal;
  event.trigger = call_.method;
  event.rule_version = draft.rule_version;
  event.basis = draft.basis;
  event.reason = draft.reason;
  AddFacts(draft.facts, changes);
  map_.events.push_back({std::move(event), std::move(changes)});
  undo_.push_back([this] { map_.events.pop_back(); });
}

template <class E>
absl::Status UnitTxn::KeepVersioned(E& entity, std::string subject, const domain::LeadId& lead,
                                    const domain::EventDraft& draft) {
  EntityMap<E>& map = map_.map<E>();
  auto it = map.find(entity.id.value);
  ChangesText changes;
  if (it != map.end() && it->second.current.has_value()) {
    const E& before = *it->second.current;
    entity.revision = before.revision;
    entity.update_time = before.update_time;
    if (entity == before) return absl::OkStatus();
    entity.revision = before.revision + 1;
    entity.update_time = now_;
    changes = ChangesOf(before, entity, false);
  } else {
    entity.revision = 1;
    entity.update_time = now_;
    changes = MadeWith(entity);
  }
  Replace(it == map.end() ? Made(map, entity.id.value) : it->second, std::optional<E>(entity));
  Append(std::move(changes), std::move(subject), lead, draft);
  return absl::OkStatus();
}

template <class E>
absl::Status UnitTxn::KeepNew(const E& entity, std::string subject,
                              const domain::EventDraft& draft) {
  // The entity may be the one that is replaced: copied before that is moved away.
  Replace(Made(map_.map<E>(), entity.id.value), std::optional<E>(entity));
  Append(MadeWith(entity), std::move(subject), entity.lead, draft);
  return absl::OkStatus();
}

absl::Status UnitTxn::Keep(domain::Lead& lead, const domain::EventDraft& draft) {
  // A lead that is made here has no children in the database: nothing needs to be loaded for it.
  if (!map_.map<domain::Lead>().contains(lead.id.value)) {
    Made(map_.assessments_of, lead.id.value);
    Made(map_.opportunities_of, lead.id.value);
    Made(map_.handoffs_of, lead.id.value);
  }
  if (draft.type == domain::EventType::kLeadMerged) RememberMerge(lead, draft);
  const auto before = map_.map<domain::Lead>().find(lead.id.value);
  const std::string worked(
      before == map_.map<domain::Lead>().end() ? "" : WorkOf(before->second.current));
  RETURN_IF_ERROR(KeepVersioned(lead, NameOf(lead.id), lead.id, draft));
  const std::string_view works = WorkOf(lead);
  if (worked == works) return absl::OkStatus();
  CountWork(worked, -1);
  CountWork(works, 1);
  return absl::OkStatus();
}

void UnitTxn::CountWork(std::string_view owner, int64_t leads) {
  if (owner.empty()) return;
  int64_t& count = map_.open_leads_added[std::string(owner)];
  count += leads;
  undo_.push_back([&count, leads] { count -= leads; });
}

absl::Status UnitTxn::KeepScore(const domain::Lead& lead) {
  auto it = map_.map<domain::Lead>().find(lead.id.value);
  if (it == map_.map<domain::Lead>().end() || !it->second.current.has_value() ||
      it->second.current->revision != lead.revision) {
    return InternalFault("a score is kept of a lead that was not found");
  }
  if (*it->second.current == lead) return absl::OkStatus();
  Replace(it->second, std::optional<domain::Lead>(lead));
  ++map_.kept_scores;
  undo_.push_back([this] { --map_.kept_scores; });
  return absl::OkStatus();
}

// For units of the same batch that ask for the lead's merges: the log does not hold this one yet.
void UnitTxn::RememberMerge(const domain::Lead& after, const domain::EventDraft& draft) {
  auto events = map_.merges_of.find(after.id.value);
  auto before = map_.map<domain::Lead>().find(after.id.value);
  if (events == map_.merges_of.end() || before == map_.map<domain::Lead>().end() ||
      !before->second.current.has_value()) {
    return;
  }
  domain::Event event;
  event.type = draft.type;
  event.subject = NameOf(after.id);
  event.lead = after.id;
  event.occur_time = draft.occur_time;
  event.basis = draft.basis;
  event.changes = domain::Diff(*before->second.current, after);
  events->second.push_back(std::move(event));
  undo_.push_back([&list = events->second] { list.pop_back(); });
}

absl::Status UnitTxn::Keep(domain::Opportunity& opportunity, const domain::EventDraft& draft) {
  auto it = map_.map<domain::Opportunity>().find(opportunity.id.value);
  const bool known = it != map_.map<domain::Opportunity>().end() && it->second.current.has_value();
  RETURN_IF_ERROR(KeepVersioned(opportunity, NameOf(opportunity.id), opportunity.lead, draft));
  if (!known) AddChild(map_.opportunities_of, opportunity.lead, opportunity.id.value);
  return absl::OkStatus();
}
absl::Status UnitTxn::Keep(domain::User& user, const domain::EventDraft& draft) {
  return KeepVersioned(user, NameOf(user.id), domain::LeadId(), draft);
}
absl::Status UnitTxn::Keep(domain::Team& team, const domain::EventDraft& draft) {
  return KeepVersioned(team, NameOf(team.id), domain::LeadId(), draft);
}
absl::Status UnitTxn::Keep(domain::Import& import, const domain::EventDraft& draft) {
  return KeepVersioned(import, NameOf(import.id), domain::LeadId(), draft);
}
absl::Status UnitTxn::Keep(domain::Operation& operation, const domain::EventDraft& draft) {
  return KeepVersioned(operation, NameOf(operation.id), domain::LeadId(), draft);
}

absl::Status UnitTxn::Keep(domain::ConfigDocument& document, const domain::EventDraft& draft) {
  return KeepVersioned(document, document.versioned(), domain::LeadId(), draft);
}
absl::Status UnitTxn::Keep(domain::Calendar& calendar, const domain::EventDraft& draft) {
  return KeepVersioned(calendar, NameOf(calendar.id), domain::LeadId(), draft);
}
absl::Status UnitTxn::Keep(domain::Segment& segment, const domain::EventDraft& draft) {
  return KeepVersioned(segment, NameOf(segment.id), domain::LeadId(), draft);
}
absl::Status UnitTxn::KeepSegmentMember(const domain::SegmentId& segment,
                                        const domain::LeadId& lead, bool member, bool told) {
  ASSIGN_OR_RETURN(const bool is_member, IsSegmentMember(segment, lead));
  if (is_member == member) return absl::OkStatus();
  Replace(map_.segment_members.at(KeyPair(segment.value, lead.value)),
          member ? std::optional<domain::Timestamp>(now_) : std::nullopt);
  if (!told) return absl::OkStatus();
  Append({}, NameOf(segment), lead,
         {.type = member ? domain::EventType::kSegmentEntered : domain::EventType::kSegmentExited,
          .occur_time = now_});
  return absl::OkStatus();
}
absl::Status UnitTxn::Keep(domain::Handoff& handoff, const domain::EventDraft& draft) {
  auto it = map_.map<domain::Handoff>().find(handoff.id.value);
  const bool known = it != map_.map<domain::Handoff>().end() && it->second.current.has_value();
  RETURN_IF_ERROR(KeepVersioned(handoff, NameOf(handoff.id), handoff.lead, draft));
  if (!known) AddChild(map_.handoffs_of, handoff.lead, handoff.id.value);
  return absl::OkStatus();
}

absl::Status UnitTxn::Keep(const domain::Touchpoint& touchpoint, const domain::EventDraft& draft) {
  if (!touchpoint.external_id.empty()) {
    RETURN_IF_ERROR(SetOwner(map_.touchpoint_keys,
                             KeyPair(touchpoint.source, touchpoint.external_id),
                             touchpoint.id.value));
  }
  RETURN_IF_ERROR(KeepNew(touchpoint, NameOf(touchpoint.lead, touchpoint.id), draft));
  AddChild(map_.touchpoints_of, touchpoint.lead, touchpoint.id.value);
  return absl::OkStatus();
}
absl::Status UnitTxn::Keep(const domain::Consent& consent, const domain::EventDraft& draft) {
  RETURN_IF_ERROR(KeepNew(consent, NameOf(consent.lead, consent.id), draft));
  AddChild(map_.consents_of, consent.lead, consent.id.value);
  return absl::OkStatus();
}
absl::Status UnitTxn::Keep(const domain::Assessment& assessment, const domain::EventDraft& draft) {
  RETURN_IF_ERROR(KeepNew(assessment, NameOf(assessment.lead, assessment.id), draft));
  AddChild(map_.assessments_of, assessment.lead, assessment.id.value);
  return absl::OkStatus();
}

template <class K>
absl::Status UnitTxn::SetOwner(OwnerMap<K>& map, const K& key, std::optional<std::string> owner) {
  auto it = map.find(key);
  if (owner.has_value() && it != map.end() && it->second.current.has_value() &&
      it->second.current != owner) {
    return InternalFault("a unique key was claimed while another holds it");
  }
  Replace(it == map.end() ? Made(map, key) : it->second, std::move(owner));
  return absl::OkStatus();
}

absl::Status UnitTxn::Claim(domain::IdentityKind kind, const std::string& value,
                            const domain::LeadId& owner) {
  return SetOwner(map_.identities, IdentityKey(kind, value), owner.value);
}
absl::Status UnitTxn::Release(domain::IdentityKind kind, const std::string& value) {
  return SetOwner(map_.identities, IdentityKey(kind, value), std::nullopt);
}
absl::Status UnitTxn::ClaimOpportunityKey(const std::string& system, const std::string& id,
                                          const domain::OpportunityId& owner) {
  return SetOwner(map_.opportunity_keys, KeyPair(system, id), owner.value);
}
absl::Status UnitTxn::ReleaseOpportunityKey(const std::string& system, const std::string& id) {
  return SetOwner(map_.opportunity_keys, KeyPair(system, id), std::nullopt);
}
absl::Status UnitTxn::ClaimUserKey(const std::string& kind, const std::string& value,
                                   const domain::UserId& owner) {
  return SetOwner(map_.user_keys, KeyPair(kind, value), owner.value);
}
absl::Status UnitTxn::ReleaseUserKey(const std::string& kind, const std::string& value) {
  return SetOwner(map_.user_keys, KeyPair(kind, value), std::nullopt);
}
absl::Status UnitTxn::ClaimTeamKey(const std::string& kind, const std::string& value,
                                   const domain::TeamId& owner) {
  return SetOwner(map_.team_keys, KeyPair(kind, value), owner.value);
}
absl::Status UnitTxn::ReleaseTeamKey(const std::string& kind, const std::string& value) {
  return SetOwner(map_.team_keys, KeyPair(kind, value), std::nullopt);
}

absl::Status UnitTxn::KeepRotation(const domain::Rotation& rotation) {
  Slot<domain::Rotation>& slot = Made(map_.rotations, std::string(kRouting));
  domain::Rotation next = rotation;
  next.revision = slot.current.has_value() ? slot.current->revision + 1 : 1;
  Replace(slot, std::optional<domain::Rotation>(std::move(next)));
  return absl::OkStatus();
}

absl::Status UnitTxn::KeepReaction(const std::string& name, const ReactionState& state) {
  Replace(Made(map_.reactions, name), std::optional<ReactionState>(state));
  return absl::OkStatus();
}

absl::Status UnitTxn::Remember(const RequestRecord& record) {
  Replace(Made(map_.requests, KeyPair(call_.principal, record.request_id)),
          std::optional<RequestRecord>(record));
  return absl::OkStatus();
}

absl::Status UnitTxn::Attempt(const std::function<absl::Status()>& part) {
  const size_t mark = undo_.size();
  absl::Status status = part();
  if (!status.ok()) UndoTo(mark);
  return status;
}

}  // namespace relais::storage
