#include "storage/sql/tables.h"

#include <vector>

#include "server/domain/configuration.h"
#include "server/domain/directory.h"
#include "server/domain/handoff.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "server/domain/operation.h"
#include "server/domain/opportunity.h"
#include "server/domain/segment.h"
#include "storage/sql/rows.h"

namespace relais::storage {
namespace {

constexpr ColumnType kUuid = ColumnType::kUuid;
constexpr ColumnType kInteger = ColumnType::kInteger;
constexpr ColumnType kText = ColumnType::kText;

}  // namespace

const Table& TenantsTable() {
  static const Table* const kTable = new Table{"tenants",
                                               {"tenant_id"},
                                               {{"tenant_id", kText},
                                                {"create_time", kInteger},
                                                {"config_version", kInteger},
                                                {"key_check", kText}}};
  return *kTable;
}

const Table& FeedCountersTable() {
  static const Table* const kTable =
      new Table{"feed_counters",
                {"tenant_id"},
                {{"tenant_id", kText}, {"last_number", kInteger}, {"last_time", kInteger}}};
  return *kTable;
}

const Table& LeadIdentitiesTable() {
  static const Table* const kTable =
      new Table{"lead_identities",
                {"tenant_id", "kind", "value"},
                {{"tenant_id", kText}, {"kind", kInteger}, {"value", kText}, {"lead_id", kUuid}}};
  return *kTable;
}

const Table& OpportunityKeysTable() {
  static const Table* const kTable = new Table{
      "opportunity_keys",
      {"tenant_id", "system", "external_id"},
      {{"tenant_id", kText}, {"system", kText}, {"external_id", kText}, {"opportunity_id", kUuid}}};
  return *kTable;
}

const Table& UserKeysTable() {
  static const Table* const kTable =
      new Table{"user_keys",
                {"tenant_id", "kind", "value"},
                {{"tenant_id", kText}, {"kind", kText}, {"value", kText}, {"user_id", kUuid}}};
  return *kTable;
}

const Table& TeamKeysTable() {
  static const Table* const kTable =
      new Table{"team_keys",
                {"tenant_id", "kind", "value"},
                {{"tenant_id", kText}, {"kind", kText}, {"value", kText}, {"team_id", kUuid}}};
  return *kTable;
}

const Table& EventsTable() {
  static const Table* const kTable = new Table{"events",
                                               {"tenant_id", "number"},
                                               {{"tenant_id", kText},
                                                {"number", kInteger},
                                                {"record_time", kInteger},
                                                {"type", kInteger},
                                                {"subject", kText},
                                                {"lead_id", kUuid},
                                                {"occur_time", kInteger},
                                                {"actor", kText},
                                                {"trigger_name", kText},
                                                {"rule_version", kText},
                                                {"basis", kText},
                                                {"reason", kText},
                                                {"changes", kText},
                                                {"sealed", kText},
                                                {"digest", kText}}};
  return *kTable;
}

const Table& RequestLogTable() {
  static const Table* const kTable = new Table{"request_log",
                                               {"tenant_id", "principal", "request_id"},
                                               {{"tenant_id", kText},
                                                {"principal", kText},
                                                {"request_id", kUuid},
                                                {"method", kText},
                                                {"digest", kText},
                                                {"resource", kText},
                                                {"note", kText},
                                                {"create_time", kInteger}}};
  return *kTable;
}

const Table& BatchesTable() {
  static const Table* const kTable =
      new Table{"batches",
                {"tenant_id", "batch_id"},
                {{"tenant_id", kText}, {"batch_id", kUuid}, {"create_time", kInteger}}};
  return *kTable;
}

const Table& PersonKeysTable() {
  static const Table* const kTable =
      new Table{"person_keys",
                {"tenant_id", "lead_id"},
                {{"tenant_id", kText}, {"lead_id", kUuid}, {"wrapped_key", kText}}};
  return *kTable;
}

const Table& LeadTermsTable() {
  static const Table* const kTable =
      new Table{"lead_terms",
                {"tenant_id", "term", "field", "lead_id"},
                {{"tenant_id", kText}, {"term", kText}, {"field", kInteger}, {"lead_id", kUuid}}};
  return *kTable;
}

const Table& TermGramsTable() {
  static const Table* const kTable =
      new Table{"term_grams",
                {"tenant_id", "gram", "term"},
                {{"tenant_id", kText}, {"gram", kText}, {"term", kText}}};
  return *kTable;
}

const Table& ReactionsTable() {
  static const Table* const kTable = new Table{"reactions",
                                               {"tenant_id", "name"},
                                               {{"tenant_id", kText},
                                                {"name", kText},
                                                {"position", kInteger},
                                                {"owner", kText},
                                                {"lease_until", kInteger},
                                                {"fence", kInteger}}};
  return *kTable;
}

const Table& SegmentMembersTable() {
  static const Table* const kTable = new Table{
      "segment_members",
      {"tenant_id", "segment_id", "lead_id"},
      {{"tenant_id", kText}, {"segment_id", kUuid}, {"lead_id", kUuid}, {"enter_time", kInteger}}};
  return *kTable;
}

const Table& UserLoadsTable() {
  static const Table* const kTable =
      new Table{"user_loads",
                {"tenant_id", "user_id"},
                {{"tenant_id", kText}, {"user_id", kUuid}, {"open_leads", kInteger}}};
  return *kTable;
}

const Table& RotationsTable() {
  static const Table* const kTable = new Table{
      "rotations",
      {"tenant_id", "name"},
      {{"tenant_id", kText}, {"name", kText}, {"revision", kInteger}, {"credits", kText}}};
  return *kTable;
}

absl::Span<const Table* const> AllTables() {
  static const auto* const kTables = new std::vector<const Table*>{
      &TenantsTable(),
      &FeedCountersTable(),
      &TableOf<domain::Lead>(),
      &LeadIdentitiesTable(),
      &TableOf<domain::Touchpoint>(),
      &TableOf<domain::Consent>(),
      &TableOf<domain::Assessment>(),
      &TableOf<domain::Opportunity>(),
      &OpportunityKeysTable(),
      &TableOf<domain::User>(),
      &UserKeysTable(),
      &TableOf<domain::Team>(),
      &TeamKeysTable(),
      &TableOf<domain::Import>(),
      &TableOf<domain::Operation>(),
      &TableOf<domain::ConfigDocument>(),
      &EventsTable(),
      &RequestLogTable(),
      &BatchesTable(),
      &PersonKeysTable(),
      &LeadTermsTable(),
      &TermGramsTable(),
      &ReactionsTable(),
      &TableOf<domain::Calendar>(),
      &TableOf<domain::Handoff>(),
      &TableOf<domain::Segment>(),
      &SegmentMembersTable(),
      &UserLoadsTable(),
      &RotationsTable(),
  };
  return *kTables;
}

}  // namespace relais::storage
