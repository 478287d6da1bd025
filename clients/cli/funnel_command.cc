#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "clients/cli/commands.h"
#include "clients/cli/csv.h"
#include "clients/cli/expression.h"
#include "relais/v1/insight_service.grpc.pb.h"

namespace relais::cli {
namespace {

constexpr const char* kStages[] = {"LEAD", "PROSPECT", "OPPORTUNITY", "CUSTOMER", "DISQUALIFIED"};

std::string Days(bool has, double days) {
  if (!has) return "";
  char out[32];
  std::snprintf(out, sizeof out, "%.2f", days);
  std::string text = out;
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

// Rounded half up to thousandths of a percent from the exact counts, not from the double.
std::string Percent(const v1::Ratio& ratio) {
  if (ratio.denominator() == 0) return "";
  __int128 thousandths =
      (static_cast<__int128>(ratio.numerator()) * 200'000 + ratio.denominator()) /
      (2 * static_cast<__int128>(ratio.denominator()));
  char out[32];
  std::snprintf(out, sizeof out, "%lld.%03lld", static_cast<long long>(thousandths / 1000),
                static_cast<long long>(thousandths % 1000));
  return out;
}

std::vector<std::string> Header(const std::string& key) {
  return {key,
          "leads",
          "in LEAD",
          "in PROSPECT",
          "in OPPORTUNITY",
          "in CUSTOMER",
          "in DISQUALIFIED",
          "prospects",
          "opportunities",
          "customers",
          "lead>prospect %",
          "prospect>opp. %",
          "opp.>customer %",
          "lead>customer %",
          "median days",
          "mean days",
          "p90 days",
          "open",
          "won",
          "lost",
          "win rate %"};
}

std::vector<std::string> Cells(const std::string& key, const v1::FunnelRow& row) {
  std::vector<std::string> out = {key, std::to_string(row.leads())};
  for (const char* stage : kStages) {
    auto found = row.by_stage().find(stage);
    out.push_back(std::to_string(found == row.by_stage().end() ? 0 : found->second));
  }
  out.push_back(std::to_string(row.reached_prospect()));
  out.push_back(std::to_string(row.reached_opportunity()));
  out.push_back(std::to_string(row.reached_customer()));
  out.push_back(Percent(row.lead_to_prospect()));
  out.push_back(Percent(row.prospect_to_opportunity()));
  out.push_back(Percent(row.opportunity_to_customer()));
  out.push_back(Percent(row.lead_to_customer()));
  const v1::CycleLength& cycle = row.cycle();
  out.push_back(Days(cycle.has_median_days(), cycle.median_days()));
  out.push_back(Days(cycle.has_mean_days(), cycle.mean_days()));
  out.push_back(Days(cycle.has_p90_days(), cycle.p90_days()));
  out.push_back(std::to_string(row.open_opportunities()));
  out.push_back(std::to_string(row.won_opportunities()));
  out.push_back(std::to_string(row.lost_opportunities()));
  out.push_back(Percent(row.win_rate()));
  return out;
}

// Columns of UTF-8 text are as wide as they have code points.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

void PrintTable(const std::vector<std::vector<std::string>>& lines) {
  std::vector<size_t> widths(lines[0].size());
  std::vector<bool> used(lines[0].size());
  for (size_t l = 0; l < lines.size(); ++l) {
    for (size_t i = 0; i < lines[l].size(); ++i) {
      widths[i] = std::max(widths[i], Width(lines[l][i]));
      // A column that says nothing in any line is left out.
      used[i] = used[i] || (l > 0 && !lines[l][i].empty() && lines[l][i] != "0");
    }
  }
  used[0] = true;
  for (const std::vector<std::string>& line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      if (!used[i]) continue;
      std::string pad(widths[i] - Width(line[i]), ' ');
      absl::StrAppend(&text, text.empty() ? "" : "  ", i == 0 ? line[i] + pad : pad + line[i]);
    }
    std::printf("%s\n", text.c_str());
  }
}

}  // namespace

int RunFunnel(const Connection& connection, const FunnelOptions& options) {
  v1::GetFunnelRequest request;
  if (options.by == "channel") request.set_breakdown(v1::FUNNEL_BREAKDOWN_CHANNEL);
  if (options.by == "source") request.set_breakdown(v1::FUNNEL_BREAKDOWN_SOURCE);
  if (options.by == "month") request.set_breakdown(v1::FUNNEL_BREAKDOWN_FIRST_TOUCH_MONTH);
  if (options.market == "b2b") request.set_market(v1::MARKET_B2B);
  if (options.market == "b2c") request.set_market(v1::MARKET_B2C);
  for (const auto& [text, time] :
       {std::pair(&options.since, &v1::GetFunnelRequest::mutable_first_touch_start_time),
        std::pair(&options.before, &v1::GetFunnelRequest::mutable_first_touch_end_time)}) {
    if (text->empty()) continue;
    std::optional<std::string> moment = ParseMoment(*text, "");
    if (!moment.has_value() ||
        !google::protobuf::util::TimeUtil::FromString(*moment, (request.*time)())) {
      return Report(absl::InvalidArgumentError(absl::StrCat("\"", *text, "\" is not a date")));
    }
  }
  std::unique_ptr<v1::InsightService::Stub> stub =
      v1::InsightService::NewStub(connection.channel());
  v1::Funnel funnel;
  std::unique_ptr<grpc::ClientContext> context = connection.Unary();
  grpc::Status status = stub->GetFunnel(context.get(), request, &funnel);
  if (!status.ok()) return Report(status, "GetFunnel");

  if (options.format == TableFormat::kJson) {
    google::protobuf::util::JsonPrintOptions json;
    json.preserve_proto_field_names = true;
    json.always_print_primitive_fields = true;
    json.add_whitespace = true;
    std::string text;
    (void)google::protobuf::util::MessageToJsonString(funnel, &text, json);
    std::printf("%s", text.c_str());
    return kExitOk;
  }
  bool csv = options.format == TableFormat::kCsv;
  std::vector<std::vector<std::string>> lines = {
      Header(options.by.empty() ? (csv ? "key" : "") : options.by)};
  for (const v1::FunnelRow& row : funnel.rows()) {
    lines.push_back(Cells(row.key().empty() && !csv ? "(blank)" : row.key(), row));
  }
  lines.push_back(Cells("total", funnel.total()));
  if (csv) {
    for (const std::vector<std::string>& line : lines)
      std::printf("%s", CsvLine(line, true).c_str());
    return kExitOk;
  }
  PrintTable(lines);
  std::printf("as of event %lld, %s\n", static_cast<long long>(funnel.as_of_number()),
              google::protobuf::util::TimeUtil::ToString(funnel.as_of_time()).c_str());
  return kExitOk;
}

}  // namespace relais::cli
