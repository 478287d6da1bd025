// Child processes of the benchmark and the processor time they use. Errors are
// std::runtime_errors. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace relais::bench {

// Runs a command to its end and returns what it printed on both outputs; throws, with the end of
// that, when it fails.
std::string RunCommand(const std::vector<std::string>& command);

// A server that prints "listening on ADDRESS", killed with this process at the latest.
class ServerProcess {
 public:
  // Returns once it listens.
  explicit ServerProcess(const std::vector<std::string>& command);
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess();

  const std::string& address() const { return address_; }
  pid_t pid() const { return pid_; }
  void Stop();

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::string address_;
};

// Microseconds of processor time, user and system together.
double CpuMicros(pid_t pid);      // of one process
double TreeCpuMicros(pid_t pid);  // of it, of its living descendants and of its children that ended
double OwnCpuMicros();            // of this process
double EndedChildrenCpuMicros();  // of those it has waited for

}  // namespace relais::bench
