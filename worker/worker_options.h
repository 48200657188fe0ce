#ifndef TERN_WORKER_WORKER_OPTIONS_H_
#define TERN_WORKER_WORKER_OPTIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/service/log.h"
#include "worker/agent/local_evaluation.h"
#include "worker/backend/device.h"

namespace tern {

// What tern-worker's command line says.
struct WorkerOptions {
  DeviceOptions device;  // threads: at least 1

  // tern-worker: serves a job server.
  std::string server;
  std::string metrics;
  std::string port_file;
  int64_t memory_bytes = 0;  // 0: what there is
  std::string supervisor;
  int last_words = -1;  // open file that is told the error the program ends with; -1: none
  absl::Duration drain_timeout;
  LogLevel log_level = LogLevel::kInfo;

  // tern-worker evaluate DIR: measures a checkpoint and ends.
  bool evaluate = false;
  LocalEvaluation evaluation;

  // tern-worker count-devices: prints how many CUDA devices it sees and ends.
  bool count_devices = false;
};

// INVALID_ARGUMENT names the flag, in one line. --help and --version end the program.
absl::StatusOr<WorkerOptions> ReadWorkerOptions(int argc, const char* const* argv);

}  // namespace tern

#endif  // TERN_WORKER_WORKER_OPTIONS_H_
