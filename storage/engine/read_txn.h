// A snapshot to read from: the ReadTxn of store.h over one Session in a read transaction.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/engine/config_cache.h"
#include "storage/engine/session.h"
#include "storage/engine/vault.h"
#include "storage/sql/rows.h"
#include "storage/store.h"

namespace relais::storage {

// Not thread-safe; the session must be inside a read transaction of the call's tenant for as long
// as the object lives.
class SqlReadTxn final : public ReadTxn {
 public:
  SqlReadTxn(Session& session, const Vault& vault, const Call& call, domain::Timestamp now,
             ConfigCache& configs)
      : session_(session), vault_(vault), call_(call), now_(now), configs_(configs) {}

  // What reading the configuration came to; OK when nobody asked for it.
  const absl::Status& config_status() const { return config_status_; }

  const Call& call() const override { return call_; }
  domain::Timestamp now() const override { return now_; }
  const domain::Config& config() const override;
  absl::StatusOr<domain::ConfigDocuments> Configurations(domain::ConfigKind kind) override;

  absl::StatusOr<std::vector<std::optional<domain::Lead>>> GetLeads(
      absl::Span<const domain::LeadId> ids) override;
  absl::StatusOr<std::vector<std::optional<domain::Lead>>> GetPartsOfLeads(
      absl::Span<const domain::LeadId> ids, absl::Span<const std::string_view> paths) override;
  absl::StatusOr<std::optional<domain::Touchpoint>> GetTouchpoint(
      const domain::TouchpointId& id) override;
  absl::StatusOr<std::optional<domain::Opportunity>> GetOpportunity(
      const domain::OpportunityId& id) override;
  absl::StatusOr<std::optional<domain::User>> GetUser(const domain::UserId& id) override;
  absl::StatusOr<std::optional<domain::Team>> GetTeam(const domain::TeamId& id) override;
  absl::StatusOr<std::optional<domain::Import>> GetImport(const domain::ImportId& id) override;
  absl::StatusOr<std::optional<domain::Operation>> GetOperation(
      const domain::OperationId& id) override;
  absl::StatusOr<std::vector<std::optional<domain::LeadId>>> IdentityOwners(
      absl::Span<const domain::IdentityKey> keys) override;
  absl::StatusOr<std::optional<domain::Calendar>> GetCalendar(
      const domain::CalendarId& id) override;
  absl::StatusOr<std::optional<domain::Handoff>> GetHandoff(const domain::HandoffId& id) override;
  absl::StatusOr<std::optional<domain::Segment>> GetSegment(const domain::SegmentId& id) override;

  absl::StatusOr<std::vector<ScoredLead>> ScoredLeads(const domain::LeadId& after,
                                                      int limit) override;
  absl::StatusOr<int64_t> CountLeads() override;
  absl::StatusOr<std::vector<domain::LeadId>> LeadsDueForScore(domain::Timestamp now,
                                                               int limit) override;
  absl::StatusOr<std::vector<domain::Lead>> ListLeads(const ListQuery& query) override;
  absl::StatusOr<std::vector<domain::Touchpoint>> ListTouchpoints(const ListQuery& query) override;
  absl::StatusOr<std::vector<domain::Consent>> ListConsents(const ListQuery& query) override;
  absl::StatusOr<std::vector<domain::Assessment>> ListAssessments(const ListQuery& query) override;
  absl::StatusOr<std::vector<domain::Opportunity>> ListOpportunities(
      const ListQuery& query) override;
  absl::StatusOr<std::vector<domain::User>> ListUsers(const ListQuery& query) override;
  absl::StatusOr<std::vector<domain::Team>> ListTeams(const ListQuery& query) override;
  absl::StatusOr<std::vector<domain::Import>> ListImports(const ListQuery& query) override;
  absl::StatusOr<std::vector<domain::Operation>> ListOperations(const ListQuery& query) override;
  absl::StatusOr<std::vector<domain::Calendar>> ListCalendars(const ListQuery& query) override;
  absl::StatusOr<std::vector<domain::Handoff>> ListHandoffs(const ListQuery& query) override;
  absl::StatusOr<std::vector<domain::Segment>> ListSegments(const ListQuery& query) override;

  absl::StatusOr<std::vector<SegmentDifference>> CompareSegment(const SegmentQuery& query) override;
  absl::StatusOr<std::vector<int64_t>> CountSegmentMembers(
      absl::Span<const domain::SegmentId> ids) override;
  absl::StatusOr<std::vector<domain::HandoffId>> OverdueHandoffs(domain::Timestamp now,
                                                                 int limit) override;
  absl::StatusOr<FeedHead> Head() override;
  absl::StatusOr<std::vector<domain::Event>> Events(const EventQuery& query) override;
  absl::StatusOr<std::vector<FunnelGroup>> Funnel(const FunnelQuery& query) override;
  absl::StatusOr<std::vector<SearchHit>> Search(absl::Span<const std::string> words,
                                                int limit) override;
  absl::StatusOr<std::vector<int64_t>> CountTerms(absl::Span<const std::string> terms,
                                                  int64_t most) override;
  absl::StatusOr<int64_t> EstimateLeads() override;

 private:
  // SQLite only.
  absl::StatusOr<bool> HasFewMembers(const domain::SegmentId& segment);
  template <class E>
  absl::StatusOr<std::vector<E>> List(const ListQuery& query);
  absl::StatusOr<std::vector<std::optional<domain::Lead>>> LeadsWith(
      const PartOfRow<domain::Lead>& part, absl::Span<const domain::LeadId> ids);
  template <class E>
  absl::StatusOr<std::optional<E>> Get(const std::string& id_column, const std::string& id);

  Session& session_;
  const Vault& vault_;
  const Call& call_;
  const domain::Timestamp now_;
  ConfigCache& configs_;
  mutable std::shared_ptr<const domain::Config> config_;
  mutable absl::Status config_status_;
};

}  // namespace relais::storage
