// How a call becomes a handler: the one wrapper for all services, a template over the message types
// on gRPC's callback API.
//
// Requests are taken as bytes and parsed here, because gRPC answers UNIMPLEMENTED to bytes that are
// not a message, while callers are owed INVALID_ARGUMENT and the field; and because who calls is
// settled before anything of the request is read.
//
// A handler has the form
//   absl::Status Handler(Reply<Response>& reply, const Request& request);
// An error ends the call with it. OK says that the handler has arranged for the end: exactly one
// Finish, now or later, on any thread. Handlers run on the few threads of gRPC and never block.
#pragma once

#include <grpcpp/impl/codegen/server_callback_handlers.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/support/server_callback.h>

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/arena.h"
#include "google/protobuf/descriptor.h"
#include "server/commands/commands.h"
#include "server/convert/decode.h"
#include "server/convert/encode.h"
#include "server/convert/response_size.h"
#include "server/domain/faults.h"
#include "server/domain/merge.h"
#include "server/domain/status_macros.h"
#include "server/services/exchange.h"
#include "storage/store.h"

namespace relais::services {

// What a handler sees of its call. Valid until Finish, after which it must not be touched.
template <class Response>
class Reply {
 public:
  virtual const Exchange& exchange() const = 0;
  const Edge& edge() const { return exchange().edge(); }
  const storage::Call& call() const { return exchange().call(); }
  convert::DecodeContext decoding() const { return exchange().decoding(); }

  // The answer; sent when the call ends well.
  virtual Response& answer() = 0;
  // The answer as bytes, in place of answer(); copied.
  virtual void SetAnswer(std::string_view bytes) = 0;
  // Nothing is answered yet, as at first.
  virtual void ClearAnswer() = 0;
  virtual void Finish(const absl::Status& status) = 0;
  // The end of a write that was committed.
  virtual void Finish(const storage::Committed& committed, bool replayed) = 0;

 protected:
  ~Reply() = default;
};

// Requests of calls that change something.
template <class Request>
concept HasRequestId = requires(const Request& request) {
  request.request_id();
};

template <class Request, class Response>
class UnaryReactor final : public grpc::ServerUnaryReactor, public Reply<Response> {
 public:
  UnaryReactor(const Edge& edge, const Method& method, grpc::CallbackServerContext* context,
               grpc::ByteBuffer* out)
      : exchange_(edge, method, context), arena_(memory_, sizeof(memory_)), out_(out) {}

  template <class Handler>
  void Run(const grpc::ByteBuffer& in, const Handler& handler) {
    absl::Status status;
    try {
      auto* request = google::protobuf::Arena::CreateMessage<Request>(&arena_);
      status = exchange_.Admit();
      if (status.ok()) status = FromBytes(in, request);
      if (status.ok()) status = handler(*this, *request);
    } catch (...) {
      status = CaughtException();
    }
    if (!status.ok()) Finish(status);
  }

  const Exchange& exchange() const override { return exchange_; }
  Response& answer() override {
    if (answer_ == nullptr) answer_ = google::protobuf::Arena::CreateMessage<Response>(&arena_);
    return *answer_;
  }
  void SetAnswer(std::string_view bytes) override {
    BytesToBuffer(bytes, out_);
    answered_ = true;
  }
  void ClearAnswer() override {
    answered_ = false;
    if (answer_ != nullptr) answer_->Clear();
  }
  void Finish(const absl::Status& status) override {
    if (status.ok() && !answered_) ToBytes(answer(), out_);
    grpc::ServerUnaryReactor::Finish(exchange_.Close(status));
  }
  void Finish(const storage::Committed& committed, bool replayed) override {
    exchange_.AddCommitted(committed, replayed);
    Finish(absl::OkStatus());
  }

 private:
  void OnCancel() override { exchange_.Cancel(); }
  void OnDone() override { delete this; }
  // Both reactions above are trivial and take no lock, so gRPC may run them where it stands.
  // Handing them to a thread of its executor costs two context switches a call.
  bool InternalInlineable() override { return true; }

