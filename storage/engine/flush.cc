#include "storage/engine/flush.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "server/domain/concat.h"
#include "storage/engine/event_rows.h"
#include "storage/engine/person_keys.h"
#include "storage/sql/rows.h"
#include "storage/sql/tables.h"

namespace relais::storage {
namespace {

using domain::TenantId;

class Flusher {
 public:
  Flusher(Session& session, const Vault& vault, const TenantId& tenant, BatchMap& map)
      : session_(session), vault_(vault), tenant_(tenant), map_(map) {}

  absl::Status Run(const std::string& batch_id, domain::Timestamp now, EventNumbers& numbers) {
    session_.SendAhead();
    RETURN_IF_ERROR(InsertEntities<domain::Lead>());
    RETURN_IF_ERROR(InsertPersonKeys());
    RETURN_IF_ERROR(WriteIdentities());
    RETURN_IF_ERROR(UpdateEntities<domain::Lead>());
    RETURN_IF_ERROR(InsertEntities<domain::Touchpoint>());
    RETURN_IF_ERROR(InsertEntities<domain::Consent>());
    RETURN_IF_ERROR(InsertEntities<domain::Assessment>());
    RETURN_IF_ERROR(WriteEntities<domain::Opportunity>());
    RETURN_IF_ERROR(
        WriteKeys(OpportunityKeysTable(), "system", "external_id", map_.opportunity_keys));
    RETURN_IF_ERROR(WriteEntities<domain::User>());
    RETURN_IF_ERROR(WriteUserLoads());
    RETURN_IF_ERROR(WriteKeys(UserKeysTable(), "kind", "value", map_.user_keys));
    RETURN_IF_ERROR(WriteEntities<domain::Team>());
    RETURN_IF_ERROR(WriteKeys(TeamKeysTable(), "kind", "value", map_.team_keys));
    RETURN_IF_ERROR(WriteEntities<domain::Import>());
    RETURN_IF_ERROR(WriteEntities<domain::Operation>());
    RETURN_IF_ERROR(WriteConfiguration());
    RETURN_IF_ERROR(WriteEntities<domain::Calendar>());
    RETURN_IF_ERROR(WriteEntities<domain::Handoff>());
    RETURN_IF_ERROR(WriteEntities<domain::Segment>());
    RETURN_IF_ERROR(WriteSegmentMembers());
    RETURN_IF_ERROR(WriteRotation());
    RETURN_IF_ERROR(WriteReactions());
    RETURN_IF_ERROR(InsertRequests(now));
    RETURN_IF_ERROR(session_.InsertRows(BatchesTable(),
                                        std::vector<Row>{{tenant_.value, batch_id, now.micros}}));
    return InsertEvents(batch_id, now, numbers);
  }

 private:
  template <class E>
  bool Changed(const Slot<E>& slot) const {
    if (slot.stored->revision != slot.current->revision) return true;
    // A score that was kept without an event leaves the revision as it is.
    if constexpr (std::is_same_v<E, domain::Lead>) {
      return map_.kept_scores > 0 && slot.stored != slot.current;
    }
    return false;
  }

  template <class E>
  absl::Status InsertEntities() {
    std::vector<std::pair<std::string, const E*>> added;
    for (const auto& [id, slot] : map_.map<E>()) {
      if (!slot.stored.has_value() && slot.current.has_value()) {
        added.emplace_back(id, &*slot.current);
      }
    }
    if (added.empty()) return absl::OkStatus();
    std::sort(added.begin(), added.end());
    std::vector<Row> rows;
    rows.reserve(added.size());
    for (const auto& [id, entity] : added) rows.push_back(ToRow(tenant_, *entity));
    return session_.InsertRows(TableOf<E>(), rows);
  }

  template <class E>
  absl::Status UpdateEntities() {
    std::vector<std::pair<std::string, const Slot<E>*>> changed;
    for (const auto& [id, slot] : map_.map<E>()) {
      if (slot.stored.has_value() && slot.current.has_value() && Changed(slot)) {
        changed.emplace_back(id, &slot);
      }
    }
    if (changed.empty()) return absl::OkStatus();
    std::sort(changed.begin(), changed.end());
    std::vector<Row> rows;
    std::vector<int64_t> old_revisions;
    std::set<size_t> columns;
    for (const auto& [id, slot] : changed) {
      Row after = ToRow(tenant_, *slot->current);
      for (size_t column : ChangedColumns(ToRow(tenant_, *slot->stored), after)) {
        columns.insert(column);
      }
      rows.push_back(std::move(after));
      old_revisions.push_back(slot->stored->revision);
    }
    std::vector<size_t> list(columns.begin(), columns.end());
    return session_.UpdateRows(TableOf<E>(), list, rows, old_revisions);
  }

  template <class E>
  absl::Status WriteEntities() {
    RETURN_IF_ERROR(InsertEntities<E>());
    return UpdateEntities<E>();
  }

