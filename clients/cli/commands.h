// The commands of `relais`, free of flag parsing. Each prints to the standard and error outputs and
// returns an ExitCode. One at a time a process: they share the interrupt flag.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "clients/cli/connection.h"

namespace relais::cli {

// True once the process was asked to stop (SIGINT, SIGTERM) after CatchInterrupts().
bool Interrupted();
void CatchInterrupts();

struct ImportOptions {
  std::string file, mapping;
  std::string rejects;    // CSV of what was refused; empty: the first ones go to the error output
  std::string import_id;  // UUID; empty: made of the content
  int chunk_rows = 500;   // 1 to 1000
  bool dry_run = false, resume = false;
};
int RunImport(const Connection& connection, const ImportOptions& options);

struct ExportOptions {
  std::string filter;
  std::vector<std::string> columns;  // paths of Lead; empty: kDefaultColumns
  std::string output;                // empty: standard output
  bool json = false;                 // a JSON object a line instead of CSV
};
int RunExport(const Connection& connection, const ExportOptions& options);

struct WatchOptions {
  std::string filter;
  std::string token;             // resume after it
  std::string token_file;        // read at the start, replaced after what it stands for was printed
  std::string append;            // JSON lines appended to this file, which is its own resume point
  std::optional<int64_t> after;  // event number; absent: -1, only what comes now
  bool until_now = false, json = false;
};
int RunWatch(const Connection& connection, const WatchOptions& options);

enum class TableFormat { kText, kJson, kCsv };
struct FunnelOptions {
  std::string by;             // "", "channel", "source", "month"
  std::string market;         // "", "b2b", "b2c"
  std::string since, before;  // bounds of the first touch; dates or RFC 3339
  TableFormat format = TableFormat::kText;
};
int RunFunnel(const Connection& connection, const FunnelOptions& options);

// Writes `text` into a file beside `path`, flushes it to the disk and renames it over `path`.
absl::Status ReplaceFile(const std::string& path, const std::string& text);

}  // namespace relais::cli
