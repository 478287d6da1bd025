#include <CLI/CLI.hpp>

#include "clients/cli/commands.h"

namespace relais::cli {
namespace {

constexpr char kFooter[] =
    "Exit codes: 0 done; 1 the server refused the call; 2 flags, mapping or file are wrong, "
    "nothing "
    "was sent;\n3 an import ended and left out rows; 4 no server in reach, or no answer in time; "
    "130 "
    "interrupted.";

int Run(int argc, char** argv) {
  CLI::App app(
      "relais: moves leads in and out of a Relais server, follows its feed, shows figures");
  app.require_subcommand(1);
  app.footer(kFooter);
  app.set_version_flag("--version", "relais 0.1.0");

  ConnectionOptions to;
  app.add_option("--server", to.server, "host:port or unix:/path")
      ->envname("RELAIS_SERVER")
      ->capture_default_str();
  app.add_option("--token", to.token, "bearer token; better in RELAIS_TOKEN")
      ->envname("RELAIS_TOKEN");
  app.add_option("--ca", to.ca_file, "PEM file of the certificates to trust; turns TLS on")
      ->envname("RELAIS_CA");
  app.add_flag("--plaintext", to.plaintext, "no TLS to another machine")
      ->envname("RELAIS_PLAINTEXT");
  app.add_option("--timeout", to.timeout_seconds, "seconds a call may take; streams have no limit")
      ->envname("RELAIS_TIMEOUT")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();

  ImportOptions import;
  CLI::App* import_app = app.add_subcommand("import", "Imports a CSV file by a mapping file");
  import_app->fallthrough();
  import_app->add_option("file", import.file, "the CSV file")->required();
  import_app->add_option("--map", import.mapping, "the mapping, YAML; see MAPPING.md")->required();
  import_app->add_option("--rejects", import.rejects,
                         "CSV file of what was refused: row (line of the file), field, reason");
  import_app->add_option("--import-id", import.import_id,
                         "UUID of the import; default: made of the content of file and mapping");
  import_app->add_option("--chunk", import.chunk_rows, "rows a transaction")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  import_app->add_flag("--dry-run", import.dry_run, "check only, write nothing");
  import_app->add_flag("--resume", import.resume, "go on where an import of this file stopped");

  ExportOptions exporting;
  CLI::App* export_app = app.add_subcommand("export", "Writes leads as CSV");
  export_app->fallthrough();
  export_app->add_option("--filter", exporting.filter,
                         "such as 'stage = PROSPECT AND score >= 40'");
  export_app
      ->add_option("--columns", exporting.columns,
                   "paths of Lead, such as name,person.emails.address")
      ->delimiter(',');
  export_app->add_option("-o,--output", exporting.output, "file; default: standard output");
  export_app->add_flag("--json", exporting.json, "whole leads, a JSON object a line");

  WatchOptions watch;
  int64_t after = -1;
  CLI::App* watch_app = app.add_subcommand("watch", "Prints events as they are committed");
  watch_app->fallthrough();
  CLI::Option* after_option = watch_app->add_option(
      "--after", after, "event number to start after; 0: from the first; default: what comes now");
  watch_app->add_option("--from-token", watch.token, "resume token to start after")
      ->excludes(after_option);
  CLI::Option* token_file = watch_app->add_option(
      "--token-file", watch.token_file,
      "keeps the resume token: read at the start, replaced after each event was printed; a kill in "
      "between prints one event again");
  watch_app
      ->add_option("--append", watch.append,
                   "append JSON lines to this file and resume from its last line: each event once, "
                   "also after a kill")
      ->excludes(token_file);
  watch_app->add_option("--filter", watch.filter, "such as 'type = LEAD_TRANSITIONED'");
  watch_app->add_flag("--until-now", watch.until_now, "stop after what is committed now");
  watch_app->add_flag("--json", watch.json, "a JSON object a line");

  FunnelOptions funnel;
  bool json = false, csv = false;
  CLI::App* funnel_app = app.add_subcommand("funnel", "Shows the funnel");
  funnel_app->fallthrough();
  funnel_app->add_option("--by", funnel.by, "channel, source or month (of the first touch)")
      ->check(CLI::IsMember({"channel", "source", "month"}));
  funnel_app->add_option("--market", funnel.market, "b2b or b2c")
      ->check(CLI::IsMember({"b2b", "b2c"}));
  funnel_app->add_option("--since", funnel.since, "only first touches at or after this date");
  funnel_app->add_option("--before", funnel.before, "only first touches before this date");
  CLI::Option* json_option = funnel_app->add_flag("--json", json, "as JSON");
  funnel_app->add_flag("--csv", csv, "as CSV")->excludes(json_option);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kExitOk : kExitUsage;
  }
  absl::StatusOr<Connection> connection = Connection::Open(to);
  if (!connection.ok()) return Report(connection.status());
  if (import_app->parsed()) return RunImport(*connection, import);
  if (export_app->parsed()) return RunExport(*connection, exporting);
  if (watch_app->parsed()) {
    if (after_option->count() > 0 || !watch.append.empty()) {
      watch.after = after_option->count() > 0 ? after : 0;
    }
    return RunWatch(*connection, watch);
  }
  funnel.format = json ? TableFormat::kJson : csv ? TableFormat::kCsv : TableFormat::kText;
  return RunFunnel(*connection, funnel);
}

}  // namespace
}  // namespace relais::cli

int main(int argc, char** argv) { return relais::cli::Run(argc, argv); }
