// The tables that are not entities (those are TableOf<E>() in rows.h), as bulk statements need
// them. Columns are in the order of the migrations. Thread-safe; the references live for ever.
#pragma once

#include "absl/types/span.h"
#include "storage/cell.h"

namespace relais::storage {

const Table& TenantsTable();         // config_version; the row is made with the tenant
const Table& FeedCountersTable();    // last event number and time of each tenant
const Table& LeadIdentitiesTable();  // who owns an e-mail, a phone or an external id
const Table& OpportunityKeysTable();
const Table& UserKeysTable();
const Table& TeamKeysTable();
const Table& EventsTable();
const Table& RequestLogTable();
const Table& BatchesTable();
const Table& PersonKeysTable();
const Table& LeadTermsTable();
const Table& TermGramsTable();
const Table& ReactionsTable();
const Table& SegmentMembersTable();
const Table& UserLoadsTable();  // open leads of each user
const Table& RotationsTable();  // whose turn it is

// Every table with a tenant: those above and the entities'.
absl::Span<const Table* const> AllTables();

}  // namespace relais::storage
