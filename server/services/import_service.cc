#include "server/services/import_service.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "server/services/named.h"

namespace relais::services {
namespace {

// What a chunk of 1000 rows may take on a slow disk before its stream gives up.
constexpr std::chrono::seconds kChunkDeadline{60};
// Leads read at a time by an export; several fit one message of 3 MiB.
constexpr int kExportPage = 500;

void EncodeImported(const commands::Imported& in, bool return_results, std::string_view call_id,
                    v1::ImportRowsResponse& out) {
  convert::Encode(in.import, out.mutable_import());
  convert::ResponseBudget budget;
  for (const commands::ImportRowResult& result : in.results) {
    if (!return_results && result.outcome != domain::ImportRowOutcome::kFailed) continue;
    v1::ImportRowResult* item = out.add_results();
    convert::Encode(result, call_id, item);
    // Every refused row is named, with its reason in words when the details no longer fit.
    if (!budget.Take(*item)) item->mutable_status()->clear_details();
  }
}

// A part of a chunk, which is a chunk itself.
commands::ImportRowsCommand RowsOf(const commands::ImportRowsCommand& chunk, int first, int count) {
  commands::ImportRowsCommand part;
  part.import = chunk.import;
  part.display_name = chunk.display_name;
  part.rows_total = chunk.rows_total;
  part.rows.assign(chunk.rows.begin() + first, chunk.rows.begin() + first + count);
  part.complete = chunk.complete && static_cast<size_t>(first) + count == chunk.rows.size();
  return part;
}

// Keeps a chunk as long work: each slice raises the committed row together with the effects of its
// rows, so that wherever the work ends, the chunk may be sent again. `then` is called once, on a
// storage thread, with the status, what became of all rows (null on failure) and the place of the
// last slice.
template <class Then>
void KeepRows(storage::Store& store, const storage::Call& call,
              convert::Parsed<commands::ImportRowsCommand> parsed, Then then) {
  commands::Imported whole;
  whole.results.resize(parsed.command.rows.size());
  const int rows = static_cast<int>(parsed.command.rows.size());
  KeepSlices(
      store, call, std::move(parsed), rows, std::move(whole), RowsOf,
      [](commands::Imported slice, int first, commands::Imported& imported) {
        imported.import = std::move(slice.import);
        std::move(slice.results.begin(), slice.results.end(), imported.results.begin() + first);
      },
      std::move(then));
}

}  // namespace

void ImportStream::Handle(const v1::ImportRowsRequest& request) {
  auto parsed = convert::ParseImportRows(request, exchange().decoding());
  if (!parsed.ok()) return End(parsed.status());
  storage::Call call = exchange().call();
  call.deadline = std::min(call.deadline, std::chrono::steady_clock::now() + kChunkDeadline);
  bool validate_only = parsed->validate_only;
  KeepRows(
      edge().store, call, *std::move(parsed),
      [self = shared_from_this(), this, validate_only, return_results = request.return_results()](
          const absl::Status& status, const commands::Imported* imported,
          const storage::Committed& committed) {
        if (!status.ok()) return End(status);
        if (!validate_only) SetCommitted(committed);
        v1::ImportRowsResponse out;
        EncodeImported(*imported, return_results, exchange().id(), out);
        Answer(out);
      });
}

absl::Status ExportStream::Start(const v1::ExportLeadsRequest& request) {
  ASSIGN_OR_RETURN(query_, convert::ParseExportLeads(request, exchange().decoding()));
  query_.limit = kExportPage;
  return absl::OkStatus();
}

void ExportStream::Produce() {
  if (complete_) return End(absl::OkStatus());
  struct Page {
    v1::ExportLeadsResponse message;
    std::optional<storage::Cursor> last;
    bool complete = false;
  };
  auto page = std::make_shared<Page>();
  ReadStore(
      [page, query = query_](storage::ReadTxn& txn) -> absl::Status {
        *page = Page{};
        ASSIGN_OR_RETURN(std::vector<domain::Lead> leads, txn.ListLeads(query));
        convert::ResponseBudget budget;
        size_t taken = 0;
        for (; taken < leads.size(); ++taken) {
          v1::Lead* lead = page->message.add_leads();
          convert::Encode(leads[taken], lead);
          if (!budget.Take(*lead)) {
            page->message.mutable_leads()->RemoveLast();
            break;
          }
        }
        if (taken > 0) page->last = convert::CursorOf(leads[taken - 1], query.order_path);
        page->complete = taken == leads.size() && leads.size() < static_cast<size_t>(query.limit);
        return absl::OkStatus();
      },
      [this, page](const absl::Status& status) {
        if (!status.ok()) return End(status);
        complete_ = page->complete;
        if (!page->last.has_value()) return End(absl::OkStatus());
        query_.after = page->last;
        sent_ += page->message.leads_size();
        page->message.set_sent(sent_);
        Send(page->message);
      });
}

ImportService::ImportService(const Edge& edge) : Endpoint(edge, "relais.v1.ImportService") {
  Unary("ImportRows", &ImportService::ImportRows);
  Unary("GetImport", &ImportService::GetImport);
  Unary("ListImports", &ImportService::ListImports);
  BidiStreaming<ImportStream>("ImportLeads");
  ServerStreaming<ExportStream>("ExportLeads");
}

absl::Status ImportService::ImportRows(Reply<v1::ImportRowsResponse>& reply,
                                       const v1::ImportRowsRequest& request) {
  ASSIGN_OR_RETURN(auto parsed, convert::ParseImportRows(request, reply.decoding()));
  bool validate_only = parsed.validate_only;
  KeepRows(reply.edge().store, reply.call(), std::move(parsed),
           [&reply, validate_only, return_results = request.return_results()](
               const absl::Status& status, const commands::Imported* imported,
               const storage::Committed& committed) {
             if (!status.ok()) return reply.Finish(status);
             try {
               EncodeImported(*imported, return_results, reply.exchange().id(), reply.answer());
             } catch (...) {
               return reply.Finish(CaughtException());
             }
             if (validate_only) return reply.Finish(absl::OkStatus());
             reply.Finish(committed, /*replayed=*/false);
           });
  return absl::OkStatus();
}

absl::Status ImportService::GetImport(Reply<v1::Import>& reply,
                                      const v1::GetImportRequest& request) {
  ASSIGN_OR_RETURN(domain::ImportId id, convert::ParseGetImport(request, reply.decoding()));
  return Get(reply, id, "Import", &storage::ReadTxn::GetImport);
}

absl::Status ImportService::ListImports(Reply<v1::ListImportsResponse>& reply,
                                        const v1::ListImportsRequest& request) {
  ASSIGN_OR_RETURN(convert::ListPage page, convert::ParseListImports(request, reply.decoding()));
  return List(reply, std::move(page), &storage::ReadTxn::ListImports,
              [](v1::ListImportsResponse& out) { return out.mutable_imports(); });
}

}  // namespace relais::services
