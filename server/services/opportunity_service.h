// OpportunityService: negotiation from the stated intention to the close.
#pragma once

#include "relais/v1/opportunity_service.pb.h"
#include "server/services/serve.h"

namespace relais::services {

class OpportunityService final : public Endpoint {
 public:
  explicit OpportunityService(const Edge& edge);

 private:
  absl::Status CreateOpportunity(Reply<v1::Opportunity>& reply,
                                 const v1::CreateOpportunityRequest& request);
  absl::Status GetOpportunity(Reply<v1::Opportunity>& reply,
                              const v1::GetOpportunityRequest& request);
  absl::Status ListOpportunities(Reply<v1::ListOpportunitiesResponse>& reply,
                                 const v1::ListOpportunitiesRequest& request);
  absl::Status UpdateOpportunity(Reply<v1::Opportunity>& reply,
                                 const v1::UpdateOpportunityRequest& request);
  absl::Status MoveOpportunity(Reply<v1::Opportunity>& reply,
                               const v1::MoveOpportunityRequest& request);
  absl::Status CloseOpportunity(Reply<v1::Opportunity>& reply,
                                const v1::CloseOpportunityRequest& request);
  absl::Status ReopenOpportunity(Reply<v1::Opportunity>& reply,
                                 const v1::ReopenOpportunityRequest& request);
  absl::Status GetPipeline(Reply<v1::Pipeline>& reply, const v1::GetPipelineRequest& request);
  absl::Status ListPipelines(Reply<v1::ListPipelinesResponse>& reply,
                             const v1::ListPipelinesRequest& request);
};

}  // namespace relais::services
