// Runs PT²-LLM's whole job in one process, as a worker would block by block, on the models and
// calibration windows behind the published reference figures, and prints perplexities beside them
// with the seconds every stage took:
//
//   tern_reference_figures --shared ../shared [--model bench-llama] [--only released,paper]

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "checkpoint/model_folder.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/text/calibration.h"
#include "checkpoint/text/evaluation.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "worker/backend/device.h"
#include "worker/model/evaluation.h"
#include "worker/model/weight_source.h"
#include "worker/quant/block_quantizer.h"
#include "worker/quant/calibration_state.h"

ABSL_FLAG(std::string, shared, "../shared", "folder with models/, golden/ and data/");
ABSL_FLAG(std::string, model, "bench-llama", "bench-llama or demo-llama");
ABSL_FLAG(std::vector<std::string>, only, {}, "names of the configurations to run; empty: all");
ABSL_FLAG(std::string, device, "cpu", "cpu or cuda:N");
ABSL_FLAG(std::string, activations, "auto", "auto, or float32 on CUDA too");
ABSL_FLAG(int, threads, 0, "threads; 0: one for each CPU");
ABSL_FLAG(int, spread, 1,
          "run every configuration this often, each with a damping that differs by 0.2%, and print "
          "the mean: results this small move with the smallest of changes");
ABSL_FLAG(bool, layers, false, "print the error of every layer, to compare devices by");
ABSL_FLAG(int64_t, eval_windows, 120, "windows of the evaluation texts");

