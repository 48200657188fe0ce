#ifndef TERN_WORKER_MODEL_BLOCK_WEIGHTS_H_
#define TERN_WORKER_MODEL_BLOCK_WEIGHTS_H_

#include <cstdint>
#include <map>
#include <span>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/model_config.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/ternary_layer.h"
#include "worker/backend/backend.h"

namespace tern {

// One block's tensors in a backend's memory. Linear weights are of its activation type, the rest is
// float32. Absent biases and norms are empty tensors. Copies share their tensors.
struct BlockWeights {
  std::map<LinearKind, Tensor> weight;  // [out, in]
  std::map<LinearKind, Tensor>
      rounded;                        // of those that lost digits to that type: as the file has it
  std::map<LinearKind, Tensor> bias;  // [1, out]
  Tensor attention_norm, mlp_norm;    // [1, hidden]
  Tensor q_norm, k_norm;              // [1, head_dim]
};

absl::StatusOr<BlockWeights> LoadBlock(Backend& backend, const ModelFolder& model, int64_t block);

// The same in two steps: what may happen beside a backend's work, for activations of `type`, and
// what is left for the backend to do.
absl::StatusOr<BlockWeights> LoadBlockAhead(UploadLane& lane, ElementType type,
                                            const ModelFolder& model, int64_t block);
absl::Status UseAsActivations(Backend& backend, BlockWeights& weights);

// Converts the named tensor to float32 into the span, which has as many elements.
using ReadTensor = absl::FunctionRef<absl::Status(absl::string_view name, std::span<float> out)>;

// The block's norms and biases alone; its weights are empty tensors.
absl::StatusOr<BlockWeights> LoadNormsAndBiases(Backend& backend, const ModelConfig& config,
                                                int64_t block, ReadTensor read);

// The weight of `kind` in float32, as the model's file has it.
absl::StatusOr<Tensor> ExactWeight(Backend& backend, LinearKind kind, const BlockWeights& weights);

// Replaces the weight of `kind` by the stored form's values (packed trits, fp16 grid), in a tensor
// of its own: copies made of `weights` before keep the old one.
absl::Status UseTernaryWeight(Backend& backend, LinearKind kind, const TernaryLayer& layer,
                              BlockWeights& weights);

}  // namespace tern

#endif  // TERN_WORKER_MODEL_BLOCK_WEIGHTS_H_
