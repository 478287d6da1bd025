// Who calls. The tenant and the principal of every call come from here, never from the request.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/domain/ids.h"

namespace relais::runtime {

// What the transport knows of a caller before the request is read.
struct Caller {
  bool local = false;         // arrived through loopback or a Unix socket
  std::string certificate;    // common name of a client certificate that was verified; else empty
  std::string authorization;  // the header of that name; else empty
};

struct Identity {
  domain::TenantId tenant;
  std::string principal;  // recorded as the actor of what the caller changes
};

// Thread-safe; called on the transport's threads, so it must not block.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  // UNAUTHENTICATED, with a Fault, when the caller is not admitted.
  virtual absl::StatusOr<Identity> Authenticate(const Caller& caller) const = 0;
  // Whether Caller::authorization is looked at; it is left empty otherwise.
  virtual bool ReadsAuthorization() const { return false; }
};

// Admits whoever is on this machine, as "anonymous" of the tenant "default", and services that show
// a certificate of the configured client CA, by its name. Everyone else is refused: the network is
// not an identity.
class LoopbackAuthenticator : public Authenticator {
 public:
  absl::StatusOr<Identity> Authenticate(const Caller& caller) const override;
};

}  // namespace relais::runtime
