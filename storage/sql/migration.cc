#include "storage/sql/migration.h"

#include <cstddef>

#include "server/domain/concat.h"
#include "server/domain/faults.h"

namespace relais::storage {

absl::StatusOr<absl::Span<const Migration>> PendingMigrations(
    absl::Span<const Migration> known, absl::Span<const AppliedMigration> applied) {
  for (size_t i = 0; i < applied.size(); ++i) {
    const AppliedMigration& row = applied[i];
    if (i >= known.size()) {
      std::string text = Concat("the database is at migration ", row.number,
                                ", this program knows ", known.size(), ": run a newer program");
      return domain::PreconditionFailed("SCHEMA_NEWER", text, {{"SCHEMA", "database", text}});
    }
    if (row.number != known[i].number || row.checksum != known[i].checksum) {
      std::string text =
          Concat("migration ", known[i].number, " (", known[i].name,
                 ") of the database is not the one of this program: wrong database, or a changed "
                 "migration file");
      return domain::PreconditionFailed("SCHEMA_DIFFERS", text, {{"SCHEMA", "database", text}});
    }
  }
  return known.subspan(applied.size());
}

}  // namespace relais::storage
