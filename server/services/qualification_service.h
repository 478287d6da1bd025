// QualificationService: how promising a lead is, and whether it may move on.
#pragma once

#include <memory>
#include <optional>

#include "relais/v1/qualification_service.pb.h"
#include "server/domain/simulation.h"
#include "server/services/serve.h"
#include "server/services/streams.h"

namespace relais::services {

// SimulateScoringModel: some leads a reading, so that no reading holds a reader for long.
class SimulationStream final
    : public ServerStream<v1::SimulateScoringModelRequest, v1::SimulateScoringModelResponse> {
 public:
  using ServerStream::ServerStream;

 private:
  absl::Status Start(const v1::SimulateScoringModelRequest& request) override;
  void Produce() override;
  void ReadModels();
  void ReadPage();

  WatcherPlace place_;
  convert::SimulationQuery query_;
  std::shared_ptr<const domain::CompiledModel> candidate_, active_;
  std::optional<domain::Simulation> simulation_;
  std::optional<v1::SimulatedCrossings> crossings_;  // to be sent before the next reading
  domain::Timestamp until_;
  domain::LeadId after_;
  int64_t done_ = 0, total_ = 0, told_ = -1;
  bool all_read_ = false, ended_ = false;
};

class QualificationService final : public Endpoint {
 public:
  explicit QualificationService(const Edge& edge);

 private:
  absl::Status AssessLead(Reply<v1::Assessment>& reply, const v1::AssessLeadRequest& request);
  absl::Status ListAssessments(Reply<v1::ListAssessmentsResponse>& reply,
                               const v1::ListAssessmentsRequest& request);
  absl::Status QualifyLead(Reply<v1::Lead>& reply, const v1::QualifyLeadRequest& request);
  absl::Status DisqualifyLead(Reply<v1::Lead>& reply, const v1::DisqualifyLeadRequest& request);
  absl::Status RecycleLead(Reply<v1::Lead>& reply, const v1::RecycleLeadRequest& request);
  absl::Status OverrideQualification(Reply<v1::Lead>& reply,
                                     const v1::OverrideQualificationRequest& request);
  absl::Status CreateQualificationPolicy(Reply<v1::QualificationPolicy>& reply,
                                         const v1::CreateQualificationPolicyRequest& request);
  absl::Status UpdateQualificationPolicy(Reply<v1::QualificationPolicy>& reply,
                                         const v1::UpdateQualificationPolicyRequest& request);
  absl::Status ActivateQualificationPolicy(Reply<v1::QualificationPolicy>& reply,
                                           const v1::ActivateQualificationPolicyRequest& request);
  absl::Status CreateScoringModel(Reply<v1::ScoringModel>& reply,
                                  const v1::CreateScoringModelRequest& request);
  absl::Status UpdateScoringModel(Reply<v1::ScoringModel>& reply,
                                  const v1::UpdateScoringModelRequest& request);
  absl::Status ActivateScoringModel(Reply<v1::ScoringModel>& reply,
                                    const v1::ActivateScoringModelRequest& request);
  absl::Status RescoreLeads(Reply<v1::Operation>& reply, const v1::RescoreLeadsRequest& request);
  absl::Status GetQualificationPolicy(Reply<v1::QualificationPolicy>& reply,
                                      const v1::GetQualificationPolicyRequest& request);
  absl::Status ListQualificationPolicies(Reply<v1::ListQualificationPoliciesResponse>& reply,
                                         const v1::ListQualificationPoliciesRequest& request);
  absl::Status GetScoringModel(Reply<v1::ScoringModel>& reply,
                               const v1::GetScoringModelRequest& request);
  absl::Status ListScoringModels(Reply<v1::ListScoringModelsResponse>& reply,
                                 const v1::ListScoringModelsRequest& request);
  absl::Status ScoreLead(Reply<v1::Score>& reply, const v1::ScoreLeadRequest& request);
  absl::Status ExplainScore(Reply<v1::ExplainScoreResponse>& reply,
                            const v1::ExplainScoreRequest& request);
  absl::Status CreateHandoff(Reply<v1::Handoff>& reply, const v1::CreateHandoffRequest& request);
  absl::Status AcceptHandoff(Reply<v1::Handoff>& reply, const v1::AcceptHandoffRequest& request);
  absl::Status RejectHandoff(Reply<v1::Handoff>& reply, const v1::RejectHandoffRequest& request);
  absl::Status ReassignHandoff(Reply<v1::Handoff>& reply,
                               const v1::ReassignHandoffRequest& request);
  absl::Status GetHandoff(Reply<v1::Handoff>& reply, const v1::GetHandoffRequest& request);
  absl::Status ListHandoffs(Reply<v1::ListHandoffsResponse>& reply,
                            const v1::ListHandoffsRequest& request);
  absl::Status CreateRoutingRule(Reply<v1::RoutingRule>& reply,
                                 const v1::CreateRoutingRuleRequest& request);
  absl::Status UpdateRoutingRule(Reply<v1::RoutingRule>& reply,
                                 const v1::UpdateRoutingRuleRequest& request);
  absl::Status ArchiveRoutingRule(Reply<v1::RoutingRule>& reply,
                                  const v1::ArchiveRoutingRuleRequest& request);
  absl::Status UpdateHandoffPolicy(Reply<v1::HandoffPolicy>& reply,
                                   const v1::UpdateHandoffPolicyRequest& request);
  absl::Status GetRoutingRule(Reply<v1::RoutingRule>& reply,
                              const v1::GetRoutingRuleRequest& request);
  absl::Status ListRoutingRules(Reply<v1::ListRoutingRulesResponse>& reply,
                                const v1::ListRoutingRulesRequest& request);
  absl::Status GetHandoffPolicy(Reply<v1::HandoffPolicy>& reply,
                                const v1::GetHandoffPolicyRequest& request);
  absl::Status ListHandoffPolicies(Reply<v1::ListHandoffPoliciesResponse>& reply,
                                   const v1::ListHandoffPoliciesRequest& request);
  absl::Status CreateSegment(Reply<v1::Segment>& reply, const v1::CreateSegmentRequest& request);
  absl::Status UpdateSegment(Reply<v1::Segment>& reply, const v1::UpdateSegmentRequest& request);
  absl::Status ArchiveSegment(Reply<v1::Segment>& reply, const v1::ArchiveSegmentRequest& request);
  absl::Status GetSegment(Reply<v1::Segment>& reply, const v1::GetSegmentRequest& request);
  absl::Status ListSegments(Reply<v1::ListSegmentsResponse>& reply,
                            const v1::ListSegmentsRequest& request);
  absl::Status ListSegmentLeads(Reply<v1::ListSegmentLeadsResponse>& reply,
                                const v1::ListSegmentLeadsRequest& request);
  absl::Status CountSegments(Reply<v1::CountSegmentsResponse>& reply,
                             const v1::CountSegmentsRequest& request);
};

}  // namespace relais::services
