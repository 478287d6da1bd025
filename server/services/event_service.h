// EventService: the change feed.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "relais/v1/event_service.pb.h"
#include "server/services/serve.h"
#include "server/services/streams.h"

namespace relais::services {

// Watch: events after a point, then new ones as they are committed. Holds one page of events at
// most, however slow its reader.
class WatchStream final : public ServerStream<v1::WatchRequest, v1::WatchResponse> {
 public:
  using ServerStream::ServerStream;

 private:
  absl::Status Start(const v1::WatchRequest& request) override;
  void Produce() override;

  // Finds the place to start from, and proves that the caller's place belongs to this history.
  void FindPlace();
  void ReadPage();
  // Sends the next event of the page that the filter lets through; false when there is none.
  bool SendNext();
  void SendHeartbeat();
  void Deliver(const v1::WatchResponse& message);
  std::string ResumeToken() const;

  WatcherPlace place_;
  convert::WatchQuery query_;
  bool begun_ = false;
  int64_t number_ = 0;        // everything up to this event was looked at
  std::string digest_;        // of that event; empty for 0
  int64_t head_ = 0;          // of the feed, when storage was last read
  int64_t stop_after_ = 0;    // with until_now: the last event to be looked at
  int64_t told_number_ = -1;  // in the last message
  std::chrono::steady_clock::time_point told_at_ = std::chrono::steady_clock::now();
  std::vector<domain::Event> page_;
  size_t next_ = 0;  // in page_
};

class EventService final : public Endpoint {
 public:
  explicit EventService(const Edge& edge);
};

}  // namespace relais::services
