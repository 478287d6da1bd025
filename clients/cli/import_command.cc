#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <deque>
#include <memory>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "clients/cli/commands.h"
#include "clients/cli/csv.h"
#include "clients/cli/identity.h"
#include "clients/cli/mapping.h"
#include "clients/cli/progress.h"
#include "relais/v1/import_service.grpc.pb.h"

namespace relais::cli {
namespace {

// A chunk stays far below the server's message limit (4 MiB), whatever its rows hold.
constexpr size_t kChunkBytes = 1 << 20;
// Chunks sent ahead of their answers: the server works on one while the next travels.
constexpr size_t kWindow = 4;
constexpr int kAttempts = 10;
constexpr size_t kShown = 10;

// A row to send, or why a line gives none.
struct Item {
  int64_t line = 0;
  std::optional<v1::ImportRow> row;
  Reject reject;
};

// The rows of a file in the order they are sent, numbered from 1.
class RowSource {
 public:
  static absl::StatusOr<std::unique_ptr<RowSource>> Open(const ImportOptions& options,
                                                         const MappingFile& file) {
    absl::StatusOr<std::unique_ptr<CsvReader>> reader = CsvReader::Open(options.file, file.csv);
    if (!reader.ok()) return reader.status();
    absl::StatusOr<Mapping> mapping = Mapping::Compile(file, options.file, (*reader)->header());
    if (!mapping.ok()) return mapping.status();
    std::unique_ptr<RowSource> source(new RowSource(*std::move(reader), *std::move(mapping)));
    if (file.order_by_time) {
      absl::Status status = source->LoadByTime();
      if (!status.ok()) return status;
    }
    return source;
  }

  // Null at the end.
  absl::StatusOr<const Item*> Peek() {
    while (items_.empty() && !ended_) {
      absl::Status status = ReadLine();
      if (!status.ok()) return status;
    }
    if (items_.empty()) return nullptr;
    return &items_.front();
  }
  Item Take() {
    Item item = std::move(items_.front());
    items_.pop_front();
    if (item.row.has_value()) item.row->set_row(++row_);
    return item;
  }

  const Mapping& mapping() const { return mapping_; }
  int64_t lines() const { return lines_; }
  std::vector<std::string> TakeWarnings() { return std::exchange(warnings_, {}); }

 private:
  RowSource(std::unique_ptr<CsvReader> reader, Mapping mapping)
      : reader_(std::move(reader)), mapping_(std::move(mapping)) {}

  absl::Status ReadLine() {
    CsvRecord record;
    absl::StatusOr<bool> more = reader_->Next(record);
    if (!more.ok()) return more.status();
    if (!*more) {
      ended_ = true;
      return absl::OkStatus();
    }
    ++lines_;
    MappedRecord mapped = mapping_.Map(record);
    for (Reject& reject : mapped.rejects) {
      items_.push_back({record.line, std::nullopt, std::move(reject)});
    }
    for (v1::ImportRow& row : mapped.rows) items_.push_back({record.line, std::move(row), {}});
    for (const std::string& warning : mapped.warnings) {
      warnings_.push_back(absl::StrCat("line ", record.line, ": ", warning));
    }
    return absl::OkStatus();
  }

  // Rows without a time stay with the row before them of the same line.
  absl::Status LoadByTime() {
    while (!ended_) {
      absl::Status status = ReadLine();
      if (!status.ok()) return status;
    }
    std::vector<std::pair<int64_t, Item>> all;
    int64_t line = 0, last = 0;
    for (Item& item : items_) {
      if (item.line != line) last = INT64_MIN;
      line = item.line;
      if (item.row.has_value()) last = TimeOf(*item.row).value_or(last);
      all.emplace_back(last, std::move(item));
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    items_.clear();
    for (auto& [time, item] : all) items_.push_back(std::move(item));
    return absl::OkStatus();
  }

  std::unique_ptr<CsvReader> reader_;
  Mapping mapping_;
  std::deque<Item> items_;
  std::vector<std::string> warnings_;
  bool ended_ = false;
  int64_t lines_ = 0, row_ = 0;
};

struct Chunk {
  v1::ImportRowsRequest request;
  std::vector<int64_t> lines;                       // one a row of the request
  std::vector<std::pair<int64_t, Reject>> rejects;  // lines before or among its rows, left out here
  int64_t last_line = 0;
};

// The list of what was refused: a file, or the first few on the error output.
class Rejects {
 public:
  ~Rejects() {
    if (file_ != nullptr) std::fclose(file_);
  }
  absl::Status Open(const std::string& path, bool append) {
    if (path.empty()) return absl::OkStatus();
    file_ = std::fopen(path.c_str(), append ? "ab" : "wb");
    if (file_ == nullptr) return absl::NotFoundError(absl::StrCat(path, ": cannot be written"));
    if (std::ftell(file_) <= 0) Write(CsvLine({"row", "field", "reason"}, false));
    return absl::OkStatus();
  }
  void Add(int64_t line, const std::string& field, const std::string& reason) {
    ++count_;
    if (file_ != nullptr) {
      Write(CsvLine({std::to_string(line), field, reason}, true));
    } else if (shown_.size() < kShown) {
      shown_.push_back(
          absl::StrCat("  line ", line, ": ", field, field.empty() ? "" : ": ", reason));
    }
  }
  // False when the disk did not take it.
  bool Flush() { return file_ == nullptr || (std::fflush(file_) == 0 && std::ferror(file_) == 0); }
  void Show() const {
    for (const std::string& text : shown_) std::fprintf(stderr, "%s\n", text.c_str());
    if (file_ == nullptr && count_ > static_cast<int64_t>(shown_.size())) {
      std::fprintf(stderr, "  and %lld more; --rejects FILE lists them all\n",
                   static_cast<long long>(count_ - static_cast<int64_t>(shown_.size())));
    }
  }

