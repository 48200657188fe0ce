#include "server/jobs/method_recipe.h"

namespace tern {
namespace {

using v1::Pt2LlmMethod;

MethodRecipe Pt2LlmRecipe(const Pt2LlmMethod& method) {
  MethodRecipe recipe;
  recipe.group_size = method.group_size();
  recipe.permuted = method.reorder() != Pt2LlmMethod::REORDER_NONE;
  recipe.two_streams = method.gptaq() > 0;
  return recipe;
}

MethodRecipe TwlaRecipe(const v1::TwlaMethod& method) {
  MethodRecipe recipe;
  recipe.group_size = method.group_size();
  recipe.permuted = method.reorder() != Pt2LlmMethod::REORDER_NONE;
  recipe.two_streams = method.gptaq() > 0;
  recipe.rotation = method.rotation();
  recipe.factorization = method.factorization();
  recipe.rotation_steps = method.rotation_steps();
  recipe.mixed = method.has_mixed_activations();
  if (recipe.mixed) {
    const auto& candidates = method.mixed_activations().candidates();
    recipe.activation_bits.assign(candidates.begin(), candidates.end());
    recipe.all_interactions = MeasuresAllInteractions(method.mixed_activations());
  } else if (method.activation_bits() < 16) {
    recipe.activation_bits = {method.activation_bits()};
  }
  return recipe;
}

}  // namespace

MethodRecipe RecipeOf(const v1::QuantizationSpec& spec) {
  return spec.has_twla() ? TwlaRecipe(spec.twla()) : Pt2LlmRecipe(spec.pt2llm());
}

}  // namespace tern
