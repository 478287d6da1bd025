// Tokens that callers hand back: where a page ended, where a feed was left.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/commands/commands.h"
#include "server/convert/digest.h"
#include "server/domain/ids.h"

namespace relais::convert {

// What a page belongs to. A token of one query is refused by every other one; page_size may change
// between pages.
struct PageScope {
  std::string_view tenant;
  std::string_view method;  // "ListLeads"
  std::string_view parent;  // "leads/..." or empty
  std::string filter;       // canonical
  std::string order;        // "score desc"
};

// Seals cursors so that they can be neither read nor made by callers: a cursor may hold a personal
// value (the name that a list is ordered by). Equal cursors of a scope give equal tokens.
// Thread-safe: immutable after construction.
class PageTokens {
 public:
  // The key is secret and the same on all servers of an installation; any length but 0.
  explicit PageTokens(std::string_view key);

  // The name of a scope: its keyed digest.
  std::string ScopeDigest(const PageScope& scope) const;

  // URL-safe text without padding.
  std::string Make(std::string_view scope_digest, const storage::Cursor& cursor) const;
  // INVALID_ARGUMENT, reason INVALID_PAGE_TOKEN, for anything that Make did not make for this
  // scope.
  absl::StatusOr<storage::Cursor> Read(std::string_view token, std::string_view scope_digest) const;

 private:
  std::string seal_key_;
  HmacKey mark_key_;
};

// Where a reader of the feed stands: after event `number` of its tenant, whose digest is `digest`.
struct ResumePoint {
  int64_t number = 0;
  std::string digest;
};

// Not sealed: the digest of the event proves that the history is the same, and nothing in it is
// secret from somebody who may read the feed.
std::string MakeResumeToken(const domain::TenantId& tenant, int64_t number,
                            std::string_view digest);
// INVALID_ARGUMENT ("resume_token") for text that is no such token; OUT_OF_RANGE, reason
// HISTORY_CHANGED, for one of another tenant.
absl::StatusOr<ResumePoint> ReadResumeToken(std::string_view token, const domain::TenantId& tenant);

}  // namespace relais::convert
