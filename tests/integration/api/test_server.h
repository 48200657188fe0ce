#ifndef TERN_TESTS_INTEGRATION_API_TEST_SERVER_H_
#define TERN_TESTS_INTEGRATION_API_TEST_SERVER_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/api/api_server.h"
#include "server/blobs/blob_store.h"
#include "server/jobs/job_system.h"
#include "server/metrics/jobs_metrics.h"
#include "server/metrics/scrape_registry.h"
#include "server/metrics/transfer_metrics.h"
#include "server/store/store.h"
#include "tern/v1/quantization_service.grpc.pb.h"
#include "tern/worker/v1/worker_service.grpc.pb.h"
#include "tests/temp_dir.h"

namespace tern {

// A whole server in this process, over a temporary folder, on a free port.
class TestServer {
 public:
  explicit TestServer(JobsOptions options = {});
  ~TestServer();

  std::string address() const;
  // Where its data is.
  const std::string& folder() const { return folder_.path(); }
  // A connection of its own.
  std::shared_ptr<grpc::Channel> Connect() const;

  v1::QuantizationService::Stub& jobs() { return *jobs_stub_; }
  worker::v1::WorkerService::Stub& workers() { return *workers_stub_; }
  ApiServer& api() { return *api_; }
  const std::shared_ptr<ScrapeRegistry>& registry() const { return registry_; }

  // How a second API over the same jobs fares at `address`.
  absl::Status StartAnotherAt(const std::string& address);

  // A small job on the model that ships with the repository, with one evaluation task.
  v1::CreateQuantizationJobRequest SmallJob() const;
  v1::QuantizationJob Create(const v1::CreateQuantizationJobRequest& request);
  v1::QuantizationJob CreateSmallJob() { return Create(SmallJob()); }
  v1::QuantizationJob Get(const std::string& name);

 private:
  TempDir folder_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<BlobStore> blobs_;
  std::shared_ptr<ScrapeRegistry> registry_ = std::make_shared<ScrapeRegistry>();
  JobsMetrics metrics_{*registry_};
  TransferMetrics transfers_{*registry_};
  SystemClock clock_;
  std::unique_ptr<JobSystem> system_;
  std::unique_ptr<ApiServer> api_;
  std::unique_ptr<v1::QuantizationService::Stub> jobs_stub_;
  std::unique_ptr<worker::v1::WorkerService::Stub> workers_stub_;
};

// Generous: a call that takes this long hangs.
void SetTestDeadline(grpc::ClientContext& context);

// Stable reason of an error that came over the wire; the fields it names, joined by ",".
std::string WireReason(const grpc::Status& status);
std::string WireFields(const grpc::Status& status);

}  // namespace tern

#endif  // TERN_TESTS_INTEGRATION_API_TEST_SERVER_H_
