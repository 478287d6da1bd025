// A tenant's configuration as it is kept: documents in immutable revisions.
//
// One row of one table is one revision of one document: a scoring model, a qualification policy,
// and whatever else people set up and servers obey. A revision is changed as long as it is a DRAFT;
// from its activation on only its state moves (ACTIVE, RETIRED, ARCHIVED), so whatever says by
// which revision it was decided can be explained for ever. Of the documents of a kind that share a
// slot one at most is ACTIVE.
//
// What is in force is the snapshot domain::Config (config.h), built from all revisions that have
// left DRAFT. tenants.config_version moves in the transaction of every write that changes what the
// snapshot is built from; every batch reads it, locked, before its bodies run and every reading
// transaction before it looks at its configuration, so all servers of a database decide alike.
//
// To add a kind (segments, routing rules, calendars):
//   1. a number and a name in ConfigKind (enums.h, enums.cc), its collection in CollectionOf();
//   2. a type with `DocumentOf(const T&)`, the Value that is kept, and a reading of it that fails
//      with INTERNAL for what it cannot be (see scoring models in documents.h);
//   3. a member of Config that holds what servers need of it, filled in BuildConfig (config.cc).
//   A kind that no decision of a write rests on may do without 3 and be read by
//   ReadTxn::Configurations alone.
//   4. commands: name Keys::Configuration(kind), then NextDraft, Activate and Archive below.
// Storage needs nothing: it keeps every kind alike.
//
// Pure values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/domain/enums.h"
#include "server/domain/fields.h"
#include "server/domain/ids.h"
#include "server/domain/value.h"

namespace relais::domain {

struct ConfigDocument {
  ConfigDocumentId id;
  int64_t revision = 0;  // of the row; 0 before it is kept
  ConfigKind kind = ConfigKind::kUnspecified;
  std::string name;     // "b2b"; unique in its kind, shared by the revisions of a document
  int64_t version = 1;  // the revision that people see, from 1
  // What it is active for: of the documents of one kind and slot, one at most is ACTIVE. Models and
  // policies: the name of the market. A document that stands for itself alone: its name.
  std::string slot;
  RevisionState state = RevisionState::kUnspecified;
  Value document;      // a map; what the kind says
  std::string author;  // who made or last changed the draft
  Timestamp create_time, update_time;
  std::optional<Timestamp> activate_time;  // the latest
  friend bool operator==(const ConfigDocument&, const ConfigDocument&) = default;

  std::string resource() const;   // "scoringModels/b2b"
  std::string versioned() const;  // "scoringModels/b2b@3"
  bool draft() const { return state == RevisionState::kDraft; }
};

template <>
absl::Span<const Field<ConfigDocument>> FieldsOf<ConfigDocument>();

// "scoringModels".
std::string_view CollectionOf(ConfigKind kind);

// "b2b" and 3 of "scoringModels/b2b@3"; revision 0 where there is none. Nullopt unless it is a name
// of the kind: an id of 1 to 63 lower-case letters, digits, '_' and '-' that begins with a letter.
struct ConfigName {
  std::string name;
  int64_t version = 0;
};
std::optional<ConfigName> ParseConfigName(ConfigKind kind, std::string_view text);
bool IsConfigId(std::string_view id);

// All documents of a kind, in the order of name and version, as WriteTxn and ReadTxn answer them.
using ConfigDocuments = std::vector<ConfigDocument>;

// The revision `version` of a document; 0 means the greatest. Null when there is none.
const ConfigDocument* FindDocument(absl::Span<const ConfigDocument> documents,
                                   std::string_view name, int64_t version = 0);
// What is active in a slot; null when nothing is.
const ConfigDocument* ActiveDocument(absl::Span<const ConfigDocument> documents,
                                     std::string_view slot);

// The draft that a change of a document leaves: its own draft where its greatest revision is one,
// else a new revision, one greater than `greatest` (0 for a new document). `id` names a new one.
ConfigDocument NextDraft(absl::Span<const ConfigDocument> documents, ConfigKind kind,
                         std::string_view name, int64_t greatest, ConfigDocumentId id);

// What is to be kept so that `documents[...]` named by `target` becomes the active one of its slot:
// the one that was active, RETIRED, and the target, ACTIVE, in this order. Empty when it is active
// already. FAILED_PRECONDITION, reason REVISION_ARCHIVED, when it was archived.
absl::StatusOr<std::vector<ConfigDocument>> Activate(absl::Span<const ConfigDocument> documents,
                                                     const ConfigDocument& target, Timestamp now);

}  // namespace relais::domain
