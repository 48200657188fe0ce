// Writes a made-up Llama of a real one's shape, for timing jobs on models too large to carry about,
// and the token ids to calibrate it with (it has no tokenizer):
//
//   tern_synthetic_model --shape=7b|13b|70b|tiny --out=DIR [--blocks=N] [--seed=S] [--threads=T]
//   tern submit DIR --calibration DIR/../calibration/calibration.safetensors ...

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/safetensors_writer.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/text/split_mix.h"
#include "proto/service/program_flags.h"
#include "tests/benchmarks/synthetic_shards.h"

ABSL_FLAG(std::string, shape, "7b", "Shape of the model: 7b, 13b, 70b or tiny.");
ABSL_FLAG(int64_t, blocks, 0, "Transformer blocks; 0: as many as the shape has.");
ABSL_FLAG(uint64_t, seed, 1, "What all values are drawn from.");
ABSL_FLAG(std::string, out, "", "Folder of the model; created where missing. Required.");
ABSL_FLAG(int32_t, threads, 0, "Threads that make values; 0: one for each CPU.");
ABSL_FLAG(
    std::string, calibration, "",
    "File of the calibration windows. Empty: calibration/calibration.safetensors beside --out.");
ABSL_FLAG(int64_t, windows, 128, "Calibration windows.");
ABSL_FLAG(int64_t, window_length, 2048, "Tokens of a calibration window.");

