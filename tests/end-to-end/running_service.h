#ifndef TERN_TESTS_END_TO_END_RUNNING_SERVICE_H_
#define TERN_TESTS_END_TO_END_RUNNING_SERVICE_H_

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "server/supervisor/child_process.h"
#include "tern/v1/quantization_service.grpc.pb.h"
#include "tests/temp_dir.h"

namespace tern {

// A real tern-server and real workers, as processes that can be killed and started again. All they
// log goes to one file. Whatever does not come about within two minutes throws, which fails the
// test with the log's end.
class RunningService {
 public:
  struct Options {
    int local_workers = 0;  // started by the server
    int own_workers = 0;    // started beside it; they outlive it
    std::string data = {};  // empty: a temporary folder
    int lease_seconds = 30;
    std::string worker_arguments = {};  // of own workers
  };
  explicit RunningService(const Options& options);
  // Kills everything.
  ~RunningService();
  RunningService(const RunningService&) = delete;
  RunningService& operator=(const RunningService&) = delete;

  v1::QuantizationService::Stub& stub() { return *stub_; }
  const std::string& address() const { return address_; }
  const std::string& data() const { return options_.data; }

  // SIGKILL, and wait for the end. Local workers go with the server.
  void KillServer();
  // On the same port, over the same data.
  void StartServer();

  void KillOwnWorker(int index);
  // SIGTERM, and wait for the end.
  ProcessEnd StopOwnWorker(int index);
  void StartOwnWorker(int index);

  // Of the workers running now that the server started.
  std::vector<pid_t> LocalWorkers() const;
  // Waits until the server hears from `workers` workers.
  void AwaitWorkers(int workers);

  // The job's name. Tried again while the server is away.
  std::string Submit(const v1::CreateQuantizationJobRequest& request);
  v1::QuantizationJob Get(const std::string& name);
  // Waits until the job is SUCCEEDED, FAILED or CANCELLED.
  v1::QuantizationJob AwaitEnd(const std::string& name);
  // Waits until some worker has been given a block.
  void AwaitBlockInWork(const std::string& name);
  // What tern-manifest.json says of the files of a finished job, downloaded and verified: the same
  // for equal requests.
  std::map<std::string, FileDigest> DownloadedFiles(const std::string& name) const;
  // Waits until the server keeps no blob.
  void AwaitNoBlobs();

  // How often any worker has started to quantize a block so far.
  int BlocksStarted() const;
  std::string Log() const;

 private:
  std::unique_ptr<ChildProcess> Start(const std::string& command) const;
  void Await(const std::string& what, const std::function<bool()>& condition) const;

  TempDir folder_;
  Options options_;
  std::string address_;
  std::unique_ptr<ChildProcess> server_;
  std::vector<std::unique_ptr<ChildProcess>> own_workers_;
  std::unique_ptr<v1::QuantizationService::Stub> stub_;
};

// A job on the model that ships with the repository: small enough for seconds, with every kind of
// task. Equal requests must give equal digests.
v1::CreateQuantizationJobRequest SmallJob(int shards);
inline constexpr int kSmallJobBlocks = 4;
// The same by TWLA: rotations are learned and bits of activations chosen.
v1::CreateQuantizationJobRequest SmallTwlaJob(int shards);

// Path of a program that was built beside the tests.
std::string Program(const std::string& name);

}  // namespace tern

#endif  // TERN_TESTS_END_TO_END_RUNNING_SERVICE_H_
