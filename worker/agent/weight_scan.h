#ifndef TERN_WORKER_AGENT_WEIGHT_SCAN_H_
#define TERN_WORKER_AGENT_WEIGHT_SCAN_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "checkpoint/model_folder.h"

namespace tern {

// Reads every weight of a model once, on `threads` threads. The digest of the model: SHA-256 (hex)
// over a line of config.json's SHA-256, and one line for each tensor in name order, of name, dtype,
// shape and the SHA-256 of its bytes. So it does not depend on how tensors are spread over files.
//
// INVALID_ARGUMENT names the tensor, first by name, that holds a NaN or infinity, and where;
// CANCELLED when `cancelled` says so. `progress` gets the fraction done. Both are called from any
// of the threads.
absl::StatusOr<std::string> ScanWeights(const ModelFolder& model, int threads,
                                        const std::function<void(double)>& progress,
                                        const std::function<bool()>& cancelled);

}  // namespace tern

#endif  // TERN_WORKER_AGENT_WEIGHT_SCAN_H_
