#include "storage/engine/load.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "server/domain/concat.h"
#include "server/domain/identity.h"
#include "server/domain/merge.h"
#include "storage/engine/event_rows.h"
#include "storage/engine/person_keys.h"
#include "storage/sql/bulk.h"
#include "storage/sql/rows.h"
#include "storage/sql/tables.h"

namespace relais::storage {
namespace {

using domain::TenantId;

std::vector<KeyPair> UniqueKeysOf(const domain::Opportunity& opportunity) {
  std::vector<KeyPair> keys;
  for (const domain::ExternalId& id : opportunity.external_ids) keys.emplace_back(id.system, id.id);
  return keys;
}
std::vector<KeyPair> UniqueKeysOf(const domain::User& user) { return domain::UniqueKeys(user); }
std::vector<KeyPair> UniqueKeysOf(const domain::Team& team) { return domain::UniqueKeys(team); }

// What a replay of the request that made `name` reads.
void AddResource(std::string_view name, Keys& keys) {
  const size_t child = name.starts_with("leads/") ? name.find('/', 6) : std::string_view::npos;
  if (auto lead = domain::ParseName<domain::LeadTag>(name.substr(0, child))) {
    keys.Lead(*lead, kAssessments);
    if (child == std::string_view::npos) return;
    std::string_view rest = name.substr(child + 1);
    if (auto id = domain::ParseName<domain::TouchpointTag>(rest)) keys.Touchpoint(*id);
    if (auto id = domain::ParseName<domain::ConsentTag>(rest)) keys.Consent(*id);
    return;
  }
  if (auto id = domain::ParseName<domain::OpportunityTag>(name)) keys.Opportunity(*id);
  if (auto id = domain::ParseName<domain::UserTag>(name)) keys.User(*id);
  if (auto id = domain::ParseName<domain::TeamTag>(name)) keys.Team(*id);
  if (auto id = domain::ParseName<domain::OperationTag>(name)) keys.Operation(*id);
  if (auto id = domain::ParseName<domain::CalendarTag>(name)) keys.Calendar(*id);
  if (auto id = domain::ParseName<domain::HandoffTag>(name)) keys.Handoff(*id);
  if (auto id = domain::ParseName<domain::SegmentTag>(name)) keys.Segment(*id);
}

class Loader {
 public:
  Loader(Session& session, const Vault& vault, const TenantId& tenant, BatchMap& map)
      : session_(session), vault_(vault), tenant_(tenant), map_(map) {}

