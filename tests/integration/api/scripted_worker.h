#ifndef TERN_TESTS_INTEGRATION_API_SCRIPTED_WORKER_H_
#define TERN_TESTS_INTEGRATION_API_SCRIPTED_WORKER_H_

#include <map>
#include <string>

#include "absl/time/time.h"
#include "tern/worker/v1/worker_service.grpc.pb.h"

namespace tern {

// Speaks the worker protocol and computes nothing: tasks are completed with made-up results and
// files. Calls block; errors are gRPC's.
class ScriptedWorker {
 public:
  // The stub outlives the worker.
  ScriptedWorker(worker::v1::WorkerService::StubInterface& stub, std::string id,
                 std::string supervisor = "");

  // One Synchronize call with this state.
  grpc::Status Idle(worker::v1::SynchronizeResponse& response,
                    absl::Duration deadline = absl::Seconds(60), bool draining = false);
  grpc::Status Report(const worker::v1::Lease& lease, double fraction,
                      worker::v1::SynchronizeResponse& response);
  grpc::Status Complete(const worker::v1::Task& task, worker::v1::SynchronizeResponse& response);
  grpc::Status Fail(const worker::v1::Lease& lease, bool permanent,
                    worker::v1::SynchronizeResponse& response);

  // The task that the server gives this worker now; a test failure when it gives none.
  worker::v1::Task NextTask();

  // Uploads one file in pieces of 1 MiB.
  grpc::Status Upload(const worker::v1::Lease& lease, const std::string& path,
                      const std::string& content);

  // Uploads the task's files and completes it; the answer is left in `response`.
  grpc::Status Finish(const worker::v1::Task& task, worker::v1::SynchronizeResponse& response);
  // Takes and finishes tasks until there is none left.
  void WorkUntilIdle();

  // What it uploads for `task`, by name: a block's file spans several pieces, one file is empty.
  static std::map<std::string, std::string> FilesOf(const worker::v1::Task& task);

 private:
  worker::v1::SynchronizeRequest Request() const;
  grpc::Status Call(const worker::v1::SynchronizeRequest& request,
                    worker::v1::SynchronizeResponse& response, absl::Duration deadline);

  worker::v1::WorkerService::StubInterface& stub_;
  const std::string id_;
  const std::string supervisor_;
};

// The first message of an upload, and a piece.
worker::v1::WriteBlobRequest UploadHeader(const worker::v1::Lease& lease, const std::string& path,
                                          const std::string& content);
worker::v1::WriteBlobRequest UploadPiece(const std::string& data);

}  // namespace tern

#endif  // TERN_TESTS_INTEGRATION_API_SCRIPTED_WORKER_H_
