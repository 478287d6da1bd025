#include "server/runtime/authentication.h"

#include "server/domain/concat.h"
#include "server/domain/faults.h"

namespace relais::runtime {

absl::StatusOr<Identity> LoopbackAuthenticator::Authenticate(const Caller& caller) const {
  const domain::TenantId tenant("default");
  if (!caller.certificate.empty()) {
    return Identity{tenant, Concat("certificates/", caller.certificate)};
  }
  if (caller.local) return Identity{tenant, "anonymous"};
  return domain::ToStatus(
      {.code = absl::StatusCode::kUnauthenticated,
       .reason = "UNAUTHENTICATED",
       .message = "callers of other machines must show a certificate of --tls_client_ca"});
}

}  // namespace relais::runtime
