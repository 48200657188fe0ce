#ifndef TERN_WORKER_MODEL_OUTER_WEIGHTS_H_
#define TERN_WORKER_MODEL_OUTER_WEIGHTS_H_

#include <cstdint>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/backend/backend.h"
#include "worker/model/weight_source.h"

namespace tern {

// The hidden states [ids.size(), hidden] that the first block reads. Only the table's rows that
// occur are converted and moved. INVALID_ARGUMENT names an id outside the vocabulary.
absl::StatusOr<Tensor> EmbedTokens(Backend& backend, const WeightSource& source,
                                   std::span<const int32_t> ids);

// Final norm and output projection (the embedding table where they are tied), float32.
//
// Thread-compatible.
class LanguageHead {
 public:
  // The backend must outlive the head.
  static absl::StatusOr<LanguageHead> Load(Backend& backend, const WeightSource& source);

  int64_t vocab_size() const { return projection_.rows(); }

  // logits[t, vocab] of the last block's hidden states h[t, hidden]. It is the caller who keeps t
  // small.
  absl::Status Logits(const Tensor& h, const Tensor& logits);

 private:
  explicit LanguageHead(Backend& backend) : backend_(&backend) {}

  Backend* backend_;
  double eps_ = 0;
  Tensor norm_;        // [1, hidden]
  Tensor projection_;  // [vocab, hidden]
  Tensor normalized_;  // scratch
};

}  // namespace tern

#endif  // TERN_WORKER_MODEL_OUTER_WEIGHTS_H_