 private:
  void Write(const std::string& text) { std::fwrite(text.data(), 1, text.size(), file_); }
  FILE* file_ = nullptr;
  int64_t count_ = 0;
  std::vector<std::string> shown_;
};

class Importer {
 public:
  Importer(const Connection& connection, const ImportOptions& options)
      : connection_(connection),
        options_(options),
        stub_(v1::ImportService::NewStub(connection.channel())) {}

  int Run() {
    absl::StatusOr<MappingFile> file = ReadMappingFile(options_.mapping);
    if (!file.ok()) return Report(file.status());
    absl::Status checked = Check(*file);
    if (!checked.ok()) return Report(checked);
    if (rows_total_ == 0 && rejected_lines_ == 0) {
      std::fprintf(stderr, "nothing to import: the mapping makes no row of any line\n");
      return kExitOk;
    }
    int code = 0;
    bool done = false;
    if (!ChooseImport(*file, code, done) || done) return code;
    absl::StatusOr<std::unique_ptr<RowSource>> source = RowSource::Open(options_, *file);
    if (!source.ok()) return Report(source.status());
    source_ = *std::move(source);
    absl::Status opened = rejects_.Open(options_.rejects, options_.resume && resume_after_ > 0);
    if (!opened.ok()) return Report(opened);
    std::fprintf(stderr, "%s: %lld lines, %lld rows, as %s\n", options_.file.c_str(),
                 static_cast<long long>(lines_), static_cast<long long>(rows_total_),
                 name_.c_str());
    CatchInterrupts();
    progress_ = std::make_unique<Progress>(rows_total_, resume_after_);
    code = Send();
    progress_->Finish();
    return Summarise(code);
  }

 private:
  // The whole file is read once before anything is sent, so that a file that turns unreadable
  // halfway is not imported halfway.
  absl::Status Check(const MappingFile& file) {
    absl::StatusOr<std::unique_ptr<RowSource>> source = RowSource::Open(options_, file);
    if (!source.ok()) return source.status();
    int64_t warnings = 0, last_rejected = 0;
    auto warn = [&] {
      for (const std::string& text : (*source)->TakeWarnings()) {
        if (++warnings <= static_cast<int64_t>(kShown)) {
          std::fprintf(stderr, "warning: %s\n", text.c_str());
        }
      }
    };
    while (true) {
      absl::StatusOr<const Item*> next = (*source)->Peek();
      if (!next.ok()) return next.status();
      warn();
      if (*next == nullptr) break;
      Item item = (*source)->Take();
      if (item.row.has_value()) {
        ++rows_total_;
      } else if (item.line != last_rejected) {
        ++rejected_lines_;
        last_rejected = item.line;
      }
    }
    if (warnings > static_cast<int64_t>(kShown)) {
      std::fprintf(stderr, "warning: %lld more lines with warnings\n",
                   static_cast<long long>(warnings - static_cast<int64_t>(kShown)));
    }
    lines_ = (*source)->lines();
    content_ = {options_.file, options_.mapping};
    const std::vector<std::string>& tables = (*source)->mapping().table_files();
    content_.insert(content_.end(), tables.begin(), tables.end());
    return absl::OkStatus();
  }