  absl::Status Run(const RequestIds& requests, Keys keys) {
    // One round trip for whatever needs nothing else to be known before.
    OwnerMap<IdentityKey> found;
    for (const auto& [key, plan] : keys.identities) {
      if (!map_.identities.contains(key)) found[key];
    }
    RETURN_IF_ERROR(LoadNamed(requests, keys, found));
    std::map<std::string, uint32_t> leads = keys.leads;
    for (const auto& [key, plan] : keys.identities) {
      auto it = found.find(key);
      if (it == found.end()) it = map_.identities.find(key);
      if (it->second.current.has_value()) leads[*it->second.current] |= plan;
    }

    RETURN_IF_ERROR(LoadAll<domain::Touchpoint>("touchpoint_id", keys.touchpoints, false));
    AddLeadsOfTouchpoints(keys, leads);

    std::map<std::string, uint32_t> opportunities = keys.opportunities;
    for (const auto& [key, plan] : keys.opportunity_keys) {
      const Slot<std::string>& slot = map_.opportunity_keys.at(key);
      if (slot.current.has_value()) opportunities[*slot.current] |= plan;
    }
    // An opportunity never changes its lead, so its lead may be read before it is locked.
    std::vector<std::string> new_opportunities;
    for (const auto& [id, plan] : opportunities) new_opportunities.push_back(id);
    ASSIGN_OR_RETURN(std::vector<domain::Opportunity> unlocked,
                     Select<domain::Opportunity>(
                         "opportunity_id", Unknown<domain::Opportunity>(new_opportunities), false));
    for (const domain::Opportunity& opportunity : unlocked) {
      leads[opportunity.lead.value] |= opportunities[opportunity.id.value];
    }
    for (const auto& [id, plan] : opportunities) {
      auto it = map_.map<domain::Opportunity>().find(id);
      if (it != map_.map<domain::Opportunity>().end() && it->second.current.has_value()) {
        leads[it->second.current->lead.value] |= plan;
      }
    }

    std::vector<std::string> handoffs;
    for (const auto& [id, plan] : keys.handoffs) handoffs.push_back(id);
    RETURN_IF_ERROR(AddLeadsOfHandoffs(keys.handoffs, handoffs, leads));

    RETURN_IF_ERROR(LockLeads(leads, found));
    RETURN_IF_ERROR(FollowMerges(leads));
    map_.identities.merge(found);

    RETURN_IF_ERROR(LoadOwnIdentities(leads));
    RETURN_IF_ERROR(LoadAll<domain::Consent>("consent_id", keys.consents, false));
    RETURN_IF_ERROR(LoadAll<domain::Opportunity>("opportunity_id", new_opportunities, true));
    RETURN_IF_ERROR(LoadKeys(OpportunityKeysTable(), {"system", "external_id"},
                             KeysOfLoaded<domain::Opportunity>(new_opportunities),
                             map_.opportunity_keys));
    RETURN_IF_ERROR(
        LoadChildren<domain::Opportunity>(leads, kOpportunities, map_.opportunities_of, true));
    RETURN_IF_ERROR(
        LoadChildren<domain::Assessment>(leads, kAssessments, map_.assessments_of, false));
    RETURN_IF_ERROR(
        LoadChildren<domain::Touchpoint>(leads, kTouchpoints, map_.touchpoints_of, false));
    RETURN_IF_ERROR(LoadChildren<domain::Consent>(leads, kConsents, map_.consents_of, false));
    RETURN_IF_ERROR(LoadMerges(leads));
    RETURN_IF_ERROR(LoadConfigurations(keys.configurations));
    RETURN_IF_ERROR(LoadAll<domain::User>("user_id", keys.users, true));
    RETURN_IF_ERROR(LoadTeams(keys.teams));
    std::vector<KeyPair> user_keys = KeysOfLoaded<domain::User>(keys.users);
    user_keys.insert(user_keys.end(), keys.user_keys.begin(), keys.user_keys.end());
    RETURN_IF_ERROR(LoadKeys(UserKeysTable(), {"kind", "value"}, user_keys, map_.user_keys));
    std::vector<KeyPair> team_keys = KeysOfLoaded<domain::Team>(keys.teams);
    team_keys.insert(team_keys.end(), keys.team_keys.begin(), keys.team_keys.end());
    RETURN_IF_ERROR(LoadKeys(TeamKeysTable(), {"kind", "value"}, team_keys, map_.team_keys));
    RETURN_IF_ERROR(LoadAll<domain::Import>("import_id", keys.imports, true));
    RETURN_IF_ERROR(LoadAll<domain::Operation>("operation_id", keys.operations, true));
    RETURN_IF_ERROR(LoadAll<domain::Handoff>("handoff_id", handoffs, true));
    RETURN_IF_ERROR(LoadChildren<domain::Handoff>(leads, kHandoffs, map_.handoffs_of, true));
    RETURN_IF_ERROR(LoadAll<domain::Calendar>("calendar_id", keys.calendars, true));
    RETURN_IF_ERROR(LoadAll<domain::Segment>("segment_id", keys.segments, true));
    RETURN_IF_ERROR(LoadReactions(keys.reactions));
    RETURN_IF_ERROR(LoadSegmentMembers(keys.segment_members));
    // What is counted must be counted behind the lock of whoever counted last.
    if (keys.rotation) RETURN_IF_ERROR(LoadRotation());
    if (keys.directory) RETURN_IF_ERROR(LoadDirectory());
    return absl::OkStatus();
  }

 private:
  template <class E>
  std::vector<std::string> Unknown(const std::vector<std::string>& ids) {
    std::set<std::string> unknown;
    for (const std::string& id : ids) {
      if (!map_.map<E>().contains(id)) unknown.insert(id);
    }
    return {unknown.begin(), unknown.end()};
  }

