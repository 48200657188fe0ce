#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "server/jobs/blob_keys.h"
#include "server/jobs/job_report.h"
#include "server/jobs/method_recipe.h"

namespace tern {
namespace {

// The last part of a path: names a model without telling where it lay.
std::string BaseName(absl::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return std::string(path.substr(path.rfind('/') + 1));
}

const char* ReorderName(v1::Pt2LlmMethod::Reorder reorder) {
  switch (reorder) {
    case v1::Pt2LlmMethod::REORDER_NONE:
      return "none";
    case v1::Pt2LlmMethod::REORDER_RANDOM:
      return "random";
    case v1::Pt2LlmMethod::REORDER_HESSIAN:
      return "by the Hessian's diagonal";
    default:
      return "structural similarity (SSR)";
  }
}

const char* CompensationName(v1::Pt2LlmMethod::Compensation compensation) {
  return compensation == v1::Pt2LlmMethod::COMPENSATION_RELEASED ? "released" : "exact";
}

const char* OnOff(bool on) { return on ? "on" : "off"; }

std::string Method(const v1::Pt2LlmMethod& method) {
  return absl::StrFormat(
      "PT²-LLM (arXiv 2510.03267): groups of %d columns, reordering %s, iterative ternary fitting "
      "%s, activation-aware grid alignment %s, %s compensation, asymmetric calibration %g, damping "
      "%g.",
      method.group_size(), ReorderName(method.reorder()), OnOff(method.itf()), OnOff(method.aga()),
      CompensationName(method.compensation()), method.gptaq(), method.damping());
}

std::string RotationText(const v1::TwlaMethod& method) {
  const char* const factors =
      method.factorization() == v1::TwlaMethod::FACTORIZATION_BALANCED ? "balanced" : "released";
  switch (method.rotation()) {
    case v1::TwlaMethod::ROTATION_NONE:
      return "no rotation";
    case v1::TwlaMethod::ROTATION_HADAMARD:
      return absl::StrFormat("a seeded random Hadamard rotation (%s factors)", factors);
    default:
      return absl::StrFormat(
          "a rotation learned by KOTMS (%s objective, %s factors, %d steps at %g)",
          method.objective() == v1::TwlaMethod::OBJECTIVE_PAPER ? "paper's" : "released", factors,
          method.rotation_steps(), method.rotation_rate());
  }
}

std::string ActivationText(const v1::TwlaMethod& method) {
  if (!method.has_mixed_activations()) {
    return method.activation_bits() == 16
               ? "Activations stay at 16 bits."
               : absl::StrFormat("Activations at %d bits, per token.", method.activation_bits());
  }
  const v1::MixedActivations& mixed = method.mixed_activations();
  return absl::StrFormat(
      "Activation bits chosen block by block (ILA-AMP) from {%s}, at most %g on average, "
      "interactions of neighbours weighted %g, measured %s; per token.",
      absl::StrJoin(mixed.candidates(), ", "), mixed.average_bits(), mixed.beta(),
      MeasuresAllInteractions(mixed) ? "of all candidates" : "as far as needed");
}

std::string Method(const v1::TwlaMethod& method) {
  return absl::StrFormat(
      "TWLA (arXiv 2606.13054): %s, groups of %d columns, reordering %s, grids fitted by %s, "
      "alignment to the output %s, %s compensation, asymmetric calibration %g, damping %g. %s",
      RotationText(method), method.group_size(), ReorderName(method.reorder()),
      method.fit() == v1::TwlaMethod::FIT_ITF ? "ITF" : "E2M", OnOff(method.align()),
      CompensationName(method.compensation()), method.gptaq(), method.damping(),
      ActivationText(method));
}

std::string Method(const v1::QuantizationSpec& spec) {
  return absl::StrFormat("%s %d shard%s, seed %d.",
                         spec.has_twla() ? Method(spec.twla()) : Method(spec.pt2llm()),
                         spec.shards(), spec.shards() == 1 ? "" : "s", spec.seed());
}

std::string ActivationRow(const v1::JobReport& report) {
  if (!report.has_activation_bits()) return "";
  return absl::StrFormat("| activation bits, quantized layers' inputs | 16 | %.2f |\n",
                         report.activation_bits().average_bits());
}

std::string ActivationPicture(const v1::JobReport& report) {
  if (!report.activation_bits().has_beta()) return "";
  return absl::StrCat("\n![Activation bits per block](", kActivationBitsFile, ")\n");
}

std::string Results(const v1::JobReport& report) {
  std::string table = absl::StrFormat(
      "| | full precision | quantized |\n|---|---|---|\n"
      "| bits per weight, quantized layers | | %.3f |\n"
      "| bits per weight, whole model | %.3f | %.3f |\n",
      report.bits_per_weight().quantized_layers(),
      8.0 * static_cast<double>(report.model().weight_bytes()) /
          static_cast<double>(report.model().parameters()),
      report.bits_per_weight().model());
  table += ActivationRow(report);
  if (!report.has_perplexity()) {
    return absl::StrCat(table, ActivationPicture(report),
                        "\nIt was not evaluated: measure it before relying on it.\n");
  }
  absl::StrAppendFormat(&table, "| perplexity | %.3f | %.3f |\n",
                        report.perplexity().full_precision(), report.perplexity().quantized());
  absl::StrAppendFormat(&table,
                        "\nPerplexity over %d predicted tokens in windows of %d; KL divergence to "
                        "the full-precision model %.4f nats per token. Bits are counted from the "
                        "bytes stored.\n",
                        report.perplexity().tokens(), report.spec().evaluation().window_length(),
                        report.kl_divergence());
  return table + ActivationPicture(report);
}

}  // namespace

std::string ModelCard(const v1::JobReport& report) {
  const std::string model = BaseName(report.spec().model());
  return absl::StrCat(
      "---\nlibrary_name: tern\ntags:\n- quantized\n- ternary\n---\n\n# ", model,
      ", ternary\n\nThe weights of the linear layers inside the transformer blocks of ", model,
      " (", report.model().architecture(), ", ", report.model().parameters(),
      " parameters) as {-1, 0, 1} on a grid per row and group, packed five to a byte. Embeddings, "
      "norms and biases are as in the source. Made by Tern ",
      report.version(), " without retraining.\n\n## Result\n\n", Results(report),
      "\nA ternary model is worse than its source: compare on your own task.\n\n## Method\n\n",
      Method(report.spec()), " Calibrated on ", report.spec().calibration().samples(),
      " windows of ", report.spec().calibration().sequence_length(),
      " tokens.\n\n| | SHA-256 |\n|---|---|\n| source weights | ", report.model().digest(),
      " |\n| calibration tokens | ", report.model().calibration_digest(), " |\n| packed tensors | ",
      report.digest(),
      " |\n\n## Use\n\n```\ntern verify DIR                       # every byte against the "
      "manifest\n"
      "tern inspect DIR                      # bits per weight, by layer\n"
      "tern export DIR --to bf16 --out OUT   # plain safetensors that any loader accepts\n```\n\n"
      "tern-report.json has the metrics of every layer and all that is needed to repeat the "
      "run.\n");
}

}  // namespace tern