  // Room for the request, and an answer made as a message, so that their parts need no allocations
  // of their own. Only calls that change something bring more than a few fields; a call that waits
  // in a queue holds it.
  static constexpr size_t kMessageBytes = HasRequestId<Request> ? 4096 : 512;

  Exchange exchange_;
  alignas(8) char memory_[kMessageBytes];
  google::protobuf::Arena arena_;
  Response* answer_ = nullptr;  // made when it is asked for
  bool answered_ = false;       // by bytes
  grpc::ByteBuffer* out_;
};

// Base of every service: registers handlers under the names of its descriptor.
class Endpoint : public grpc::Service {
 public:
  const google::protobuf::ServiceDescriptor& descriptor() const { return *descriptor_; }
  // INTERNAL naming the first method of the descriptor that has no handler.
  absl::Status CheckComplete() const;

 protected:
  // `service` is the full name, such as "relais.v1.LeadService"; the process ends when no such
  // service was compiled in.
  Endpoint(const Edge& edge, std::string_view service);

  const Edge& edge() const { return edge_; }

  template <class S, class Request, class Response>
  void Unary(std::string_view name, absl::Status (S::*handler)(Reply<Response>&, const Request&)) {
    const Method& method =
        Add(name, grpc::internal::RpcMethod::NORMAL_RPC, Request::descriptor()->full_name(),
            Response::descriptor()->full_name());
    auto bound = [self = static_cast<S*>(this), handler](Reply<Response>& reply,
                                                         const Request& request) {
      return (self->*handler)(reply, request);
    };
    Mark(new grpc::internal::CallbackUnaryHandler<grpc::ByteBuffer, grpc::ByteBuffer>(
        [this, &method, bound](grpc::CallbackServerContext* context, const grpc::ByteBuffer* in,
                               grpc::ByteBuffer* out) -> grpc::ServerUnaryReactor* {
          auto* reactor = new UnaryReactor<Request, Response>(edge_, method, context, out);
          reactor->Run(*in, bound);
          return reactor;
        }));
  }

  // `Stream` derives from ServerStream<Request, Response> (streams.h) and is made with (edge,
  // method, context).
  template <class Stream>
  void ServerStreaming(std::string_view name) {
    using Request = typename Stream::RequestType;
    const Method& method =
        Add(name, grpc::internal::RpcMethod::SERVER_STREAMING, Request::descriptor()->full_name(),
            Stream::ResponseType::descriptor()->full_name());
    Mark(new grpc::internal::CallbackServerStreamingHandler<grpc::ByteBuffer, grpc::ByteBuffer>(
        [this, &method](grpc::CallbackServerContext* context,
                        const grpc::ByteBuffer* in) -> grpc::ServerWriteReactor<grpc::ByteBuffer>* {
          auto stream = std::make_shared<Stream>(edge_, method, context);
          stream->Open(*in);
          return stream.get();
        }));
  }

  // `Stream` derives from BidiStream<Request, Response> (streams.h) and is made with (edge, method,
  // context).
  template <class Stream>
  void BidiStreaming(std::string_view name) {
    BidiStreaming<Stream>(name, [this](const Method& method, grpc::CallbackServerContext* context) {
      return std::make_shared<Stream>(edge_, method, context);
    });
  }
  template <class Stream, class Factory>
  void BidiStreaming(std::string_view name, Factory make) {
    const Method& method = Add(name, grpc::internal::RpcMethod::BIDI_STREAMING,
                               Stream::RequestType::descriptor()->full_name(),
                               Stream::ResponseType::descriptor()->full_name());
    Mark(new grpc::internal::CallbackBidiHandler<grpc::ByteBuffer, grpc::ByteBuffer>(
        [&method, make](grpc::CallbackServerContext* context)
            -> grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* {
          auto stream = make(method, context);
          stream->Open();
          return stream.get();
        }));
  }

 private:
  const Method& Add(std::string_view name, grpc::internal::RpcMethod::RpcType type,
                    std::string_view request, std::string_view response);
  // Hands the last added method its handler and takes ownership.
  void Mark(grpc::internal::MethodHandler* handler);

