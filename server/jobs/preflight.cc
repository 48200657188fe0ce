#include "server/jobs/preflight.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "checkpoint/block_file.h"
#include "checkpoint/model_layout.h"
#include "checkpoint/packed_format.h"
#include "checkpoint/status_macros.h"
#include "server/jobs/block_shapes.h"
#include "server/jobs/layer_rotations.h"
#include "server/jobs/method_recipe.h"
#include "server/jobs/planner.h"

namespace tern {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kProcessBytes = 64 * kMiB;
constexpr int64_t kEvaluationHiddenBytes = 512 * kMiB;
constexpr int64_t kProbeHiddenBytes = 512 * kMiB;
constexpr int64_t kLogitBytes = 256 * kMiB;
// File headers, report, manifest, model card.
constexpr int64_t kBytesPerBlockBesides = 64 << 10;

int64_t FloatBytes(int64_t count) { return count * static_cast<int64_t>(sizeof(float)); }

int64_t QuantizeBytes(const v1::QuantizationSpec& spec, const ModelConfig& config,
                      const ComputeLayout& layout, bool states_on_host) {
  const int64_t length = spec.calibration().sequence_length();
  const CalibrationSize calibration = {.tokens = spec.calibration().samples() * length,
                                       .window_length = length,
                                       .both_streams = RecipeOf(spec).two_streams,
                                       .rotated = RecipeOf(spec).rotated()};
  const BlockMemory memory = QuantizeMemory(config, calibration, layout);
  return states_on_host ? memory.besides : memory.total();
}

int64_t EvaluateBytes(const v1::QuantizationSpec& spec, const ModelConfig& config,
                      const ComputeLayout& layout) {
  if (!spec.has_evaluation()) return 0;
  const int64_t length = spec.evaluation().window_length();
  const int64_t tokens = std::min<int64_t>(std::max(kEvaluationPartTokens, length),
                                           length * spec.evaluation().windows());
  const int64_t window = FloatBytes(2 * length * config.hidden_size);
  return layout.activation_bytes * 2 * BlockWeights(config) +
         FloatBytes(config.vocab_size * config.hidden_size) +
         std::max(window,
                  std::min(kEvaluationHiddenBytes, FloatBytes(2 * tokens * config.hidden_size))) +
         std::min(kLogitBytes, FloatBytes(2 * length * config.vocab_size)) +
         BatchMemory(config, length, layout);
}

int64_t SensitivityBytes(const v1::QuantizationSpec& spec, const ModelConfig& config,
                         const ComputeLayout& layout) {
  if (!RecipeOf(spec).mixed) return 0;
  const int64_t length = spec.calibration().sequence_length();
  const int64_t tokens = spec.calibration().samples() * length;
  // The kept prefix; and as many probes' states at a time as the worker has room for.
  const int64_t prefix = FloatBytes(tokens * config.hidden_size);
  const MethodRecipe recipe = RecipeOf(spec);
  const auto below = static_cast<int64_t>(recipe.activation_bits.size()) - 1;
  // The first block's probes and the baseline, or another block's where pairs are measured too.
  const int64_t pairs = recipe.all_interactions ? below * below : 0;
  const int64_t streams = below + std::max<int64_t>(1, pairs);
  const int64_t probes = std::min(streams * prefix, std::max(prefix, kProbeHiddenBytes));
  const int64_t window = FloatBytes(streams * length * config.hidden_size);
  return layout.activation_bytes * 2 * BlockWeights(config) +
         FloatBytes(config.vocab_size * config.hidden_size) + prefix + std::max(probes, window) +
         std::min(kLogitBytes, FloatBytes(length * config.vocab_size)) +
         BatchMemory(config, length, layout);
}

int64_t PackedBlockBytes(const v1::QuantizationSpec& spec, const ModelConfig& config) {
  const MethodRecipe recipe = RecipeOf(spec);
  PackedFormat format;
  format.group_size = recipe.group_size;
  format.permuted = recipe.permuted;
  int64_t bytes = 0;
  for (const LinearShape& shape : BlockShapes(config)) bytes += PackedLayerBytes(shape, format);
  return bytes;
}

// The fp16 factors of one block's rotations.
int64_t RotationBytes(const v1::QuantizationSpec& spec, const ModelConfig& config) {
  const MethodRecipe recipe = RecipeOf(spec);
  if (!recipe.rotated()) return 0;
  int64_t values = 0;
  for (const LinearShape& shape : BlockShapes(config)) {
    const RotationShape rotation = ShapeOfRotation(recipe, shape);
    values += rotation.n1 * rotation.n1 + rotation.n2 * rotation.n2;
  }
  return 2 * values;
}

absl::StatusOr<int64_t> BytesOf(const ModelFolder& model,
                                const std::vector<ExpectedTensor>& tensors) {
  int64_t bytes = 0;
  for (const ExpectedTensor& tensor : tensors) {
    TERN_ASSIGN_OR_RETURN(const TensorView view, model.Get(tensor.name));
    bytes += static_cast<int64_t>(view.bytes.size());
  }
  return bytes;
}

int64_t CompanionBytes(const ModelFolder& model) {
  int64_t bytes = static_cast<int64_t>(model.config_json().size());
  for (const std::string& name : model.CompanionFiles()) {
    std::error_code error;
    const auto size = std::filesystem::file_size(model.path() + "/" + name, error);
    if (!error) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

}  // namespace

int64_t QuantizedParameters(const ModelConfig& config) {
  return config.num_blocks * BlockWeights(config);
}

int64_t EstimateTaskMemory(TaskKind kind, const v1::QuantizationSpec& spec,
                           const ModelConfig& config, const ComputeLayout& layout,
                           bool states_on_host) {
  const int64_t process = layout.own_memory ? 0 : kProcessBytes;
  switch (kind) {
    case TaskKind::kQuantize:
      return process + QuantizeBytes(spec, config, layout, states_on_host);
    case TaskKind::kSensitivity:
    case TaskKind::kInteraction:
      return process + SensitivityBytes(spec, config, layout);
    case TaskKind::kEvaluate:
      return process + EvaluateBytes(spec, config, layout);
    case TaskKind::kScan:
    case TaskKind::kRotate:
    case TaskKind::kAssemble:
      return 0;
  }
  return 0;
}

int64_t EstimateWorkerMemory(const v1::QuantizationSpec& spec, const ModelConfig& config,
                             const ComputeLayout& layout, bool states_on_host) {
  int64_t peak = 0;
  for (const TaskKind kind : {TaskKind::kQuantize, TaskKind::kSensitivity, TaskKind::kEvaluate}) {
    peak = std::max(peak, EstimateTaskMemory(kind, spec, config, layout, states_on_host));
  }
  return peak;
}

absl::StatusOr<int64_t> EstimateBlobBytes(const v1::QuantizationSpec& spec,
                                          const ModelFolder& model) {
  const ModelConfig& config = model.config();
  TERN_ASSIGN_OR_RETURN(int64_t bytes, BytesOf(model, OuterTensors(config)));
  for (int64_t block = 0; block < config.num_blocks; ++block) {
    TERN_ASSIGN_OR_RETURN(const int64_t kept,
                          BytesOf(model, UnquantizedBlockTensors(config, block)));
    // Rotations are there twice: as rotate/b makes them, and in the block's file.
    bytes += PackedBlockBytes(spec, config) + 2 * RotationBytes(spec, config) + kept +
             kBytesPerBlockBesides;
  }
  bytes += int64_t{4} * spec.calibration().samples() * spec.calibration().sequence_length();
  bytes += int64_t{4} * spec.evaluation().windows() * spec.evaluation().window_length();
  return bytes + CompanionBytes(model);
}

}  // namespace tern
