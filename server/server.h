// The composition root: makes the parts of a server, ties them together, starts and stops them.
#pragma once

#include <grpcpp/server.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/convert/digest.h"
#include "server/convert/page_token.h"
#include "server/domain/clock.h"
#include "server/runtime/authentication.h"
#include "server/runtime/clock.h"
#include "server/runtime/metrics.h"
#include "server/runtime/options.h"
#include "server/services/feed_hub.h"
#include "server/services/serve.h"
#include "server/services/streams.h"
#include "server/workers/handoffs.h"
#include "server/workers/reactor.h"
#include "server/workers/score_keeper.h"
#include "server/workers/search_index.h"
#include "server/workers/segments.h"
#include "server/workers/sweeper.h"
#include "storage/store.h"

namespace relais {

// What tests put in the place of the real parts. What is handed in outlives the server.
struct ServerParts {
  const domain::Clock* clock = nullptr;  // null: the machine's
  domain::IdSource* ids = nullptr;       // null: UUIDv7 from the clock and the system's randomness
  bool strict_store = false;             // storage's test modes
  services::FeedTiming feed;
  std::chrono::milliseconds health_poll{200};
  bool reactions_run = true;                    // false: only when a test steps them
  std::chrono::milliseconds score_poll{5'000};  // between two looks for scores that are due
};

// Thread-safe.
class Server {
 public:
  // Opens the database and serves. Errors, all with a message for whoever typed the flags:
  // INVALID_ARGUMENT for options that contradict each other or an address that cannot be bound;
  // FAILED_PRECONDITION for a key file or a schema that must not be used; UNAVAILABLE when the
  // database or the key file cannot be reached.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const runtime::Options& options,
                                                       const ServerParts& parts = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();  // Shutdown

  // The port of each listening address, in the order of the options; 0 for a Unix socket.
  const std::vector<int>& ports() const { return ports_; }

  // Returns when a Shutdown has ended.
  void Wait();
  // Stops in order: health says NOT_SERVING, streams end, calls under way finish within the grace
  // (then they are cut), workers and storage stop. Idempotent.
  void Shutdown();

  storage::Store& store() { return *store_; }
  runtime::Metrics& metrics() { return metrics_; }
  workers::SearchIndex& search_index() { return *search_index_; }
  workers::Reactor& handoff_reactor() { return *handoff_reactor_; }
  workers::Reactor& segment_reactor() { return *segment_reactor_; }
  workers::HandoffClock& handoff_clock() { return *handoff_clock_; }
  workers::ScoreKeeper& score_keeper() { return *score_keeper_; }

 private:
  Server(const runtime::Options& options, const ServerParts& parts);
  absl::Status Open();
  absl::Status Listen(const std::vector<runtime::Address>& addresses);
  void SetServing(bool serving);
  void WatchHealth();

  const runtime::Options options_;
  const ServerParts parts_;
  const runtime::SystemClock system_clock_;
  const domain::Clock& clock_;
  runtime::Uuid7Source system_ids_;
  domain::IdSource& ids_;
  runtime::Uuid7Source call_ids_;
  runtime::LoopbackAuthenticator authenticator_;
  runtime::Metrics metrics_;
  services::Streams streams_;
  std::unique_ptr<convert::Digester> digester_;
  std::unique_ptr<convert::PageTokens> pages_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<services::FeedHub> feed_;
  std::unique_ptr<services::Edge> edge_;
  std::vector<std::unique_ptr<services::Endpoint>> endpoints_;
  std::unique_ptr<workers::SearchIndex> search_index_;
  std::unique_ptr<workers::Reactor> handoff_reactor_, segment_reactor_;
  std::unique_ptr<workers::HandoffClock> handoff_clock_;
  std::unique_ptr<workers::ScoreKeeper> score_keeper_;
  std::unique_ptr<workers::Sweeper> sweeper_;
  std::vector<int> ports_;
  std::unique_ptr<grpc::Server> server_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool stopped_ = false;
  std::thread health_thread_;
};

}  // namespace relais