  const Edge& edge_;
  const google::protobuf::ServiceDescriptor* descriptor_;
  std::vector<std::unique_ptr<Method>> methods_;
};

// FAILED_PRECONDITION naming the first method without the `access` option: who may make it would be
// unknown.
absl::Status CheckAccess(const google::protobuf::ServiceDescriptor& service);

// ---- The two beats that every handler ends with -------------------------------------------------

namespace serve_internal {

template <class T>
struct ValueOf {
  using Type = T;
};
template <class T>
struct ValueOf<absl::StatusOr<T>> {
  using Type = T;
};

template <class T>
absl::Status Take(absl::StatusOr<T> in, std::optional<T>& out) {
  ASSIGN_OR_RETURN(out, std::move(in));
  return absl::OkStatus();
}
template <class T>
absl::Status Take(T in, std::optional<T>& out) {
  out = std::move(in);
  return absl::OkStatus();
}

}  // namespace serve_internal

// What commands::Run gives for a command.
template <class Command>
using RunValue = typename serve_internal::ValueOf<decltype(commands::Run(
    std::declval<storage::WriteTxn&>(), std::declval<const Command&>()))>::Type;

// Runs a command as one unit of work. `then` is called once, on a storage thread, with the status,
// the value of the last run (null on failure) and where it was committed.
template <class Command, class Then>
void KeepUnit(storage::Store& store, const storage::Call& call, convert::Parsed<Command> parsed,
              int units, Then then) {
  struct Work {
    const Command command;
    std::optional<RunValue<Command>> value;
    Then then;
  };
  // Owned by the unit's end, which comes exactly once; a pointer is small enough to be kept inside
  // a std::function.
  auto* work = new Work{std::move(parsed.command), std::nullopt, std::move(then)};
  storage::Keys keys = commands::KeysOf(work->command);
  store.Write(
      call, std::move(keys),
      [work](storage::WriteTxn& txn) {
        return serve_internal::Take(commands::Run(txn, work->command), work->value);
      },
      [work](const absl::Status& status, const storage::Committed& committed) {
        std::unique_ptr<Work> own(work);
        own->then(status, status.ok() ? &*own->value : nullptr, committed);
      },
      parsed.validate_only, units);
}

// Keeps a command of many items as long work, in slices that are commands themselves:
// `part(command, first, count)` makes them, `merge(value, first, whole)` moves what came of one
// into the whole. A slice is committed for itself, so the command must be such that it may be sent
// again. Check-only work is one slice. `then` as for KeepUnit, with the place of the last slice.
template <class Command, class Part, class Merge, class Then>
void KeepSlices(storage::Store& store, const storage::Call& call, convert::Parsed<Command> parsed,
                int items, RunValue<Command> whole, Part part, Merge merge, Then then) {
  auto command = std::make_shared<const Command>(std::move(parsed.command));
  auto value = std::make_shared<RunValue<Command>>(std::move(whole));
  storage::Slices work;
  work.items = items;
  work.keys = [command, part](int first, int count) {
    return commands::KeysOf(part(*command, first, count));
  };
  work.body = [command, part, merge, value](storage::WriteTxn& txn, int first,
                                            int count) -> absl::Status {
    std::optional<RunValue<Command>> slice;
    RETURN_IF_ERROR(serve_internal::Take(commands::Run(txn, part(*command, first, count)), slice));
    merge(*std::move(slice), first, *value);
    return absl::OkStatus();
  };
  store.WriteSlices(
      call, std::move(work),
      [value, then](const absl::Status& status, const storage::Committed& committed) {
        then(status, status.ok() ? value.get() : nullptr, committed);
      },
      parsed.validate_only);
}

// Where the answer of a call is put together. Of this thread, until its next use.
std::string& WireBuffer();

// Answers with one entity, straight from it where convert knows how.
template <class Response, class Entity>
void Answer(Reply<Response>& reply, const Entity& entity) {
  if constexpr (requires(std::string & bytes) { convert::EncodeTo(entity, bytes); }) {
    std::string& bytes = WireBuffer();
    convert::EncodeTo(entity, bytes);
    reply.SetAnswer(bytes);
  } else {
    convert::Encode(entity, &reply.answer());
  }
}

// Keeps the command and answers with what `answer(value, reply)` makes of it. What the answer of a
// check says has not been written, so it has no place in the log to name.
template <class Response, class Command, class MakeAnswer>
absl::Status KeepAnd(Reply<Response>& reply, convert::Parsed<Command> parsed, MakeAnswer answer) {
  bool validate_only = parsed.validate_only;
  KeepUnit(reply.edge().store, reply.call(), std::move(parsed), /*units=*/1,
           [&reply, answer = std::move(answer), validate_only](
               const absl::Status& status, const RunValue<Command>* value,
               const storage::Committed& committed) {
             if (!status.ok()) return reply.Finish(status);
             try {
               answer(*value, reply);
             } catch (...) {
               return reply.Finish(CaughtException());
             }
             if (validate_only) return reply.Finish(absl::OkStatus());
             bool replayed = false;
             if constexpr (requires { value->replayed; }) replayed = value->replayed;
             reply.Finish(committed, replayed);
           });
  return absl::OkStatus();
}

// The same with `encode(value, message)`.
template <class Response, class Command, class Encode>
absl::Status Keep(Reply<Response>& reply, convert::Parsed<Command> parsed, Encode encode) {
  return KeepAnd(reply, std::move(parsed),
                 [encode = std::move(encode)](const RunValue<Command>& value, Reply<Response>& to) {
                   encode(value, to.answer());
                 });
}

// For a command of `items` that fail alone: few are one unit, many are sliced, or they would hold
// up everybody else's batches.
template <class Response, class Command, class Encode>
absl::Status KeepItems(Reply<Response>& reply, convert::Parsed<Command> parsed, Encode encode) {
  constexpr size_t kFewItems = 64;
  const size_t count = parsed.command.items.size();
  bool validate_only = parsed.validate_only;
  auto then = [&reply, encode = std::move(encode), validate_only](
                  const absl::Status& status, const RunValue<Command>* value,
                  const storage::Committed& committed) {
    if (!status.ok()) return reply.Finish(status);
    try {
      encode(*value, reply.answer());
    } catch (...) {
      return reply.Finish(CaughtException());
    }
    if (validate_only) return reply.Finish(absl::OkStatus());
    reply.Finish(committed, /*replayed=*/false);
  };
  if (count <= kFewItems) {
    KeepUnit(reply.edge().store, reply.call(), std::move(parsed), static_cast<int>(count), then);
    return absl::OkStatus();
  }
  KeepSlices(
      reply.edge().store, reply.call(), std::move(parsed), static_cast<int>(count),
      RunValue<Command>(count, absl::UnknownError("not run")),
      [](const Command& command, int first, int number) {
        auto begin = command.items.begin() + first;
        return Command{{begin, begin + number}};
      },
      [](RunValue<Command> slice, int first, RunValue<Command>& whole) {
        std::move(slice.begin(), slice.end(), whole.begin() + first);
      },
      then);
  return absl::OkStatus();
}

// For commands whose value is one entity.
template <class Response, class Command>
absl::Status Keep(Reply<Response>& reply, convert::Parsed<Command> parsed) {
  return KeepAnd(
      reply, std::move(parsed),
      [](const RunValue<Command>& result, Reply<Response>& to) { Answer(to, result.value); });
}

// Answers with what `body(txn, reply)` reads in one snapshot.
template <class Response, class Body>
absl::Status ReadAnd(Reply<Response>& reply, Body body) {
  reply.edge().store.Read(
      reply.call(),
      [&reply, body = std::move(body)](storage::ReadTxn& txn) -> absl::Status {
        reply.ClearAnswer();  // a rerun begins afresh
        try {
          return body(txn, reply);
        } catch (...) {
          return CaughtException();
        }
      },
      [&reply](const absl::Status& status) { reply.Finish(status); });
  return absl::OkStatus();
}

// The same with `body(txn, message)`.
template <class Response, class Body>
absl::Status Read(Reply<Response>& reply, Body body) {
  return ReadAnd(reply, [body = std::move(body)](storage::ReadTxn& txn, Reply<Response>& to) {
    return body(txn, to.answer());
  });
}

// NOT_FOUND unless the lead exists.
absl::StatusOr<domain::Lead> FindLead(storage::ReadTxn& txn, const domain::LeadId& id);

// The rows of a page and one more, which tells whether there is another page.
template <class Entity>
absl::StatusOr<std::vector<Entity>> PageRows(
    storage::ReadTxn& txn, const convert::ListPage& page,
    absl::StatusOr<std::vector<Entity>> (storage::ReadTxn::*rows)(const storage::ListQuery&)) {
  if (page.query.segment.has_value()) {
    ASSIGN_OR_RETURN(std::optional<domain::Segment> segment, txn.GetSegment(*page.query.segment));
    if (!segment.has_value()) {
      return domain::NotFound("Segment", domain::NameOf(*page.query.segment));
    }
  }
  storage::ListQuery query = page.query;
  ++query.limit;
  if (query.parent.has_value()) {
    ASSIGN_OR_RETURN(domain::Lead parent, FindLead(txn, *query.parent));
    query.parent = parent.id;
    query.merged = domain::MergedLeads(parent);
  }
  return (txn.*rows)(query);
}

// Fills a page: as many rows as asked for and as fit 3 MiB, and a token when there are more.
template <class Entity, class Response, class Items>
absl::Status List(
    Reply<Response>& reply, convert::ListPage page,
    absl::StatusOr<std::vector<Entity>> (storage::ReadTxn::*rows)(const storage::ListQuery&),
    Items items) {
  return Read(
      reply,
      [&reply, page = std::move(page), rows, items](storage::ReadTxn& txn,
                                                    Response& out) -> absl::Status {
        ASSIGN_OR_RETURN(std::vector<Entity> found, PageRows(txn, page, rows));
        convert::ResponseBudget budget;
        size_t sent = 0;
        while (sent < found.size() && sent < static_cast<size_t>(page.query.limit)) {
          auto* item = items(out)->Add();
          convert::Encode(found[sent], item);
          if (!budget.Take(*item)) {
            items(out)->RemoveLast();
            break;
          }
          ++sent;
        }
        if (sent < found.size()) {
          out.set_next_page_token(convert::NextPageToken(reply.decoding(), page, found[sent - 1]));
        }
        return absl::OkStatus();
      });
}

// The same straight from the rows; `items_field` is the number of the response's repeated field.
template <class Entity, class Response>
absl::Status ListOnWire(
    Reply<Response>& reply, convert::ListPage page,
    absl::StatusOr<std::vector<Entity>> (storage::ReadTxn::*rows)(const storage::ListQuery&),
    int items_field) {
  return ReadAnd(reply,
                 [page = std::move(page), rows, items_field](storage::ReadTxn& txn,
                                                             Reply<Response>& to) -> absl::Status {
                   ASSIGN_OR_RETURN(std::vector<Entity> found, PageRows(txn, page, rows));
                   std::string& bytes = WireBuffer();
                   convert::ResponseBudget budget;
                   size_t sent = 0;
                   while (sent < found.size() && sent < static_cast<size_t>(page.query.limit)) {
                     const size_t before = bytes.size();
                     convert::EncodeItemTo(items_field, found[sent], bytes);
                     if (!budget.Take(bytes.size() - before)) {
                       bytes.resize(before);
                       break;
                     }
                     ++sent;
                   }
                   if (sent < found.size()) {
                     convert::EncodeTextTo(
                         Response::kNextPageTokenFieldNumber,
                         convert::NextPageToken(to.decoding(), page, found[sent - 1]), bytes);
                   }
                   to.SetAnswer(bytes);
                   return absl::OkStatus();
                 });
}

}  // namespace relais::services
