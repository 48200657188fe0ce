#ifndef TERN_WORKER_MODEL_BLOCK_WEIGHTS_H_
#define TERN_WORKER_MODEL_BLOCK_WEIGHTS_H_

#include <cstdint>
#include <map>
#include <span>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "checkpoint/low_bit_activations.h"
#include "checkpoint/model_config.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/ternary_layer.h"
#include "worker/backend/backend.h"
#include "worker/model/rotation_factors.h"

namespace tern {

// What becomes of a linear layer's input before it is multiplied by the weight: it is rotated, then
// quantized (ActivationOps::Quantize).
struct LowBitInput {
  RotationFactors rotation;  // of empty tensors where it is not rotated
  int bits = 0;              // 2 … 8
  double clip = 1;           // (0, 1]
};

// One block's tensors in a backend's memory. Linear weights are of its activation type, the rest is
// float32. Absent biases and norms are empty tensors. Copies share their tensors.
struct BlockWeights {
  std::map<LinearKind, Tensor> weight;  // [out, in]
  std::map<LinearKind, Tensor>
      rounded;                        // of those that lost digits to that type: as the file has it
  std::map<LinearKind, Tensor> bias;  // [1, out]
  Tensor attention_norm, mlp_norm;    // [1, hidden]
  Tensor q_norm, k_norm;              // [1, head_dim]
  std::map<LinearKind, LowBitInput> low_bit;  // layers that do not read their input as it is
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

// Ŷ of TernaryLayer: the stored form's values as `type`, in rotated space where the layer is
// rotated.
absl::StatusOr<Tensor> StoredWeight(Backend& backend, const TernaryLayer& layer, ElementType type);

// Replaces the weight of `kind` by the stored form's values (packed trits, fp16 grid), in a tensor
// of its own: copies made of `weights` before keep the old one. A rotation is folded into them
// (float32, rounded once), so that the layer reads its input as it is.
absl::Status UseTernaryWeight(Backend& backend, LinearKind kind, const TernaryLayer& layer,
                              BlockWeights& weights);

// The same for low-bit activations: the weight stays in rotated space, and the layer's input is
// rotated and quantized to `bits` by `clip`.
absl::Status UseLowBitLayer(Backend& backend, LinearKind kind, const TernaryLayer& layer, int bits,
                            double clip, BlockWeights& weights);

// Gives layers that are in low-bit form (all seven) other widths and clip ratios.
void SetActivations(const BlockActivations& activations, BlockWeights& weights);

}  // namespace tern

#endif  // TERN_WORKER_MODEL_BLOCK_WEIGHTS_H_