namespace tern {
namespace {

struct Shape {
  int64_t hidden;
  int64_t intermediate;
  int64_t blocks;
  int64_t heads;
  int64_t kv_heads;
  int64_t vocabulary;
  int64_t shard_bytes;  // at most, of a shard's tensors
};

absl::StatusOr<Shape> ShapeNamed(const std::string& name) {
  static const auto& shapes = *new std::map<std::string, Shape>{
      {"7b", {4096, 11008, 32, 32, 32, 32000, 2'000'000'000}},
      {"13b", {5120, 13824, 40, 40, 40, 32000, 2'000'000'000}},
      {"70b", {8192, 28672, 80, 64, 8, 32000, 2'000'000'000}},
      {"tiny", {256, 688, 4, 4, 2, 512, 2'000'000}},
  };
  const auto found = shapes.find(name);
  if (found != shapes.end()) return found->second;
  return absl::InvalidArgumentError(
      absl::StrCat("--shape: \"", name, "\" is not 7b, 13b, 70b or tiny"));
}

std::string ConfigJson(const Shape& shape, int64_t blocks) {
  return nlohmann::json({{"architectures", {"LlamaForCausalLM"}},
                         {"model_type", "llama"},
                         {"hidden_size", shape.hidden},
                         {"intermediate_size", shape.intermediate},
                         {"num_hidden_layers", blocks},
                         {"num_attention_heads", shape.heads},
                         {"num_key_value_heads", shape.kv_heads},
                         {"vocab_size", shape.vocabulary},
                         {"max_position_embeddings", 4096},
                         {"rms_norm_eps", 1e-5},
                         {"rope_theta", 10000.0},
                         {"hidden_act", "silu"},
                         {"tie_word_embeddings", false},
                         {"torch_dtype", "bfloat16"},
                         {"bos_token_id", 1},
                         {"eos_token_id", 2}})
             .dump(2) +
         "\n";
}

// Ids that fall off as words do in text (Zipf's law, flattened at its head).
absl::Status WriteCalibration(int64_t vocabulary, uint64_t seed, const std::string& path) {
  constexpr double kFlat = 5;
  const int64_t windows = absl::GetFlag(FLAGS_windows);
  const int64_t length = absl::GetFlag(FLAGS_window_length);
  const double span = std::log1p(static_cast<double>(vocabulary) / kFlat);
  SplitMix64 random(seed);
  std::vector<int32_t> ids(static_cast<size_t>(windows * length));
  for (int32_t& id : ids) {
    const double uniform = static_cast<double>(random.Next() >> 11) * 0x1p-53;
    const auto rank = static_cast<int64_t>(kFlat * std::expm1(uniform * span));
    id = static_cast<int32_t>(std::min(rank, vocabulary - 1));
  }
  std::error_code ignored;  // writing the file fails too, and says more
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  return WriteSafetensorsFile(path,
                              {{"input_ids",
                                DType::kI32,
                                {windows, length},
                                {reinterpret_cast<const uint8_t*>(ids.data()), ids.size() * 4}}},
                              {});
}

absl::Status CheckRange(absl::string_view flag, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, ": ", value, " is not between ", least, " and ", most));
}

absl::Status Run() {
  namespace fs = std::filesystem;
  TERN_ASSIGN_OR_RETURN(const Shape shape, ShapeNamed(absl::GetFlag(FLAGS_shape)));
  TERN_RETURN_IF_ERROR(CheckRange("blocks", absl::GetFlag(FLAGS_blocks), 0, 1000));
  TERN_RETURN_IF_ERROR(CheckRange("threads", absl::GetFlag(FLAGS_threads), 0, 1024));
  TERN_RETURN_IF_ERROR(CheckRange("windows", absl::GetFlag(FLAGS_windows), 1, 1 << 16));
  TERN_RETURN_IF_ERROR(CheckRange("window-length", absl::GetFlag(FLAGS_window_length), 2, 4096));
  if (absl::GetFlag(FLAGS_out).empty()) {
    return absl::InvalidArgumentError("--out: the folder to write is required");
  }
  std::error_code error;
  const fs::path out = fs::absolute(absl::GetFlag(FLAGS_out)) / "";  // "a" and "a/" alike
  const fs::path folder = out.parent_path();
  fs::create_directories(folder, error);
  if (error) return absl::UnavailableError(absl::StrCat(folder.string(), ": ", error.message()));

  const uint64_t seed = absl::GetFlag(FLAGS_seed);
  const int64_t blocks = absl::GetFlag(FLAGS_blocks);
  const int cpus = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  const int threads = absl::GetFlag(FLAGS_threads) == 0 ? cpus : absl::GetFlag(FLAGS_threads);
  const std::string config_json = ConfigJson(shape, blocks == 0 ? shape.blocks : blocks);
  TERN_ASSIGN_OR_RETURN(const ModelConfig config, ParseModelConfig(config_json));
  const absl::Time start = absl::Now();
  TERN_RETURN_IF_ERROR(
      WriteSyntheticWeights(config, {seed, threads, shape.shard_bytes}, folder.string()));
  TERN_RETURN_IF_ERROR(WriteFileAtomically((folder / "config.json").string(), config_json));
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<ModelFolder> model,
                        ModelFolder::Open(folder.string()));
  const double megabytes = static_cast<double>(model->weight_bytes()) / 1e6;
  absl::PrintF("%s: %.1f M parameters, %.1f MB in %.1f s, %.0f MB/s by %d threads\n",
               folder.string(), static_cast<double>(model->parameters()) / 1e6, megabytes, seconds,
               megabytes / seconds, threads);

  std::string calibration = absl::GetFlag(FLAGS_calibration);
  if (calibration.empty()) {
    calibration = (folder.parent_path() / "calibration" / "calibration.safetensors").string();
  }
  TERN_RETURN_IF_ERROR(WriteCalibration(shape.vocabulary, seed, calibration));
  absl::PrintF("%s: %d windows of %d tokens\n", calibration, absl::GetFlag(FLAGS_windows),
               absl::GetFlag(FLAGS_window_length));
  return absl::OkStatus();
}

}  // namespace
}  // namespace tern

int main(int argc, char** argv) {
  absl::Status status = tern::ParseProgramFlags(
      argc, argv, "writes a made-up model of a real one's shape, and windows to calibrate it with");
  if (status.ok()) status = tern::Run();
  if (status.ok()) return 0;
  std::cerr << "tern_synthetic_model: " << std::string(status.message()) << "\n";
  return 1;
}
