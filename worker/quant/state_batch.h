#ifndef TERN_WORKER_QUANT_STATE_BATCH_H_
#define TERN_WORKER_QUANT_STATE_BATCH_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/backend/backend.h"

namespace tern {

// A batch of the rows of a tensor of all tokens, where operations are fast: the rows themselves,
// or, when the tensor lies in the host's memory, a copy of them on the device.
//
// Thread-compatible.
class StateBatch {
 public:
  // Batches have at most `most_rows` rows. The backend must outlive this.
  StateBatch(Backend& backend, bool on_host, int64_t most_rows)
      : backend_(&backend), on_host_(on_host), most_rows_(most_rows) {}

  // Rows [first, first + count) of `states`; valid until the next call of either.
  absl::StatusOr<Tensor> Load(const Tensor& states, int64_t first, int64_t count);
  // Memory for the same rows, of which nothing is read.
  absl::StatusOr<Tensor> Claim(const Tensor& states, int64_t first, int64_t count);
  // Brings what was changed since the last Load or Claim back to where it belongs.
  absl::Status Store();
  // Lets go of the tensor and of the memory for its batches; what was handed out stays.
  void Release();

 private:
  Backend* backend_;
  bool on_host_;
  int64_t most_rows_;
  Tensor buffer_;         // on the device; empty until needed
  Tensor rows_, staged_;  // of the last call
};

}  // namespace tern

#endif  // TERN_WORKER_QUANT_STATE_BATCH_H_
