// The identity map of one batch: what was loaded, what the units made of it, and the events they
// left. Units run on it one after the other, each through a UnitTxn, each seeing what the ones
// before it kept; a unit that fails is undone to the last byte.
//
// Not thread-safe: a batch belongs to one writer thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/domain/faults.h"
#include "server/domain/status_macros.h"
#include "storage/engine/event_rows.h"
#include "storage/store.h"

namespace relais::storage {

// A row's state in the database and now; nullopt where there is none.
template <class T>
struct Slot {
  // Not defaulted: a map would then clear all bytes of a new slot first, thousands for a lead.
  Slot() {}  // NOLINT(modernize-use-equals-default)
  Slot(std::optional<T> in_database, std::optional<T> now)
      : stored(std::move(in_database)), current(std::move(now)) {}

  std::optional<T> stored;
  std::optional<T> current;
};

template <class E>
using EntityMap = std::unordered_map<std::string, Slot<E>>;
using KeyPair = std::pair<std::string, std::string>;
using IdentityKey = std::pair<domain::IdentityKind, std::string>;
template <class K>
using OwnerMap = std::map<K, Slot<std::string>>;  // unique key -> id of its owner

// An event before it has a number.
struct PendingEvent {
  domain::Event event;  // number, record_time and changes unset
  ChangesText changes;
};

struct BatchMap {
  std::tuple<EntityMap<domain::Lead>, EntityMap<domain::Touchpoint>, EntityMap<domain::Consent>,
             EntityMap<domain::Assessment>, EntityMap<domain::Opportunity>, EntityMap<domain::User>,
             EntityMap<domain::Team>, EntityMap<domain::Import>, EntityMap<domain::Operation>,
             EntityMap<domain::ConfigDocument>, EntityMap<domain::Calendar>,
             EntityMap<domain::Handoff>, EntityMap<domain::Segment>>
      entities;
  OwnerMap<IdentityKey> identities;
  OwnerMap<KeyPair> opportunity_keys, touchpoint_keys, user_keys, team_keys;
  std::map<KeyPair, Slot<RequestRecord>> requests;  // (principal, request id)
  // Children by lead; present means loaded. Ids into `entities`.
  std::unordered_map<std::string, std::vector<std::string>> assessments_of, opportunities_of,
      touchpoints_of, handoffs_of, consents_of;
  std::unordered_map<std::string, std::vector<domain::Event>> merges_of;  // present: loaded
  std::set<domain::ConfigKind> configurations;  // kinds of which all documents are loaded
  std::map<KeyPair, Slot<domain::Timestamp>> segment_members;  // (segment, lead): since when
  std::map<std::string, Slot<ReactionState>> reactions;
  std::map<std::string, Slot<domain::Rotation>> rotations;  // of one name
  // Open leads by user id as they are in the database; under kDirectory: present means loaded.
  std::map<std::string, std::map<std::string, int64_t>> open_leads;
  std::map<std::string, int64_t> open_leads_added;           // by user name, since
  std::unordered_map<std::string, std::string> person_keys;  // lead -> key, unwrapped
  std::vector<PendingEvent> events;
  int kept_scores = 0;  // changes without an event

  template <class E>
  EntityMap<E>& map() {
    return std::get<EntityMap<E>>(entities);
  }
};

// Loads what a set of keys names, beyond what the map holds already.
using LoadKeys = std::function<absl::Status(const Keys&)>;

// The one name of `open_leads` and of `rotations`.
inline constexpr std::string_view kDirectory = "directory";
inline constexpr std::string_view kRouting = "routing";

// users/{id} whose work the lead is; empty when it is nobody's, as that of a merged lead.
inline std::string_view WorkOf(const domain::Lead& lead) {
  const bool open = domain::IsOpen(lead.stage) && lead.merged_into.empty();
  return open ? std::string_view(lead.owner) : std::string_view();
}
inline std::string_view WorkOf(const std::optional<domain::Lead>& lead) {
  return lead.has_value() ? WorkOf(*lead) : std::string_view();
}

// What stays the same each time a unit's body is run.
struct UnitIds {
  std::vector<std::string> ids;
};

class UnitTxn final : public WriteTxn {
 public:
  UnitTxn(BatchMap& map, const Call& call, domain::Timestamp now, const domain::Config& config,
          domain::IdSource& id_source, UnitIds& ids, LoadKeys load, bool unnamed_reads_fail)
      : map_(map),
        call_(call),
        now_(now),
        config_(config),
        id_source_(id_source),
        ids_(ids),
        load_(std::move(load)),
        unnamed_reads_fail_(unnamed_reads_fail) {
    undo_.reserve(kUsualSteps);
  }

