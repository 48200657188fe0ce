#ifndef TERN_TESTS_INTEGRATION_CLIENT_SCRIPTED_SERVER_H_
#define TERN_TESTS_INTEGRATION_CLIENT_SCRIPTED_SERVER_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "tern/v1/quantization_service.pb.h"

namespace tern {

// What the server plays. One job, or others beside it; events and files are there from the start,
// and every job has the same.
struct Script {
  v1::QuantizationJob job;  // as Get and the end of a watch have it
  // By the label "comparison-spec" of the request that makes them, instead of `job`.
  std::map<std::string, v1::QuantizationJob> compared;
  std::vector<v1::JobEvent> events;          // numbered from 1
  std::map<std::string, std::string> files;  // sent in the order of their names
  int64_t piece_bytes = 100;

  absl::Status create_error;
  // The one of those jobs whose request is refused with it; empty: all are.
  std::string create_error_of;
  std::vector<v1::QuantizationJob> listed;  // pages of two
  std::vector<v1::Worker> workers;

  // A watch, or a stream, hangs after all it has instead of ending, until it is cancelled.
  bool hang = false;
  // Get hangs until it is cancelled.
  bool hang_get = false;
  // Each watch that starts takes the first entry: it breaks with UNAVAILABLE after so many
  // messages.
  std::deque<int> break_watch_after;
  // Each stream likewise, after so many bytes (which may cut a piece).
  std::deque<int64_t> break_stream_after;
  // So many pieces, the first ones, arrive with a wrong CRC32C.
  int corrupt_pieces = 0;
  // Files are announced with a digest that is not theirs.
  bool wrong_sha256 = false;
  // The oldest event left; a watch from before it is OUT_OF_RANGE.
  int64_t oldest_event = 1;
  // How a stream ends after all it has.
  absl::Status stream_end;
};

// A tern-server that plays a script. Thread-safe.
class ScriptedServer {
 public:
  // `port` 0 picks a free one.
  explicit ScriptedServer(Script script, int port = 0);
  ~ScriptedServer();

  std::string address() const;
  int port() const;

  std::vector<v1::CreateQuantizationJobRequest> created() const;
  std::vector<v1::ListQuantizationJobsRequest> list_requests() const;
  std::vector<v1::WatchQuantizationJobRequest> watch_requests() const;
  std::vector<v1::StreamCheckpointRequest> stream_requests() const;
  // Names given to cancel and delete.
  std::vector<std::string> changed() const;

 private:
  class Service;
  struct Grpc;

  std::unique_ptr<Grpc> grpc_;
};

// A job that succeeded, with `blocks` BlockFinished events, a report, and files with a manifest
// that is right.
Script SucceededJob(int blocks);

}  // namespace tern

#endif  // TERN_TESTS_INTEGRATION_CLIENT_SCRIPTED_SERVER_H_
