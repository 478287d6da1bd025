// From a database's address to a Store: the one place that knows both engines.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/domain/clock.h"
#include "storage/store.h"

namespace relais::storage {

struct StoreConfig {
  // "sqlite:PATH" (or a bare path), or a libpq connection: "postgresql://...", "host=...
  // dbname=...".
  std::string url;
  std::string key;  // the master key, 32 bytes, kept outside the database
  StoreOptions options;
};

// Brings the schema up to date and starts the store's threads. Clock, ids and config outlive it.
// Errors: INVALID_ARGUMENT for an address of no known form or a key of another length;
// FAILED_PRECONDITION for a schema that is newer than this program or was altered, and for a key
// that is not the one the database was first opened with; UNAVAILABLE when the database does not
// answer.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(
    const StoreConfig& config, const domain::Clock& clock, domain::IdSource& ids,
    const domain::Config& domain_config = domain::BuiltInConfig());

}  // namespace relais::storage
