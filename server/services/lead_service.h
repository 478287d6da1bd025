// LeadService: acquisition, identity and the contact's history (proto/relais/v1/lead_service.proto
// says what each call does and refuses).
#pragma once

#include "relais/v1/lead_service.pb.h"
#include "server/services/serve.h"

namespace relais::services {

class LeadService final : public Endpoint {
 public:
  explicit LeadService(const Edge& edge);

 private:
  absl::Status CaptureLead(Reply<v1::CaptureLeadResponse>& reply,
                           const v1::CaptureLeadRequest& request);
  absl::Status BatchCaptureLeads(Reply<v1::BatchCaptureLeadsResponse>& reply,
                                 const v1::BatchCaptureLeadsRequest& request);
  absl::Status GetLead(Reply<v1::Lead>& reply, const v1::GetLeadRequest& request);
  absl::Status BatchGetLeads(Reply<v1::BatchGetLeadsResponse>& reply,
                             const v1::BatchGetLeadsRequest& request);
  absl::Status LookupLead(Reply<v1::Lead>& reply, const v1::LookupLeadRequest& request);
  absl::Status ListLeads(Reply<v1::ListLeadsResponse>& reply, const v1::ListLeadsRequest& request);
  absl::Status SearchLeads(Reply<v1::SearchLeadsResponse>& reply,
                           const v1::SearchLeadsRequest& request);
  absl::Status FindDuplicates(Reply<v1::FindDuplicatesResponse>& reply,
                              const v1::FindDuplicatesRequest& request);
  absl::Status MergeLeads(Reply<v1::Lead>& reply, const v1::MergeLeadsRequest& request);
  absl::Status UnmergeLead(Reply<v1::UnmergeLeadResponse>& reply,
                           const v1::UnmergeLeadRequest& request);
  absl::Status UpdateLead(Reply<v1::Lead>& reply, const v1::UpdateLeadRequest& request);
  absl::Status RecordTouchpoint(Reply<v1::Touchpoint>& reply,
                                const v1::RecordTouchpointRequest& request);
  absl::Status BatchRecordTouchpoints(Reply<v1::BatchRecordTouchpointsResponse>& reply,
                                      const v1::BatchRecordTouchpointsRequest& request);
  absl::Status ListTouchpoints(Reply<v1::ListTouchpointsResponse>& reply,
                               const v1::ListTouchpointsRequest& request);
  absl::Status ListLeadTransitions(Reply<v1::ListLeadTransitionsResponse>& reply,
                                   const v1::ListLeadTransitionsRequest& request);
  absl::Status ListLeadChanges(Reply<v1::ListLeadChangesResponse>& reply,
                               const v1::ListLeadChangesRequest& request);
  absl::Status AssignLead(Reply<v1::Lead>& reply, const v1::AssignLeadRequest& request);
  absl::Status BatchAssignLeads(Reply<v1::BatchAssignLeadsResponse>& reply,
                                const v1::BatchAssignLeadsRequest& request);
};

}  // namespace relais::services
