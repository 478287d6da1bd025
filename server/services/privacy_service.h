// PrivacyService: what persons agreed to.
#pragma once

#include "relais/v1/privacy_service.pb.h"
#include "server/services/serve.h"

namespace relais::services {

class PrivacyService final : public Endpoint {
 public:
  explicit PrivacyService(const Edge& edge);

 private:
  absl::Status SetConsent(Reply<v1::Consent>& reply, const v1::SetConsentRequest& request);
  absl::Status ListConsents(Reply<v1::ListConsentsResponse>& reply,
                            const v1::ListConsentsRequest& request);
};

}  // namespace relais::services
