#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "checkpoint/checkpoint_sizes.h"
#include "checkpoint/export.h"
#include "checkpoint/packed_checkpoint.h"
#include "checkpoint/packed_digest.h"
#include "checkpoint/status_macros.h"
#include "client/command.h"
#include "client/error_text.h"
#include "client/format_values.h"
#include "client/proto_json.h"
#include "client/text_table.h"

namespace tern {
namespace {

using nlohmann::ordered_json;

// What layers are quantized to beside trits, for people: one line each, none where neither is used.
std::string FormatText(const PackedFormat& format) {
  std::string text;
  if (format.rotation.has_value()) {
    absl::StrAppend(&text, "rotation ", RotationKindName(format.rotation->kind), ", ",
                    RotationFactorizationName(format.rotation->factorization), " factors\n");
  }
  if (!format.activations.empty()) {
    const ActivationsSummary summary = Summarize(format.activations);
    absl::StrAppendFormat(&text,
                          "activations %d to %d bits, %.3g on average; clip ratios %.2f to %.2f\n",
                          summary.least_bits, summary.most_bits, summary.average_bits,
                          summary.least_clip, summary.most_clip);
  }
  return text;
}

// null where layers are not rotated, or activations have 16 bits.
ordered_json RotationJson(const PackedFormat& format) {
  if (!format.rotation.has_value()) return nullptr;
  return {{"kind", RotationKindName(format.rotation->kind)},
          {"factorization", RotationFactorizationName(format.rotation->factorization)}};
}

ordered_json ActivationsSummaryJson(const PackedFormat& format) {
  if (format.activations.empty()) return nullptr;
  const ActivationsSummary summary = Summarize(format.activations);
  ordered_json blocks = ordered_json::array();
  for (const BlockActivations& block : format.activations) blocks.push_back(block.bits);
  return {{"bits",
           {{"min", summary.least_bits},
            {"average", summary.average_bits},
            {"max", summary.most_bits}}},
          {"clip", {{"min", summary.least_clip}, {"max", summary.most_clip}}},
          {"blocks", std::move(blocks)}};
}

ordered_json SizesJson(const PackedCheckpoint& checkpoint, const CheckpointSizes& sizes) {
  ordered_json layers = ordered_json::array();
  for (const LayerSize& layer : sizes.layers) {
    layers.push_back({{"layer", layer.name},
                      {"rows", layer.rows},
                      {"cols", layer.cols},
                      {"bytes", layer.bytes},
                      {"bits_per_weight", layer.bits_per_weight}});
  }
  ordered_json unquantized = ordered_json::array();
  for (const auto& [tensor, bytes] : sizes.unquantized) {
    unquantized.push_back({{"tensor", tensor}, {"bytes", bytes}});
  }
  return {{"path", checkpoint.path()},
          {"architecture", checkpoint.config().architecture_name},
          {"blocks", checkpoint.config().num_blocks},
          {"method", checkpoint.format().method},
          {"group_size", checkpoint.format().group_size},
          {"permuted", checkpoint.format().permuted},
          {"rotation", RotationJson(checkpoint.format())},
          {"activations", ActivationsSummaryJson(checkpoint.format())},
          {"bits_per_weight",
           {{"quantized_layers", sizes.quantized_bits_per_weight},
            {"rotation", sizes.rotation_bits_per_weight},
            {"model", sizes.model_bits_per_weight}}},
          {"quantized", {{"weights", sizes.quantized_weights}, {"bytes", sizes.quantized_bytes}}},
          {"not_quantized",
           {{"weights", sizes.unquantized_weights}, {"bytes", sizes.unquantized_bytes}}},
          {"layers", std::move(layers)},
          {"unquantized", std::move(unquantized)}};
}

std::string SizesText(const PackedCheckpoint& checkpoint, const CheckpointSizes& sizes) {
  std::string text = absl::StrFormat(
      "%s\n%s, %d blocks; %s, groups of %d%s\n%s\n", checkpoint.path(),
      Printable(checkpoint.config().architecture_name), checkpoint.config().num_blocks,
      Printable(checkpoint.format().method), checkpoint.format().group_size,
      checkpoint.format().permuted ? ", columns permuted" : "", FormatText(checkpoint.format()));
  absl::StrAppendFormat(&text, "%.3f bits per weight in the quantized layers (%s weights, %s)\n",
                        sizes.quantized_bits_per_weight, CountText(sizes.quantized_weights),
                        BytesText(sizes.quantized_bytes));
  if (sizes.rotation_bytes > 0) {
    absl::StrAppendFormat(&text, "%.3f of them for the factors of rotations (%s)\n",
                          sizes.rotation_bits_per_weight, BytesText(sizes.rotation_bytes));
  }
  absl::StrAppendFormat(&text, "%.3f bits per weight in the whole model (%s weights, %s)\n\n",
                        sizes.model_bits_per_weight,
                        CountText(sizes.quantized_weights + sizes.unquantized_weights),
                        BytesText(sizes.quantized_bytes + sizes.unquantized_bytes));
  TextTable layers({"Quantized layer", ">rows", ">cols", ">bytes", ">bits"});
  for (const LayerSize& layer : sizes.layers) {
    layers.Add({Printable(layer.name), absl::StrCat(layer.rows), absl::StrCat(layer.cols),
                absl::StrCat(layer.bytes), absl::StrFormat("%.3f", layer.bits_per_weight)});
  }
  TextTable unquantized({"Not quantized", ">bytes"});
  for (const auto& [tensor, bytes] : sizes.unquantized) {
    unquantized.Add({Printable(tensor), absl::StrCat(bytes)});
  }
  return absl::StrCat(text, layers.Text(), "\n", unquantized.Text());
}

absl::StatusOr<ExitCode> Inspect(const Arguments& arguments, Console& console) {
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<PackedCheckpoint> checkpoint,
                        PackedCheckpoint::Open(arguments.Positional(0)));
  TERN_ASSIGN_OR_RETURN(const CheckpointSizes sizes, MeasureSizes(*checkpoint));
  console.out << (console.json ? IndentedJson(SizesJson(*checkpoint, sizes))
                               : SizesText(*checkpoint, sizes));
  return kExitOk;
}

// All bad files in one status: the fault of the only one, or the number and a field for each.
absl::Status CheckEveryFile(const std::string& path) {
  TERN_ASSIGN_OR_RETURN(const std::vector<PackedCheckpoint::BadFile> bad,
                        PackedCheckpoint::FindBadFiles(path));
  if (bad.empty()) return absl::OkStatus();
  if (bad.size() == 1) return bad[0].fault;
  std::vector<FieldFault> faults;
  faults.reserve(bad.size());
  for (const PackedCheckpoint::BadFile& file : bad) {
    absl::string_view fault = file.fault.message();
    absl::ConsumePrefix(&fault, absl::StrCat(path, "/", file.name, ": "));
    faults.push_back({file.name, std::string(fault)});
  }
  return WithFieldFaults(
      absl::DataLossError(absl::StrCat(path, ": ", bad.size(), " files are damaged")), faults);
}

absl::StatusOr<ExitCode> Verify(const Arguments& arguments, Console& console) {
  TERN_RETURN_IF_ERROR(CheckEveryFile(arguments.Positional(0)));
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<PackedCheckpoint> checkpoint,
                        PackedCheckpoint::Open(arguments.Positional(0)));
  TERN_ASSIGN_OR_RETURN(const std::string digest, PackedDigest(*checkpoint));
  int64_t bytes = 0;
  for (const auto& [name, file] : checkpoint->manifest()) bytes += file.size;
  if (console.json) {
    console.out << IndentedJson({{"path", checkpoint->path()},
                                 {"verified", true},
                                 {"files", checkpoint->manifest().size()},
                                 {"bytes", bytes},
                                 {"rotation", RotationJson(checkpoint->format())},
                                 {"activations", ActivationsSummaryJson(checkpoint->format())},
                                 {"digest", digest}});
  } else {
    console.out << checkpoint->path() << ": verified, " << checkpoint->manifest().size()
                << " files, " << BytesText(bytes) << "\n"
                << FormatText(checkpoint->format()) << "digest " << digest << "\n";
  }
  return kExitOk;
}