  template <class E>
  absl::StatusOr<std::vector<E>> Select(const std::string& column,
                                        const std::vector<std::string>& ids, bool lock) {
    std::vector<E> entities;
    if (ids.empty()) return entities;
    std::vector<Row> keys;
    keys.reserve(ids.size());
    for (const std::string& id : ids) keys.push_back({id});
    ASSIGN_OR_RETURN(std::vector<Row> rows,
                     session_.SelectRows(TableOf<E>(), tenant_, {column}, keys, lock));
    entities.reserve(rows.size());
    for (Row& row : rows) {
      ASSIGN_OR_RETURN(E entity, FromRow<E>(std::move(row)));
      entities.push_back(std::move(entity));
    }
    return entities;
  }

  template <class E>
  absl::Status LoadAll(const std::string& column, const std::vector<std::string>& ids, bool lock) {
    std::vector<std::string> unknown = Unknown<E>(ids);
    ASSIGN_OR_RETURN(std::vector<E> entities, Select<E>(column, unknown, lock));
    for (const std::string& id : unknown) map_.map<E>()[id];
    for (E& entity : entities) {
      Slot<E>& slot = map_.map<E>()[entity.id.value];
      slot.stored = entity;
      slot.current = std::move(entity);
    }
    return absl::OkStatus();
  }

  // A hand-off, like an opportunity, never changes its lead.
  absl::Status AddLeadsOfHandoffs(const std::map<std::string, uint32_t>& handoffs,
                                  const std::vector<std::string>& ids,
                                  std::map<std::string, uint32_t>& leads) {
    ASSIGN_OR_RETURN(std::vector<domain::Handoff> unlocked,
                     Select<domain::Handoff>("handoff_id", Unknown<domain::Handoff>(ids), false));
    for (const domain::Handoff& handoff : unlocked) {
      leads[handoff.lead.value] |= handoffs.at(handoff.id.value);
    }
    for (const auto& [id, plan] : handoffs) {
      auto it = map_.map<domain::Handoff>().find(id);
      if (it != map_.map<domain::Handoff>().end() && it->second.current.has_value()) {
        leads[it->second.current->lead.value] |= plan;
      }
    }
    return absl::OkStatus();
  }

  absl::Status LoadSegmentMembers(const std::vector<KeyPair>& members) {
    std::set<KeyPair> unknown;
    for (const KeyPair& member : members) {
      if (!map_.segment_members.contains(member)) unknown.insert(member);
    }
    if (unknown.empty()) return absl::OkStatus();
    std::vector<Row> rows;
    for (const KeyPair& member : unknown) {
      map_.segment_members[member];
      rows.push_back({member.first, member.second});
    }
    ASSIGN_OR_RETURN(rows, session_.SelectRows(SegmentMembersTable(), tenant_,
                                               {"segment_id", "lead_id"}, std::move(rows), false));
    for (const Row& row : rows) {
      const domain::Timestamp since{IntOr(row[3])};
      map_.segment_members[{std::string(TextOf(row[1])), std::string(TextOf(row[2]))}] = {since,
                                                                                          since};
    }
    return absl::OkStatus();
  }

  absl::Status LoadReactions(const std::vector<std::string>& names) {
    std::set<std::string> unknown;
    for (const std::string& name : names) {
      if (!map_.reactions.contains(name)) unknown.insert(name);
    }
    if (unknown.empty()) return absl::OkStatus();
    std::vector<Row> rows;
    for (const std::string& name : unknown) {
      map_.reactions[name];
      rows.push_back({name});
    }
    ASSIGN_OR_RETURN(
        rows, session_.SelectRows(ReactionsTable(), tenant_, {"name"}, std::move(rows), true));
    for (const Row& row : rows) {
      ReactionState state{.position = IntOr(row[2]),
                          .owner = std::string(TextOf(row[3])),
                          .lease_until = {IntOr(row[4])},
                          .fence = IntOr(row[5])};
      map_.reactions[std::string(TextOf(row[1]))] = {state, state};
    }
    return absl::OkStatus();
  }

