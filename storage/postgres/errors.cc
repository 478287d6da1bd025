#include "storage/postgres/errors.h"

#include <string>

#include "server/domain/concat.h"
#include "storage/engine/session.h"
#include "storage/sql/soci_session.h"

namespace relais::storage {

absl::Status PostgresError(std::string_view state, bool connected, std::string_view sql) {
  const std::string text = Concat(
      "postgres ", state.empty() ? std::string_view("no answer") : state, " in: ", Excerpt(sql));
  if (state == "23505") return TakenError(text);
  for (std::string_view conflict : {"23503", "40001", "40P01", "55P03"}) {
    if (state == conflict) return ConflictError(text);
  }
  if (!connected) return LostError(text);
  // Connection, out of resources, shut down (57P0x) or cancelled (57014), system; a standby that
  // took a write (25006); a transaction that idled too long (25P03).
  for (std::string_view lost : {"08", "53", "57", "58", "25006", "25P03"}) {
    if (state.starts_with(lost)) return LostError(text);
  }
  return absl::InternalError(text);
}

}  // namespace relais::storage
