#ifndef TERN_TESTS_UNIT_AGENT_SCRIPTED_SERVER_H_
#define TERN_TESTS_UNIT_AGENT_SCRIPTED_SERVER_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tern/worker/v1/worker_service.grpc.pb.h"

namespace tern {

// A worker service whose answers a test scripts, on a real port of this machine, that can be taken
// away and brought back.
class ScriptedServer final : public tern::worker::v1::WorkerService::Service {
 public:
  using Request = tern::worker::v1::SynchronizeRequest;
  using Response = tern::worker::v1::SynchronizeResponse;
  using ReadWriter = grpc::ServerWriter<tern::worker::v1::ReadBlobResponse>;
  using WriteReader = grpc::ServerReader<tern::worker::v1::WriteBlobRequest>;

  std::function<grpc::Status(const Request&, Response&)> synchronize;
  std::function<grpc::Status(const tern::worker::v1::ReadBlobRequest&, ReadWriter&)> read_blob;
  std::function<grpc::Status(WriteReader&)> write_blob;

  ScriptedServer() { Start(); }
  ~ScriptedServer() override { Stop(); }

  void Start() {
    grpc::ServerBuilder builder;
    const std::string address = absl::StrCat("127.0.0.1:", port_);
    // Without SO_REUSEPORT a port in use is an error, not a shared port.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr) ADD_FAILURE() << "cannot listen on " << address;
  }

  void Stop() {
    if (server_ != nullptr) server_->Shutdown(std::chrono::system_clock::now());
    server_ = nullptr;
  }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  // Waits until a request satisfying `wanted` has arrived, and returns the first.
  Request WaitFor(const std::function<bool(const Request&)>& wanted) {
    std::unique_lock lock(mutex_);
    size_t next = 0;
    while (true) {
      for (; next < requests_.size(); ++next) {
        if (wanted(requests_[next])) return requests_[next];
      }
      arrived_.wait(lock);
    }
  }

  std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  grpc::Status Synchronize(grpc::ServerContext*, const Request* request,
                           Response* response) override {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(*request);
      arrived_.notify_all();
    }
    return synchronize(*request, *response);
  }

  grpc::Status ReadBlob(grpc::ServerContext*, const tern::worker::v1::ReadBlobRequest* request,
                        ReadWriter* writer) override {
    return read_blob(*request, *writer);
  }

  grpc::Status WriteBlob(grpc::ServerContext*, WriteReader* reader,
                         tern::worker::v1::WriteBlobResponse*) override {
    return write_blob(*reader);
  }

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Request> requests_;
};

}  // namespace tern

#endif  // TERN_TESTS_UNIT_AGENT_SCRIPTED_SERVER_H_
