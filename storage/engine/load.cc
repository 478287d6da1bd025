#include "storage/engine/load.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "server/domain/concat.h"
#include "server/domain/identity.h"
#include "storage/engine/person_keys.h"
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
}

class Loader {
 public:
  Loader(Session& session, const Vault& vault, const TenantId& tenant, BatchMap& map)
      : session_(session), vault_(vault), tenant_(tenant), map_(map) {}

  absl::Status Run(const Keys& keys) {
    std::map<std::string, uint32_t> leads = keys.leads;

    std::vector<IdentityKey> identities;
    for (const auto& [key, plan] : keys.identities) {
      if (!map_.identities.contains(key)) identities.push_back(key);
    }
    ASSIGN_OR_RETURN(OwnerMap<IdentityKey> found, ReadIdentities(identities));
    for (const auto& [key, plan] : keys.identities) {
      auto it = found.find(key);
      if (it == found.end()) it = map_.identities.find(key);
      if (it->second.current.has_value()) leads[*it->second.current] |= plan;
    }

    RETURN_IF_ERROR(LoadTouchpoints(keys, leads));

    std::map<std::string, uint32_t> opportunities = keys.opportunities;
    RETURN_IF_ERROR(LoadKeys(OpportunityKeysTable(), {"system", "external_id"},
                             PairsOf(keys.opportunity_keys), map_.opportunity_keys));
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

    RETURN_IF_ERROR(LockLeads(leads));
    if (!identities.empty() && session_.dialect() == Dialect::kPostgres) {
      // READ COMMITTED: between finding an owner and locking it, it may have moved.
      ASSIGN_OR_RETURN(OwnerMap<IdentityKey> again, ReadIdentities(identities));
      for (const auto& [key, slot] : again) {
        if (slot.current != found.at(key).current) return ConflictError("an identity moved");
      }
    }
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
    RETURN_IF_ERROR(LoadAll<domain::User>("user_id", keys.users, true));
    RETURN_IF_ERROR(LoadTeams(keys.teams));
    std::vector<KeyPair> user_keys = KeysOfLoaded<domain::User>(keys.users);
    user_keys.insert(user_keys.end(), keys.user_keys.begin(), keys.user_keys.end());
    RETURN_IF_ERROR(LoadKeys(UserKeysTable(), {"kind", "value"}, user_keys, map_.user_keys));
    std::vector<KeyPair> team_keys = KeysOfLoaded<domain::Team>(keys.teams);
    team_keys.insert(team_keys.end(), keys.team_keys.begin(), keys.team_keys.end());
    RETURN_IF_ERROR(LoadKeys(TeamKeysTable(), {"kind", "value"}, team_keys, map_.team_keys));
    RETURN_IF_ERROR(LoadAll<domain::Import>("import_id", keys.imports, true));
    return LoadAll<domain::Operation>("operation_id", keys.operations, true);
  }