  // Puts everything back as it was when this object was made.
  void Undo() { UndoTo(0); }

  const Call& call() const override { return call_; }
  domain::Timestamp now() const override { return now_; }
  const domain::Config& config() const override { return config_; }
  std::string NewId() override;

  absl::StatusOr<const domain::Lead*> FindLead(const domain::LeadId& id) override;
  absl::StatusOr<const domain::Opportunity*> FindOpportunity(
      const domain::OpportunityId& id) override;
  absl::StatusOr<const domain::Touchpoint*> FindTouchpoint(const domain::TouchpointId& id) override;
  absl::StatusOr<const domain::Consent*> FindConsent(const domain::ConsentId& id) override;
  absl::StatusOr<const domain::User*> FindUser(const domain::UserId& id) override;
  absl::StatusOr<const domain::Team*> FindTeam(const domain::TeamId& id) override;
  absl::StatusOr<const domain::Import*> FindImport(const domain::ImportId& id) override;
  absl::StatusOr<const domain::Operation*> FindOperation(const domain::OperationId& id) override;
  absl::StatusOr<const RequestRecord*> FindRequest(const std::string& request_id) override;
  absl::StatusOr<const domain::Calendar*> FindCalendar(const domain::CalendarId& id) override;
  absl::StatusOr<const domain::Handoff*> FindHandoff(const domain::HandoffId& id) override;
  absl::StatusOr<const domain::Segment*> FindSegment(const domain::SegmentId& id) override;
  absl::StatusOr<bool> IsSegmentMember(const domain::SegmentId& segment,
                                       const domain::LeadId& lead) override;
  absl::StatusOr<const ReactionState*> FindReaction(const std::string& name) override;
  absl::StatusOr<std::vector<domain::Colleague>> Colleagues() override;
  absl::StatusOr<domain::Rotation> FindRotation() override;

  absl::StatusOr<std::optional<domain::LeadId>> IdentityOwner(domain::IdentityKind kind,
                                                              const std::string& value) override;
  absl::StatusOr<std::optional<domain::OpportunityId>> OpportunityByKey(
      const std::string& system, const std::string& id) override;
  absl::StatusOr<std::optional<domain::TouchpointId>> TouchpointByKey(
      const std::string& source, const std::string& external_id) override;
  absl::StatusOr<std::optional<domain::UserId>> UserByKey(const std::string& kind,
                                                          const std::string& value) override;
  absl::StatusOr<std::optional<domain::TeamId>> TeamByKey(const std::string& kind,
                                                          const std::string& value) override;

  absl::StatusOr<std::vector<domain::Assessment>> Assessments(const domain::LeadId& id) override;
  absl::StatusOr<std::vector<domain::Opportunity>> Opportunities(const domain::LeadId& id) override;
  absl::StatusOr<std::vector<domain::Touchpoint>> Touchpoints(const domain::LeadId& id) override;
  absl::StatusOr<std::vector<domain::Consent>> Consents(const domain::LeadId& id) override;
  absl::StatusOr<std::vector<domain::Event>> Merges(const domain::LeadId& id) override;
  absl::StatusOr<domain::ConfigDocuments> Configurations(domain::ConfigKind kind) override;
  absl::StatusOr<std::vector<domain::Handoff>> Handoffs(const domain::LeadId& id) override;

