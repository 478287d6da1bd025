#include "server/services/privacy_service.h"

#include <utility>

namespace relais::services {

PrivacyService::PrivacyService(const Edge& edge) : Endpoint(edge, "relais.v1.PrivacyService") {
  Unary("SetConsent", &PrivacyService::SetConsent);
  Unary("ListConsents", &PrivacyService::ListConsents);
}

absl::Status PrivacyService::SetConsent(Reply<v1::Consent>& reply,
                                        const v1::SetConsentRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseSetConsent(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status PrivacyService::ListConsents(Reply<v1::ListConsentsResponse>& reply,
                                          const v1::ListConsentsRequest& request) {
  ASSIGN_OR_RETURN(convert::ListPage page, convert::ParseListConsents(request, reply.decoding()));
  return List(reply, std::move(page), &storage::ReadTxn::ListConsents,
              [](v1::ListConsentsResponse& out) { return out.mutable_consents(); });
}

}  // namespace relais::services
