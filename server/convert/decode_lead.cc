#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "server/convert/decode.h"
#include "server/convert/filters.h"
#include "server/convert/reader.h"
#include "server/convert/resources.h"
#include "server/convert/search_words.h"
#include "server/convert/update_mask.h"
#include "server/domain/duplicates.h"
#include "server/domain/merge.h"
#include "server/domain/status_macros.h"

namespace relais::convert {
namespace {

// Texts about one person that are not fields of the person message.
constexpr TextRule kPersonalLabel = {.max_bytes = kMaxEntryLabelBytes,
                                     .privacy = Privacy::kPersonal};

std::vector<domain::Email> ReadEmails(const Path& field,
                                      const google::protobuf::RepeatedPtrField<v1::Email>& in,
                                      Reader& reader) {
  std::vector<domain::Email> out;
  if (!reader.Fits(field, in.size(), domain::kMaxEmails)) return out;
  for (int i = 0; i < in.size(); ++i) {
    Path entry(field, static_cast<size_t>(i));
    domain::Email email{reader.EmailAddress(Path(entry, "address"), in[i].address()),
                        reader.Text(Path(entry, "label"), in[i].label(), kPersonalLabel)};
    auto same = std::find_if(out.begin(), out.end(),
                             [&](const domain::Email& e) { return e.address == email.address; });
    if (same == out.end()) {
      out.push_back(std::move(email));
    } else if (same->label.empty()) {
      same->label = std::move(email.label);
    }
  }
  return out;
}

domain::Phone ReadPhone(const Path& entry, const v1::Phone& in, std::string_view region,
                        Reader& reader) {
  domain::Phone phone;
  phone.label = reader.Text(Path(entry, "label"), in.label(), kPersonalLabel);
  phone.raw = reader.Text(Path(entry, "raw"), in.raw(), kPersonalText);
  if (!in.number().empty()) {
    phone.number = reader.PhoneNumber(Path(entry, "number"), in.number(), region);
    // A national number, or one with spaces, is what was received.
    if (phone.raw.empty() && phone.number != in.number()) {
      phone.raw = reader.Text(Path(entry, "number"), in.number(), kPersonalText);
    }
  } else if (!phone.raw.empty()) {
    phone.number = reader.PhoneNumber(Path(entry, "raw"), in.raw(), region);
  } else if (in.raw().empty()) {
    reader.violations().Add(Path(entry, "number"), "must be given, or raw");
  }
  return phone;
}

std::vector<domain::Phone> ReadPhones(const Path& field,
                                      const google::protobuf::RepeatedPtrField<v1::Phone>& in,
                                      std::string_view region, Reader& reader) {
  std::vector<domain::Phone> out;
  if (!reader.Fits(field, in.size(), domain::kMaxPhones)) return out;
  for (int i = 0; i < in.size(); ++i) {
    domain::Phone phone = ReadPhone(Path(field, static_cast<size_t>(i)), in[i], region, reader);
    auto same = std::find_if(out.begin(), out.end(),
                             [&](const domain::Phone& p) { return p.number == phone.number; });
    if (same == out.end()) {
      out.push_back(std::move(phone));
      continue;
    }
    if (same->label.empty()) same->label = std::move(phone.label);
    if (same->raw.empty()) same->raw = std::move(phone.raw);
  }
  return out;
}

domain::PostalAddress ReadPostalAddress(const Path& field, const v1::PostalAddress& in,
                                        Reader& reader) {
  domain::PostalAddress out;
  out.street = reader.Text(Path(field, "street"), in.street(),
                           {.shape = TextShape::kNotes, .privacy = Privacy::kPersonal});
  out.locality = reader.Text(Path(field, "locality"), in.locality(), kPersonalText);
  out.region = reader.Text(Path(field, "region"), in.region());
  out.postal_code = reader.Text(Path(field, "postal_code"), in.postal_code(), kPersonalText);
  out.country = reader.Country(Path(field, "country"), in.country());
  return out;
}

domain::Person ReadPerson(const Path& field, const v1::Person& in, Reader& reader) {
  domain::Person out;
  out.given_name = reader.Text(Path(field, "given_name"), in.given_name(), kPersonalText);
  out.family_name = reader.Text(Path(field, "family_name"), in.family_name(), kPersonalText);
  out.display_name = reader.Text(Path(field, "display_name"), in.display_name(), kPersonalText);
  out.job_title = reader.Text(Path(field, "job_title"), in.job_title(), kPersonalText);
  out.language = reader.Language(Path(field, "language"), in.language());
  out.country = reader.Country(Path(field, "country"), in.country());
  out.time_zone = reader.TimeZone(Path(field, "time_zone"), in.time_zone());
  out.birth_date = reader.BirthDate(Path(field, "birth_date"), in.birth_date());
  out.emails = ReadEmails(Path(field, "emails"), in.emails(), reader);
  out.phones = ReadPhones(Path(field, "phones"), in.phones(), out.country, reader);
  out.postal_address =
      ReadPostalAddress(Path(field, "postal_address"), in.postal_address(), reader);
  return out;
}

domain::Organization ReadOrganization(const Path& field, const v1::Organization& in,
                                      Reader& reader) {
  domain::Organization out;
  out.display_name = reader.Text(Path(field, "display_name"), in.display_name());
  out.domain = reader.Domain(Path(field, "domain"), in.domain());
  out.industry = reader.Text(Path(field, "industry"), in.industry());
  if (in.has_headcount()) out.headcount = reader.Count(Path(field, "headcount"), in.headcount());
  out.annual_revenue =
      reader.Money(Path(field, "annual_revenue"), in.has_annual_revenue(), in.annual_revenue());
  return out;
}

domain::Acquisition ReadAcquisition(const Path& field, const v1::Acquisition& in, Reader& reader) {
  domain::Acquisition out;
  out.channel = reader.Enum<domain::Channel>(Path(field, "channel"), in.channel());
  out.source = reader.Text(Path(field, "source"), in.source());
  out.campaign = reader.Text(Path(field, "campaign"), in.campaign());
  out.utm_source = reader.Text(Path(field, "utm_source"), in.utm_source());
  out.utm_medium = reader.Text(Path(field, "utm_medium"), in.utm_medium());
  out.utm_campaign = reader.Text(Path(field, "utm_campaign"), in.utm_campaign());
  out.utm_term = reader.Text(Path(field, "utm_term"), in.utm_term());
  out.utm_content = reader.Text(Path(field, "utm_content"), in.utm_content());
  out.click_id = reader.Text(Path(field, "click_id"), in.click_id(), kPersonalText);
  out.landing_page = reader.Text(Path(field, "landing_page"), in.landing_page());
  return out;
}

// The capture inside a request, or inside an item of a batch.
commands::CaptureCommand ReadCaptureRequest(const v1::CaptureLeadRequest& in, const Path& lead,
                                            const Path& touchpoint, const Path& consents,
                                            Reader& reader) {
  return ReadCapture(in.has_lead() ? &in.lead() : nullptr,
                     in.has_touchpoint() ? &in.touchpoint() : nullptr, in.consents(), lead,
                     touchpoint, consents, reader);
}

commands::RecordTouchpointCommand ReadRecordRequest(const v1::RecordTouchpointRequest& in,
                                                    const Path& parent, const Path& touchpoint,
                                                    Reader& reader) {
  commands::RecordTouchpointCommand command;
  command.lead = reader.Name<domain::LeadTag>(parent, in.parent(), Presence::kRequired);
  command.touchpoint = ReadTouchpoint(touchpoint, in.touchpoint(), reader);
  if (in.touchpoint().has_occur_time()) command.occur_time = command.touchpoint.occur_time;
  return command;
}

absl::Status CheckBatch(int size) {
  if (size >= 1 && static_cast<size_t>(size) <= kMaxBatchItems) return absl::OkStatus();
  return domain::InvalidField("requests",
                              Concat("must have 1 to ", kMaxBatchItems, " entries, not ", size));
}

// The item's own handling fields, with the paths that they have in the batch.
template <class C, class R>
absl::StatusOr<C> FinishItem(C command, const R& request, std::string_view method, const Path& item,
                             bool validate_only, Reader& reader, const DecodeContext& context) {
  if (request.validate_only()) {
    reader.violations().Add(Path(item, "validate_only"),
                            "must not be set on an item; set it on the batch");
  }
  std::string request_id = reader.RequestId(Path(item, "request_id"), request.request_id());
  if (!reader.violations().empty()) return reader.violations().ToStatus();
  if (!request_id.empty() && !validate_only) {
    command.once = {std::move(request_id), context.digester->Digest(method, request)};
  }
  return command;
}

absl::StatusOr<HistoryPage> ReadHistory(const std::string& parent, int32_t page_size,
                                        const std::string& page_token, std::string_view method,
                                        const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  HistoryPage page;
  page.lead = reader.Name<domain::LeadTag>("parent", parent, Presence::kRequired);
  ASSIGN_OR_RETURN(
      PageBounds bounds,
      ReadPageFields(page_size, page_token,
                     {.tenant = context.tenant, .method = method, .parent = page.lead.value},
                     reader, context));
  page.limit = bounds.limit;
  page.scope = std::move(bounds.scope);
  if (bounds.after) {
    const int64_t* number = bounds.after->value.if_int();
    if (number == nullptr || !absl::SimpleAtoi(bounds.after->id, &page.score)) {
      return domain::InvalidPageToken();
    }
    page.after_number = *number;
  }
  return page;
}

absl::StatusOr<LeadAt> ReadLeadAt(const std::string& name, bool at,
                                  const google::protobuf::Timestamp& read_time,
                                  const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  LeadAt out;
  out.lead = reader.Name<domain::LeadTag>("name", name, Presence::kRequired);
  out.read_time = reader.ReadTime("read_time", at, read_time);
  if (!violations.empty()) return violations.ToStatus();
  return out;
}

// A lead at a moment, to be judged by its own model or by the one that is named.
template <class R>
absl::StatusOr<LeadAt> ReadJudged(const R& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  LeadAt out;
  out.lead = reader.Name<domain::LeadTag>("name", request.name(), Presence::kRequired);
  out.read_time = reader.ReadTime("read_time", request.has_read_time(), request.read_time());
  if (!request.revision().empty()) {
    out.model =
        ReadConfigName(domain::ConfigKind::kScoringModel, "revision", request.revision(), reader);
  }
  if (!violations.empty()) return violations.ToStatus();
  return out;
}

}  // namespace

domain::Lead ReadLead(const Path& field, const v1::Lead& in, Reader& reader) {
  domain::Lead out;
  out.market = reader.Enum<domain::Market>(Path(field, "market"), in.market());
  out.person = ReadPerson(Path(field, "person"), in.person(), reader);
  out.organization = ReadOrganization(Path(field, "organization"), in.organization(), reader);
  out.acquisition = ReadAcquisition(Path(field, "acquisition"), in.acquisition(), reader);
  out.needs = reader.Texts(Path(field, "needs"), in.needs(), domain::kMaxNeeds);
  out.maturity = reader.Enum<domain::Maturity>(Path(field, "maturity"), in.maturity());
  out.estimated_value =
      reader.Money(Path(field, "estimated_value"), in.has_estimated_value(), in.estimated_value());
  out.labels = reader.Labels(Path(field, "labels"), in.labels(), Privacy::kOpen);
  out.external_ids = reader.ExternalIds(Path(field, "external_ids"), in.external_ids());
  return out;
}

bool HasIdentifier(const v1::Lead& in) {
  const v1::Person& person = in.person();
  return in.external_ids_size() > 0 || person.emails_size() > 0 || person.phones_size() > 0 ||
         !person.given_name().empty() || !person.family_name().empty() ||
         !person.display_name().empty() || !in.organization().display_name().empty() ||
         !in.organization().domain().empty();
}

domain::Touchpoint ReadTouchpoint(const Path& field, const v1::Touchpoint& in, Reader& reader) {
  domain::Touchpoint out;
  out.kind =
      reader.Enum<domain::TouchpointKind>(Path(field, "kind"), in.kind(), Presence::kRequired);
  out.channel = reader.Enum<domain::Channel>(Path(field, "channel"), in.channel());
  out.occur_time = reader.OccurTime(Path(field, "occur_time"), in.has_occur_time(), in.occur_time())
                       .value_or(domain::Timestamp{});
  out.source = reader.Text(Path(field, "source"), in.source());
  out.external_id =
      reader.Text(Path(field, "external_id"), in.external_id(), {.max_bytes = kMaxExternalIdBytes});
  if (!in.external_id().empty() && in.source().empty()) {
    reader.violations().Add(Path(field, "source"), "must be given with external_id");
  }
  out.campaign = reader.Text(Path(field, "campaign"), in.campaign());
  out.topic = reader.Text(Path(field, "topic"), in.topic());
  out.url = reader.Text(Path(field, "url"), in.url(), kPersonalText);
  out.body = reader.Text(
      Path(field, "body"), in.body(),
      {.max_bytes = kMaxNotesBytes, .shape = TextShape::kNotes, .privacy = Privacy::kPersonal});
  out.value = reader.Money(Path(field, "value"), in.has_value(), in.value());
  if (in.has_duration_seconds()) {
    out.duration_seconds = reader.Count(Path(field, "duration_seconds"), in.duration_seconds());
  }
  out.properties = reader.Labels(Path(field, "properties"), in.properties(), Privacy::kPersonal);
  return out;
}

commands::CaptureCommand ReadCapture(
    const v1::Lead* lead, const v1::Touchpoint* touchpoint,
    const google::protobuf::RepeatedPtrField<v1::Consent>& consents, const Path& lead_field,
    const Path& touchpoint_field, const Path& consents_field, Reader& reader) {
  commands::CaptureCommand command;
  if (lead == nullptr || !HasIdentifier(*lead)) {
    reader.violations().Add(
        lead_field,
        "must have at least one of: an external id, an e-mail, a phone, a name, an organization");
  }
  if (lead != nullptr) command.lead = ReadLead(lead_field, *lead, reader);
  if (touchpoint == nullptr) {
    command.touchpoint.kind = domain::TouchpointKind::kForm;
  } else {
    command.touchpoint = ReadTouchpoint(touchpoint_field, *touchpoint, reader);
    if (touchpoint->has_occur_time()) command.occur_time = command.touchpoint.occur_time;
  }
  if (command.touchpoint.channel == domain::Channel::kUnspecified) {
    command.touchpoint.channel = command.lead.acquisition.channel;
  }
  if (reader.Fits(consents_field, consents.size(), kMaxConsents)) {
    for (int i = 0; i < consents.size(); ++i) {
      command.consents.push_back(
          ReadConsent(Path(consents_field, static_cast<size_t>(i)), consents[i], reader));
    }
  }
  return command;
}

absl::StatusOr<Parsed<commands::CaptureCommand>> ParseCaptureLead(
    const v1::CaptureLeadRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::CaptureCommand command =
      ReadCaptureRequest(request, "lead", "touchpoint", "consents", reader);
  return Finish(std::move(command), request, "CaptureLead", reader, context);
}

absl::StatusOr<Parsed<commands::BatchCaptureCommand>> ParseBatchCaptureLeads(
    const v1::BatchCaptureLeadsRequest& request, const DecodeContext& context) {
  RETURN_IF_ERROR(CheckBatch(request.requests_size()));
  Parsed<commands::BatchCaptureCommand> out{.command = {},
                                            .validate_only = request.validate_only()};
  Path requests("requests");
  for (int i = 0; i < request.requests_size(); ++i) {
    const v1::CaptureLeadRequest& in = request.requests(i);
    Path item(requests, static_cast<size_t>(i));
    Violations violations;
    Reader reader(violations, context.now);
    commands::CaptureCommand command = ReadCaptureRequest(
        in, Path(item, "lead"), Path(item, "touchpoint"), Path(item, "consents"), reader);
    out.command.items.push_back(FinishItem(std::move(command), in, "CaptureLead", item,
                                           request.validate_only(), reader, context));
  }
  return out;
}

absl::StatusOr<Parsed<commands::UpdateLeadCommand>> ParseUpdateLead(
    const v1::UpdateLeadRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  const v1::Lead& lead = request.lead();
  commands::UpdateLeadCommand command;
  Path field("lead");
  command.lead =
      reader.Name<domain::LeadTag>(Path(field, "name"), lead.name(), Presence::kRequired);
  command.etag = reader.Etag(Path(field, "etag"), lead.etag());
  Violations found;
  Reader values(found, context.now);
  command.values = ReadLead(field, lead, values);
  command.paths = ResolveUpdate("lead", request.has_update_mask(), request.update_mask(),
                                DescriptiveLeadPaths(), command.values, found, violations);
  return Finish(std::move(command), request, "UpdateLead", reader, context);
}

absl::StatusOr<Parsed<commands::RecordTouchpointCommand>> ParseRecordTouchpoint(
    const v1::RecordTouchpointRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::RecordTouchpointCommand command =
      ReadRecordRequest(request, "parent", "touchpoint", reader);
  return Finish(std::move(command), request, "RecordTouchpoint", reader, context);
}

absl::StatusOr<Parsed<commands::BatchRecordTouchpointsCommand>> ParseBatchRecordTouchpoints(
    const v1::BatchRecordTouchpointsRequest& request, const DecodeContext& context) {
  RETURN_IF_ERROR(CheckBatch(request.requests_size()));
  Parsed<commands::BatchRecordTouchpointsCommand> out{.command = {},
                                                      .validate_only = request.validate_only()};
  Path requests("requests");
  for (int i = 0; i < request.requests_size(); ++i) {
    const v1::RecordTouchpointRequest& in = request.requests(i);
    Path item(requests, static_cast<size_t>(i));
    Violations violations;
    Reader reader(violations, context.now);
    commands::RecordTouchpointCommand command =
        ReadRecordRequest(in, Path(item, "parent"), Path(item, "touchpoint"), reader);
    out.command.items.push_back(FinishItem(std::move(command), in, "RecordTouchpoint", item,
                                           request.validate_only(), reader, context));
  }
  return out;
}

namespace {

commands::AssignLeadCommand ReadAssign(const v1::AssignLeadRequest& in, const Path& name,
                                       const Path& owner_field, const Path& reason,
                                       const Path& etag, Reader& reader) {
  commands::AssignLeadCommand command;
  command.lead = reader.Name<domain::LeadTag>(name, in.name(), Presence::kRequired);
  domain::UserId owner = reader.Name<domain::UserTag>(owner_field, in.owner(), Presence::kOptional);
  if (!owner.empty()) command.owner = std::move(owner);
  command.reason = reader.Text(reason, in.reason());
  command.etag = reader.Etag(etag, in.etag());
  command.by_rules = in.by_rules();
  if (in.by_rules() && !in.owner().empty()) {
    reader.violations().Add(owner_field, "must be empty where by_rules is set");
  }
  return command;
}

}  // namespace

absl::StatusOr<Parsed<commands::MergeLeadsCommand>> ParseMergeLeads(
    const v1::MergeLeadsRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::MergeLeadsCommand command;
  command.survivor = reader.Name<domain::LeadTag>("name", request.name(), Presence::kRequired);
  Path leads("leads");
  if (request.leads().empty()) violations.Add(leads, "must name a lead");
  if (reader.Fits(leads, request.leads_size(), domain::kMaxLeadsPerMerge)) {
    for (int i = 0; i < request.leads_size(); ++i) {
      const Path entry(leads, static_cast<size_t>(i));
      domain::LeadId lead =
          reader.Name<domain::LeadTag>(entry, request.leads(i), Presence::kRequired);
      if (lead.empty()) continue;
      if (lead == command.survivor) violations.Add(entry, "must not be the lead that survives");
      if (std::find(command.leads.begin(), command.leads.end(), lead) != command.leads.end()) {
        violations.Add(entry, "must not be named twice");
      }
      command.leads.push_back(std::move(lead));
    }
  }
  Path sources("sources");
  if (reader.Fits(sources, request.sources_size(), kMaxFieldSources)) {
    for (int i = 0; i < request.sources_size(); ++i) {
      const Path entry(sources, static_cast<size_t>(i));
      const v1::MergeLeadsRequest::Source& in = request.sources(i);
      if (!domain::MayChoose(in.path())) {
        violations.Add(Path(entry, "path"),
                       "must be a descriptive field of a lead that is not a list", in.path(),
                       Privacy::kOpen);
      }
      domain::LeadId lead =
          reader.Name<domain::LeadTag>(Path(entry, "lead"), in.lead(), Presence::kRequired);
      if (!lead.empty() &&
          std::find(command.leads.begin(), command.leads.end(), lead) == command.leads.end()) {
        violations.Add(Path(entry, "lead"), "must be one of the leads that are merged");
      }
      command.sources.push_back({in.path(), std::move(lead)});
    }
  }
  command.reason = reader.Text("reason", request.reason());
  command.etag = reader.Etag("etag", request.etag());
  return Finish(std::move(command), request, "MergeLeads", reader, context);
}

absl::StatusOr<Parsed<commands::UnmergeLeadCommand>> ParseUnmergeLead(
    const v1::UnmergeLeadRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::UnmergeLeadCommand command;
  command.lead = reader.Name<domain::LeadTag>("name", request.name(), Presence::kRequired);
  command.reason = reader.Text("reason", request.reason());
  command.etag = reader.Etag("etag", request.etag());
  return Finish(std::move(command), request, "UnmergeLead", reader, context);
}

absl::StatusOr<Parsed<commands::AssignLeadCommand>> ParseAssignLead(
    const v1::AssignLeadRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::AssignLeadCommand command =
      ReadAssign(request, "name", "owner", "reason", "etag", reader);
  return Finish(std::move(command), request, "AssignLead", reader, context);
}

absl::StatusOr<Parsed<commands::BatchAssignCommand>> ParseBatchAssignLeads(
    const v1::BatchAssignLeadsRequest& request, const DecodeContext& context) {
  RETURN_IF_ERROR(CheckBatch(request.requests_size()));
  Parsed<commands::BatchAssignCommand> out{.command = {}, .validate_only = request.validate_only()};
  Path requests("requests");
  for (int i = 0; i < request.requests_size(); ++i) {
    const v1::AssignLeadRequest& in = request.requests(i);
    Path item(requests, static_cast<size_t>(i));
    Violations violations;
    Reader reader(violations, context.now);
    commands::AssignLeadCommand command =
        ReadAssign(in, Path(item, "name"), Path(item, "owner"), Path(item, "reason"),
                   Path(item, "etag"), reader);
    out.command.items.push_back(FinishItem(std::move(command), in, "AssignLead", item,
                                           request.validate_only(), reader, context));
  }
  return out;
}

absl::StatusOr<LeadAt> ParseGetLead(const v1::GetLeadRequest& request,
                                    const DecodeContext& context) {
  return ReadLeadAt(request.name(), request.has_read_time(), request.read_time(), context);
}

absl::StatusOr<LeadAt> ParseScoreLead(const v1::ScoreLeadRequest& request,
                                      const DecodeContext& context) {
  return ReadJudged(request, context);
}

absl::StatusOr<LeadAt> ParseExplainScore(const v1::ExplainScoreRequest& request,
                                         const DecodeContext& context) {
  return ReadJudged(request, context);
}

absl::StatusOr<std::vector<domain::LeadId>> ParseBatchGetLeads(
    const v1::BatchGetLeadsRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  std::vector<domain::LeadId> out;
  Path names("names");
  if (request.names().empty()) violations.Add(names, "must have an entry");
  if (reader.Fits(names, request.names_size(), kMaxBatchItems)) {
    for (int i = 0; i < request.names_size(); ++i) {
      out.push_back(reader.Name<domain::LeadTag>(Path(names, static_cast<size_t>(i)),
                                                 request.names(i), Presence::kRequired));
    }
  }
  if (!violations.empty()) return violations.ToStatus();
  return out;
}

absl::StatusOr<domain::IdentityKey> ParseLookupLead(const v1::LookupLeadRequest& request,
                                                    const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  domain::IdentityKey key;
  std::string country = reader.Country("country", request.country());
  switch (request.key_case()) {
    case v1::LookupLeadRequest::kExternalId:
      key = domain::KeyOf(reader.ExternalId("external_id", request.external_id()));
      break;
    case v1::LookupLeadRequest::kEmail:
      key = domain::KeyOf(domain::Email{reader.EmailAddress("email", request.email()), {}});
      break;
    case v1::LookupLeadRequest::kPhone:
      key = domain::KeyOf(
          domain::Phone{reader.PhoneNumber("phone", request.phone(), country), {}, {}});
      break;
    case v1::LookupLeadRequest::KEY_NOT_SET:
      violations.Add("key", "must be one of: external_id, email, phone");
      break;
  }
  if (!violations.empty()) return violations.ToStatus();
  return key;
}

absl::StatusOr<ListPage> ParseListLeads(const v1::ListLeadsRequest& request,
                                        const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  ASSIGN_OR_RETURN(OrderBy order, ParseOrderBy(request.order_by(), LeadOrders()));
  return ReadList(request,
                  {.method = "ListLeads",
                   .schema = &LeadFilterSchema(),
                   .filter = request.filter(),
                   .order_path = std::move(order.path),
                   .descending = order.descending},
                  reader, context);
}

absl::StatusOr<ListPage> ParseListTouchpoints(const v1::ListTouchpointsRequest& request,
                                              const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  domain::LeadId parent =
      reader.Name<domain::LeadTag>("parent", request.parent(), Presence::kRequired);
  return ReadList(request,
                  {.method = "ListTouchpoints",
                   .parent = std::move(parent),
                   .schema = &TouchpointFilterSchema(),
                   .filter = request.filter(),
                   .order_path = "occur_time",
                   .descending = true},
                  reader, context);
}

absl::StatusOr<SearchPage> ParseSearchLeads(const v1::SearchLeadsRequest& request,
                                            const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  std::string query = reader.Text("query", request.query(),
                                  {.max_bytes = kMaxSearchBytes, .privacy = Privacy::kPersonal});
  SearchPage page;
  page.words = SearchWords(query);
  if (violations.empty() && query.size() < kMinSearchBytes) {
    violations.Add("query", Concat("must have at least ", kMinSearchBytes, " bytes"));
  } else if (violations.empty() && page.words.empty()) {
    violations.Add("query", "must have a word");
  } else if (page.words.size() > kMaxSearchWords) {
    violations.Add("query", Concat("must have at most ", kMaxSearchWords, " words"));
  }
  PageScope scope = {.tenant = context.tenant, .method = "SearchLeads"};
  for (const std::string& word : page.words) Append(scope.filter, word, " ");
  ASSIGN_OR_RETURN(PageBounds bounds, ReadPageFields(request.page_size(), request.page_token(),
                                                     std::move(scope), reader, context));
  page.limit = bounds.limit;
  page.scope = std::move(bounds.scope);
  if (bounds.after) {
    const int64_t* offset = bounds.after->value.if_int();
    if (offset == nullptr || *offset < 0) return domain::InvalidPageToken();
    page.offset = *offset;
  }
  return page;
}

absl::StatusOr<DuplicatesPage> ParseFindDuplicates(const v1::FindDuplicatesRequest& request,
                                                   const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  DuplicatesPage page;
  page.lead = reader.Name<domain::LeadTag>("name", request.name(), Presence::kRequired);
  page.min_score = request.min_score() == 0 ? domain::kDuplicateScore : request.min_score();
  if (page.min_score < 0 || page.min_score > 1000) {
    violations.Add("min_score", "must be from 0 to 1000");
  }
  PageScope scope = {.tenant = context.tenant, .method = "FindDuplicates"};
  scope.filter = Concat(request.name(), " ", page.min_score);
  ASSIGN_OR_RETURN(PageBounds bounds, ReadPageFields(request.page_size(), request.page_token(),
                                                     std::move(scope), reader, context));
  page.limit = bounds.limit;
  page.scope = std::move(bounds.scope);
  if (bounds.after) {
    const int64_t* offset = bounds.after->value.if_int();
    if (offset == nullptr || *offset < 0) return domain::InvalidPageToken();
    page.offset = *offset;
  }
  return page;
}

absl::StatusOr<HistoryPage> ParseListLeadTransitions(const v1::ListLeadTransitionsRequest& request,
                                                     const DecodeContext& context) {
  return ReadHistory(request.parent(), request.page_size(), request.page_token(),
                     "ListLeadTransitions", context);
}

absl::StatusOr<HistoryPage> ParseListLeadChanges(const v1::ListLeadChangesRequest& request,
                                                 const DecodeContext& context) {
  return ReadHistory(request.parent(), request.page_size(), request.page_token(), "ListLeadChanges",
                     context);
}

std::string NextPageToken(const DecodeContext& context, const SearchPage& page, int64_t shown) {
  return context.pages->Make(page.scope, {domain::Value(page.offset + shown), {}});
}

std::string NextPageToken(const DecodeContext& context, const DuplicatesPage& page, int64_t shown) {
  return context.pages->Make(page.scope, {domain::Value(page.offset + shown), {}});
}

std::string NextPageToken(const DecodeContext& context, const HistoryPage& page, int64_t number,
                          int64_t score) {
  return context.pages->Make(page.scope, {domain::Value(number), Concat(score)});
}

std::string NextPageToken(const DecodeContext& context, const NamePage& page,
                          std::string_view last_name) {
  return context.pages->Make(page.scope, {domain::Value(), std::string(last_name)});
}

}  // namespace relais::convert
