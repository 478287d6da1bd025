// Migrations: SQL texts with a number and a checksum, embedded at build from
// storage/migrations/<engine>/NNNN_name.sql. Pure and thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace relais::storage {

struct Migration {
  int64_t number = 0;  // 1, 2, 3, ...
  std::string_view name;
  std::string_view checksum;  // SHA-256 of the file, hex
  std::string_view sql;       // several statements; no BEGIN, no COMMIT
};

// One row of schema_migrations.
struct AppliedMigration {
  int64_t number = 0;
  std::string checksum;
};

// Those of `known` that are still to be run, given what the database has recorded (by number).
// FAILED_PRECONDITION, reason SCHEMA_NEWER, when the database has one that this program does not
// know; reason SCHEMA_DIFFERS when a recorded one has another checksum or one is missing between.
absl::StatusOr<absl::Span<const Migration>> PendingMigrations(
    absl::Span<const Migration> known, absl::Span<const AppliedMigration> applied);

absl::Span<const Migration> SqliteMigrations();
absl::Span<const Migration> PostgresMigrations();

}  // namespace relais::storage
