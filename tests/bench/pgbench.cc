#include "tests/bench/pgbench.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/bench/child.h"

namespace relais::bench {
namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() {
    std::string name = fs::temp_directory_path() / "relais-pgbench-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
    path = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  fs::path path;
};

constexpr int kMoreSeconds = 3;

double NumberAfter(const std::string& text, const std::string& label) {
  const size_t at = text.find(label);
  if (at == std::string::npos) throw std::runtime_error("pgbench said: " + text);
  return std::strtod(text.c_str() + at + label.size(), nullptr);
}

}  // namespace

PgbenchResult RunPgbench(const std::string& dsn, const std::string& script, const PgbenchRun& run) {
  Folder folder;
  const fs::path file = folder.path / "script.sql";
  std::ofstream(file) << script;
  PgbenchResult result;
  // pgbench's time begins before it connects: on a busy machine a second may be over by then.
  for (int seconds = run.seconds; result.transactions == 0; ++seconds) {
    if (seconds > run.seconds + kMoreSeconds) throw std::runtime_error("pgbench does nothing");
    std::vector<std::string> command = {"pgbench", "-n",
                                        "-M",      "prepared",
                                        "-c",      std::to_string(run.clients),
                                        "-j",      std::to_string(run.threads),
                                        "-f",      file};
    command.push_back(run.transactions > 0 ? "-t" : "-T");
    command.push_back(std::to_string(run.transactions > 0 ? run.transactions : seconds));
    for (const std::string& variable : run.variables) {
      command.push_back("-D");
      command.push_back(variable);
    }
    if (run.latencies) {
      command.push_back("-l");
      command.push_back("--log-prefix=" + (folder.path / "log").string());
    }
    command.push_back(dsn);
    const double before = EndedChildrenCpuMicros();
    const std::string text = RunCommand(command);
    result.transactions =
        static_cast<int64_t>(NumberAfter(text, "number of transactions actually processed: "));
    if (result.transactions == 0) continue;
    result.rate = NumberAfter(text, "tps = ");
    result.client_cpu =
        (EndedChildrenCpuMicros() - before) / static_cast<double>(result.transactions);
    if (text.find("number of failed transactions: 0 ") == std::string::npos) {
      throw std::runtime_error("pgbench had failures: " + text);
    }
  }
  for (const auto& entry : fs::directory_iterator(folder.path)) {
    if (entry.path().filename().string().rfind("log", 0) != 0) continue;
    std::ifstream in(entry.path());
    for (std::string line; std::getline(in, line);) {
      std::istringstream words(line);
      int64_t client = 0, number = 0;
      double micros = 0;
      if (words >> client >> number >> micros) result.micros.push_back(micros);
    }
  }
  return result;
}

}  // namespace relais::bench