  // Decides under which id the rows go. False: `code` says why not. `done`: nothing is left to do.
  bool ChooseImport(const MappingFile&, int& code, bool& done) {
    std::string id = options_.import_id;
    if (id.empty()) {
      absl::StatusOr<std::string> made = ContentUuid(content_);
      if (!made.ok()) {
        code = Report(made.status());
        return false;
      }
      id = *std::move(made);
    }
    name_ = "imports/" + id;
    if (options_.dry_run) return true;
    v1::GetImportRequest request;
    request.set_name(name_);
    v1::Import known;
    std::unique_ptr<grpc::ClientContext> context = connection_.Unary();
    grpc::Status status = stub_->GetImport(context.get(), request, &known);
    if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
      if (options_.resume) std::fprintf(stderr, "nothing to resume: this import was never begun\n");
      return true;
    }
    if (!status.ok()) {
      code = Report(status, "GetImport");
      return false;
    }
    import_ = known;
    if (options_.resume) {
      if (known.state() == v1::IMPORT_STATE_COMPLETED) {
        std::fprintf(stderr, "nothing to resume: %s is complete (%lld rows)\n", name_.c_str(),
                     static_cast<long long>(known.committed_row()));
        done = true;
        code = known.rows_failed() > 0 ? kExitRejects : kExitOk;
        return true;
      }
      if (known.state() == v1::IMPORT_STATE_CANCELLED) {
        std::fprintf(stderr, "relais: %s was cancelled and takes no more rows\n", name_.c_str());
        code = kExitRefused;
        return false;
      }
      resume_after_ = known.committed_row();
      std::fprintf(stderr, "resuming after row %lld\n", static_cast<long long>(resume_after_));
      return true;
    }
    if (!options_.import_id.empty()) return true;
    if (known.state() == v1::IMPORT_STATE_RUNNING) {
      std::fprintf(stderr,
                   "an earlier import of this file stopped after row %lld; --resume goes on there. "
                   "Starting afresh\n",
                   static_cast<long long>(known.committed_row()));
    }
    // What was imported before is recognised row by row, so a fresh id changes nothing twice.
    name_ = "imports/" + RandomUuid();
    import_.Clear();
    return true;
  }

  // Nothing when the file is at its end.
  absl::StatusOr<std::optional<Chunk>> NextChunk() {
    Chunk chunk;
    size_t bytes = 0;
    while (true) {
      absl::StatusOr<const Item*> next = source_->Peek();
      if (!next.ok()) return next.status();
      bool full = chunk.request.rows_size() >= options_.chunk_rows || bytes >= kChunkBytes;
      if (*next == nullptr || (full && (*next)->row.has_value())) {
        chunk.request.set_complete(*next == nullptr && !options_.dry_run);
        break;
      }
      Item item = source_->Take();
      chunk.last_line = item.line;
      if (!item.row.has_value()) {
        if (taken_ >= resume_after_) chunk.rejects.emplace_back(item.line, std::move(item.reject));
        continue;
      }
      taken_ = item.row->row();
      // The last row goes in any case: a chunk that completes the import must have one.
      if (taken_ <= resume_after_ && taken_ != rows_total_) continue;
      bytes += item.row->ByteSizeLong();
      chunk.lines.push_back(item.line);
      chunk.request.mutable_rows()->AddAllocated(new v1::ImportRow(*std::move(item.row)));
    }
    if (chunk.request.rows_size() == 0) {
      for (auto& [line, reject] : chunk.rejects) AddReject(line, reject);
      return std::optional<Chunk>();
    }
    chunk.request.set_name(name_);
    size_t slash = options_.file.rfind('/');
    chunk.request.set_display_name(slash == std::string::npos ? options_.file
                                                              : options_.file.substr(slash + 1));
    chunk.request.set_rows_total(rows_total_);
    chunk.request.set_validate_only(options_.dry_run);
    return std::optional<Chunk>(std::move(chunk));
  }

  void AddReject(int64_t line, const Reject& reject) {
    rejects_.Add(line, reject.field, reject.reason);
  }

  void Acknowledge(const Chunk& chunk, const v1::ImportRowsResponse& response) {
    if (!options_.dry_run) import_ = response.import();
    std::vector<std::pair<int64_t, Reject>> all = chunk.rejects;
    int64_t first = chunk.request.rows(0).row();
    for (const v1::ImportRowResult& result : response.results()) {
      if (result.outcome() != v1::IMPORT_ROW_OUTCOME_FAILED) continue;
      ++failed_rows_;
      size_t index = static_cast<size_t>(result.row() - first);
      int64_t line = index < chunk.lines.size() ? chunk.lines[index] : 0;
      std::string kind;
      if (index < chunk.lines.size()) {
        const v1::ImportRow& row = chunk.request.rows(static_cast<int>(index));
        const auto* content = row.GetReflection()->GetOneofFieldDescriptor(
            row, v1::ImportRow::descriptor()->FindOneofByName("content"));
        if (content != nullptr) kind = content->name();
      }
      std::string reason = ReasonOf(result.status());
      std::string head = absl::StrCat(kind, ": ", CodeName(result.status().code()),
                                      reason.empty() ? "" : " ", reason, ": ");
      std::vector<Complaint> complaints = ComplaintsOf(result.status());
      if (complaints.empty()) complaints.push_back({"", result.status().message()});
      for (const Complaint& complaint : complaints) {
        // "rows[3].capture.lead...": the place in the chunk says nothing to who reads the file.
        std::string field = complaint.field;
        if (field.starts_with("rows[")) field.erase(0, field.find("].") + 2);
        all.emplace_back(line, Reject{std::move(field), head + complaint.text});
      }
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [line, reject] : all) AddReject(line, reject);
    sent_rows_ += chunk.request.rows_size();
    progress_->Advance(chunk.request.rows(chunk.request.rows_size() - 1).row(), failed_rows_);
  }

