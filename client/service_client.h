#ifndef TERN_CLIENT_SERVICE_CLIENT_H_
#define TERN_CLIENT_SERVICE_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cancellation.h"
#include "tern/v1/quantization_service.pb.h"

namespace tern {

// tern.v1.QuantizationService over one channel; the one place of the client that knows gRPC. Errors
// are the server's with their details; UNAVAILABLE says which address did not answer. A call is
// tried once. Thread-safe.
class ServiceClient {
 public:
  // Does not connect yet. `address` is "host:port".
  explicit ServiceClient(const std::string& address);
  ~ServiceClient();

  const std::string& address() const { return address_; }

  absl::StatusOr<v1::QuantizationJob> Create(const v1::CreateQuantizationJobRequest& request);
  // CANCELLED after `cancellation`, where one is given.
  absl::StatusOr<v1::QuantizationJob> Get(const std::string& name,
                                          Cancellation* cancellation = nullptr);
  absl::StatusOr<v1::ListQuantizationJobsResponse> List(
      const v1::ListQuantizationJobsRequest& request);
  absl::StatusOr<v1::QuantizationJob> CancelJob(const std::string& name);
  absl::Status Delete(const std::string& name);
  absl::StatusOr<v1::ListWorkersResponse> ListWorkers();
  absl::StatusOr<v1::ServerInfo> GetServerInfo();

  // Reads a stream to its end and returns how it ended. `on_message` is called in this thread;
  // an error it returns ends the stream and is the result. CANCELLED after `cancellation`.
  absl::Status Watch(
      const v1::WatchQuantizationJobRequest& request, Cancellation* cancellation,
      const std::function<absl::Status(const v1::WatchQuantizationJobResponse&)>& on_message);
  absl::Status Stream(
      const v1::StreamCheckpointRequest& request, Cancellation* cancellation,
      const std::function<absl::Status(const v1::StreamCheckpointResponse&)>& on_message);

 private:
  struct Rpc;

  const std::string address_;
  std::unique_ptr<Rpc> rpc_;
};

}  // namespace tern

#endif  // TERN_CLIENT_SERVICE_CLIENT_H_
