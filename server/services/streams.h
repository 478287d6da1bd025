// Streams: calls that send or take many messages, one at a time.
//
// At any moment exactly one party holds a stream: the code that runs on its behalf, or the one
// asynchronous operation that it waits for (a read from storage, a write to the wire, the hub).
// Only the holder sends, ends or starts the next operation, so a stream needs no lock.
#pragma once

#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/services/exchange.h"
#include "server/services/feed_hub.h"

namespace relais::services {

// UNAVAILABLE, reason SHUTTING_DOWN, with RetryInfo: the stream ended well and may be taken up
// again elsewhere.
absl::Status ShuttingDown();

// The open streams of a server, for its stop. Thread-safe.
class Streams {
 public:
  explicit Streams(int max_watchers) : max_watchers_(max_watchers) {}

  // A stream, and how to tell it that it should end soon; `soon` may be called after the member is
  // gone.
  class Member {
   public:
    Member(Streams& streams, std::function<void()> soon);
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;
    ~Member();

   private:
    friend class Streams;
    Streams& streams_;
    std::function<void()> soon_;
  };

  // A place among those that may wait for ever; false when all are taken.
  bool EnterWatcher();
  void LeaveWatcher();

  bool draining() const { return draining_.load(); }
  // Every stream is told to end; those that come later end at once.
  void Drain();

 private:
  const int max_watchers_;
  std::atomic<bool> draining_{false};
  std::atomic<int> watchers_{0};
  std::mutex mutex_;
  std::vector<Member*> members_;
};

// A server stream. A subclass answers each Produce() with one Send or one End, now or later.
template <class Request, class Response>
class ServerStream : public grpc::ServerWriteReactor<grpc::ByteBuffer>,
                     public std::enable_shared_from_this<ServerStream<Request, Response>> {
 public:
  using RequestType = Request;
  using ResponseType = Response;

  ServerStream(const Edge& edge, const Method& method, grpc::CallbackServerContext* context)
      : exchange_(edge, method, context) {}

  void Open(const grpc::ByteBuffer& in) {
    self_ = this->shared_from_this();
    absl::Status status;
    try {
      status = exchange_.Admit();
      if (status.ok()) status = FromBytes(in, &request_);
      if (status.ok()) status = Start(request_);
    } catch (...) {
      status = CaughtException();
    }
    if (!status.ok()) return End(status);
    Next();
  }

 protected:
  // Reads the request; an error ends the stream.
  virtual absl::Status Start(const Request& request) = 0;
  virtual void Produce() = 0;

  const Exchange& exchange() const { return exchange_; }
  const Edge& edge() const { return exchange_.edge(); }

  void Send(const Response& message) {
    buffer_.Clear();
    ToBytes(message, &buffer_);
    this->StartWrite(&buffer_);
  }
  void End(const absl::Status& status) { this->Finish(exchange_.Close(status)); }

  // The next Produce, unless the caller is gone or the server stops.
  void Next() {
    if (exchange_.cancelled()) return End(absl::CancelledError());
    if (edge().streams.draining()) return End(ShuttingDown());
    try {
      Produce();
    } catch (...) {
      End(CaughtException());
    }
  }

  // One reading of storage on behalf of the stream. `then` holds the stream again.
  void ReadStore(storage::ReadBody body, std::function<void(const absl::Status&)> then) {
    storage::Call call = exchange_.call();
    call.deadline = std::min(call.deadline, std::chrono::steady_clock::now() + kUnaryDeadline);
    edge().store.Read(std::move(call), std::move(body),
                      [self = this->shared_from_this(),
                       then = std::move(then)](const absl::Status& status) { then(status); });
  }

  // Waits until the feed has moved past `after_number` or `quiet_at` has come; `quiet` says which.
  // `then` holds the stream again. A deadline of the call ends it through cancellation.
  void AwaitFeed(int64_t after_number, std::chrono::steady_clock::time_point quiet_at,
                 std::function<void(bool quiet)> then) {
    edge().feed.Wait(
        {exchange_.call(), after_number, quiet_at,
         [self = this->shared_from_this(), this, then = std::move(then)](FeedHub::Wake wake) {
           if (wake == FeedHub::Wake::kGone) {
             return End(exchange_.cancelled() ? absl::CancelledError() : ShuttingDown());
           }
           then(wake == FeedHub::Wake::kQuiet);
         }});
  }

 private:
  void OnWriteDone(bool ok) override {
    if (!ok) return End(absl::CancelledError());
    Next();
  }
  void OnCancel() override {
    exchange_.Cancel();
    edge().feed.Nudge();
  }
  void OnDone() override { self_.reset(); }

  Exchange exchange_;
  Request request_;
  grpc::ByteBuffer buffer_;
  std::shared_ptr<ServerStream> self_;  // until gRPC has done with it
};

// A stream that answers each request with one response, in order, the next request read only after
// the answer to the one before has been sent: that is its back-pressure. A subclass answers each
// Handle() with one Answer or one End, now or later.
template <class Request, class Response>
class BidiStream : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                   public std::enable_shared_from_this<BidiStream<Request, Response>> {
 public:
  using RequestType = Request;
  using ResponseType = Response;

