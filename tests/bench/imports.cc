// The comparisons of imports.
#include <chrono>
#include <exception>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/bench/ground.h"

namespace relais::bench {
namespace {

const std::string kClock = "SELECT extract(epoch FROM clock_timestamp()) * 1e6; ";

}  // namespace

void Imports(Ground& ground) {
  const int64_t rows = ground.settings().quick ? 3'000 : 20'000;
  Comparison comparison("import_vs_copy", "rows/s");
  // What the import wrote is copied out and, in another database, in again: so the two sides of a
  // pair have one order only.
  for (int pair = 0; pair < ground.settings().pairs; ++pair) {
    const std::string ours = ground.NewDatabase(), theirs = ground.NewDatabase();
    double imported = 0;
    {
      auto server = ground.Serve(ours);
      LeadClient client(server->address());
      Import import(TakeNumbers(rows), rows);
      ground.Rest({{server.get()}, {}});
      LoadResult cost;
      const double before = CpuMicros(server->pid()), own = OwnCpuMicros(),
                   database = ground.DatabaseCpu();
      imported = import.Run(client);
      const auto count = static_cast<double>(rows);
      cost.rate = imported;
      cost.server_cpu = (CpuMicros(server->pid()) - before) / count;
      cost.database_cpu = (ground.DatabaseCpu() - database) / count;
      cost.client_cpu = (OwnCpuMicros() - own) / count;
      ground.KeepCost("import, a row", cost);
      ground.Rest({{server.get()}, {}});
    }
    std::string out, in, tables;
    for (const std::string& table : CaptureTables()) {
      const std::string file = ground.pg().socket_dir() + "/" + table + ".copy";
      out += "COPY " + table + " TO '" + file + "'; ";
      in += "COPY " + table + " FROM '" + file + "'; ";
      tables += (tables.empty() ? "" : ", ") + table;
    }
    ground.pg().Execute(ours, out);
    ground.pg().Execute(theirs, "TRUNCATE " + tables + " CASCADE");
    ground.Rest({});
    const double before = ground.DatabaseCpu();
    // The server tells the time, so that the start of psql does not count.
    std::istringstream times(
        ground.pg().Execute(theirs, kClock + "BEGIN; " + in + "COMMIT; " + kClock));
    double begun = 0, done = 0;
    if (!(times >> begun >> done)) throw std::runtime_error("COPY told no times");
    LoadResult copy;
    copy.rate = static_cast<double>(rows) * 1e6 / (done - begun);
    copy.database_cpu = (ground.DatabaseCpu() - before) / static_cast<double>(rows);
    ground.KeepCost("COPY, a row of the import", copy);
    comparison.Add(imported, copy.rate);
    ground.Drop(ours);
    ground.Drop(theirs);
  }
  ground.Keep({comparison});
}

void CapturesBesideImport(Ground& ground) {
  constexpr double kCapturesPerSecond = 200;
  // More than any import can do in the time: it is cut off when the captures are through.
  const int64_t rows = ground.settings().quick ? 40'000 : 100'000;
  const std::string database = ground.NewDatabase();
  auto server = ground.Serve(database);
  LeadClient client(server->address()), importer(server->address());
  LoadPlan plan = ground.Plan(kManyCallers);
  plan.steady_rate = kCapturesPerSecond;
  auto p99 = [&](const char* what) {
    return Quantile(ground.Load(what, plan, {client.NewPeople()}, {server.get()}).micros, 0.99);
  };
  Comparison comparison("capture_p99_import_vs_idle", "us");
  double beside = 0, idle = 0;
  ground.Pairs(
      {{server.get()}, {database}},
      {[&] {
         Import import(TakeNumbers(rows), rows);
         std::exception_ptr error;
         std::thread thread([&] {
           try {
             import.Run(importer);
           } catch (...) {
             error = std::current_exception();
           }
         });
         try {
           beside = p99("capture, 200/s, beside an import");
         } catch (...) {
           import.Stop();
           thread.join();
           throw;
         }
         const bool throughout = import.Stop();
         thread.join();
         if (error) std::rethrow_exception(error);
         if (!throughout) throw std::runtime_error("the import ended before the captures did");
         Note("imported beside them: " + Text(static_cast<double>(import.answered()), 0) + " rows");
       },
       [&] { idle = p99("capture, 200/s"); }},
      [&] { comparison.Add(beside, idle); });
  ground.Keep({comparison});
}

}  // namespace relais::bench
