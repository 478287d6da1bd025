// Storage in one SQLite file.
//
// The file is made with mode 0600 (it holds personal data) and kept in WAL mode with full
// synchronisation: what is committed survives a crash of the machine. Foreign keys are on, deleted
// content is overwritten, temporary results stay in memory. Writing sessions take the write lock
// when they begin, and wait for it for `busy_timeout`; reading sessions cannot write.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "storage/engine/session.h"

namespace relais::storage {

struct SqliteOptions {
  // A path, not a URI. ":memory:" is refused by Open: every session would have a database of its
  // own.
  std::string path;
  std::chrono::milliseconds busy_timeout{5000};
};

// Opens nothing yet. Open and Migrate answer INVALID_ARGUMENT for a path that cannot be used, and
// `lost` when the file cannot be opened.
std::unique_ptr<Database> MakeSqliteDatabase(SqliteOptions options);

}  // namespace relais::storage
