#include "tests/bench/load.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "tests/bench/child.h"

namespace relais::bench {
namespace {

using std::chrono::steady_clock;

// A server that is gone refuses thousands of calls a second: no use in going on.
constexpr int64_t kFailuresAtMost = 100;
constexpr int64_t kCheckEvery = 1000;
// An answer is waited for no longer than this. Watched by the loop instead of by a deadline in each
// call, which would cost both sides a timer.
constexpr auto kSilence = std::chrono::seconds(300);
// Requests made ahead: no more than a server could answer.
constexpr double kAnswersAtMost = 15'000;      // a second
constexpr double kAnswersOfOneCaller = 2'000;  // a second
constexpr size_t kRepeated = 20'000;           // of requests that may be sent again

struct PendingCall {
  grpc::ClientContext context;
  grpc::Status status;
  grpc::ByteBuffer reply;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  const std::string* request = nullptr;
  const CallKind* kind = nullptr;
  steady_clock::time_point start;
  size_t place = 0;  // among those under way
};

// The requests of one kind; those that were handed out stay where they are.
class Requests {
 public:
  Requests(const CallKind& kind, size_t ahead) : kind_(kind) {
    if (kind.again) ahead = std::min(ahead, kRepeated);
    for (size_t i = 0; i < ahead; ++i) made_.push_back(kind.request());
  }
  const std::string& Next() {
    if (next_ == made_.size()) {
      if (kind_.again && next_ > 0) {
        next_ = 0;
      } else {
        made_.push_back(kind_.request());
      }
    }
    return made_[next_++];
  }
  const CallKind& kind() const { return kind_; }

 private:
  const CallKind& kind_;
  std::deque<std::string> made_;
  size_t next_ = 0;
};

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string out;
  if (!buffer.Dump(&slices).ok()) return out;
  for (const grpc::Slice& slice : slices) {
    out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return out;
}

class Run {
 public:
  Run(const LoadPlan& plan, const std::vector<CallKind>& kinds) : plan_(plan) {
    const double seconds = std::chrono::duration<double>(plan.warm_up + plan.measured).count();
    const double rate = plan.steady_rate > 0
                            ? plan.steady_rate
                            : std::min(kAnswersAtMost, kAnswersOfOneCaller * plan.in_flight);
    for (const CallKind& kind : kinds) {
      requests_.emplace_back(kind, static_cast<size_t>(rate * seconds) / kinds.size());
    }
    result_.micros.reserve(static_cast<size_t>(rate * seconds));
  }

  LoadResult Go() {
    begin_ = steady_clock::now() + plan_.warm_up;
    end_ = begin_ + plan_.measured;
    due_ = steady_clock::now();
    if (plan_.steady_rate <= 0) {
      for (int i = 0; i < plan_.in_flight; ++i) Start(steady_clock::now());
    }
    while (!under_way_.empty() || (plan_.steady_rate > 0 && !finished_)) {
      if (plan_.steady_rate > 0) StartThoseDue();
      void* tag = nullptr;
      bool ok = false;
      const auto now = std::chrono::system_clock::now();
      auto until = now + kSilence;
      if (plan_.steady_rate > 0 && !finished_) {
        until = now + std::chrono::duration_cast<std::chrono::system_clock::duration>(
                          due_ - steady_clock::now());
      }
      const auto got = queue_.AsyncNext(&tag, &ok, until);
      if (got == grpc::CompletionQueue::GOT_EVENT) {
        std::unique_ptr<PendingCall> call(static_cast<PendingCall*>(tag));
        Leave(*call);
        Answered(*call);
        if (plan_.steady_rate <= 0 && !finished_) Start(steady_clock::now());
      } else if (plan_.steady_rate <= 0 || finished_) {
        Failed("no answer for five minutes");
        break;
      } else {
        Measure(steady_clock::now());
      }
    }
    for (PendingCall* call : under_way_) call->context.TryCancel();
    queue_.Shutdown();
    void* tag = nullptr;
    for (bool ok = false; queue_.Next(&tag, &ok);) delete static_cast<PendingCall*>(tag);
    return std::move(result_);
  }

