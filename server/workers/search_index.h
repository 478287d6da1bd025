// A reaction: the search index follows the feed. Reads what changed of leads in the order of the
// log, reckons the words of each lead as it stands, and replaces them together with its position in
// one transaction. So any number of servers may run it at once: a batch of work is kept by one.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/domain/clock.h"
#include "server/domain/ids.h"
#include "server/domain/lead.h"
#include "server/runtime/metrics.h"
#include "storage/store.h"

namespace relais::workers {

// Everything a lead may be found by: its names, e-mails, company and phones, cut and folded as
// queries are. Each pair of word and field once.
std::vector<storage::SearchTerm> SearchTermsOf(const domain::Lead& lead);

// Thread-safe. Store, clock and metrics outlive it.
class SearchIndex {
 public:
  // Follows the feed of one tenant: at once after commits of this server, and every `poll` for
  // those of others.
  SearchIndex(storage::Store& store, const domain::Clock& clock, runtime::Metrics& metrics,
              domain::TenantId tenant,
              std::chrono::milliseconds poll = std::chrono::milliseconds(200));
  SearchIndex(const SearchIndex&) = delete;
  SearchIndex& operator=(const SearchIndex&) = delete;
  ~SearchIndex();

  // Returns once everything committed before the call is indexed, or with the error that stands in
  // the way.
  absl::Status DrainForTest();
  // Ends the thread. Idempotent.
  void Stop();

 private:
  // What one look at the feed found.
  struct Page {
    std::vector<std::pair<domain::LeadId, std::vector<storage::SearchTerm>>> leads;
    std::vector<std::pair<std::string, std::string>> transitions;  // from, to
    int64_t up_to = 0;        // everything up to this event was looked at
    domain::Timestamp first;  // record_time of the first event that was found
    bool more = false;        // the feed goes on behind it
  };

  void Run();
  // One page; answers whether there is more.
  absl::StatusOr<bool> Step();
  absl::StatusOr<Page> ReadPage();

  storage::Store& store_;
  const domain::Clock& clock_;
  runtime::Metrics& metrics_;
  const domain::TenantId tenant_;
  const std::chrono::milliseconds poll_;
  prometheus::Gauge& lag_;

  std::mutex step_mutex_;        // one step at a time
  bool position_known_ = false;  // false: read it from storage before the next step
  int64_t kept_ = 0;             // the position in storage
  int64_t seen_ = 0;             // looked at; between `kept_` and it nothing concerns the index

  std::mutex mutex_;
  std::condition_variable changed_;
  bool nudged_ = true;
  bool stopping_ = false;
  std::shared_ptr<void> subscription_;
  std::thread thread_;
};

}  // namespace relais::workers
