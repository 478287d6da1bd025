#include <google/protobuf/util/json_util.h>

#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "clients/cli/commands.h"
#include "clients/cli/csv.h"
#include "clients/cli/field_text.h"
#include "relais/v1/import_service.grpc.pb.h"

namespace relais::cli {
namespace {

const std::vector<std::string>& DefaultColumns() {
  static const auto* columns = new std::vector<std::string>{"name",
                                                            "stage",
                                                            "market",
                                                            "person.given_name",
                                                            "person.family_name",
                                                            "person.display_name",
                                                            "person.emails.address",
                                                            "person.phones.number",
                                                            "person.job_title",
                                                            "person.language",
                                                            "person.country",
                                                            "organization.display_name",
                                                            "organization.domain",
                                                            "acquisition.channel",
                                                            "acquisition.source",
                                                            "acquisition.campaign",
                                                            "acquisition.first_touch_time",
                                                            "maturity",
                                                            "estimated_value",
                                                            "score",
                                                            "grade",
                                                            "score_band",
                                                            "owner",
                                                            "consents",
                                                            "labels",
                                                            "milestones.stage_time",
                                                            "milestones.prospect_time",
                                                            "milestones.opportunity_time",
                                                            "milestones.customer_time",
                                                            "milestones.last_touch_time",
                                                            "counters.touchpoints",
                                                            "counters.open_opportunities",
                                                            "counters.won_opportunities",
                                                            "counters.lost_opportunities",
                                                            "create_time",
                                                            "update_time"};
  return *columns;
}

}  // namespace

int RunExport(const Connection& connection, const ExportOptions& options) {
  const std::vector<std::string>& columns =
      options.columns.empty() ? DefaultColumns() : options.columns;
  for (const std::string& column : columns) {
    absl::Status status = CheckFieldPath(v1::Lead::descriptor(), column);
    if (!status.ok()) return Report(status);
  }
  // The file appears whole or not at all.
  std::string partial = options.output + ".part";
  FILE* out = options.output.empty() ? stdout : std::fopen(partial.c_str(), "wb");
  if (out == nullptr) {
    return Report(absl::NotFoundError(absl::StrCat(partial, ": cannot be written")));
  }
  auto write = [&](const std::string& text) { std::fwrite(text.data(), 1, text.size(), out); };
  if (!options.json) write(CsvLine(columns, false));

  std::unique_ptr<v1::ImportService::Stub> stub = v1::ImportService::NewStub(connection.channel());
  v1::ExportLeadsRequest request;
  request.set_filter(options.filter);
  std::unique_ptr<grpc::ClientContext> context = connection.Stream();
  auto stream = stub->ExportLeads(context.get(), request);
  v1::ExportLeadsResponse response;
  int64_t sent = 0;
  google::protobuf::util::JsonPrintOptions json;
  json.preserve_proto_field_names = true;
  while (stream->Read(&response)) {
    for (const v1::Lead& lead : response.leads()) {
      ++sent;
      if (options.json) {
        std::string line;
        (void)google::protobuf::util::MessageToJsonString(lead, &line, json);
        write(line + "\n");
        continue;
      }
      std::vector<std::string> fields;
      fields.reserve(columns.size());
      for (const std::string& column : columns) fields.push_back(FieldText(lead, column));
      write(CsvLine(fields, true));
    }
    if (std::ferror(out) != 0) context->TryCancel();
  }
  grpc::Status status = stream->Finish();
  bool written = std::fflush(out) == 0 && std::ferror(out) == 0;
  if (out != stdout) {
    written = std::fclose(out) == 0 && written;
    if (!written || !status.ok()) {
      std::remove(partial.c_str());
    } else {
      written = std::rename(partial.c_str(), options.output.c_str()) == 0;
    }
  }
  if (!written) return Report(absl::InternalError("the output cannot be written"));
  if (!status.ok()) return Report(status, "ExportLeads");
  std::fprintf(stderr, "%lld leads\n", static_cast<long long>(sent));
  return kExitOk;
}

}  // namespace relais::cli