absl::StatusOr<ExitCode> Export(const Arguments& arguments, Console& console) {
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<PackedCheckpoint> checkpoint,
                        PackedCheckpoint::Open(arguments.Positional(0)));
  const std::string out = AbsolutePath(arguments.Text("out"));
  TERN_RETURN_IF_ERROR(ExportBf16(*checkpoint, out));
  const std::string note = ExportNote(checkpoint->format());
  if (console.json) {
    ordered_json json = {
        {"path", checkpoint->path()}, {"format", arguments.Text("to")}, {"out", out}};
    if (!note.empty()) json["note"] = note;
    console.out << IndentedJson(json);
  } else {
    console.out << out << "\n";
    if (!note.empty()) console.err << note << std::endl;
  }
  return kExitOk;
}

}  // namespace

Command InspectCommand() {
  return {
      {.name = "inspect",
       .summary = "Shows the true bits per weight of a checkpoint",
       .positionals = {"DIR"},
       .options = {OutputOption()},
       .notes = "Bits are those of the tensors' bytes on disk, per layer and overall, with what\n"
                "stays unquantized.\n"},
      Inspect};
}

Command VerifyCommand() {
  return {
      {.name = "verify",
       .summary = "Checks every byte of a checkpoint but its report",
       .positionals = {"DIR"},
       .options = {OutputOption()},
       .notes = "Sizes and digests against tern-manifest.json, and every layer's rules; names all\n"
                "damaged files. Prints the digest of the packed tensors, which equal results\n"
                "share; activation bits and clip ratios stand in config.json, whose digest is in\n"
                "the manifest.\n"},
      Verify};
}

Command ExportCommand() {
  return {{.name = "export",
           .summary = "Writes a checkpoint in a form other loaders take",
           .positionals = {"DIR"},
           .options = {{.name = "to",
                        .kind = OptionKind::kChoice,
                        .help = "The format: dequantized safetensors.",
                        .required = true,
                        .choices = {"bf16"}},
                       {.name = "out",
                        .placeholder = "DIR",
                        .help = "The folder to write; must not exist or be empty.",
                        .required = true},
                       OutputOption()}},
          Export};
}

}  // namespace tern
