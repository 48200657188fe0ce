#include "checkpoint/model_folder.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "checkpoint/atomic_file.h"
#include "checkpoint/path_rules.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/status_macros.h"
#include "checkpoint/strict_json.h"
#include "checkpoint/tensor_values.h"

namespace tern {
namespace {

using nlohmann::json;

constexpr char kConfigName[] = "config.json";
constexpr char kSingleName[] = "model.safetensors";
constexpr char kIndexName[] = "model.safetensors.index.json";

// Every file has a header to keep.
constexpr size_t kMaxShards = 1024;

bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

// The block a tensor's name belongs to, and the rest of the name: "model.layers.3." "mlp.…".
std::optional<std::pair<int64_t, absl::string_view>> SplitBlock(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, "model.layers.")) return std::nullopt;
  const size_t dot = name.find('.');
  int64_t block = 0;
  if (dot == absl::string_view::npos || !absl::SimpleAtoi(name.substr(0, dot), &block)) {
    return std::nullopt;
  }
  return std::pair(block, name.substr(dot + 1));
}

// A tensor of a linear layer that the architecture does not have (a bias, a quantizer's scales, a
// block past the last) changes what the model computes, so it may not be passed over.
absl::Status RefuseUnknownLinear(const ModelConfig& config, const std::string& name) {
  const auto split = SplitBlock(name);
  if (!split.has_value()) return absl::OkStatus();
  for (const LinearKind kind : LinearKinds()) {
    if (!absl::StartsWith(split->second, absl::StrCat(LinearModule(kind), "."))) continue;
    if (split->first >= config.num_blocks) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": belongs to block ", split->first,
                                                     " but config.json's num_hidden_layers is ",
                                                     config.num_blocks));
    }
    return absl::InvalidArgumentError(absl::StrCat(name, ": a linear layer of ",
                                                   config.architecture_name,
                                                   " with this config.json has no such tensor"));
  }
  return absl::OkStatus();
}

}  // namespace

const std::vector<std::string>& CompanionFileNames() {
  static const auto& names = *new std::vector<std::string>{"tokenizer.json",
                                                           "tokenizer.model",
                                                           "tokenizer_config.json",
                                                           "added_tokens.json",
                                                           "special_tokens_map.json",
                                                           "generation_config.json",
                                                           "vocab.json",
                                                           "merges.txt",
                                                           "chat_template.jinja"};
  return names;
}

absl::StatusOr<std::unique_ptr<ModelFolder>> ModelFolder::Open(const std::string& path) {
  std::unique_ptr<ModelFolder> model(new ModelFolder);
  model->path_ = path;
  TERN_ASSIGN_OR_RETURN(model->config_json_,
                        ReadFile(absl::StrCat(path, "/", kConfigName), kMaxConfigFileBytes));
  TERN_ASSIGN_OR_RETURN(model->config_, ParseModelConfig(model->config_json_));
  TERN_RETURN_IF_ERROR(model->OpenShards());
  TERN_RETURN_IF_ERROR(model->CheckTensors());
  return model;
}

absl::Status ModelFolder::OpenShards() {
  if (Exists(absl::StrCat(path_, "/", kSingleName))) return OpenSingleFile();
  if (Exists(absl::StrCat(path_, "/", kIndexName))) return OpenIndexedShards();
  return absl::NotFoundError(
      absl::StrCat(path_, ": neither ", kSingleName, " nor ", kIndexName,
                   "; save the model in the safetensors format (save_pretrained does)"));
}

absl::Status ModelFolder::OpenSingleFile() {
  TERN_ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsReader> reader,
                        SafetensorsReader::Open(absl::StrCat(path_, "/", kSingleName)));
  for (const auto& [name, tensor] : reader->tensors()) shard_of_.emplace(name, reader.get());
  shards_.push_back(std::move(reader));
  return absl::OkStatus();
}

