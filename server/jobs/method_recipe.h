#ifndef TERN_SERVER_JOBS_METHOD_RECIPE_H_
#define TERN_SERVER_JOBS_METHOD_RECIPE_H_

#include <cstdint>
#include <vector>

#include "tern/v1/quantization_job.pb.h"

namespace tern {

// What every method says of itself in its own way, as planning and estimates ask for it.
struct MethodRecipe {
  int32_t group_size = 0;
  bool permuted = false;     // layers store the order of their columns
  bool two_streams = false;  // asymmetric calibration runs the full-precision model along
  v1::TwlaMethod::Rotation rotation = v1::TwlaMethod::ROTATION_NONE;
  v1::TwlaMethod::Factorization factorization = v1::TwlaMethod::FACTORIZATION_UNSPECIFIED;
  int32_t rotation_steps = 0;
  // The widths below 16 that activations may get, ascending; empty: they stay as they are.
  std::vector<int32_t> activation_bits;
  // activation_bits are the candidates of a choice block by block, and not one width for all.
  bool mixed = false;
  bool all_interactions = false;  // of the candidates, and not only what the choice needs

  bool rotated() const { return rotation != v1::TwlaMethod::ROTATION_NONE; }
};

// Jobs from before there was a choice measure all.
inline bool MeasuresAllInteractions(const v1::MixedActivations& mixed) {
  return mixed.interactions() != v1::MixedActivations::INTERACTIONS_NEEDED;
}

// `spec` is complete. Pure.
MethodRecipe RecipeOf(const v1::QuantizationSpec& spec);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_METHOD_RECIPE_H_
