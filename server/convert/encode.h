// Entities to messages. Encode writes into an empty message; ToProto returns one.
//
// Pure; thread-safe. Nothing is checked: what the domain holds has been checked on its way in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "google/type/money.pb.h"
#include "relais/v1/directory.pb.h"
#include "relais/v1/event.pb.h"
#include "relais/v1/handoff.pb.h"
#include "relais/v1/import_service.pb.h"
#include "relais/v1/insight_service.pb.h"
#include "relais/v1/lead_service.pb.h"
#include "relais/v1/operation.pb.h"
#include "relais/v1/opportunity.pb.h"
#include "relais/v1/qualification_service.pb.h"
#include "relais/v1/routing.pb.h"
#include "relais/v1/segment.pb.h"
#include "server/commands/commands.h"
#include "server/domain/criteria.h"
#include "server/domain/directory.h"
#include "server/domain/duplicates.h"
#include "server/domain/event.h"
#include "server/domain/explain.h"
#include "server/domain/handoff.h"
#include "server/domain/history.h"
#include "server/domain/lead.h"
#include "server/domain/negotiation.h"
#include "server/domain/operation.h"
#include "server/domain/opportunity.h"
#include "server/domain/revisions.h"
#include "server/domain/routing.h"
#include "server/domain/scoring.h"
#include "server/domain/simulation.h"
#include "server/domain/value.h"