  absl::Status LoadRotation() {
    const std::string name(kRouting);
    if (map_.rotations.contains(name)) return absl::OkStatus();
    Slot<domain::Rotation>& slot = map_.rotations[name];
    ASSIGN_OR_RETURN(std::vector<Row> rows, session_.SelectRows(RotationsTable(), tenant_, {"name"},
                                                                std::vector<Row>{{name}}, true));
    if (rows.empty()) return absl::OkStatus();
    domain::Rotation rotation{.revision = IntOr(rows[0][2]), .credits = {}};
    RETURN_IF_ERROR(domain::ParseRotation(TextOf(rows[0][3]), rotation));
    slot.stored = rotation;
    slot.current = std::move(rotation);
    return absl::OkStatus();
  }

  // Rows of the whole tenant; what the map holds stays as it is.
  template <class E>
  absl::Status LoadEvery(std::string_view condition) {
    const Table& table = TableOf<E>();
    ASSIGN_OR_RETURN(std::vector<Row> rows,
                     session_.Query(Concat("SELECT ", ColumnList(table), " FROM ", table.name,
                                           " WHERE tenant_id = :p1", condition),
                                    Row{tenant_.value}, TypesOf(table)));
    for (Row& row : rows) {
      ASSIGN_OR_RETURN(E entity, FromRow<E>(std::move(row)));
      auto [slot, made] = map_.map<E>().try_emplace(entity.id.value);
      if (!made) continue;
      slot->second.stored = entity;
      slot->second.current = std::move(entity);
    }
    return absl::OkStatus();
  }

  absl::Status LoadDirectory() {
    const std::string name(kDirectory);
    if (map_.open_leads.contains(name)) return absl::OkStatus();
    RETURN_IF_ERROR(LoadEvery<domain::User>(" AND archived = 0"));
    RETURN_IF_ERROR(LoadEvery<domain::Team>(""));
    RETURN_IF_ERROR(LoadEvery<domain::Calendar>(""));
    static constexpr ColumnType kTypes[] = {ColumnType::kUuid, ColumnType::kInteger};
    ASSIGN_OR_RETURN(
        std::vector<Row> rows,
        session_.Query("SELECT user_id, open_leads FROM user_loads WHERE tenant_id = :p1",
                       Row{tenant_.value}, kTypes));
    std::map<std::string, int64_t>& counts = map_.open_leads[name];
    for (const Row& row : rows) counts[std::string(TextOf(row[0]))] = IntOr(row[1]);
    return absl::OkStatus();
  }

  template <class E>
  absl::Status LoadChildren(const std::map<std::string, uint32_t>& leads, LoadPlan plan,
                            std::unordered_map<std::string, std::vector<std::string>>& index,
                            bool lock) {
    std::vector<std::string> parents;
    for (const auto& [id, plans] : leads) {
      if ((plans & plan) != 0 && !index.contains(id)) parents.push_back(id);
    }
    ASSIGN_OR_RETURN(std::vector<E> children, Select<E>("lead_id", parents, lock));
    for (const std::string& id : parents) {
      std::vector<std::string>& ids = index[id];
      // Children that earlier units of the batch made are in no table yet.
      for (const auto& [child, slot] : map_.map<E>()) {
        if (!slot.stored.has_value() && slot.current.has_value() &&
            slot.current->lead.value == id) {
          ids.push_back(child);
        }
      }
    }
    for (E& child : children) {
      index[child.lead.value].push_back(child.id.value);
      auto [known, made] = map_.map<E>().try_emplace(child.id.value);
      if (!made) continue;
      known->second.stored = child;
      known->second.current = std::move(child);
    }
    return absl::OkStatus();
  }

