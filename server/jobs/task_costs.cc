#include "server/jobs/task_costs.h"

#include "checkpoint/model_layout.h"
#include "server/jobs/block_shapes.h"
#include "server/jobs/layer_rotations.h"
#include "server/jobs/method_recipe.h"

namespace tern {
namespace {

constexpr double kOperationsPerWeightScanned = 20;
constexpr double kOperationsPerWeightFitted = 2000;
// Of one optimiser step: the forward product, its transpose, and those of the factors' gradients.
constexpr double kProductsPerRotationStep = 3;
// Of one Cayley transform and its derivative, in products of the factor with itself.
constexpr double kCayleyProducts = 4;

double EmbeddingWeights(const ModelConfig& config) {
  return static_cast<double>(config.vocab_size) * static_cast<double>(config.hidden_size);
}

double Cube(int64_t side) {
  const auto value = static_cast<double>(side);
  return value * value * value;
}

// One forward pass of `tokens` tokens in windows of `length` through one block.
double ForwardCost(const ModelConfig& config, double tokens, double length) {
  const double attention_width = static_cast<double>(config.num_heads * config.head_dim);
  return tokens * (2 * static_cast<double>(BlockWeights(config)) + 2 * length * attention_width);
}

double CalibrationForwardCost(const v1::QuantizationSpec& spec, const ModelConfig& config) {
  const double length = spec.calibration().sequence_length();
  return ForwardCost(config, spec.calibration().samples() * length, length);
}

// Rotating each layer's weights and second moments, and a factorisation for every layer: rotated,
// those of a set no longer share one.
double RotatedFactorizations(const MethodRecipe& recipe, const ModelConfig& config) {
  double cost = 0;
  for (const LinearShape& shape : BlockShapes(config)) {
    const RotationShape rotation = ShapeOfRotation(recipe, shape);
    const auto cols = static_cast<double>(shape.cols);
    const auto sides = static_cast<double>(rotation.n1 + rotation.n2);
    cost += 2 * static_cast<double>(shape.rows) * cols * sides + 4 * cols * cols * sides +
            2 * Cube(shape.cols);
  }
  return cost;
}

}  // namespace

double ScanCost(const ModelConfig& config) {
  return kOperationsPerWeightScanned *
         (static_cast<double>(BlockWeights(config) * config.num_blocks) + EmbeddingWeights(config));
}

double RotateCost(const v1::QuantizationSpec& spec, const ModelConfig& config) {
  const MethodRecipe recipe = RecipeOf(spec);
  double step = 0;
  for (const LinearShape& shape : BlockShapes(config)) {
    const RotationShape rotation = ShapeOfRotation(recipe, shape);
    step += kProductsPerRotationStep * 2 * static_cast<double>(shape.rows * shape.cols) *
            static_cast<double>(rotation.n1 + rotation.n2);
    step += kCayleyProducts * 2 * (Cube(rotation.n1) + Cube(rotation.n2));
  }
  return recipe.rotation_steps * step +
         kOperationsPerWeightScanned * static_cast<double>(BlockWeights(config));
}

double QuantizeCost(const v1::QuantizationSpec& spec, const ModelConfig& config,
                    int32_t shard_first_block, bool begins_shard) {
  const double length = spec.calibration().sequence_length();
  const double tokens = spec.calibration().samples() * length;
  double moments = 0;
  double factorizations = 0;
  for (const auto& set : CalibrationSets()) {
    const auto cols = static_cast<double>(ShapeOf(config, set.front()).cols);
    moments += 2 * cols * cols * tokens;
    factorizations += 2 * cols * cols * cols;
  }
  const MethodRecipe recipe = RecipeOf(spec);
  if (recipe.rotated()) factorizations = RotatedFactorizations(recipe, config);
  const double forward = ForwardCost(config, tokens, length);
  // Both streams pass through the block; a shard's first block sees the full-precision prefix.
  const double prefix = begins_shard ? forward * shard_first_block : 0;
  return prefix + 2 * forward + 2 * moments + factorizations +
         kOperationsPerWeightFitted * static_cast<double>(BlockWeights(config));
}

double SensitivityCost(const v1::QuantizationSpec& spec, const ModelConfig& config, int32_t block) {
  // Every candidate but the baseline, alone and, where all interactions are measured, after each of
  // the block before; the first block's task measures the baseline too.
  const MethodRecipe recipe = RecipeOf(spec);
  const auto below = static_cast<double>(recipe.activation_bits.size()) - 1;
  const bool pairs = recipe.all_interactions && block > 0;
  const double probes = below + (pairs ? below * below : 0) + (block > 0 ? 0 : 1);
  const auto after = static_cast<double>(config.num_blocks - block);
  const double tokens =
      static_cast<double>(spec.calibration().samples()) * spec.calibration().sequence_length();
  // The prefix by a block, or the block before at every width; and every probe's stream.
  const double passes = (pairs ? below + 1 : 1) + probes * after;
  return passes * CalibrationForwardCost(spec, config) +
         probes * 2 * tokens * EmbeddingWeights(config);
}

double AssembleCost(const ModelConfig& config) {
  return kOperationsPerWeightScanned * EmbeddingWeights(config);
}

double EvaluateCost(const v1::QuantizationSpec& spec, const ModelConfig& config, int64_t windows) {
  const int64_t length = spec.evaluation().window_length();
  const auto tokens = static_cast<double>(windows * length);
  const auto blocks = static_cast<double>(config.num_blocks);
  return 2 * (blocks * ForwardCost(config, tokens, static_cast<double>(length)) +
              2 * tokens * EmbeddingWeights(config));
}

}  // namespace tern