namespace relais::convert {

void Encode(domain::Timestamp in, google::protobuf::Timestamp* out);
void Encode(const domain::Money& in, google::type::Money* out);

void Encode(const domain::Lead& in, v1::Lead* out);
void Encode(const domain::Touchpoint& in, v1::Touchpoint* out);
void Encode(const domain::Consent& in, v1::Consent* out);
void Encode(const domain::Assessment& in, v1::Assessment* out);
void Encode(const domain::Opportunity& in, v1::Opportunity* out);
void Encode(const domain::Pipeline& in, v1::Pipeline* out);
void Encode(const domain::QualificationPolicy& in, v1::QualificationPolicy* out);
void Encode(const domain::ScoringModel& in, v1::ScoringModel* out);
// With state, author and times of the revision.
void Encode(const domain::Revised<domain::QualificationPolicy>& in, v1::QualificationPolicy* out);
void Encode(const domain::Revised<domain::ScoringModel>& in, v1::ScoringModel* out);
void Encode(const domain::User& in, v1::User* out);
void Encode(const domain::Team& in, v1::Team* out);
void Encode(const domain::Calendar& in, v1::Calendar* out);
void Encode(const domain::Handoff& in, v1::Handoff* out);
void Encode(const domain::Segment& in, v1::Segment* out);
void Encode(const domain::StoredRoutingRule& in, v1::RoutingRule* out);
void Encode(const domain::HandoffPolicy& in, v1::HandoffPolicy* out);
void Encode(const domain::Import& in, v1::Import* out);
// Rate and estimated end are reckoned to the last progress, not to now.
void Encode(const domain::Operation& in, v1::Operation* out);

void Encode(const commands::UnmergedLeads& in, v1::UnmergeLeadResponse* out);
void Encode(const domain::LeadId& lead, const domain::DuplicateComparison& in,
            v1::FindDuplicatesResponse::Candidate* out);

// Names only: what a batch answers unless asked for resources. The rest of the answer is the same.
enum class Detail : bool { kNames, kWhole };
void Encode(const commands::Captured& in, Detail detail, v1::CaptureLeadResponse* out);
// `status` as google.rpc with `call_id` for internal errors.
void Encode(const commands::ImportRowResult& in, std::string_view call_id,
            v1::ImportRowResult* out);

// ---- Straight to bytes --------------------------------------------------------------------------
//
// The bytes that the messages of Encode are on the wire, appended, without making the messages.

void EncodeTo(const domain::Lead& in, std::string& bytes);
void EncodeTo(const domain::Touchpoint& in, std::string& bytes);
void EncodeTo(const commands::Captured& in, std::string& bytes);  // Detail::kWhole
// As an entry of the repeated field of that number.
void EncodeItemTo(int field, const domain::Lead& in, std::string& bytes);
void EncodeItemTo(int field, const domain::Touchpoint& in, std::string& bytes);
// A text field; nothing when it is empty.
void EncodeTextTo(int field, std::string_view text, std::string& bytes);

// The message type that stands for each entity, for templates.
template <class E>
struct ProtoOf;
#define RELAIS_PROTO_OF(E)    \
  template <>                 \
  struct ProtoOf<domain::E> { \
    using Message = v1::E;    \
  }
RELAIS_PROTO_OF(Lead);
RELAIS_PROTO_OF(Touchpoint);
RELAIS_PROTO_OF(Consent);
RELAIS_PROTO_OF(Assessment);
RELAIS_PROTO_OF(Opportunity);
RELAIS_PROTO_OF(Pipeline);
RELAIS_PROTO_OF(QualificationPolicy);
RELAIS_PROTO_OF(ScoringModel);
RELAIS_PROTO_OF(User);
RELAIS_PROTO_OF(Team);
RELAIS_PROTO_OF(Calendar);
RELAIS_PROTO_OF(Handoff);
RELAIS_PROTO_OF(Segment);
RELAIS_PROTO_OF(Import);
RELAIS_PROTO_OF(Operation);
#undef RELAIS_PROTO_OF

template <class E>
typename ProtoOf<E>::Message ToProto(const E& in) {
  typename ProtoOf<E>::Message out;
  Encode(in, &out);
  return out;
}

// ---- Scores -----------------------------------------------------------------------------------

// A score as of `read_time` under `model`.
void Encode(const domain::ScoreBreakdown& in, const domain::LeadId& lead,
            const domain::ScoringModel& model, domain::Timestamp read_time, v1::Score* out);
// The same with parts and missed rules. Touchpoints of evidence are added by AddEvidence.
void Encode(const domain::ScoreBreakdown& in, const domain::LeadId& lead,
            const domain::ScoringModel& model, domain::Timestamp read_time,
            v1::ExplainScoreResponse* out);
void Encode(const domain::SimulationResult& in, const domain::ScoringModel& candidate,
            const domain::ScoringModel& active, v1::SimulationResult* out);
void Encode(const domain::SimulatedLead& in, const domain::LeadId& lead,
            v1::SimulatedCrossing* out);
// What else there is to say of it: which of the missed rules nearly counted, what would lift the
// score.
void AddOutlook(const domain::ScoreOutlook& in, v1::ExplainScoreResponse* out);
// Names the lead's touchpoints that match a rule that counted, on the days that counted: the
// earliest first, at most 100 a day and never more than counted. `touchpoints` must be those known
// at the score's read_time, in the order in which they were recorded.
void AddEvidence(const domain::CompiledModel& model,
                 absl::Span<const domain::Touchpoint> touchpoints, v1::ExplainScoreResponse* out);

// ---- The log ----------------------------------------------------------------------------------

// One value of a change: times as RFC 3339 text, enums by name, integers beyond 2^53 as text, money
// as {currency_code, units (text), nanos}, lists and maps of those. `spec` says what the field is;
// null for a path that is no longer known.
void Encode(const domain::Value& in, const domain::FieldSpec* spec, google::protobuf::Value* out);

// With its resume token.
void Encode(const domain::Event& in, const domain::TenantId& tenant, v1::Event* out);

// The change of stage that an event tells, or nothing. Hand every event of the lead in order:
// `score` is carried along, since an event holds the score only where it changed.
std::optional<v1::Transition> TransitionOf(const domain::Event& event, int64_t& score);

// The changes that an event made to the lead itself, one each; none for events of its children.
void AppendChanges(const domain::Event& event,
                   google::protobuf::RepeatedPtrField<v1::LeadChange>* out);

// ---- Figures ----------------------------------------------------------------------------------

void Encode(absl::Span<const storage::FunnelGroup> groups, storage::FunnelBreakdown breakdown,
            const storage::FeedHead& head, v1::Funnel* out);

}  // namespace relais::convert
