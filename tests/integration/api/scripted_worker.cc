#include "tests/integration/api/scripted_worker.h"

#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <random>
#include <utility>

#include "checkpoint/digest.h"
#include "checkpoint/packed_format.h"
#include "proto/service/chunks.h"
#include "tests/integration/api/test_server.h"

namespace tern {
namespace {

using worker::v1::SynchronizeRequest;
using worker::v1::SynchronizeResponse;
using worker::v1::Task;
using worker::v1::TaskResult;

// Bytes that differ from place to place, the same for the same seed.
std::string MadeUpBytes(uint32_t seed, size_t size) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

TaskResult MadeUpResult(const Task& task) {
  TaskResult result;
  result.set_device("cpu");
  (*result.mutable_seconds())["forward"] = 0.5;
  switch (task.work_case()) {
    case Task::kScan:
      result.mutable_scan()->set_digest(std::string(64, 'a'));
      break;
    case Task::kQuantize: {
      v1::BlockMetrics& block = *result.mutable_block();
      block.set_block(task.quantize().block());
      block.set_shard(task.quantize().shard());
      block.set_reconstruction_error(0.05);
      block.set_bits_per_weight(1.85);
      block.set_tokens(64);
      (*block.mutable_seconds())["fit"] = 0.25;
      v1::LayerMetrics& layer = *block.add_layers();
      layer.set_layer("model.layers.0.mlp.down_proj");
      layer.set_rows(192);
      layer.set_cols(512);
      layer.set_reconstruction_error(0.05);
      layer.set_bits_per_weight(1.85);
      break;
    }
    case Task::kAssemble:
      result.mutable_assemble()->set_digest(std::string(64, 'b'));
      result.mutable_assemble()->mutable_bits_per_weight()->set_quantized_layers(1.85);
      result.mutable_assemble()->mutable_bits_per_weight()->set_model(3.5);
      break;
    case Task::kEvaluate:
      result.mutable_evaluate()->set_loss_full_precision(100);
      result.mutable_evaluate()->set_loss_quantized(120);
      result.mutable_evaluate()->set_kl_divergence(5);
      result.mutable_evaluate()->set_tokens(62);
      break;
    case Task::kRotate:
    case Task::kSensitivity:
    case Task::WORK_NOT_SET:
      ADD_FAILURE() << "no script for this task";
  }
  for (const auto& [path, content] : ScriptedWorker::FilesOf(task)) result.add_files(path);
  return result;
}

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

}  // namespace

ScriptedWorker::ScriptedWorker(worker::v1::WorkerService::StubInterface& stub, std::string id,
                               std::string supervisor)
    : stub_(stub), id_(std::move(id)), supervisor_(std::move(supervisor)) {}

std::map<std::string, std::string> ScriptedWorker::FilesOf(const Task& task) {
  if (task.has_quantize()) {
    const auto block = static_cast<uint32_t>(task.quantize().block());
    return {{BlockFileName(task.quantize().block()),
             MadeUpBytes(block, static_cast<size_t>(2 * kChunkBytes) + 1000 + block)}};
  }
  if (task.has_assemble()) {
    return {{kConfigFile, "{}"}, {kIndexFile, "{}"}, {kUnquantizedFile, ""}};
  }
  return {};
}

grpc::Status ScriptedWorker::Idle(SynchronizeResponse& response, absl::Duration deadline,
                                  bool draining) {
  SynchronizeRequest request = Request();
  request.mutable_idle();
  request.set_draining(draining);
  return Call(request, response, deadline);
}

grpc::Status ScriptedWorker::Report(const worker::v1::Lease& lease, double fraction,
                                    SynchronizeResponse& response) {
  SynchronizeRequest request = Request();
  *request.mutable_executing()->mutable_lease() = lease;
  request.mutable_executing()->set_stage("forward");
  request.mutable_executing()->set_fraction(fraction);
  return Call(request, response, absl::Seconds(60));
}

grpc::Status ScriptedWorker::Complete(const Task& task, SynchronizeResponse& response) {
  SynchronizeRequest request = Request();
  *request.mutable_completed()->mutable_lease() = task.lease();
  *request.mutable_completed()->mutable_result() = MadeUpResult(task);
  return Call(request, response, absl::Seconds(60));
}

grpc::Status ScriptedWorker::Fail(const worker::v1::Lease& lease, bool permanent,
                                  SynchronizeResponse& response) {
  SynchronizeRequest request = Request();
  *request.mutable_failed()->mutable_lease() = lease;
  request.mutable_failed()->mutable_error()->set_code(13);
  request.mutable_failed()->mutable_error()->set_message("made up");
  request.mutable_failed()->set_permanent(permanent);
  return Call(request, response, absl::Seconds(60));
}

Task ScriptedWorker::NextTask() {
  SynchronizeResponse response;
  const grpc::Status status = Idle(response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(response.has_execute()) << response.ShortDebugString();
  return response.execute().task();
}

grpc::Status ScriptedWorker::Upload(const worker::v1::Lease& lease, const std::string& path,
                                    const std::string& content) {
  grpc::ClientContext context;
  SetTestDeadline(context);
  worker::v1::WriteBlobResponse response;
  const auto writer = stub_.WriteBlob(&context, &response);
  bool open = writer->Write(UploadHeader(lease, path, content));
  for (size_t at = 0; open && at < content.size(); at += static_cast<size_t>(kChunkBytes)) {
    open = writer->Write(UploadPiece(content.substr(at, static_cast<size_t>(kChunkBytes))));
  }
  writer->WritesDone();
  return writer->Finish();
}

grpc::Status ScriptedWorker::Finish(const Task& task, SynchronizeResponse& response) {
  for (const auto& [path, content] : FilesOf(task)) {
    grpc::Status uploaded = Upload(task.lease(), path, content);
    if (!uploaded.ok()) return uploaded;
  }
  return Complete(task, response);
}

void ScriptedWorker::WorkUntilIdle() {
  SynchronizeResponse response;
  grpc::Status status = Idle(response, absl::Seconds(1));
  while (status.ok() && response.has_execute()) {
    const Task task = response.execute().task();
    status = Finish(task, response);
  }
  EXPECT_TRUE(status.ok()) << status.error_message();
}

SynchronizeRequest ScriptedWorker::Request() const {
  SynchronizeRequest request;
  request.mutable_worker()->set_id(id_);
  request.mutable_worker()->set_host("test");
  request.mutable_worker()->set_device("cpu");
  request.mutable_worker()->set_memory_bytes(int64_t{8} << 30);
  request.mutable_worker()->set_version("test");
  request.mutable_worker()->set_supervisor(supervisor_);
  return request;
}

grpc::Status ScriptedWorker::Call(const SynchronizeRequest& request, SynchronizeResponse& response,
                                  absl::Duration deadline) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(deadline));
  response.Clear();
  return stub_.Synchronize(&context, request, &response);
}

worker::v1::WriteBlobRequest UploadHeader(const worker::v1::Lease& lease, const std::string& path,
                                          const std::string& content) {
  worker::v1::WriteBlobRequest request;
  *request.mutable_header()->mutable_lease() = lease;
  request.mutable_header()->set_path(path);
  request.mutable_header()->set_size_bytes(static_cast<int64_t>(content.size()));
  request.mutable_header()->set_sha256(Sha256Hex(content));
  return request;
}

worker::v1::WriteBlobRequest UploadPiece(const std::string& data) {
  worker::v1::WriteBlobRequest request;
  request.mutable_piece()->set_data(data);
  request.mutable_piece()->set_crc32c(Crc32c(Bytes(data)));
  return request;
}

}  // namespace tern