  absl::Status WriteConfiguration() {
    bool in_force = false;
    for (const auto& [id, slot] : map_.map<domain::ConfigDocument>()) {
      if (slot.stored == slot.current) continue;
      in_force |= (slot.stored.has_value() && !slot.stored->draft()) ||
                  (slot.current.has_value() && !slot.current->draft());
    }
    RETURN_IF_ERROR(WriteEntities<domain::ConfigDocument>());
    if (!in_force) return absl::OkStatus();
    return session_
        .Execute("UPDATE tenants SET config_version = config_version + 1 WHERE tenant_id = :p1",
                 Row{tenant_.value})
        .status();
  }

  absl::Status InsertPersonKeys() {
    std::set<std::string> added;
    for (const auto& [id, slot] : map_.map<domain::Lead>()) {
      if (!slot.stored.has_value() && slot.current.has_value()) added.insert(id);
    }
    std::vector<Row> rows;
    for (const std::string& lead : added) {
      std::string key = vault_.NewKey();
      rows.push_back(PersonKeyRow(vault_, tenant_, lead, key));
      map_.person_keys[lead] = std::move(key);
    }
    return rows.empty() ? absl::OkStatus() : session_.InsertRows(PersonKeysTable(), rows);
  }

  // A key that changes its owner is deleted and inserted: within one transaction the two are one.
  absl::Status WriteIdentities() {
    std::vector<Row> rows;
    for (const auto& [key, slot] : map_.identities) {
      if (slot.stored == slot.current) continue;
      const int64_t kind = static_cast<int64_t>(key.first);
      if (slot.stored.has_value()) {
        RETURN_IF_ERROR(Delete(LeadIdentitiesTable(), "kind", "value", {kind, key.second}));
      }
      if (slot.current.has_value()) {
        rows.push_back({tenant_.value, kind, key.second, *slot.current});
      }
    }
    return rows.empty() ? absl::OkStatus() : session_.InsertRows(LeadIdentitiesTable(), rows);
  }

  absl::Status WriteKeys(const Table& table, std::string_view first, std::string_view second,
                         const OwnerMap<KeyPair>& keys) {
    std::vector<Row> rows;
    for (const auto& [key, slot] : keys) {
      if (slot.stored == slot.current) continue;
      if (slot.stored.has_value()) {
        RETURN_IF_ERROR(Delete(table, first, second, {key.first, key.second}));
      }
      if (slot.current.has_value()) {
        rows.push_back({tenant_.value, key.first, key.second, *slot.current});
      }
    }
    return rows.empty() ? absl::OkStatus() : session_.InsertRows(table, rows);
  }

  absl::Status Delete(const Table& table, std::string_view first, std::string_view second,
                      const Row& key) {
    ASSIGN_OR_RETURN(int64_t deleted, session_.Execute(Concat("DELETE FROM ", table.name,
                                                              " WHERE tenant_id = :p1 AND ", first,
                                                              " = :p2 AND ", second, " = :p3"),
                                                       Row{tenant_.value, key[0], key[1]}));
    return deleted == 1 ? absl::OkStatus() : ConflictError("a unique key moved");
  }

  // How many open leads everybody has is kept with the change that moves it, so that what routing
  // reads is exact; nothing to do where a lead changes neither its owner nor whether it is open.
  absl::Status WriteUserLoads() {
    std::map<std::string, int64_t> added;  // by user id
    auto count = [&](const std::optional<domain::Lead>& lead, int64_t leads) {
      const std::string_view owner = WorkOf(lead);
      if (owner.empty()) return;
      if (auto id = domain::ParseName<domain::UserTag>(owner)) added[id->value] += leads;
    };
    for (const auto& [id, slot] : map_.map<domain::Lead>()) {
      if (WorkOf(slot.stored) == WorkOf(slot.current)) continue;
      count(slot.stored, -1);
      count(slot.current, 1);
    }
    std::vector<Row> rows;
    for (const auto& [id, slot] : map_.map<domain::User>()) {
      if (slot.stored.has_value() || !slot.current.has_value()) continue;
      auto it = added.find(id);
      rows.push_back({tenant_.value, id, it == added.end() ? int64_t{0} : it->second});
      if (it != added.end()) added.erase(it);
    }
    std::sort(rows.begin(), rows.end());
    if (!rows.empty()) RETURN_IF_ERROR(session_.InsertRows(UserLoadsTable(), rows));
    const bool postgres = session_.dialect() == Dialect::kPostgres;
    for (const auto& [id, leads] : added) {
      if (leads == 0) continue;
      RETURN_IF_ERROR(session_.Send(
          Concat("UPDATE user_loads SET open_leads = open_leads + :p1 WHERE tenant_id "
                 "= :p2 AND user_id = ",
                 postgres ? "CAST(:p3 AS UUID)" : ":p3"),
          Row{leads, tenant_.value, id}));
    }
    return absl::OkStatus();
  }

