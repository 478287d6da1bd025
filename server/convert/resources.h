// Resources inside requests to entities. Each function reads what a caller may say and ignores what
// is output only; what is wrong goes to the reader's violations, with paths below `field`.
//
// Internal to convert.
#pragma once

#include "relais/v1/consent.pb.h"
#include "relais/v1/directory.pb.h"
#include "relais/v1/import.pb.h"
#include "relais/v1/lead.pb.h"
#include "relais/v1/opportunity.pb.h"
#include "relais/v1/qualification.pb.h"
#include "relais/v1/touchpoint.pb.h"
#include "server/commands/commands.h"
#include "server/convert/reader.h"

namespace relais::convert {

// Descriptive fields and acquisition.
domain::Lead ReadLead(const Path& field, const v1::Lead& in, Reader& reader);
// Whether there is anything by which the person can be found or called.
bool HasIdentifier(const v1::Lead& in);

// In the next three, occur_time is left at 0 when it is not given.
domain::Touchpoint ReadTouchpoint(const Path& field, const v1::Touchpoint& in, Reader& reader);
domain::Consent ReadConsent(const Path& field, const v1::Consent& in, Reader& reader);
domain::Assessment ReadAssessment(const Path& field, const v1::Assessment& in, Reader& reader);

// What an opportunity says about itself; not the lead, which creation reads by itself.
domain::Opportunity ReadOpportunity(const Path& field, const v1::Opportunity& in, Reader& reader);

domain::User ReadUser(const Path& field, const v1::User& in, Reader& reader);
domain::Team ReadTeam(const Path& field, const v1::Team& in, Reader& reader);
domain::Calendar ReadCalendar(const Path& field, const v1::Calendar& in, Reader& reader);

// The parts of a capture, wherever they stand: in a call, in a batch, in a row.
commands::CaptureCommand ReadCapture(
    const v1::Lead* lead, const v1::Touchpoint* touchpoint,
    const google::protobuf::RepeatedPtrField<v1::Consent>& consents, const Path& lead_field,
    const Path& touchpoint_field, const Path& consents_field, Reader& reader);

// How an opportunity ends, wherever that is said.
commands::OpportunityStepCommand ReadClose(v1::CloseOutcome outcome, const std::string& reason,
                                           const std::string& winning_competitor,
                                           const Path& outcome_field, const Path& reason_field,
                                           const Path& competitor_field, Reader& reader);

}  // namespace relais::convert