absl::Status ModelFolder::OpenIndexedShards() {
  const std::string index_path = absl::StrCat(path_, "/", kIndexName);
  TERN_ASSIGN_OR_RETURN(const std::string text, ReadFile(index_path, kMaxJsonFileBytes));
  TERN_ASSIGN_OR_RETURN(const json index, ParseJsonObject(text, index_path));
  const auto weight_map = index.find("weight_map");
  if (weight_map == index.end() || !weight_map->is_object()) {
    return absl::InvalidArgumentError(
        absl::StrCat(index_path, ": weight_map: an object of tensor and file names is expected"));
  }
  std::map<std::string, const SafetensorsReader*> opened;
  size_t tensors = 0;
  for (const auto& [tensor, file] : weight_map->items()) {
    if (!file.is_string() || !IsPlainFileName(file.get_ref<const std::string&>())) {
      return absl::InvalidArgumentError(absl::StrCat(index_path, ": weight_map: \"", Shown(tensor),
                                                     "\": ", Shown(file.dump(-1, ' ', true)),
                                                     " is not a plain file name"));
    }
    const auto& shard_name = file.get_ref<const std::string&>();
    const SafetensorsReader*& shard = opened[shard_name];
    if (shard == nullptr) {
      if (shards_.size() == kMaxShards) {
        return absl::InvalidArgumentError(
            absl::StrCat(index_path, ": weight_map: more than ", kMaxShards, " files"));
      }
      TERN_ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsReader> reader,
                            SafetensorsReader::Open(absl::StrCat(path_, "/", shard_name)));
      shard = reader.get();
      shards_.push_back(std::move(reader));
      tensors += shard->tensors().size();
      if (tensors > kMaxTensors) {
        return absl::InvalidArgumentError(absl::StrCat(
            index_path, ": weight_map: its files hold more than ", kMaxTensors, " tensors"));
      }
    }
    if (!shard->Has(tensor)) {
      return absl::InvalidArgumentError(
          absl::StrCat(index_path, ": weight_map: \"", Shown(tensor), "\": not in ", shard_name));
    }
    shard_of_.emplace(tensor, shard);
  }
  return absl::OkStatus();
}

absl::Status ModelFolder::CheckTensors() {
  std::set<std::string, std::less<>> expected_names;
  for (const ExpectedTensor& expected : Tensors()) {
    if (!shard_of_.contains(expected.name)) {
      return absl::InvalidArgumentError(absl::StrCat(expected.name, ": not in ", path_,
                                                     ", but config.json implies it with shape ",
                                                     ShapeString(expected.shape)));
    }
    TERN_ASSIGN_OR_RETURN(const TensorView tensor, Get(expected.name));
    TERN_RETURN_IF_ERROR(CheckWeight(tensor, expected));
    weight_bytes_ += static_cast<int64_t>(tensor.bytes.size());
    parameters_ += tensor.elements();
    expected_names.insert(expected.name);
  }
  for (const auto& [name, shard] : shard_of_) {
    if (expected_names.contains(name)) continue;
    TERN_RETURN_IF_ERROR(RefuseUnknownLinear(config_, name));
  }
  return absl::OkStatus();
}

std::vector<ExpectedTensor> ModelFolder::Tensors() const {
  std::vector<ExpectedTensor> tensors = OuterTensors(config_);
  for (int64_t block = 0; block < config_.num_blocks; ++block) {
    for (ExpectedTensor& tensor : BlockTensors(config_, block)) {
      tensors.push_back(std::move(tensor));
    }
  }
  return tensors;
}

absl::StatusOr<TensorView> ModelFolder::Get(absl::string_view tensor) const {
  const auto found = shard_of_.find(tensor);
  if (found == shard_of_.end()) {
    return absl::NotFoundError(absl::StrCat(path_, ": no tensor \"", Shown(tensor), "\""));
  }
  return found->second->Get(tensor);
}

absl::Status ModelFolder::ReadFloat(absl::string_view tensor, std::span<float> out) const {
  TERN_ASSIGN_OR_RETURN(const TensorView view, Get(tensor));
  TERN_RETURN_IF_ERROR(tern::ReadFloat(view, out));
  Release(tensor);
  return absl::OkStatus();
}

void ModelFolder::Release(absl::string_view tensor) const {
  const auto found = shard_of_.find(tensor);
  if (found == shard_of_.end()) return;
  const absl::StatusOr<TensorView> view = found->second->Get(tensor);
  if (view.ok()) found->second->Release(*view);
}

std::vector<std::string> ModelFolder::CompanionFiles() const {
  std::vector<std::string> present;
  for (const std::string& name : CompanionFileNames()) {
    if (Exists(absl::StrCat(path_, "/", name))) present.push_back(name);
  }
  return present;
}

}  // namespace tern