  absl::Status WriteSegmentMembers() {
    std::vector<Row> rows;
    for (const auto& [key, slot] : map_.segment_members) {
      if (slot.stored.has_value() == slot.current.has_value()) continue;
      if (slot.current.has_value()) {
        rows.push_back({tenant_.value, key.first, key.second, slot.current->micros});
        continue;
      }
      const bool postgres = session_.dialect() == Dialect::kPostgres;
      RETURN_IF_ERROR(session_.Send(
          postgres ? "DELETE FROM segment_members WHERE tenant_id = :p1 AND segment_id "
                     "= CAST(:p2 AS UUID) AND lead_id = CAST(:p3 AS UUID)"
                   : "DELETE FROM segment_members WHERE tenant_id = :p1 AND segment_id "
                     "= :p2 AND lead_id = :p3",
          Row{tenant_.value, key.first, key.second}));
    }
    return rows.empty() ? absl::OkStatus() : session_.InsertRows(SegmentMembersTable(), rows);
  }

  absl::Status WriteRotation() {
    for (const auto& [name, slot] : map_.rotations) {
      if (slot.stored == slot.current || !slot.current.has_value()) continue;
      const std::vector<Row> rows = {
          {tenant_.value, name, slot.current->revision, domain::FormatRotation(*slot.current)}};
      if (!slot.stored.has_value()) {
        RETURN_IF_ERROR(session_.InsertRows(RotationsTable(), rows));
        continue;
      }
      static const std::vector<size_t> kChanged = {2, 3};
      RETURN_IF_ERROR(session_.UpdateRows(RotationsTable(), kChanged, rows,
                                          std::vector<int64_t>{slot.stored->revision}));
    }
    return absl::OkStatus();
  }

  absl::Status WriteReactions() {
    for (const auto& [name, slot] : map_.reactions) {
      if (slot.stored == slot.current || !slot.current.has_value()) continue;
      const ReactionState& state = *slot.current;
      if (!slot.stored.has_value()) {
        RETURN_IF_ERROR(session_.InsertRows(
            ReactionsTable(), std::vector<Row>{{tenant_.value, name, state.position, state.owner,
                                                state.lease_until.micros, state.fence}}));
        continue;
      }
      // The row is locked.
      RETURN_IF_ERROR(session_.Send(
          "UPDATE reactions SET position = :p1, owner = :p2, lease_until = :p3, fence "
          "= :p4 WHERE tenant_id = :p5 AND name = :p6",
          Row{state.position, state.owner, state.lease_until.micros, state.fence, tenant_.value,
              name}));
    }
    return absl::OkStatus();
  }

  absl::Status InsertRequests(domain::Timestamp now) {
    std::vector<Row> rows;
    for (const auto& [key, slot] : map_.requests) {
      if (slot.stored.has_value() || !slot.current.has_value()) continue;
      const RequestRecord& record = *slot.current;
      rows.push_back({tenant_.value, key.first, record.request_id, record.method, record.digest,
                      record.resource, record.note.empty() ? Cell() : Cell(record.note),
                      now.micros});
    }
    return rows.empty() ? absl::OkStatus() : session_.InsertRows(RequestLogTable(), rows);
  }

  absl::Status InsertEvents(const std::string& batch_id, domain::Timestamp now,
                            EventNumbers& numbers) {
    if (map_.events.empty()) return absl::OkStatus();
    std::vector<Row> rows;
    rows.reserve(map_.events.size());
    for (size_t i = 0; i < map_.events.size(); ++i) {
      rows.push_back(ToEventRow(tenant_, map_.events[i].event, std::move(map_.events[i].changes),
                                batch_id, i, vault_, map_.person_keys));
    }
    return session_.AppendEvents(EventsTable(), tenant_, std::move(rows), now, numbers);
  }

  Session& session_;
  const Vault& vault_;
  const TenantId& tenant_;
  BatchMap& map_;
};

}  // namespace

bool HasChanges(const BatchMap& map) {
  if (!map.events.empty() || map.kept_scores > 0) return true;
  auto moved = [](const auto& entry) { return entry.second.stored != entry.second.current; };
  if (std::any_of(map.reactions.begin(), map.reactions.end(), moved) ||
      std::any_of(map.rotations.begin(), map.rotations.end(), moved) ||
      std::any_of(map.segment_members.begin(), map.segment_members.end(), moved)) {
    return true;
  }
  return std::any_of(map.requests.begin(), map.requests.end(), [](const auto& entry) {
    return !entry.second.stored.has_value() && entry.second.current.has_value();
  });
}

absl::Status Flush(Session& session, const Vault& vault, const TenantId& tenant,
                   const std::string& batch_id, domain::Timestamp now, BatchMap& map,
                   EventNumbers& numbers) {
  return Flusher(session, vault, tenant, map).Run(batch_id, now, numbers);
}

}  // namespace relais::storage
