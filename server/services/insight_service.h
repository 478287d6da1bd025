// InsightService: figures over the lifecycle.
#pragma once

#include "relais/v1/insight_service.pb.h"
#include "server/services/serve.h"

namespace relais::services {

class InsightService final : public Endpoint {
 public:
  explicit InsightService(const Edge& edge);

 private:
  absl::Status GetFunnel(Reply<v1::Funnel>& reply, const v1::GetFunnelRequest& request);
};

}  // namespace relais::services
