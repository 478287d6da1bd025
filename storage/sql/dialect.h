// The two SQL dialects that the shared statements of storage/sql are written for.
#pragma once

#include <cstdint>

namespace relais::storage {

enum class Dialect : uint8_t { kSqlite, kPostgres };

}  // namespace relais::storage