 private:
  template <class Map>
  static std::vector<KeyPair> PairsOf(const Map& map) {
    std::vector<KeyPair> pairs;
    for (const auto& [key, plan] : map) pairs.push_back(key);
    return pairs;
  }

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
    for (const Row& row : rows) {
      ASSIGN_OR_RETURN(E entity, FromRow<E>(row));
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
      std::string id = entity.id.value;
      map_.map<E>()[id] = {entity, std::move(entity)};
    }
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
      std::string id = child.id.value;
      index[child.lead.value].push_back(id);
      map_.map<E>().try_emplace(id, Slot<E>{child, std::move(child)});
    }
    return absl::OkStatus();
  }

  absl::StatusOr<OwnerMap<IdentityKey>> ReadIdentities(const std::vector<IdentityKey>& keys) {
    OwnerMap<IdentityKey> found;
    if (keys.empty()) return found;
    std::vector<Row> rows;
    rows.reserve(keys.size());
    for (const auto& [kind, value] : keys) {
      found[{kind, value}];
      rows.push_back({static_cast<int64_t>(kind), value});
    }
    ASSIGN_OR_RETURN(
        rows, session_.SelectRows(LeadIdentitiesTable(), tenant_, {"kind", "value"}, rows, false));
    for (const Row& row : rows) {  // tenant_id, kind, value, lead_id
      std::string lead(TextOf(row[3]));
      found[{static_cast<domain::IdentityKind>(IntOr(row[1])), std::string(TextOf(row[2]))}] = {
          lead, lead};
    }
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
    ASSIGN_OR_RETURN(rows, session_.SelectRows(table, tenant_, match, rows, false));
    for (const Row& row : rows) {
      std::string owner(TextOf(row[3]));
      owners[{std::string(TextOf(row[1])), std::string(TextOf(row[2]))}] = {owner, owner};
    }
    return absl::OkStatus();
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

  absl::Status LoadTouchpoints(const Keys& keys, std::map<std::string, uint32_t>& leads) {
    std::set<KeyPair> unknown;
    for (const KeyPair& key : keys.touchpoint_keys) {
      if (!map_.touchpoint_keys.contains(key)) unknown.insert(key);
    }
    if (!unknown.empty()) {
      std::vector<Row> rows;
      for (const KeyPair& key : unknown) {
        map_.touchpoint_keys[key];
        rows.push_back({key.first, key.second});
      }
      ASSIGN_OR_RETURN(rows, session_.SelectRows(TableOf<domain::Touchpoint>(), tenant_,
                                                 {"source", "external_id"}, rows, false));
      for (const Row& row : rows) {
        ASSIGN_OR_RETURN(domain::Touchpoint touchpoint, FromRow<domain::Touchpoint>(row));
        std::string id = touchpoint.id.value;
        map_.touchpoint_keys[{touchpoint.source, touchpoint.external_id}] = {id, id};
        map_.map<domain::Touchpoint>().try_emplace(
            id, Slot<domain::Touchpoint>{touchpoint, touchpoint});
      }
    }
    RETURN_IF_ERROR(LoadAll<domain::Touchpoint>("touchpoint_id", keys.touchpoints, false));
    auto add_lead = [&](const std::string& id) {
      const Slot<domain::Touchpoint>& slot = map_.map<domain::Touchpoint>().at(id);
      if (slot.current.has_value()) leads[slot.current->lead.value] |= kLeadOnly;
    };
    for (const KeyPair& key : keys.touchpoint_keys) {
      const Slot<std::string>& slot = map_.touchpoint_keys.at(key);
      if (slot.current.has_value()) add_lead(*slot.current);
    }
    for (const std::string& id : keys.touchpoints) add_lead(id);
    return absl::OkStatus();
  }

  absl::Status LockLeads(const std::map<std::string, uint32_t>& leads) {
    std::vector<std::string> ids;
    for (const auto& [id, plan] : leads) ids.push_back(id);
    ids = Unknown<domain::Lead>(ids);
    if (ids.empty()) return absl::OkStatus();
    RETURN_IF_ERROR(LoadAll<domain::Lead>("lead_id", ids, true));
    return LoadPersonKeys(session_, vault_, tenant_, ids, map_.person_keys);
  }

  Session& session_;
  const Vault& vault_;
  const TenantId& tenant_;
  BatchMap& map_;
};

}  // namespace

absl::Status Load(Session& session, const Vault& vault, const TenantId& tenant, const Keys& keys,
                  BatchMap& map) {
  return Loader(session, vault, tenant, map).Run(keys);
}

absl::Status LoadRequests(Session& session, const TenantId& tenant, const std::string& principal,
                          const std::vector<std::string>& ids, BatchMap& map, Keys& keys) {
  std::set<std::string> unknown;
  for (const std::string& id : ids) {
    if (!map.requests.contains({principal, id})) unknown.insert(id);
  }
  if (unknown.empty()) return absl::OkStatus();
  std::vector<Row> rows;
  for (const std::string& id : unknown) {
    map.requests[{principal, id}];
    rows.push_back({principal, id});
  }
  static const auto* const kMatch = new std::vector<std::string>{"principal", "request_id"};
  ASSIGN_OR_RETURN(rows, session.SelectRows(RequestLogTable(), tenant, *kMatch, rows, false));
  // tenant_id, principal, request_id, method, digest, resource, note, create_time
  for (const Row& row : rows) {
    RequestRecord record{std::string(TextOf(row[2])), std::string(TextOf(row[3])),
                         std::string(TextOf(row[4])), std::string(TextOf(row[5])),
                         std::string(TextOf(row[6]))};
    AddResource(record.resource, keys);
    map.requests[{principal, record.request_id}] = {record, record};
  }
  return absl::OkStatus();
}

}  // namespace relais::storage