  absl::Status Keep(domain::Lead& lead, const domain::EventDraft& draft) override;
  absl::Status KeepScore(const domain::Lead& lead) override;
  absl::Status Keep(domain::Opportunity& opportunity, const domain::EventDraft& draft) override;
  absl::Status Keep(domain::User& user, const domain::EventDraft& draft) override;
  absl::Status Keep(domain::Team& team, const domain::EventDraft& draft) override;
  absl::Status Keep(domain::Import& import, const domain::EventDraft& draft) override;
  absl::Status Keep(domain::Operation& operation, const domain::EventDraft& draft) override;
  absl::Status Keep(domain::ConfigDocument& document, const domain::EventDraft& draft) override;
  absl::Status Keep(domain::Calendar& calendar, const domain::EventDraft& draft) override;
  absl::Status Keep(domain::Handoff& handoff, const domain::EventDraft& draft) override;
  absl::Status Keep(domain::Segment& segment, const domain::EventDraft& draft) override;
  absl::Status KeepSegmentMember(const domain::SegmentId& segment, const domain::LeadId& lead,
                                 bool member, bool told) override;
  absl::Status Keep(const domain::Touchpoint& touchpoint, const domain::EventDraft& draft) override;
  absl::Status Keep(const domain::Consent& consent, const domain::EventDraft& draft) override;
  absl::Status Keep(const domain::Assessment& assessment, const domain::EventDraft& draft) override;

  absl::Status Claim(domain::IdentityKind kind, const std::string& value,
                     const domain::LeadId& owner) override;
  absl::Status Release(domain::IdentityKind kind, const std::string& value) override;
  absl::Status ClaimOpportunityKey(const std::string& system, const std::string& id,
                                   const domain::OpportunityId& owner) override;
  absl::Status ReleaseOpportunityKey(const std::string& system, const std::string& id) override;
  absl::Status ClaimUserKey(const std::string& kind, const std::string& value,
                            const domain::UserId& owner) override;
  absl::Status ReleaseUserKey(const std::string& kind, const std::string& value) override;
  absl::Status ClaimTeamKey(const std::string& kind, const std::string& value,
                            const domain::TeamId& owner) override;
  absl::Status ReleaseTeamKey(const std::string& kind, const std::string& value) override;

  absl::Status KeepRotation(const domain::Rotation& rotation) override;
  absl::Status KeepReaction(const std::string& name, const ReactionState& state) override;
  absl::Status Remember(const RequestRecord& record) override;
  absl::Status Attempt(const std::function<absl::Status()>& part) override;

 private:
  static constexpr size_t kUsualSteps = 24;  // undo steps of an ordinary unit

  void UndoTo(size_t mark);
  // The entry of `key`, made empty when there is none; Undo takes it away again.
  template <class Map>
  typename Map::mapped_type& Made(Map& map, const typename Map::key_type& key);
  // Gives a slot a new state; Undo puts the old one back.
  template <class T>
  void Replace(Slot<T>& slot, std::optional<T> current);

  // The entry of `key`, loaded by the keys that `name` adds when it is not there yet.
  template <class Map, class Name>
  absl::StatusOr<typename Map::mapped_type*> Entry(Map& map, const typename Map::key_type& key,
                                                   Name name, std::string_view what);
  template <class E, class Name>
  absl::StatusOr<const E*> Find(const std::string& id, Name name, std::string_view what);
  template <class Id, class K, class Name>
  absl::StatusOr<std::optional<Id>> Owner(OwnerMap<K>& map, const K& key, Name name,
                                          std::string_view what);
  template <class K>
  absl::Status SetOwner(OwnerMap<K>& map, const K& key, std::optional<std::string> owner);
  template <class E>
  absl::StatusOr<std::vector<E>> Children(
      std::unordered_map<std::string, std::vector<std::string>>& index, const domain::LeadId& id,
      LoadPlan plan, std::string_view what);
  void AddChild(std::unordered_map<std::string, std::vector<std::string>>& index,
                const domain::LeadId& lead, const std::string& id);

  void CountWork(std::string_view owner, int64_t leads);
  template <class E>
  absl::Status KeepVersioned(E& entity, std::string subject, const domain::LeadId& lead,
                             const domain::EventDraft& draft);
  template <class E>
  absl::Status KeepNew(const E& entity, std::string subject, const domain::EventDraft& draft);
  void RememberMerge(const domain::Lead& after, const domain::EventDraft& draft);
  void Append(ChangesText changes, std::string subject, const domain::LeadId& lead,
              const domain::EventDraft& draft);

  BatchMap& map_;
  const Call& call_;
  const domain::Timestamp now_;
  const domain::Config& config_;
  domain::IdSource& id_source_;
  UnitIds& ids_;
  size_t ids_used_ = 0;
  LoadKeys load_;
  const bool unnamed_reads_fail_;
  std::vector<std::function<void()>> undo_;
};

}  // namespace relais::storage
