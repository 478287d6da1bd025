// The configurations of the tenants as this process knows them, each with the version that the
// database gave it. Thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "absl/status/statusor.h"
#include "server/domain/config.h"
#include "server/domain/ids.h"
#include "storage/engine/session.h"

namespace relais::storage {

class ConfigCache {
 public:
  // `shipped` outlives it.
  explicit ConfigCache(const domain::Config& shipped);

  // The configuration of `version`, which the transaction open in `session` has read; loaded there
  // when it is another than the known one. Errors: the session's; INTERNAL for a document that this
  // program cannot read.
  absl::StatusOr<std::shared_ptr<const domain::Config>> At(Session& session,
                                                           const domain::TenantId& tenant,
                                                           int64_t version);
  // The same, with the version as `session` sees it.
  absl::StatusOr<std::shared_ptr<const domain::Config>> Current(Session& session,
                                                                const domain::TenantId& tenant);
  const std::shared_ptr<const domain::Config>& shipped() const { return shipped_; }

 private:
  struct Known {
    int64_t version = 0;
    std::shared_ptr<const domain::Config> config;
  };

  const std::shared_ptr<const domain::Config> shipped_;
  std::mutex mutex_;
  std::map<std::string, Known> known_;
};

// Every document of a kind, by name and version.
absl::StatusOr<domain::ConfigDocuments> ReadConfigurations(Session& session,
                                                           const domain::TenantId& tenant,
                                                           domain::ConfigKind kind);

}  // namespace relais::storage
