// Every limit that requests are held to, in one place: the number, its unit, where it comes from.
// Limits that belong to the domain or to the filter language are named there and only listed here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/convert/text.h"
#include "server/domain/criteria.h"
#include "server/domain/filter.h"
#include "server/domain/identity.h"
#include "server/domain/lifecycle.h"
#include "server/domain/value.h"

namespace relais::convert {

// Text, in bytes of UTF-8. Ordinary text and notes: kMaxTextBytes (1 KiB) and kMaxNotesBytes
// (16 KiB) of text.h, from "Input limits" of the trust design. Filters: domain::kMaxFilterBytes.
inline constexpr size_t kMaxEntryLabelBytes = 64;    // Email.label, Phone.label (lead.proto)
inline constexpr size_t kMaxSystemBytes = 64;        // ExternalId.system (lead.proto)
inline constexpr size_t kMaxExternalIdBytes = 256;   // ExternalId.id (lead.proto)
inline constexpr size_t kMaxLabelKeyBytes = 63;      // labels, properties (lead.proto)
inline constexpr size_t kMaxLabelValueBytes = 256;   // labels, properties (lead.proto)
inline constexpr size_t kMaxShortIdBytes = 64;       // ids of stages, criteria, policies: ours
inline constexpr size_t kMaxEtagBytes = 64;          // etags are ours and far shorter
inline constexpr size_t kMinSearchBytes = 2;         // SearchLeadsRequest.query
inline constexpr size_t kMaxSearchBytes = 256;       // SearchLeadsRequest.query
inline constexpr size_t kMaxFieldSources = 50;       // fields that a merge chooses: ours
inline constexpr size_t kMaxSearchWords = 16;        // each word costs a look-up: ours
inline constexpr size_t kMaxPageTokenBytes = 4096;   // a cursor holds one text of 1 KiB at most
inline constexpr size_t kMaxResumeTokenBytes = 512;  // tenant, number and a short digest

// Entries of lists and maps. The lead's own lists (e-mails, phones, external ids, needs, labels)
// have theirs in domain/identity.h, answers in domain/criteria.h.
inline constexpr size_t kMaxConsents = 20;       // CaptureLeadRequest.consents
inline constexpr size_t kMaxLineItems = 200;     // opportunity.proto
inline constexpr size_t kMaxCompetitors = 20;    // opportunity.proto
inline constexpr size_t kMaxContacts = 50;       // opportunity.proto
inline constexpr size_t kMaxObjections = 50;     // opportunity.proto
inline constexpr size_t kMaxTeamsOfUser = 20;    // directory.proto
inline constexpr size_t kMaxAbsences = 100;      // directory.proto
inline constexpr size_t kMaxTerritories = 200;   // directory.proto
inline constexpr size_t kMaxWorkingHours = 100;  // directory.proto
inline constexpr size_t kMaxHolidays = 1000;     // directory.proto
inline constexpr size_t kMaxRuleUsers = 200;     // routing.proto
inline constexpr size_t kMaxMaskPaths = 100;     // more than any message has fields: ours
inline constexpr size_t kMaxBatchItems = 1000;   // trust design, lead_service.proto
inline constexpr size_t kMaxImportRows = 1000;   // import_service.proto

// Numbers.
inline constexpr int kDefaultPageSize = 50;              // contract design, "Paging"
inline constexpr int kMaxPageSize = 1000;                // the same; larger ones are lowered to it
inline constexpr int64_t kMaxCount = 1'000'000'000'000;  // headcount, seconds, rows: ours
inline constexpr int64_t kMaxCapacity = 1'000'000;       // directory.proto
inline constexpr int64_t kMaxWeight = 1'000;             // directory.proto
inline constexpr int64_t kMaxRulePosition = 1'000'000;   // routing.proto
inline constexpr int kMaxQuantityDigits = 12;   // LineItem.quantity, before the point: ours
inline constexpr int kMaxQuantityDecimals = 6;  // and behind it: ours

// Time. An occur_time may lie ahead by domain::kClockSkewMicros (5 minutes).
// record_time runs ahead of the clock by a microsecond an event when many are committed in one, so
// a read_time taken from an event may lie that much in the future.
inline constexpr int64_t kReadTimeSkewMicros = domain::kMicrosPerSecond;

// Answers. A refusal travels in trailing metadata, of which many clients take 8 KiB, base64
// included: details beyond this many bytes are left out and counted.
inline constexpr size_t kMaxStatusDetailBytes = 5 * 1024;
inline constexpr size_t kMaxStatusMessageBytes = 1024;
inline constexpr size_t kMaxShownValueBytes = 64;  // of an offending value in a violation
inline constexpr size_t kMaxViolations = 200;      // kept of one request; the rest is counted
inline constexpr size_t kMaxResponseBytes = 3 * 1024 * 1024;  // contract design, "Paging"

}  // namespace relais::convert
