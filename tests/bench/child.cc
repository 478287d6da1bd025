#include "tests/bench/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <sstream>
#include <stdexcept>

namespace relais::bench {
namespace {

struct Started {
  pid_t pid;
  int output;
};

// Everything the child needs is made before fork: after it, only calls that are safe there.
Started Start(std::vector<std::string> command, bool errors_too) {
  std::vector<char*> argv;
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("cannot fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(ends[1], STDOUT_FILENO);
    if (errors_too) dup2(ends[1], STDERR_FILENO);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  close(ends[1]);
  return {pid, ends[0]};
}

int WaitFor(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

struct ProcessTimes {
  pid_t parent = 0;
  double own = 0, ended_children = 0;
};

ProcessTimes TimesOf(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  // A process that ends meanwhile gives nothing.
  std::string text;
  std::getline(in, text);
  const size_t name_end = text.rfind(')');
  ProcessTimes out;
  if (name_end == std::string::npos) return out;
  std::istringstream words(text.substr(name_end + 2));
  const std::vector<std::string> fields{std::istream_iterator<std::string>(words), {}};
  const double tick = 1e6 / static_cast<double>(sysconf(_SC_CLK_TCK));
  out.parent = std::stoi(fields.at(1));
  out.own = (std::stod(fields.at(11)) + std::stod(fields.at(12))) * tick;
  out.ended_children = (std::stod(fields.at(13)) + std::stod(fields.at(14))) * tick;
  return out;
}

double UsageMicros(int who) {
  rusage usage{};
  getrusage(who, &usage);
  auto micros = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_usec);
  };
  return micros(usage.ru_utime) + micros(usage.ru_stime);
}

}  // namespace

std::string RunCommand(const std::vector<std::string>& command) {
  const Started child = Start(command, /*errors_too=*/true);
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t n; (n = read(child.output, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<size_t>(n));
  }
  close(child.output);
  const int status = WaitFor(child.pid);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw std::runtime_error(command.front() + " failed: " +
                             text.substr(text.size() - std::min<size_t>(text.size(), 2000)));
  }
  return text;
}

ServerProcess::ServerProcess(const std::vector<std::string>& command) {
  const Started child = Start(command, /*errors_too=*/false);
  pid_ = child.pid;
  output_ = child.output;
  std::string line;
  for (char c = 0; read(output_, &c, 1) == 1 && c != '\n';) line.push_back(c);
  const std::string listening = "listening on ";
  if (line.rfind(listening, 0) != 0) {
    Stop();
    throw std::runtime_error(command.front() + " did not start: " + line);
  }
  address_ = line.substr(listening.size());
}

ServerProcess::~ServerProcess() { Stop(); }

void ServerProcess::Stop() {
  if (pid_ < 0) return;
  // One that has ended before it was told to is worth a word: its figures are not.
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) == pid_) {
    std::cerr << "a server had ended by itself: "
              << (WIFSIGNALED(status) ? "signal " : "exit code ")
              << (WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)) << std::endl;
  } else {
    kill(pid_, SIGTERM);
    status = WaitFor(pid_);
    if (WIFSIGNALED(status) && WTERMSIG(status) != SIGTERM) {
      std::cerr << "a server died of signal " << WTERMSIG(status) << " as it stopped" << std::endl;
    }
  }
  close(output_);
  pid_ = -1;
}

double CpuMicros(pid_t pid) { return TimesOf(pid).own; }

double TreeCpuMicros(pid_t pid) {
  std::map<pid_t, ProcessTimes> all;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") == std::string::npos) {
      all[std::stoi(name)] = TimesOf(std::stoi(name));
    }
  }
  double sum = 0;
  for (const auto& [id, times] : all) {
    pid_t at = id;
    while (at != pid && all.count(at) != 0) at = all[at].parent;
    if (at == pid) sum += times.own + times.ended_children;
  }
  return sum;
}

double OwnCpuMicros() { return UsageMicros(RUSAGE_SELF); }

double EndedChildrenCpuMicros() { return UsageMicros(RUSAGE_CHILDREN); }

}  // namespace relais::bench
