#include "storage/engine/event_rows.h"

#include <optional>
#include <utility>

#include "server/domain/concat.h"
#include "server/domain/faults.h"
#include "server/domain/status_macros.h"
#include "storage/sql/json.h"

namespace relais::storage {
namespace {

using domain::Event;
using domain::FieldChange;
using domain::Value;
using domain::ValueList;

constexpr size_t kDigestHexDigits = 16;  // 64 bits: a fork goes unseen once in 1.8e19

// [[path, before, after], ...]
std::string ChangesJson(const std::vector<FieldChange>& changes, bool personal) {
  ValueList list;
  for (const FieldChange& change : changes) {
    if (change.personal != personal) continue;
    list.emplace_back(ValueList{Value(change.path), change.before, change.after});
  }
  return list.empty() ? std::string() : ToJson(Value(std::move(list)));
}

absl::Status ReadChanges(std::string_view json, bool personal, std::vector<FieldChange>& out) {
  if (json.empty()) return absl::OkStatus();
  // Not moved out of its StatusOr: GCC 12 then takes the variant for uninitialised in release
  // builds.
  absl::StatusOr<Value> value = FromJson(json);
  if (!value.ok()) return value.status();
  const ValueList* list = value->if_list();
  if (list == nullptr) return domain::InternalFault("event changes are not a list");
  for (const Value& item : *list) {
    const ValueList* change = item.if_list();
    if (change == nullptr || change->size() != 3 || (*change)[0].if_text() == nullptr) {
      return domain::InternalFault("an event change is malformed");
    }
    out.push_back({*(*change)[0].if_text(), (*change)[1], (*change)[2], personal});
  }
  return absl::OkStatus();
}

std::string ContextOf(std::string_view tenant, const Event& event) {
  return Concat("event\n", tenant, "\n", event.subject, "\n", static_cast<int>(event.type));
}

std::string SealingKey(std::string_view tenant, const Event& event, const Vault& vault,
                       const std::unordered_map<std::string, std::string>& person_keys) {
  if (event.lead.empty()) return vault.Derive(Concat("tenant-events\n", tenant));
  auto it = person_keys.find(event.lead.value);
  return it == person_keys.end() ? std::string() : it->second;
}

Cell TextOrNull(const std::string& text) {
  return text.empty() ? Cell(std::monostate{}) : Cell(text);
}

}  // namespace

Row ToEventRow(const domain::TenantId& tenant, const Event& event, const std::string& batch_id,
               size_t index_in_batch, const Vault& vault,
               const std::unordered_map<std::string, std::string>& person_keys) {
  std::string changes = ChangesJson(event.changes, false);
  if (changes.empty()) changes = "[]";
  std::string sealed;
  if (std::string personal = ChangesJson(event.changes, true); !personal.empty()) {
    std::string key = SealingKey(tenant.value, event, vault, person_keys);
    if (!key.empty()) sealed = Vault::Seal(key, personal, ContextOf(tenant.value, event));
  }
  std::string digest =
      Sha256Hex(Concat(batch_id, "\n", index_in_batch, "\n", static_cast<int>(event.type), "\n",
                       event.subject, "\n", event.lead.value, "\n", event.occur_time.micros, "\n",
                       event.actor, "\n", event.trigger, "\n", event.rule_version, "\n",
                       event.basis, "\n", event.reason, "\n", changes, "\n", sealed))
          .substr(0, kDigestHexDigits);
  return {tenant.value,
          int64_t{0},
          int64_t{0},
          static_cast<int64_t>(event.type),
          event.subject,
          TextOrNull(event.lead.value),
          event.occur_time.micros,
          event.actor,
          event.trigger,
          TextOrNull(event.rule_version),
          TextOrNull(event.basis),
          TextOrNull(event.reason),
          std::move(changes),
          TextOrNull(sealed),
          std::move(digest)};
}

absl::StatusOr<Event> FromEventRow(
    const Row& row, const Vault& vault,
    const std::unordered_map<std::string, std::string>& person_keys) {
  Event event;
  event.number = IntOr(row[1]);
  event.record_time = {IntOr(row[2])};
  event.type = static_cast<domain::EventType>(IntOr(row[3]));
  event.subject = TextOf(row[4]);
  event.lead = domain::LeadId(std::string(TextOf(row[5])));
  event.occur_time = {IntOr(row[6])};
  event.actor = TextOf(row[7]);
  event.trigger = TextOf(row[8]);
  event.rule_version = TextOf(row[9]);
  event.basis = TextOf(row[10]);
  event.reason = TextOf(row[11]);
  event.digest = TextOf(row[14]);
  RETURN_IF_ERROR(ReadChanges(TextOf(row[12]), false, event.changes));
  if (!IsNull(row[13])) {
    std::string_view tenant = TextOf(row[0]);
    std::string key = SealingKey(tenant, event, vault, person_keys);
    if (key.empty()) {
      event.erased = true;
    } else {
      ASSIGN_OR_RETURN(std::string personal,
                       Vault::Open(key, TextOf(row[13]), ContextOf(tenant, event)));
      RETURN_IF_ERROR(ReadChanges(personal, true, event.changes));
    }
  }
  return event;
}

}  // namespace relais::storage
