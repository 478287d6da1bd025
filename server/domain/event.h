// One entry of the log, as the domain sees it: personal values in the clear. Storage encrypts them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "server/domain/enums.h"
#include "server/domain/fields.h"
#include "server/domain/ids.h"
#include "server/domain/value.h"

namespace relais::domain {

struct FieldChange {
  std::string path;
  Value before, after;
  bool personal = false;
  friend bool operator==(const FieldChange&, const FieldChange&) = default;
};

// What a step says about itself; number, record time and changes are added when it is kept.
struct EventDraft {
  EventType type = EventType::kUnspecified;
  Timestamp occur_time;
  std::string rule_version;  // "scoringModels/b2b@1"; empty when none
  std::string basis;         // name of the resource it rests on; empty when none
  std::string reason;
  // What a decision was made on, beside what it changed: paths that are no fields of the subject,
  // such as "routing.candidates", with values that are not personal. They follow the changes.
  std::vector<FieldChange> facts = {};
};

struct Event {
  int64_t number = 0;     // 1, 2, 3... per tenant, gapless, in commit order
  Timestamp record_time;  // strictly increasing per tenant
  EventType type = EventType::kUnspecified;
  std::string subject;  // resource name
  LeadId lead;          // empty when it concerns none
  Timestamp occur_time;
  std::string actor, trigger, rule_version, basis, reason;
  std::vector<FieldChange> changes;
  bool erased = false;  // personal values are gone
  bool sealed = false;  // of an event read in outline: it has personal changes, which were left out
  std::string digest;   // short hex digest of the stored entry; part of the resume token
};

// The differences of two states of an entity in the order of its field table, fields without
// history left out. Equal states give none.
template <class E>
std::vector<FieldChange> Diff(const E& before, const E& after) {
  std::vector<FieldChange> changes;
  for (const Field<E>& field : FieldsOf<E>()) {
    if (!field.spec.history) continue;
    if (field.same(before, after)) continue;
    Value from = field.get(before);
    Value to = field.get(after);
    if (from == to) continue;
    changes.push_back(
        {std::string(field.spec.path), std::move(from), std::move(to), field.spec.personal});
  }
  return changes;
}

// Replays changes onto an entity; paths that its table does not know are ignored, so that an old
// log can be read by a newer server that dropped a field.
template <class E>
void Apply(absl::Span<const FieldChange> changes, E& entity) {
  for (const FieldChange& change : changes) {
    if (const Field<E>* field = FindField<E>(change.path)) field->set(entity, change.after);
  }
}

}  // namespace relais::domain