  BidiStream(const Edge& edge, const Method& method, grpc::CallbackServerContext* context)
      : exchange_(edge, method, context) {}

  void Open() {
    self_ = this->shared_from_this();
    if (absl::Status status = exchange_.Admit(); !status.ok()) return End(status);
    member_.emplace(edge().streams, [weak = this->weak_from_this()] {
      if (auto self = weak.lock()) self->EndIfIdle();
    });
    ReadNext();
  }

 protected:
  virtual void Handle(const Request& request) = 0;

  const Exchange& exchange() const { return exchange_; }
  const Edge& edge() const { return exchange_.edge(); }

  void Answer(const Response& message) {
    out_.Clear();
    ToBytes(message, &out_);
    this->StartWrite(&out_);
  }
  void End(const absl::Status& status) {
    {
      std::lock_guard lock(mutex_);
      state_ = State::kEnded;
    }
    Close(status);
  }
  // Where the last write of the stream was committed; told when it ends.
  void SetCommitted(const storage::Committed& committed) { committed_ = committed; }

 private:
  // While a request is awaited, the stream is held by the wire and may also be ended by the stop of
  // the server; the lock decides who of the two comes first.
  enum class State { kWorking, kIdle, kEnded };

  void ReadNext() {
    if (exchange_.cancelled()) return End(absl::CancelledError());
    {
      std::lock_guard lock(mutex_);
      // Asked under the lock: a Drain that comes later finds the stream idle.
      if (!edge().streams.draining()) {
        state_ = State::kIdle;
        in_.Clear();
        return this->StartRead(&in_);
      }
    }
    End(ShuttingDown());
  }
  void EndIfIdle() {
    {
      std::lock_guard lock(mutex_);
      if (state_ != State::kIdle) return;
      state_ = State::kEnded;
    }
    Close(ShuttingDown());
  }
  void Close(const absl::Status& status) {
    if (committed_.has_value()) exchange_.AddCommitted(*committed_, /*replayed=*/false);
    this->Finish(exchange_.Close(status));
  }
  void OnReadDone(bool ok) override {
    {
      std::lock_guard lock(mutex_);
      if (state_ == State::kEnded) return;
      state_ = State::kWorking;
    }
    if (!ok) return End(exchange_.cancelled() ? absl::CancelledError() : absl::OkStatus());
    absl::Status status;
    try {
      request_.Clear();
      status = FromBytes(in_, &request_);
      if (status.ok()) Handle(request_);
    } catch (...) {
      status = CaughtException();
    }
    if (!status.ok()) End(status);
  }
  void OnWriteDone(bool ok) override {
    if (!ok) return End(absl::CancelledError());
    ReadNext();
  }
  void OnCancel() override { exchange_.Cancel(); }
  void OnDone() override {
    member_.reset();
    self_.reset();
  }

  Exchange exchange_;
  Request request_;
  grpc::ByteBuffer in_, out_;
  std::mutex mutex_;
  State state_ = State::kWorking;
  std::optional<storage::Committed> committed_;
  std::optional<Streams::Member> member_;
  std::shared_ptr<BidiStream> self_;  // until gRPC has done with it
};

// Holds one of the places for watchers while it lives.
class WatcherPlace {
 public:
  WatcherPlace() = default;
  WatcherPlace(const WatcherPlace&) = delete;
  WatcherPlace& operator=(const WatcherPlace&) = delete;
  ~WatcherPlace();
  // RESOURCE_EXHAUSTED, reason OVERLOADED, when all are taken.
  absl::Status Take(const Edge& edge);

 private:
  const Edge* edge_ = nullptr;
};

}  // namespace relais::services
