#include "storage/engine/event_rows.h"

#include <utility>
#include <variant>

#include "server/domain/concat.h"
#include "server/domain/faults.h"
#include "server/domain/status_macros.h"
#include "storage/sql/json.h"
#include "storage/sql/tables.h"

namespace relais::storage {
namespace {

using domain::Event;
using domain::FieldChange;
using domain::Value;
using domain::ValueList;

constexpr size_t kDigestHexDigits = 16;  // 64 bits: a fork goes unseen once in 1.8e19

// The value that a field's columns stand for; null where it is absent.
void AppendValue(domain::FieldType type, const domain::Scalar* cells, std::string& json) {
  if (cells == nullptr || std::holds_alternative<std::monostate>(cells[0])) {
    json.append("null");
    return;
  }
  if (const std::string* text = std::get_if<std::string>(cells)) {
    AppendJsonText(*text, json);
    return;
  }
  const int64_t number = std::get<int64_t>(cells[0]);
  switch (type) {
    case domain::FieldType::kBool:
      return AppendJson(Value(number != 0), json);
    case domain::FieldType::kTime:
      return AppendJson(Value(domain::Timestamp{number}), json);
    case domain::FieldType::kMoney:
      return AppendJson(Value(domain::Money{std::get<std::string>(cells[2]), number,
                                            static_cast<int32_t>(std::get<int64_t>(cells[1]))}),
                        json);
    default:
      return AppendJson(Value(number), json);
  }
}

void Begin(std::string_view beginning, std::string& json) {
  json.push_back(json.empty() ? '[' : ',');
  json.append(beginning);
}

absl::Status ReadChanges(std::string_view json, bool personal, std::vector<FieldChange>& out) {
  if (json.empty()) return absl::OkStatus();
  // Not moved out of its StatusOr: GCC 12 then takes the variant for uninitialised in release
  // builds.
  absl::StatusOr<Value> value = FromJson(json);
  if (!value.ok()) return value.status();
  ValueList* list = value->if_list();
  if (list == nullptr) return domain::InternalFault("event changes are not a list");
  out.reserve(out.size() + list->size());
  for (Value& item : *list) {
    ValueList* change = item.if_list();
    if (change == nullptr || change->size() != 3 || (*change)[0].if_text() == nullptr) {
      return domain::InternalFault("an event change is malformed");
    }
    out.push_back({std::move(*(*change)[0].if_text()), std::move((*change)[1]),
                   std::move((*change)[2]), personal});
  }
  return absl::OkStatus();
}

std::string ContextOf(std::string_view tenant, const Event& event) {
  return Concat("event\n", tenant, "\n", event.subject, "\n", static_cast<int>(event.type));
}

// Null when the person's key is gone. `derived` holds the key when it is one of the tenant.
const std::string* SealingKey(std::string_view tenant, const Event& event, const Vault& vault,
                              const std::unordered_map<std::string, std::string>& person_keys,
                              std::string& derived) {
  if (event.lead.empty()) {
    derived = vault.Derive(Concat("tenant-events\n", tenant));
    return &derived;
  }
  auto it = person_keys.find(event.lead.value);
  return it == person_keys.end() || it->second.empty() ? nullptr : &it->second;
}

Cell TextOrNull(std::string text) {
  return text.empty() ? Cell(std::monostate{}) : Cell(std::move(text));
}

}  // namespace

namespace event_rows_internal {

std::string BeginningOf(std::string_view path) {
  std::string beginning = "[";
  AppendJsonText(path, beginning);
  beginning.push_back(',');
  return beginning;
}

void AppendChange(std::string_view beginning, const Value& before, const Value& after,
                  std::string& json) {
  Begin(beginning, json);
  AppendJson(before, json);
  json.push_back(',');
  AppendJson(after, json);
  json.push_back(']');
}

void AppendChange(std::string_view beginning, domain::FieldType type, const domain::Scalar* before,
                  const domain::Scalar* after, std::string& json) {
  Begin(beginning, json);
  AppendValue(type, before, json);
  json.push_back(',');
  AppendValue(type, after, json);
  json.push_back(']');
}

void Close(ChangesText& changes) {
  if (!changes.open.empty()) changes.open.push_back(']');
  if (!changes.personal.empty()) changes.personal.push_back(']');
}

}  // namespace event_rows_internal

void AddFacts(absl::Span<const domain::FieldChange> facts, ChangesText& changes) {
  if (facts.empty()) return;
  if (!changes.open.empty()) changes.open.pop_back();  // goes on
  for (const domain::FieldChange& fact : facts) {
    event_rows_internal::AppendChange(event_rows_internal::BeginningOf(fact.path), fact.before,
                                      fact.after, changes.open);
  }
  changes.open.push_back(']');
}

Row ToEventRow(const domain::TenantId& tenant, const Event& event, ChangesText texts,
               const std::string& batch_id, size_t index_in_batch, const Vault& vault,
               const std::unordered_map<std::string, std::string>& person_keys) {
  std::string changes = texts.open.empty() ? "[]" : std::move(texts.open);
  const std::string& personal = texts.personal;
  std::string sealed;
  if (!personal.empty()) {
    std::string derived;
    if (auto* key = SealingKey(tenant.value, event, vault, person_keys, derived)) {
      sealed = Vault::Seal(*key, personal, ContextOf(tenant.value, event));
    }
  }
  std::string digest =
      Sha256()
          .Add(Concat(batch_id, "\n", index_in_batch, "\n", static_cast<int>(event.type), "\n",
                      event.subject, "\n", event.lead.value, "\n", event.occur_time.micros, "\n",
                      event.actor, "\n", event.trigger, "\n", event.rule_version, "\n", event.basis,
                      "\n", event.reason, "\n"))
          .Add(changes)
          .Add("\n")
          .Add(sealed)
          .Hex(kDigestHexDigits);
  Row row;
  row.reserve(EventsTable().columns.size());
  row.emplace_back(tenant.value);
  row.emplace_back(int64_t{0});
  row.emplace_back(int64_t{0});
  row.emplace_back(static_cast<int64_t>(event.type));
  row.emplace_back(event.subject);
  row.push_back(TextOrNull(event.lead.value));
  row.emplace_back(event.occur_time.micros);
  row.emplace_back(event.actor);
  row.emplace_back(event.trigger);
  row.push_back(TextOrNull(event.rule_version));
  row.push_back(TextOrNull(event.basis));
  row.push_back(TextOrNull(event.reason));
  row.emplace_back(std::move(changes));
  row.push_back(TextOrNull(std::move(sealed)));
  row.emplace_back(std::move(digest));
  return row;
}

absl::StatusOr<Event> FromEventRow(
    Row row, const Vault& vault, const std::unordered_map<std::string, std::string>& person_keys) {
  auto text = [&row](size_t column) {
    std::string* held = std::get_if<std::string>(&row[column]);
    return held == nullptr ? std::string() : std::move(*held);
  };
  Event event;
  event.number = IntOr(row[1]);
  event.record_time = {IntOr(row[2])};
  event.type = static_cast<domain::EventType>(IntOr(row[3]));
  event.subject = text(4);
  event.lead = domain::LeadId(text(5));
  event.occur_time = {IntOr(row[6])};
  event.actor = text(7);
  event.trigger = text(8);
  event.rule_version = text(9);
  event.basis = text(10);
  event.reason = text(11);
  event.digest = text(14);
  RETURN_IF_ERROR(ReadChanges(TextOf(row[12]), false, event.changes));
  if (!IsNull(row[13])) {
    std::string_view tenant = TextOf(row[0]);
    std::string derived;
    const std::string* key = SealingKey(tenant, event, vault, person_keys, derived);
    if (key == nullptr) {
      event.erased = true;
    } else {
      ASSIGN_OR_RETURN(std::string personal,
                       Vault::Open(*key, TextOf(row[13]), ContextOf(tenant, event)));
      RETURN_IF_ERROR(ReadChanges(personal, true, event.changes));
    }
  }
  return event;
}

absl::StatusOr<Event> FromEventOutline(const Row& row, absl::Span<const std::string> paths) {
  Event event;
  event.number = IntOr(row[0]);
  event.record_time = {IntOr(row[1])};
  event.type = static_cast<domain::EventType>(IntOr(row[2]));
  event.lead = domain::LeadId(std::string(TextOf(row[3])));
  event.sealed = IntOr(row[5]) != 0;
  event.actor = TextOf(row[6]);
  if (TextOf(row[4]).empty()) return event;
  ASSIGN_OR_RETURN(std::vector<PickedJson> picked, PickFromJson(TextOf(row[4]), paths));
  for (PickedJson& change : picked) {
    event.changes.push_back(
        {std::move(change.text), std::move(change.first), std::move(change.second), false});
  }
  return event;
}

}  // namespace relais::storage
