// Storage in a PostgreSQL database (15 or later).
//
// Sessions do not reconnect: one that is lost is dropped, and Open makes another. Writing ones plan
// by index only, wait at most 5 s for a lock (then: conflict) and never commit asynchronously. All
// keep their plans, and make them anew as tables grow.
// A session whose login owns the tables, or could pass by row-level security, continues as the role
// relais_app, which can do neither.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "storage/engine/session.h"

namespace relais::storage {

struct PostgresOptions {
  // A connection string or URI of libpq, several hosts allowed. What it leaves out is set: connect
  // and keep-alive timeouts, so that a host that is gone is noticed within seconds, and the
  // application name.
  std::string dsn;
  // How long an answer to COMMIT is waited for; then the socket is closed and the outcome unknown.
  // A statement timeout would not end the wait for a synchronous standby.
  std::chrono::milliseconds commit_timeout{10'000};
};

// Opens nothing yet. Open and Migrate answer INVALID_ARGUMENT for a string that libpq cannot read
// and `lost` when no connection comes about.
std::unique_ptr<Database> MakePostgresDatabase(PostgresOptions options);

}  // namespace relais::storage