namespace tern {
namespace {

// Perplexities on eval.txt and sampled.txt; 0 where none is published.
struct Figures {
  double eval = 0;
  double sampled = 0;
};

struct Configuration {
  const char* name;
  QuantRecipe options;
  std::map<std::string, Figures> published;  // by model
};

const Figures& FullPrecisionFigures(const std::string& model) {
  static const std::map<std::string, Figures>& figures = *new std::map<std::string, Figures>{
      {"bench-llama", {34.220, 0}}, {"demo-llama", {27.019, 21.699}}};
  return figures.at(model);
}

std::vector<Configuration> Configurations() {
  QuantRecipe released;
  released.compensation = Compensation::kReleased;
  QuantRecipe paper = released;
  paper.gptaq = 0;
  QuantRecipe paper_no_ssr = paper;
  paper_no_ssr.reorder = Reorder::kNone;
  QuantRecipe paper_exact = paper;
  paper_exact.compensation = Compensation::kExact;
  QuantRecipe exact_no_ssr;  // nothing in it is chosen by the smallest of differences
  exact_no_ssr.reorder = Reorder::kNone;
  return {
      {"released", released, {{"bench-llama", {53.18, 0}}, {"demo-llama", {146.66, 127.26}}}},
      {"paper", paper, {{"bench-llama", {56.43, 0}}, {"demo-llama", {180.96, 155.39}}}},
      {"paper-no-ssr", paper_no_ssr, {{"bench-llama", {57.50, 0}}}},
      {"paper-exact", paper_exact, {{"bench-llama", {54.41, 0}}}},
      {"released-exact", QuantRecipe(), {{"bench-llama", {50.38, 0}}}},
      {"released-exact-no-ssr", exact_no_ssr, {}},
  };
}

// What all configurations of one model share.
struct Setting {
  std::unique_ptr<Backend> backend;
  std::unique_ptr<ModelFolder> model;
  std::unique_ptr<WeightSource> full;
  TokenWindows calibration;
  std::map<std::string, TokenWindows> texts;  // "eval.txt", "sampled.txt"
};

absl::StatusOr<Setting> LoadSetting(const std::string& name) {
  const std::string shared = absl::GetFlag(FLAGS_shared);
  const std::string folder = absl::StrCat(shared, "/models/", name);
  Setting setting;
  DeviceOptions device;
  device.device = absl::GetFlag(FLAGS_device);
  device.threads = absl::GetFlag(FLAGS_threads);
  if (absl::GetFlag(FLAGS_activations) == "float32") device.activation_type = ElementType::kF32;
  TERN_ASSIGN_OR_RETURN(setting.backend, CreateBackend(device));
  TERN_ASSIGN_OR_RETURN(setting.model, ModelFolder::Open(folder));
  setting.full = FullPrecisionWeights(*setting.model);
  const int64_t vocab_size = setting.model->config().vocab_size;
  CalibrationSpec calibration;
  calibration.files = {absl::StrCat(shared, "/golden/", name, "-windows.safetensors")};
  calibration.vocab_size = vocab_size;
  TERN_ASSIGN_OR_RETURN(setting.calibration, SampleCalibration(calibration, nullptr));
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer, OpenTokenizer(folder));
  for (const char* text : {"eval.txt", "sampled.txt"}) {
    EvaluationSpec spec;
    spec.files = {absl::StrCat(shared, "/data/", text)};
    spec.length = setting.calibration.length;
    spec.max_windows = absl::GetFlag(FLAGS_eval_windows);
    spec.vocab_size = vocab_size;
    TERN_ASSIGN_OR_RETURN(setting.texts[text], EvaluationWindows(spec, tokenizer.get()));
  }
  return setting;
}

struct Job {
  std::vector<QuantizedBlock> blocks;
  double seconds = 0;
};

absl::StatusOr<Job> RunJob(Setting& setting, const QuantRecipe& options) {
  Backend& backend = *setting.backend;
  const ModelConfig& config = setting.model->config();
  const absl::Time start = absl::Now();
  TERN_ASSIGN_OR_RETURN(
      CalibrationState state,
      StartCalibration(backend, *setting.full, setting.calibration.ids, setting.calibration.length,
                       /*first_block=*/0, {.full_precision = NeedsFullPrecision(options)},
                       nullptr));
  Job job;
  for (int64_t block = 0; block < config.num_blocks; ++block) {
    TERN_ASSIGN_OR_RETURN(const BlockWeights weights, setting.full->Block(backend, block));
    TERN_ASSIGN_OR_RETURN(
        QuantizedBlock quantized,
        QuantizeBlock(backend, config, weights, options, BlockRotations(), TaskControl(), state));
    job.blocks.push_back(std::move(quantized));
  }
  job.seconds = absl::ToDoubleSeconds(absl::Now() - start);
  return job;
}

absl::StatusOr<double> Perplexity(Setting& setting, const WeightSource& source,
                                  const std::string& text) {
  const TokenWindows& windows = setting.texts.at(text);
  EvaluatedModels models;
  models.full = &source;
  TERN_ASSIGN_OR_RETURN(
      const EvaluationSums sums,
      Evaluate(*setting.backend, models, {windows.ids, windows.length}, EvaluationOptions()));
  return std::exp(sums.nll_full / static_cast<double>(sums.tokens));
}

void PrintFigure(const std::string& text, double perplexity, double published) {
  std::printf("  %-12s perplexity %8.3f", text.c_str(), perplexity);
  if (published > 0) {
    std::printf("  published %8.3f  %+.2f%%", published, 100 * (perplexity / published - 1));
  }
  std::printf("\n");
}

absl::Status Report(Setting& setting, const WeightSource& source, const Figures& published) {
  const absl::Time start = absl::Now();
  for (const auto& [text, figure] :
       {std::pair{"eval.txt", published.eval}, {"sampled.txt", published.sampled}}) {
    if (figure == 0 && std::strcmp(text, "eval.txt") != 0) continue;
    TERN_ASSIGN_OR_RETURN(const double perplexity, Perplexity(setting, source, text));
    PrintFigure(text, perplexity, figure);
  }
  std::printf("  evaluation   %.1f s\n", absl::ToDoubleSeconds(absl::Now() - start));
  return absl::OkStatus();
}

void PrintJob(const Job& job) {
  std::map<std::string, double> stages;
  int64_t raises = 0;
  int64_t lost = 0;
  double bits = 0;
  double error = 0;
  for (const QuantizedBlock& block : job.blocks) {
    for (const auto& [stage, seconds] : block.metrics.seconds) stages[stage] += seconds;
    for (const auto& [kind, layer] : block.metrics.layers) {
      raises += layer.damping_raises;
      lost += static_cast<int64_t>(layer.compensation_lost);
    }
    bits += block.metrics.bits_per_weight / static_cast<double>(job.blocks.size());
    error += block.metrics.relative_error / static_cast<double>(job.blocks.size());
  }
  std::printf("  %.3f bits per weight, relative error %.4f, %ld damping raises, %ld fallbacks\n",
              bits, error, raises, lost);
  std::printf("  quantization %.1f s:", job.seconds);
  for (const auto& [stage, seconds] : stages) std::printf(" %s %.1f", stage.c_str(), seconds);
  std::printf("\n");
  if (!absl::GetFlag(FLAGS_layers)) return;
  for (size_t block = 0; block < job.blocks.size(); ++block) {
    for (const auto& [kind, layer] : job.blocks[block].metrics.layers) {
      std::printf("  layer %s %.6f\n", LinearName(static_cast<int64_t>(block), kind).c_str(),
                  layer.relative_error);
    }
  }
}

bool Wanted(const std::string& name) {
  const std::vector<std::string> only = absl::GetFlag(FLAGS_only);
  bool wanted = only.empty();
  for (const std::string& other : only) wanted = wanted || other == name;
  return wanted;
}

std::unique_ptr<WeightSource> WeightsOf(const Setting& setting, const Job& job) {
  return QuantizedWeights(*setting.model, [&job](int64_t block) -> absl::StatusOr<BlockLayers> {
    return job.blocks[block].layers;
  });
}

absl::Status RunOnce(Setting& setting, const Configuration& configuration,
                     const std::string& model) {
  TERN_ASSIGN_OR_RETURN(const Job job, RunJob(setting, configuration.options));
  PrintJob(job);
  const auto published = configuration.published.find(model);
  return Report(setting, *WeightsOf(setting, job),
                published == configuration.published.end() ? Figures() : published->second);
}

absl::Status RunSpread(Setting& setting, const Configuration& configuration) {
  const int runs = absl::GetFlag(FLAGS_spread);
  double sum = 0;
  double squares = 0;
  for (int run = 0; run < runs; ++run) {
    QuantRecipe options = configuration.options;
    options.damping *= 1 + 0.002 * (run - runs / 2);
    TERN_ASSIGN_OR_RETURN(const Job job, RunJob(setting, options));
    TERN_ASSIGN_OR_RETURN(const double perplexity,
                          Perplexity(setting, *WeightsOf(setting, job), "eval.txt"));
    sum += perplexity;
    squares += perplexity * perplexity;
  }
  const double mean = sum / runs;
  const double variance = std::max(0.0, squares / runs - mean * mean) / (runs - 1);
  std::printf("  eval.txt     perplexity %8.3f, standard error %.3f, mean of %d\n", mean,
              std::sqrt(variance), runs);
  return absl::OkStatus();
}

absl::Status Run() {
  const std::string model = absl::GetFlag(FLAGS_model);
  TERN_ASSIGN_OR_RETURN(Setting setting, LoadSetting(model));
  if (Wanted("full")) {
    std::printf("%s, full precision\n", model.c_str());
    TERN_RETURN_IF_ERROR(Report(setting, *setting.full, FullPrecisionFigures(model)));
  }
  for (const Configuration& configuration : Configurations()) {
    if (!Wanted(configuration.name)) continue;
    std::printf("%s, %s\n", model.c_str(), configuration.name);
    TERN_RETURN_IF_ERROR(absl::GetFlag(FLAGS_spread) > 1 ? RunSpread(setting, configuration)
                                                         : RunOnce(setting, configuration, model));
    std::fflush(stdout);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace tern

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  if (const absl::Status status = tern::Run(); !status.ok()) {
    std::fprintf(stderr, "tern_reference_figures: %s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}