  // The configuration is locked alone (Session::LockConfigVersion): nobody else changes it.
  absl::Status LoadConfigurations(const std::vector<domain::ConfigKind>& kinds) {
    std::vector<Row> keys;
    for (domain::ConfigKind kind : kinds) {
      if (map_.configurations.insert(kind).second) keys.push_back({static_cast<int64_t>(kind)});
    }
    if (keys.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(std::vector<Row> rows,
                     session_.SelectRows(TableOf<domain::ConfigDocument>(), tenant_, {"kind"},
                                         std::move(keys), false));
    for (Row& row : rows) {
      ASSIGN_OR_RETURN(domain::ConfigDocument document,
                       FromRow<domain::ConfigDocument>(std::move(row)));
      Slot<domain::ConfigDocument>& slot = map_.map<domain::ConfigDocument>()[document.id.value];
      slot.stored = document;
      slot.current = std::move(document);
    }
    return absl::OkStatus();
  }

  // What the log knows of the requests, who owns the identities, and the keys of touchpoints and
  // opportunities; what a known request made is added to `keys`.
  absl::Status LoadNamed(const RequestIds& requests, Keys& keys, OwnerMap<IdentityKey>& found) {
    std::vector<Row> request_rows;
    for (const auto& [principal, ids] : requests) {
      for (const std::string& id : ids) {
        if (map_.requests.try_emplace({principal, id}).second) {
          request_rows.push_back({principal, id});
        }
      }
    }
    std::vector<Row> touchpoint_rows;
    for (const KeyPair& key : keys.touchpoint_keys) {
      if (map_.touchpoint_keys.try_emplace(key).second) {
        touchpoint_rows.push_back({key.first, key.second});
      }
    }
    std::vector<Row> opportunity_rows;
    for (const auto& [key, plan] : keys.opportunity_keys) {
      if (map_.opportunity_keys.try_emplace(key).second) {
        opportunity_rows.push_back({key.first, key.second});
      }
    }
    std::vector<Selection> selections;
    selections.push_back({RequestLogTable(), {"principal", "request_id"}, std::move(request_rows)});
    selections.push_back({LeadIdentitiesTable(), {"kind", "value"}, IdentityRows(found)});
    selections.push_back(
        {TableOf<domain::Touchpoint>(), {"source", "external_id"}, std::move(touchpoint_rows)});
    selections.push_back(
        {OpportunityKeysTable(), {"system", "external_id"}, std::move(opportunity_rows)});
    ASSIGN_OR_RETURN(std::vector<std::vector<Row>> rows,
                     session_.Select(tenant_, std::move(selections)));

    // tenant_id, principal, request_id, method, digest, resource, note, create_time
    for (const Row& row : rows[0]) {
      RequestRecord record{std::string(TextOf(row[2])), std::string(TextOf(row[3])),
                           std::string(TextOf(row[4])), std::string(TextOf(row[5])),
                           std::string(TextOf(row[6]))};
      AddResource(record.resource, keys);
      map_.requests[{std::string(TextOf(row[1])), record.request_id}] = {record, record};
    }
    TakeIdentities(rows[1], found);
    for (Row& row : rows[2]) {
      ASSIGN_OR_RETURN(domain::Touchpoint touchpoint, FromRow<domain::Touchpoint>(std::move(row)));
      std::string id = touchpoint.id.value;
      map_.touchpoint_keys[{touchpoint.source, touchpoint.external_id}] = {id, id};
      map_.map<domain::Touchpoint>().try_emplace(id,
                                                 Slot<domain::Touchpoint>{touchpoint, touchpoint});
    }
    TakeOwners(rows[3], map_.opportunity_keys);
    return absl::OkStatus();
  }

  static std::vector<Row> IdentityRows(const OwnerMap<IdentityKey>& owners) {
    std::vector<Row> rows;
    rows.reserve(owners.size());
    for (const auto& [key, slot] : owners) {
      rows.push_back({static_cast<int64_t>(key.first), key.second});
    }
    return rows;
  }

  // Rows of (tenant_id, kind, value, lead_id).
  static void TakeIdentities(absl::Span<const Row> rows, OwnerMap<IdentityKey>& owners) {
    for (const Row& row : rows) {
      std::string lead(TextOf(row[3]));
      owners[{static_cast<domain::IdentityKind>(IntOr(row[1])), std::string(TextOf(row[2]))}] = {
          lead, lead};
    }
  }

  absl::StatusOr<OwnerMap<IdentityKey>> ReadIdentities(const std::vector<IdentityKey>& keys) {
    OwnerMap<IdentityKey> found;
    if (keys.empty()) return found;
    for (const IdentityKey& key : keys) found[key];
    ASSIGN_OR_RETURN(std::vector<Row> rows,
                     session_.SelectRows(LeadIdentitiesTable(), tenant_, {"kind", "value"},
                                         IdentityRows(found), false));
    TakeIdentities(rows, found);
    return found;
  }

  // Tables of (tenant_id, a, b, owner).
  absl::Status LoadKeys(const Table& table, const std::vector<std::string>& match,
                        const std::vector<KeyPair>& keys, OwnerMap<KeyPair>& owners) {
    std::set<KeyPair> unknown;
    for (const KeyPair& key : keys) {
      if (!owners.contains(key)) unknown.insert(key);
    }
    if (unknown.empty()) return absl::OkStatus();
    std::vector<Row> rows;
    for (const KeyPair& key : unknown) {
      owners[key];
      rows.push_back({key.first, key.second});
    }
    ASSIGN_OR_RETURN(rows, session_.SelectRows(table, tenant_, match, std::move(rows), false));
    TakeOwners(rows, owners);
    return absl::OkStatus();
  }

  static void TakeOwners(absl::Span<const Row> rows, OwnerMap<KeyPair>& owners) {
    for (const Row& row : rows) {
      std::string owner(TextOf(row[3]));
      owners[{std::string(TextOf(row[1])), std::string(TextOf(row[2]))}] = {owner, owner};
    }
  }

  template <class E>
  std::vector<KeyPair> KeysOfLoaded(const std::vector<std::string>& ids) {
    std::vector<KeyPair> keys;
    for (const std::string& id : ids) {
      const Slot<E>& slot = map_.map<E>().at(id);
      if (!slot.current.has_value()) continue;
      for (KeyPair& key : UniqueKeysOf(*slot.current)) keys.push_back(std::move(key));
    }
    return keys;
  }

  // Teams and all teams above them: whether a new parent would make a circle depends on those.
  absl::Status LoadTeams(std::vector<std::string> ids) {
    while (!ids.empty()) {
      ids = Unknown<domain::Team>(ids);
      RETURN_IF_ERROR(LoadAll<domain::Team>("team_id", ids, true));
      std::vector<std::string> parents;
      for (const std::string& id : ids) {
        const Slot<domain::Team>& slot = map_.map<domain::Team>().at(id);
        if (!slot.current.has_value()) continue;
        if (auto parent = domain::ParseName<domain::TeamTag>(slot.current->parent_team)) {
          parents.push_back(parent->value);
        }
      }
      ids = std::move(parents);
    }
    return absl::OkStatus();
  }

  // Adds the leads that merged ones were merged into and, where a plan asks for more than the lead
  // itself, those that a lead stands for. They are locked after the others and so out of order: two
  // batches may wait for each other, which the engine settles like any conflict. Merged leads are
  // few, and their old names are used less and less.
  absl::Status FollowMerges(std::map<std::string, uint32_t>& leads) {
    while (true) {
      std::map<std::string, uint32_t> more;
      auto add = [&](const domain::LeadId& id, uint32_t plan) {
        auto known = leads.find(id.value);
        if (known == leads.end() || (known->second | plan) != known->second) more[id.value] |= plan;
      };
      for (const auto& [id, plan] : leads) {
        const Slot<domain::Lead>& slot = map_.map<domain::Lead>().at(id);
        if (!slot.current.has_value()) continue;
        if (auto into = domain::MergedInto(*slot.current)) add(*into, plan);
        if (plan == kLeadOnly) continue;
        for (const domain::LeadId& merged : domain::MergedLeads(*slot.current)) add(merged, plan);
      }
      if (more.empty()) return absl::OkStatus();
      for (const auto& [id, plan] : more) leads[id] |= plan;
      RETURN_IF_ERROR(LockLeads(more, {}));
    }
  }

  absl::Status LoadMerges(const std::map<std::string, uint32_t>& leads) {
    for (const auto& [id, plan] : leads) {
      if ((plan & kMerges) == 0 || map_.merges_of.contains(id)) continue;
      const Table& table = EventsTable();
      ASSIGN_OR_RETURN(
          std::vector<Row> rows,
          session_.Query(
              Concat("SELECT ", ColumnList(table),
                     " FROM events WHERE tenant_id = :p1 AND lead_id = ",
                     session_.dialect() == Dialect::kPostgres ? "CAST(:p2 AS UUID)" : ":p2",
                     " AND type = :p3 ORDER BY number"),
              Row{tenant_.value, id, static_cast<int64_t>(domain::EventType::kLeadMerged)},
              TypesOf(table)));
      std::vector<domain::Event>& events = map_.merges_of[id];
      for (Row& row : rows) {
        ASSIGN_OR_RETURN(domain::Event event,
                         FromEventRow(std::move(row), vault_, map_.person_keys));
        events.push_back(std::move(event));
      }
    }
    return absl::OkStatus();
  }

  absl::Status LoadOwnIdentities(const std::map<std::string, uint32_t>& leads) {
    std::vector<IdentityKey> keys;
    for (const auto& [id, plan] : leads) {
      const Slot<domain::Lead>& slot = map_.map<domain::Lead>().at(id);
      if ((plan & kIdentities) == 0 || !slot.current.has_value()) continue;
      for (const domain::IdentityKey& key : domain::IdentitiesOf(*slot.current)) {
        if (!map_.identities.contains({key.kind, key.value})) keys.push_back({key.kind, key.value});
      }
    }
    ASSIGN_OR_RETURN(OwnerMap<IdentityKey> found, ReadIdentities(keys));
    map_.identities.merge(found);
    return absl::OkStatus();
  }

  void AddLeadsOfTouchpoints(const Keys& keys, std::map<std::string, uint32_t>& leads) {
    auto add_lead = [&](const std::string& id) {
      const Slot<domain::Touchpoint>& slot = map_.map<domain::Touchpoint>().at(id);
      if (slot.current.has_value()) leads[slot.current->lead.value] |= kLeadOnly;
    };
    for (const KeyPair& key : keys.touchpoint_keys) {
      const Slot<std::string>& slot = map_.touchpoint_keys.at(key);
      if (slot.current.has_value()) add_lead(*slot.current);
    }
    for (const std::string& id : keys.touchpoints) add_lead(id);
  }

  // The leads, their persons' keys, and once more the owners of `found`: at READ COMMITTED an
  // identity may have moved between being found and its lead being locked. One that had no owner
  // needs no second look: two who claim it collide on its unique key.
  absl::Status LockLeads(const std::map<std::string, uint32_t>& leads,
                         const OwnerMap<IdentityKey>& found) {
    std::vector<std::string> ids;
    for (const auto& [id, plan] : leads) ids.push_back(id);
    ids = Unknown<domain::Lead>(ids);
    OwnerMap<IdentityKey> owned;
    if (session_.dialect() == Dialect::kPostgres) {
      for (const auto& [key, slot] : found) {
        if (slot.current.has_value()) owned[key];
      }
    }
    std::vector<Row> keys;
    keys.reserve(ids.size());
    for (const std::string& id : ids) keys.push_back({id});
    std::vector<Selection> selections;
    selections.push_back({TableOf<domain::Lead>(), {"lead_id"}, keys, true});
    selections.push_back({PersonKeysTable(), {"lead_id"}, std::move(keys)});
    selections.push_back({LeadIdentitiesTable(), {"kind", "value"}, IdentityRows(owned)});
    ASSIGN_OR_RETURN(std::vector<std::vector<Row>> rows,
                     session_.Select(tenant_, std::move(selections)));
    for (const std::string& id : ids) map_.map<domain::Lead>()[id];
    for (Row& row : rows[0]) {
      ASSIGN_OR_RETURN(domain::Lead lead, FromRow<domain::Lead>(std::move(row)));
      Slot<domain::Lead>& slot = map_.map<domain::Lead>()[lead.id.value];
      slot.stored = lead;
      slot.current = std::move(lead);
    }
    RETURN_IF_ERROR(UnwrapPersonKeys(vault_, tenant_, rows[1], map_.person_keys));
    TakeIdentities(rows[2], owned);
    for (const auto& [key, slot] : owned) {
      if (slot.current != found.at(key).current) return ConflictError("an identity moved");
    }
    return absl::OkStatus();
  }

  Session& session_;
  const Vault& vault_;
  const TenantId& tenant_;
  BatchMap& map_;
};

}  // namespace

absl::Status Load(Session& session, const Vault& vault, const TenantId& tenant,
                  const RequestIds& requests, Keys keys, BatchMap& map) {
  return Loader(session, vault, tenant, map).Run(requests, std::move(keys));
}

}  // namespace relais::storage
