#include <re2/re2.h>

#include <string>
#include <utility>

#include "server/convert/decode.h"
#include "server/convert/filters.h"
#include "server/convert/reader.h"
#include "server/convert/resources.h"
#include "server/convert/update_mask.h"
#include "server/domain/status_macros.h"

namespace relais::convert {
namespace {

// A decimal above 0 in its shortest spelling: "02.50" is "2.5".
std::string ReadQuantity(const Path& field, const std::string& in, Reader& reader) {
  static const RE2* const kPattern = new RE2(
      Concat("0*([0-9]{0,", kMaxQuantityDigits, "})(?:\\.([0-9]{1,", kMaxQuantityDecimals, "}))?"));
  if (in.empty()) return "1";
  std::string whole, fraction;
  bool good = in.size() <= kMaxShortIdBytes && in[0] != '.' &&
              RE2::FullMatch(in, *kPattern, &whole, &fraction);
  while (!fraction.empty() && fraction.back() == '0') fraction.pop_back();
  if (!good || (whole.empty() && fraction.empty())) {
    reader.violations().Add(
        field,
        Concat("must be a decimal number above 0 with at most ", kMaxQuantityDigits,
               " digits before the point and ", kMaxQuantityDecimals, " behind it"),
        in, Privacy::kOpen);
    return {};
  }
  return Concat(whole.empty() ? "0" : whole, fraction.empty() ? "" : ".", fraction);
}

domain::LineItem ReadLineItem(const Path& field, const v1::LineItem& in, Reader& reader) {
  domain::LineItem out;
  out.product = reader.Text(Path(field, "product"), in.product());
  out.description = reader.Text(Path(field, "description"), in.description());
  out.quantity = ReadQuantity(Path(field, "quantity"), in.quantity(), reader);
  if (auto price = reader.Money(Path(field, "unit_price"), in.has_unit_price(), in.unit_price())) {
    out.unit_price = domain::FormatMoney(*price);
  }
  return out;
}

std::vector<domain::OpportunityContact> ReadContacts(
    const Path& field, const google::protobuf::RepeatedPtrField<v1::OpportunityContact>& in,
    Reader& reader) {
  std::vector<domain::OpportunityContact> out;
  if (!reader.Fits(field, in.size(), kMaxContacts)) return out;
  for (int i = 0; i < in.size(); ++i) {
    Path entry(field, static_cast<size_t>(i));
    AddOnce(out,
            domain::OpportunityContact{reader.NameText<domain::LeadTag>(
                                           Path(entry, "lead"), in[i].lead(), Presence::kRequired),
                                       reader.Text(Path(entry, "role"), in[i].role())});
  }
  return out;
}

// The fields that Move, Close and Reopen share.
template <class R>
commands::OpportunityStepCommand ReadStep(const R& request, commands::OpportunityStep step,
                                          commands::OpportunityStepCommand command,
                                          Reader& reader) {
  command.step = step;
  command.opportunity =
      reader.Name<domain::OpportunityTag>("name", request.name(), Presence::kRequired);
  command.etag = reader.Etag("etag", request.etag());
  command.occur_time =
      reader.OccurTime("occur_time", request.has_occur_time(), request.occur_time());
  return command;
}

}  // namespace

domain::Opportunity ReadOpportunity(const Path& field, const v1::Opportunity& in, Reader& reader) {
  domain::Opportunity out;
  out.display_name = reader.Text(Path(field, "display_name"), in.display_name());
  out.amount = reader.Money(Path(field, "amount"), in.has_amount(), in.amount());
  Path items(field, "line_items");
  if (reader.Fits(items, in.line_items_size(), kMaxLineItems)) {
    for (int i = 0; i < in.line_items_size(); ++i) {
      out.line_items.push_back(
          ReadLineItem(Path(items, static_cast<size_t>(i)), in.line_items(i), reader));
    }
  }
  out.expected_close_time = reader.Time(Path(field, "expected_close_time"),
                                        in.has_expected_close_time(), in.expected_close_time());
  out.requested_delivery_time =
      reader.Time(Path(field, "requested_delivery_time"), in.has_requested_delivery_time(),
                  in.requested_delivery_time());
  out.promised_delivery_time =
      reader.Time(Path(field, "promised_delivery_time"), in.has_promised_delivery_time(),
                  in.promised_delivery_time());
  out.competitors = reader.Texts(Path(field, "competitors"), in.competitors(), kMaxCompetitors);
  out.contacts = ReadContacts(Path(field, "contacts"), in.contacts(), reader);
  out.objections = reader.Texts(Path(field, "objections"), in.objections(), kMaxObjections);
  out.next_step = reader.Text(Path(field, "next_step"), in.next_step());
  out.owner =
      reader.NameText<domain::UserTag>(Path(field, "owner"), in.owner(), Presence::kOptional);
  out.intention = reader.GivenText(Path(field, "intention"), in.intention(), Privacy::kPersonal);
  out.external_ids = reader.ExternalIds(Path(field, "external_ids"), in.external_ids());
  out.labels = reader.Labels(Path(field, "labels"), in.labels(), Privacy::kOpen);
  return out;
}

commands::OpportunityStepCommand ReadClose(v1::CloseOutcome outcome, const std::string& reason,
                                           const std::string& winning_competitor,
                                           const Path& outcome_field, const Path& reason_field,
                                           const Path& competitor_field, Reader& reader) {
  commands::OpportunityStepCommand command;
  command.step = commands::OpportunityStep::kClose;
  command.outcome = reader.Enum<domain::CloseOutcome>(outcome_field, outcome, Presence::kRequired);
  bool lost = command.outcome == domain::CloseOutcome::kLost;
  command.reason = reader.Text(reason_field, reason,
                               {.presence = lost ? Presence::kRequired : Presence::kOptional});
  command.winning_competitor = reader.Text(competitor_field, winning_competitor);
  if (command.outcome == domain::CloseOutcome::kWon && !winning_competitor.empty()) {
    reader.violations().Add(competitor_field, "must be empty when won");
  }
  return command;
}

absl::StatusOr<Parsed<commands::CreateOpportunityCommand>> ParseCreateOpportunity(
    const v1::CreateOpportunityRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  const v1::Opportunity& in = request.opportunity();
  Path field("opportunity");
  commands::CreateOpportunityCommand command;
  command.opportunity = ReadOpportunity(field, in, reader);
  command.opportunity.lead =
      reader.Name<domain::LeadTag>(Path(field, "lead"), in.lead(), Presence::kRequired);
  if (in.intention().empty()) violations.Add(Path(field, "intention"), "must not be empty");
  command.occur_time =
      reader.OccurTime("occur_time", request.has_occur_time(), request.occur_time());
  return Finish(std::move(command), request, "CreateOpportunity", reader, context);
}

absl::StatusOr<domain::OpportunityId> ParseGetOpportunity(const v1::GetOpportunityRequest& request,
                                                          const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  auto id = reader.Name<domain::OpportunityTag>("name", request.name(), Presence::kRequired);
  if (!violations.empty()) return violations.ToStatus();
  return id;
}

absl::StatusOr<ListPage> ParseListOpportunities(const v1::ListOpportunitiesRequest& request,
                                                const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  ASSIGN_OR_RETURN(OrderBy order, ParseOrderBy(request.order_by(), OpportunityOrders()));
  return ReadList(request,
                  {.method = "ListOpportunities",
                   .schema = &OpportunityFilterSchema(),
                   .filter = request.filter(),
                   .order_path = std::move(order.path),
                   .descending = order.descending},
                  reader, context);
}

absl::StatusOr<Parsed<commands::UpdateOpportunityCommand>> ParseUpdateOpportunity(
    const v1::UpdateOpportunityRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  const v1::Opportunity& in = request.opportunity();
  Path field("opportunity");
  commands::UpdateOpportunityCommand command;
  command.opportunity =
      reader.Name<domain::OpportunityTag>(Path(field, "name"), in.name(), Presence::kRequired);
  command.etag = reader.Etag(Path(field, "etag"), in.etag());
  Violations found;
  Reader values(found, context.now);
  command.values = ReadOpportunity(field, in, values);
  command.paths = ResolveUpdate("opportunity", request.has_update_mask(), request.update_mask(),
                                DescriptiveOpportunityPaths(), command.values, found, violations);
  return Finish(std::move(command), request, "UpdateOpportunity", reader, context);
}

absl::StatusOr<Parsed<commands::OpportunityStepCommand>> ParseMoveOpportunity(
    const v1::MoveOpportunityRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::OpportunityStepCommand command =
      ReadStep(request, commands::OpportunityStep::kMove, {}, reader);
  command.stage = reader.ShortId("stage", request.stage(), Presence::kRequired);
  return Finish(std::move(command), request, "MoveOpportunity", reader, context);
}

absl::StatusOr<Parsed<commands::OpportunityStepCommand>> ParseCloseOpportunity(
    const v1::CloseOpportunityRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::OpportunityStepCommand command =
      ReadStep(request, commands::OpportunityStep::kClose,
               ReadClose(request.outcome(), request.reason(), request.winning_competitor(),
                         "outcome", "reason", "winning_competitor", reader),
               reader);
  command.amount = reader.Money("amount", request.has_amount(), request.amount());
  return Finish(std::move(command), request, "CloseOpportunity", reader, context);
}

absl::StatusOr<Parsed<commands::OpportunityStepCommand>> ParseReopenOpportunity(
    const v1::ReopenOpportunityRequest& request, const DecodeContext& context) {
  Violations violations;
  Reader reader(violations, context.now);
  commands::OpportunityStepCommand command =
      ReadStep(request, commands::OpportunityStep::kReopen, {}, reader);
  command.reason = reader.Text("reason", request.reason(), kRequiredText);
  return Finish(std::move(command), request, "ReopenOpportunity", reader, context);
}

}  // namespace relais::convert
