#include "server/services/insight_service.h"

#include <vector>

namespace relais::services {

InsightService::InsightService(const Edge& edge) : Endpoint(edge, "relais.v1.InsightService") {
  Unary("GetFunnel", &InsightService::GetFunnel);
}

absl::Status InsightService::GetFunnel(Reply<v1::Funnel>& reply,
                                       const v1::GetFunnelRequest& request) {
  ASSIGN_OR_RETURN(storage::FunnelQuery query, convert::ParseGetFunnel(request, reply.decoding()));
  return Read(reply, [query](storage::ReadTxn& txn, v1::Funnel& out) -> absl::Status {
    ASSIGN_OR_RETURN(std::vector<storage::FunnelGroup> groups, txn.Funnel(query));
    ASSIGN_OR_RETURN(storage::FeedHead head, txn.Head());
    convert::Encode(groups, query.breakdown, head, &out);
    return absl::OkStatus();
  });
}

}  // namespace relais::services
