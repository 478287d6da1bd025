#include "server/domain/merge.h"

#include <algorithm>
#include <tuple>

#include "server/domain/consent.h"
#include "server/domain/fields.h"
#include "server/domain/identity.h"
#include "server/domain/lifecycle.h"
#include "server/domain/status_macros.h"

namespace relais::domain {
namespace {

using enum SurvivorRule;

constexpr FieldRule kRules[] = {
    {"person.given_name", kSurvivor},
    {"person.family_name", kSurvivor},
    {"person.display_name", kSurvivor},
    {"person.emails", kUnion},
    {"person.phones", kUnion},
    {"person.job_title", kSurvivor},
    {"person.language", kSurvivor},
    {"person.country", kSurvivor},
    {"person.time_zone", kSurvivor},
    {"person.postal_address.street", kTogether},
    {"person.postal_address.locality", kTogether},
    {"person.postal_address.region", kTogether},
    {"person.postal_address.postal_code", kTogether},
    {"person.postal_address.country", kTogether},
    {"person.birth_date", kSurvivor},
    {"organization.display_name", kTogether},
    {"organization.domain", kTogether},
    {"organization.industry", kTogether},
    {"organization.headcount", kTogether},
    {"organization.annual_revenue", kTogether},
    {"acquisition.channel", kFirstTouch},
    {"acquisition.source", kFirstTouch},
    {"acquisition.campaign", kFirstTouch},
    {"acquisition.utm_source", kFirstTouch},
    {"acquisition.utm_medium", kFirstTouch},
    {"acquisition.utm_campaign", kFirstTouch},
    {"acquisition.utm_term", kFirstTouch},
    {"acquisition.utm_content", kFirstTouch},
    {"acquisition.click_id", kFirstTouch},
    {"acquisition.landing_page", kFirstTouch},
    {"acquisition.first_touch_time", kFirstTouch},
    {"needs", kUnion},
    {"maturity", kFurthest},
    {"estimated_value", kSurvivor},
    {"owner", kSurvivor},
    {"labels", kUnion},
    {"external_ids", kUnion},
    {"milestones.prospect_time", kEarliest},
    {"milestones.opportunity_time", kEarliest},
    {"milestones.customer_time", kEarliest},
    {"milestones.disqualified_time", kLatest},
    {"milestones.marketing_qualified_time", kEarliest},
    {"milestones.handed_off_time", kEarliest},
    {"milestones.accepted_time", kEarliest},
    {"milestones.recycled_time", kLatest},
    {"milestones.recycle_count", kSum},
};

// What CountAnew and SettleStage write, and what a merge says of itself.
bool IsDerived(std::string_view path) {
  static constexpr std::string_view kDerived[] = {"stage",
                                                  "score",
                                                  "fit_score",
                                                  "engagement_score",
                                                  "intent_score",
                                                  "grade",
                                                  "score_band",
                                                  "score_model",
                                                  "score_state",
                                                  "next_score_time",
                                                  "consents",
                                                  "consent_times",
                                                  "merged_into",
                                                  "merged_leads",
                                                  "milestones.last_touch_time",
                                                  "milestones.first_contacted_time",
                                                  "update_time"};
  return path.starts_with("counters.") ||
         std::find(std::begin(kDerived), std::end(kDerived), path) != std::end(kDerived);
}

size_t LimitOf(std::string_view path) {
  if (path == "person.emails") return kMaxEmails;
  if (path == "person.phones") return kMaxPhones;
  if (path == "external_ids") return kMaxExternalIds;
  return path == "needs" ? kMaxNeeds : kMaxLabels;
}

// "person.postal_address" of "person.postal_address.street": the fields that go together.
std::string_view GroupOf(std::string_view path) { return path.substr(0, path.rfind('.')); }

// E-mails and phones are entries of a list by what identifies them, whatever their labels say.
Value KeyOfEntry(const Value& entry) {
  const ValueList* members = entry.if_list();
  return members != nullptr && !members->empty() ? (*members)[0] : entry;
}
bool Contains(const ValueList& list, const Value& entry, bool by_key) {
  return std::any_of(list.begin(), list.end(), [&](const Value& other) {
    return by_key ? KeyOfEntry(other) == KeyOfEntry(entry) : other == entry;
  });
}
bool ByKey(std::string_view path) { return path == "person.emails"; }

ValueList ListOf(const Value& value) {
  return value.if_list() != nullptr ? *value.if_list() : ValueList();
}
ValueMap MapOf(const Value& value) {
  return value.if_map() != nullptr ? *value.if_map() : ValueMap();
}
bool IsCollection(const Value& value) {
  return value.if_list() != nullptr || value.if_map() != nullptr;
}

Value Union(std::string_view path, const Value& first, const Value& second) {
  const size_t limit = LimitOf(path);
  if (first.if_map() != nullptr || second.if_map() != nullptr) {
    ValueMap all = MapOf(first);
    for (const auto& [key, value] : MapOf(second)) {
      if (all.size() < limit) all.emplace(key, value);
    }
    return all;
  }
  ValueList all = ListOf(first);
  for (const Value& entry : ListOf(second)) {
    if (all.size() < limit && !Contains(all, entry, ByKey(path))) all.push_back(entry);
  }
  return all.empty() ? Value() : Value(std::move(all));
}

// What a collection becomes when what the merge made of it is taken back: entries that were added
// since stay, entries that were removed since stay away.
Value TakenBack(const Value& before, const Value& merged, const Value& now) {
  if (before.if_map() != nullptr || merged.if_map() != nullptr || now.if_map() != nullptr) {
    ValueMap result = MapOf(now);
    const ValueMap was = MapOf(before), made = MapOf(merged);
    for (const auto& [key, value] : made) {
      auto held = result.find(key);
      if (held == result.end() || held->second != value) continue;
      auto earlier = was.find(key);
      if (earlier == was.end()) {
        result.erase(held);
      } else {
        held->second = earlier->second;
      }
    }
    return result.empty() ? Value() : Value(std::move(result));
  }
  const ValueList was = ListOf(before), made = ListOf(merged), held = ListOf(now);
  ValueList result;
  for (const Value& entry : was) {
    if (Contains(held, entry, false) || !Contains(made, entry, false)) result.push_back(entry);
  }
  for (const Value& entry : held) {
    if (!Contains(made, entry, false) && !Contains(result, entry, false)) result.push_back(entry);
  }
  return result.empty() ? Value() : Value(std::move(result));
}

template <class T>
std::optional<T> Least(const std::optional<T>& a, const std::optional<T>& b) {
  if (!a.has_value()) return b;
  return b.has_value() ? std::min(*a, *b) : a;
}

const FieldChange* Find(absl::Span<const FieldChange> changes, std::string_view path) {
  for (const FieldChange& change : changes) {
    if (change.path == path) return &change;
  }
  return nullptr;
}

void FillGroup(const Field<Lead>& field, const Lead& from, Lead& to) {
  const std::string_view group = GroupOf(field.spec.path);
  for (const Field<Lead>& other : FieldsOf<Lead>()) {
    if (GroupOf(other.spec.path) == group) other.set(to, other.get(from));
  }
}

bool GroupIsEmpty(std::string_view group, const Lead& lead) {
  return std::all_of(FieldsOf<Lead>().begin(), FieldsOf<Lead>().end(), [&](const auto& field) {
    return GroupOf(field.spec.path) != group || field.get(lead).absent();
  });
}

// Takes over the stage of whichever lead stands where both together stand.
void MergeStage(const Lead& before, const Lead& merged, Lead& survivor) {
  survivor.stage = MergedStage(before, merged);
  if (survivor.stage == before.stage) {
    if (before.stage != Stage::kDisqualified) survivor.disqualify_reason.clear();
    return;
  }
  survivor.milestones.stage_time = merged.milestones.stage_time;
  survivor.disqualify_reason.clear();
}

}  // namespace

std::optional<LeadId> MergedInto(const Lead& lead) {
  if (lead.merged_into.empty()) return std::nullopt;
  return ParseName<LeadTag>(lead.merged_into);
}

std::vector<LeadId> MergedLeads(const Lead& lead) {
  std::vector<LeadId> ids;
  for (const std::string& name : lead.merged_leads) {
    if (std::optional<LeadId> id = ParseName<LeadTag>(name)) ids.push_back(*std::move(id));
  }
  return ids;
}

bool StandsFor(const Lead& lead, const LeadId& id) {
  if (lead.id == id) return true;
  return !lead.merged_leads.empty() && std::find(lead.merged_leads.begin(), lead.merged_leads.end(),
                                                 NameOf(id)) != lead.merged_leads.end();
}

absl::Span<const FieldRule> SurvivorRules() { return kRules; }

bool MayChoose(std::string_view path) {
  return std::any_of(std::begin(kRules), std::end(kRules), [&](const FieldRule& rule) {
    return rule.path == path &&
           (rule.rule == kSurvivor || rule.rule == kTogether || rule.rule == kFirstTouch);
  });
}

Lead MergeInto(Lead survivor, const Lead& merged, absl::Span<const std::string> from_merged) {
  const Lead before = survivor;
  auto came = [](const Lead& lead) {
    return lead.acquisition.first_touch_time.value_or(lead.create_time);
  };
  const bool merged_came_first = came(merged) < came(before);
  for (const FieldRule& rule : kRules) {
    const Field<Lead>& field = *FindField<Lead>(rule.path);
    const Value own = field.get(before), other = field.get(merged);
    auto later = [](const Value& a, const Value& b) {
      return a.absent() || (!b.absent() && a.if_time()->micros < b.if_time()->micros);
    };
    switch (rule.rule) {
      case kSurvivor:
        if (own.absent()) field.set(survivor, other);
        break;
      case kTogether:
        if (GroupIsEmpty(GroupOf(rule.path), before)) field.set(survivor, other);
        break;
      case kUnion:
        field.set(survivor, Union(rule.path, own, other));
        break;
      case kFirstTouch:
        if (merged_came_first) field.set(survivor, other);
        break;
      case kFurthest:
        survivor.maturity = std::max(before.maturity, merged.maturity);
        break;
      case kEarliest:
        if (own.absent() || (!other.absent() && later(other, own))) field.set(survivor, other);
        break;
      case kLatest:
        if (later(own, other)) field.set(survivor, other);
        break;
      case kSum:
        field.set(survivor, *own.if_int() + *other.if_int());
        break;
    }
  }
  for (const std::string& path : from_merged) {
    const Field<Lead>* field = FindField<Lead>(path);
    if (field == nullptr || !MayChoose(path)) continue;
    const bool alone = std::any_of(std::begin(kRules), std::end(kRules), [&](const FieldRule& r) {
      return r.path == path && r.rule == kSurvivor;
    });
    if (alone) {
      field->set(survivor, field->get(merged));
    } else {
      FillGroup(*field, merged, survivor);
    }
  }
  // Of names that were composed the whole follows its parts.
  if (before.person.display_name == ComposedName(before.person) &&
      std::find(from_merged.begin(), from_merged.end(), "person.display_name") ==
          from_merged.end()) {
    const std::string composed = ComposedName(survivor.person);
    if (!composed.empty()) survivor.person.display_name = composed;
  }
  MergeStage(before, merged, survivor);
  survivor.merged_leads.push_back(NameOf(merged.id));
  survivor.merged_leads.insert(survivor.merged_leads.end(), merged.merged_leads.begin(),
                               merged.merged_leads.end());
  return survivor;
}

Children ChildrenOf(const Lead& lead, const Children& all) {
  Children own;
  auto pick = [&lead](const auto& from, auto& to) {
    for (const auto& child : from) {
      if (StandsFor(lead, child.lead)) to.push_back(child);
    }
  };
  pick(all.touchpoints, own.touchpoints);
  pick(all.consents, own.consents);
  pick(all.opportunities, own.opportunities);
  return own;
}

absl::Status CountAnew(Lead& lead, Children children, const CompiledModel& model, Timestamp now) {
  lead.counters = {};
  lead.milestones.last_touch_time.reset();
  lead.milestones.first_contacted_time.reset();
  lead.consents.clear();
  lead.consent_times.clear();
  for (const Opportunity& opportunity : children.opportunities) {
    switch (opportunity.state) {
      case OpportunityState::kOpen:
        ++lead.counters.open_opportunities;
        break;
      case OpportunityState::kWon:
        ++lead.counters.won_opportunities;
        break;
      case OpportunityState::kLost:
        ++lead.counters.lost_opportunities;
        break;
      case OpportunityState::kUnspecified:
        break;
    }
  }
  // In the order in which they were recorded: ids are made in that order within a moment.
  std::sort(children.consents.begin(), children.consents.end(),
            [](const Consent& a, const Consent& b) {
              return std::tie(a.create_time, a.id.value) < std::tie(b.create_time, b.id.value);
            });
  for (const Consent& consent : children.consents) ApplyConsent(lead, consent);
  for (const Touchpoint& touchpoint : children.touchpoints) NoteTouchpoint(lead, touchpoint);
  lead.score_state = EvidenceOf(model, children.touchpoints, now).Format();
  return Rescore(lead, model, now);
}

void SettleStage(Lead& lead, absl::Span<const Opportunity> opportunities, Timestamp now) {
  std::optional<Timestamp> opened, first_win, last_close, last_open;
  int64_t open = 0, won = 0;
  for (const Opportunity& opportunity : opportunities) {
    opened = Least<Timestamp>(opened, opportunity.open_time);
    if (opportunity.state == OpportunityState::kOpen) {
      ++open;
      if (!last_open.has_value() || *last_open < opportunity.open_time) {
        last_open = opportunity.open_time;
      }
      continue;
    }
    if (opportunity.state == OpportunityState::kWon) {
      ++won;
      first_win = Least<Timestamp>(first_win, opportunity.close_time);
    }
    if (opportunity.close_time.has_value() &&
        (!last_close.has_value() || *last_close < *opportunity.close_time)) {
      last_close = opportunity.close_time;
    }
  }
  Milestones& marks = lead.milestones;
  Stage stage = lead.stage;
  if (open > 0) {
    stage = Stage::kOpportunity;
  } else if (won > 0) {
    stage = Stage::kCustomer;
  } else if (stage == Stage::kOpportunity || stage == Stage::kCustomer) {
    stage = Stage::kProspect;
  }
  if (stage != lead.stage) {
    lead.stage = stage;
    marks.stage_time = (open > 0 ? last_open : last_close).value_or(now);
    lead.disqualify_reason.clear();
  }
  if (won == 0) marks.customer_time.reset();
  if (won > 0 && !marks.customer_time.has_value()) marks.customer_time = first_win;
  if (opportunities.empty()) marks.opportunity_time.reset();
  if (!opportunities.empty() && !marks.opportunity_time.has_value()) {
    marks.opportunity_time = opened;
  }
  const bool was_prospect = lead.stage == Stage::kProspect || marks.opportunity_time.has_value();
  if (was_prospect && !marks.prospect_time.has_value()) {
    marks.prospect_time =
        marks.opportunity_time.has_value() ? marks.opportunity_time : marks.stage_time;
  }
}

Unmerged Unmerge(Lead survivor, Lead merged, absl::Span<const FieldChange> changes,
                 const std::function<bool(IdentityKind, const std::string&)>& own_identity) {
  const Lead now = survivor;
  const FieldChange* stage = Find(changes, "stage");
  const FieldChange* prospect = Find(changes, "milestones.prospect_time");
  for (const FieldChange& change : changes) {
    const Field<Lead>* field = FindField<Lead>(change.path);
    if (field == nullptr || IsDerived(change.path)) continue;
    const Value held = field->get(now);
    if (held == change.after) {
      field->set(survivor, change.before);
    } else if (IsCollection(held) || IsCollection(change.after)) {
      field->set(survivor, TakenBack(change.before, change.after, held));
    } else if (change.path == "milestones.recycle_count") {
      // Recycled since: what the merge added goes, what came since stays.
      const int64_t added = *change.after.if_int() - *change.before.if_int();
      field->set(survivor, std::max<int64_t>(0, now.milestones.recycle_count - added));
    }
  }
  if (survivor.milestones.recycle_count == 0) survivor.milestones.recycled_time.reset();

  if (stage != nullptr) {
    const Stage before = static_cast<Stage>(*stage->before.if_int());
    const bool moved = now.stage != static_cast<Stage>(*stage->after.if_int());
    // A step that someone took with the survivor since is its own; what its opportunities made of
    // it is settled by those that stay.
    const bool own_step =
        moved && (now.stage == Stage::kLead || now.stage == Stage::kDisqualified ||
                  (now.stage == Stage::kProspect &&
                   (prospect == nullptr ||
                    FindField<Lead>("milestones.prospect_time")->get(now) != prospect->after)));
    if (!own_step) {
      survivor.stage = before;
      if (before == Stage::kDisqualified) {
        const FieldChange* reason = Find(changes, "disqualify_reason");
        if (reason != nullptr) {
          FindField<Lead>("disqualify_reason")->set(survivor, reason->before);
        }
      }
      if (const FieldChange* time = Find(changes, "milestones.stage_time")) {
        FindField<Lead>("milestones.stage_time")->set(survivor, time->before);
      }
    }
  }
  if (survivor.stage != Stage::kDisqualified) survivor.disqualify_reason.clear();

  // What came through the returned lead's identities goes with it; what was taken from the survivor
  // since is taken from both.
  const std::vector<IdentityKey> held = IdentitiesOf(now), had = IdentitiesOf(merged);
  auto has = [](const std::vector<IdentityKey>& keys, const IdentityKey& key) {
    return std::find(keys.begin(), keys.end(), key) != keys.end();
  };
  auto part = [&](const char* path, auto& of_survivor, auto& of_merged, const auto& of_now) {
    // Right before and right after the merge. Where it changed nothing, the survivor had all that
    // the merged lead had.
    Lead before, after;
    const FieldChange* change = Find(changes, path);
    if (change != nullptr) {
      FindField<Lead>(path)->set(before, change->before);
      FindField<Lead>(path)->set(after, change->after);
    }
    const std::vector<IdentityKey> earlier = change != nullptr ? IdentitiesOf(before) : had;
    const std::vector<IdentityKey> made = change != nullptr ? IdentitiesOf(after) : had;
    for (const auto& entry : of_now) {
      const IdentityKey key = KeyOf(entry);
      if (key.value.empty() || !own_identity(key.kind, key.value)) continue;
      if (!has(had, key)) of_merged.push_back(entry);
      if (has(earlier, key)) continue;
      std::erase_if(of_survivor, [&](const auto& other) { return KeyOf(other) == key; });
    }
    std::erase_if(of_merged, [&](const auto& entry) {
      const IdentityKey key = KeyOf(entry);
      return has(had, key) && has(made, key) && !has(held, key);
    });
  };
  part("person.emails", survivor.person.emails, merged.person.emails, now.person.emails);
  part("person.phones", survivor.person.phones, merged.person.phones, now.person.phones);
  part("external_ids", survivor.external_ids, merged.external_ids, now.external_ids);

  survivor.merged_leads.clear();
  for (const std::string& name : now.merged_leads) {
    if (name != NameOf(merged.id) &&
        std::find(merged.merged_leads.begin(), merged.merged_leads.end(), name) ==
            merged.merged_leads.end()) {
      survivor.merged_leads.push_back(name);
    }
  }
  merged.merged_into.clear();
  return {std::move(survivor), std::move(merged)};
}

}  // namespace relais::domain
