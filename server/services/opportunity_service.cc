#include "server/services/opportunity_service.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/services/named.h"

namespace relais::services {

OpportunityService::OpportunityService(const Edge& edge)
    : Endpoint(edge, "relais.v1.OpportunityService") {
  Unary("CreateOpportunity", &OpportunityService::CreateOpportunity);
  Unary("GetOpportunity", &OpportunityService::GetOpportunity);
  Unary("ListOpportunities", &OpportunityService::ListOpportunities);
  Unary("UpdateOpportunity", &OpportunityService::UpdateOpportunity);
  Unary("MoveOpportunity", &OpportunityService::MoveOpportunity);
  Unary("CloseOpportunity", &OpportunityService::CloseOpportunity);
  Unary("ReopenOpportunity", &OpportunityService::ReopenOpportunity);
  Unary("GetPipeline", &OpportunityService::GetPipeline);
  Unary("ListPipelines", &OpportunityService::ListPipelines);
}

absl::Status OpportunityService::CreateOpportunity(Reply<v1::Opportunity>& reply,
                                                   const v1::CreateOpportunityRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseCreateOpportunity(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status OpportunityService::GetOpportunity(Reply<v1::Opportunity>& reply,
                                                const v1::GetOpportunityRequest& request) {
  ASSIGN_OR_RETURN(domain::OpportunityId id,
                   convert::ParseGetOpportunity(request, reply.decoding()));
  return Get(reply, id, "Opportunity", &storage::ReadTxn::GetOpportunity);
}

absl::Status OpportunityService::ListOpportunities(Reply<v1::ListOpportunitiesResponse>& reply,
                                                   const v1::ListOpportunitiesRequest& request) {
  ASSIGN_OR_RETURN(convert::ListPage page,
                   convert::ParseListOpportunities(request, reply.decoding()));
  return List(reply, std::move(page), &storage::ReadTxn::ListOpportunities,
              [](v1::ListOpportunitiesResponse& out) { return out.mutable_opportunities(); });
}

absl::Status OpportunityService::UpdateOpportunity(Reply<v1::Opportunity>& reply,
                                                   const v1::UpdateOpportunityRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseUpdateOpportunity(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status OpportunityService::MoveOpportunity(Reply<v1::Opportunity>& reply,
                                                 const v1::MoveOpportunityRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseMoveOpportunity(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status OpportunityService::CloseOpportunity(Reply<v1::Opportunity>& reply,
                                                  const v1::CloseOpportunityRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseCloseOpportunity(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status OpportunityService::ReopenOpportunity(Reply<v1::Opportunity>& reply,
                                                   const v1::ReopenOpportunityRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseReopenOpportunity(request, reply.decoding()));
  return Keep(reply, std::move(parsed));
}

absl::Status OpportunityService::GetPipeline(Reply<v1::Pipeline>& reply,
                                             const v1::GetPipelineRequest& request) {
  ASSIGN_OR_RETURN(std::string name, convert::ParseGetPipeline(request, reply.decoding()));
  return Read(reply, [name](storage::ReadTxn& txn, v1::Pipeline& out) -> absl::Status {
    const domain::Pipeline* found = txn.config().FindPipeline(name);
    if (found == nullptr) return domain::NotFound("Pipeline", name);
    convert::Encode(*found, &out);
    return absl::OkStatus();
  });
}

absl::Status OpportunityService::ListPipelines(Reply<v1::ListPipelinesResponse>& reply,
                                               const v1::ListPipelinesRequest& request) {
  ASSIGN_OR_RETURN(convert::NamePage page, convert::ParseListPipelines(request, reply.decoding()));
  return Read(
      reply, [&reply, page](storage::ReadTxn& txn, v1::ListPipelinesResponse& out) -> absl::Status {
        std::vector<Named<domain::Pipeline>> all;
        for (const domain::Pipeline& pipeline : txn.config().pipelines) {
          all.push_back({pipeline.name(), &pipeline});
        }
        FillNamePage(reply, page, all, *out.mutable_pipelines(), out);
        return absl::OkStatus();
      });
}

}  // namespace relais::services