 private:
  // At a steady rate a call counts from when it was due, however late this thread came to it.
  void Start(steady_clock::time_point due) {
    Requests& requests = requests_[turn_++ % requests_.size()];
    auto* call = new PendingCall;  // owned by the queue from here: it comes back as a tag
    call->kind = &requests.kind();
    call->request = &requests.Next();
    const grpc::Slice bytes(call->request->data(), call->request->size(),
                            grpc::Slice::STATIC_SLICE);
    const grpc::ByteBuffer buffer(&bytes, 1);
    if (call->kind->deadline.count() > 0) {
      call->context.set_deadline(std::chrono::system_clock::now() + call->kind->deadline);
    }
    call->start = due;
    call->reader =
        call->kind->stub->PrepareUnaryCall(&call->context, call->kind->method, buffer, &queue_);
    call->reader->StartCall();
    call->reader->Finish(&call->reply, &call->status, call);
    call->place = under_way_.size();
    under_way_.push_back(call);
  }

  void Leave(const PendingCall& call) {
    under_way_[call.place] = under_way_.back();
    under_way_[call.place]->place = call.place;
    under_way_.pop_back();
  }

  void StartThoseDue() {
    const auto now = steady_clock::now();
    while (!finished_ && due_ <= now) {
      Start(due_);
      due_ += std::chrono::duration_cast<steady_clock::duration>(
          std::chrono::duration<double>(1 / plan_.steady_rate));
    }
  }

  // Begins and ends the measured time.
  void Measure(steady_clock::time_point now) {
    auto read = [](const std::function<double()>& cpu) { return cpu ? cpu() : 0.0; };
    if (!measuring_ && now >= begin_) {
      measuring_ = true;
      server_ = read(plan_.server_cpu);
      database_ = read(plan_.database_cpu);
      client_ = OwnCpuMicros();
      begin_ = steady_clock::now();
      end_ = begin_ + plan_.measured;
    } else if (measuring_ && !finished_ && now >= end_) {
      finished_ = true;
      const auto calls = static_cast<double>(result_.ok);
      result_.rate = calls / std::chrono::duration<double>(now - begin_).count();
      if (result_.ok > 0) {
        result_.server_cpu = (read(plan_.server_cpu) - server_) / calls;
        result_.database_cpu = (read(plan_.database_cpu) - database_) / calls;
        result_.client_cpu = (OwnCpuMicros() - client_) / calls;
      }
    }
  }

  void Answered(const PendingCall& call) {
    const auto now = steady_clock::now();
    const bool counts = measuring_ && !finished_;
    if (!call.status.ok()) {
      Failed(call.status.error_message());
    } else if (answers_++ % kCheckEvery == 0 && call.kind->check) {
      ++result_.checked;
      const std::string wrong = call.kind->check(*call.request, BytesOf(call.reply));
      if (!wrong.empty()) Failed("a wrong answer: " + wrong);
    }
    if (counts && call.status.ok()) {
      ++result_.ok;
      result_.micros.push_back(std::chrono::duration<double, std::micro>(now - call.start).count());
    }
    Measure(now);
  }

  void Failed(const std::string& error) {
    if (result_.failed++ == 0) result_.first_error = error;
    if (result_.failed >= kFailuresAtMost) finished_ = true;
  }

  const LoadPlan& plan_;
  std::deque<Requests> requests_;
  grpc::CompletionQueue queue_;
  LoadResult result_;
  size_t turn_ = 0;
  std::vector<PendingCall*> under_way_;
  int64_t answers_ = 0;
  steady_clock::time_point begin_, end_, due_;
  bool measuring_ = false, finished_ = false;
  double server_ = 0, database_ = 0, client_ = 0;
};

}  // namespace

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);  // they keep a copy of each call
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  arguments.SetInt(GRPC_ARG_MINIMAL_STACK, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_CHANNELZ, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

LoadResult RunLoad(const LoadPlan& plan, const std::vector<CallKind>& kinds) {
  return Run(plan, kinds).Go();
}

}  // namespace relais::bench
