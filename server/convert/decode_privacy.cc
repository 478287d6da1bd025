#include <utility>

#include "server/convert/decode.h"
#include "server/convert/reader.h"
#include "server/convert/resources.h"

namespace relais::convert {

domain::Consent ReadConsent(const Path& field, const v1::Consent& in, Reader& reader) {
  domain::Consent out;
  out.channel = reader.Enum<domain::ConsentChannel>(Path(field, "channel"), in.channel(),
                                                    Presence::kRequired);
  out.purpose = reader.Enum<domain::ConsentPurpose>(Path(field, "purpose"), in.purpose(),
                                                    Presence::kRequired);
  out.state =
      reader.Enum<domain::ConsentState>(Path(field, "state"), in.state(), Presence::kRequired);
  out.legal_basis = reader.Enum<domain::LegalBasis>(Path(field, "legal_basis"), in.legal_basis());
  if (out.legal_basis == domain::LegalBasis::kUnspecified) {
    out.legal_basis = domain::LegalBasis::kConsent;
  }
  out.wording_version = reader.Text(Path(field, "wording_version"), in.wording_version());
  out.source = reader.Text(Path(field, "source"), in.source());
  out.proof = reader.Text(Path(field, "proof"), in.proof(), kPersonalText);
  out.occur_time = reader.OccurTime(Path(field, "occur_time"), in.has_occur_time(), in.occur_time())
                       .value_or(domain::Timestamp{});
  return out;
}

absl::StatusOr<Parsed<commands::SetConsentCommand>> ParseSetConsent(
    const v1::SetConsentRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::SetConsentCommand command;
  command.lead = reader.Name<domain::LeadTag>("parent", request.parent(), Presence::kRequired);
  command.consent = ReadConsent("consent", request.consent(), reader);
  if (request.consent().has_occur_time()) command.occur_time = command.consent.occur_time;
  return Finish(std::move(command), request, "SetConsent", reader, context);
}

absl::StatusOr<ListPage> ParseListConsents(const v1::ListConsentsRequest& request,
                                           const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  domain::LeadId parent =
      reader.Name<domain::LeadTag>("parent", request.parent(), Presence::kRequired);
  return ReadList(request,
                  {.method = "ListConsents",
                   .parent = std::move(parent),
                   .order_path = "occur_time",
                   .descending = true},
                  reader, context);
}

}  // namespace relais::convert