  int Send() {
    std::deque<Chunk> in_flight;
    bool exhausted = false;
    int attempt = 0;
    while (true) {
      std::unique_ptr<grpc::ClientContext> context = connection_.Stream();
      auto stream = stub_->ImportLeads(context.get());
      bool alive = true;
      // After a cut: everything unanswered goes again; the server skips what it has committed.
      for (const Chunk& chunk : in_flight) alive = alive && stream->Write(chunk.request);
      while (alive) {
        while (alive && !exhausted && !Interrupted() && in_flight.size() < kWindow) {
          absl::StatusOr<std::optional<Chunk>> chunk = NextChunk();
          if (!chunk.ok()) {
            context->TryCancel();
            return Report(chunk.status());
          }
          if (!chunk->has_value()) {
            exhausted = true;
            break;
          }
          exhausted = (*chunk)->request.complete();
          in_flight.push_back(**std::move(chunk));
          alive = stream->Write(in_flight.back().request);
        }
        if (!alive || in_flight.empty()) break;
        v1::ImportRowsResponse response;
        alive = stream->Read(&response);
        if (!alive) break;
        Acknowledge(in_flight.front(), response);
        if (!rejects_.Flush()) {
          context->TryCancel();
          std::fprintf(stderr, "relais: %s cannot be written\n", options_.rejects.c_str());
          return kExitUsage;
        }
        in_flight.pop_front();
        attempt = 0;
      }
      stream->WritesDone();
      grpc::Status status = stream->Finish();
      if (in_flight.empty() && (exhausted || Interrupted())) {
        // Everything was answered; how the stream ends no longer matters.
        return exhausted ? kExitOk : kExitInterrupted;
      }
      bool again = status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE ||
                   status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED;
      if (!again || ++attempt > kAttempts || Interrupted()) {
        progress_->Finish();
        if (Interrupted()) return kExitInterrupted;
        return Report(status, "ImportLeads");
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(std::min(100 << attempt, 5000)));
    }
  }

  int Summarise(int code) {
    if (options_.dry_run) {
      std::fprintf(stderr,
                   "dry run, nothing was written: %lld rows checked, %lld would be refused, %lld "
                   "lines cannot be mapped\n"
                   "a row that rests on an earlier line of this file can only be checked together "
                   "with it, in one chunk, and may be refused here although it would pass\n",
                   static_cast<long long>(sent_rows_), static_cast<long long>(failed_rows_),
                   static_cast<long long>(rejected_lines_));
    } else {
      std::fprintf(stderr,
                   "%lld rows recorded, %lld unchanged, %lld refused; %lld lines left out before "
                   "sending\n",
                   static_cast<long long>(import_.rows_done()),
                   static_cast<long long>(import_.rows_unchanged()),
                   static_cast<long long>(import_.rows_failed()),
                   static_cast<long long>(rejected_lines_));
      if (code == kExitInterrupted) {
        std::fprintf(stderr, "stopped; the same command with --resume goes on after row %lld\n",
                     static_cast<long long>(import_.committed_row()));
      }
    }
    rejects_.Show();
    if (code != kExitOk) return code;
    int64_t failed = options_.dry_run ? failed_rows_ : import_.rows_failed();
    return failed > 0 || rejected_lines_ > 0 ? kExitRejects : kExitOk;
  }

  const Connection& connection_;
  const ImportOptions& options_;
  std::unique_ptr<v1::ImportService::Stub> stub_;
  std::unique_ptr<RowSource> source_;
  std::unique_ptr<Progress> progress_;
  Rejects rejects_;
  std::vector<std::string> content_;
  std::string name_;
  v1::Import import_;  // as last answered
  int64_t lines_ = 0, rows_total_ = 0, rejected_lines_ = 0;
  int64_t resume_after_ = 0, taken_ = 0, sent_rows_ = 0, failed_rows_ = 0;
};

}  // namespace

int RunImport(const Connection& connection, const ImportOptions& options) {
  return Importer(connection, options).Run();
}

}  // namespace relais::cli
