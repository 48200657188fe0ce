#include "worker/agent/blob_client.h"

#include <grpcpp/client_context.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "checkpoint/digest.h"
#include "proto/service/chunks.h"
#include "proto/service/rpc_status.h"
#include "worker/agent/backoff.h"
#include "worker/agent/server_channel.h"

namespace tern {
namespace {

using tern::worker::v1::ReadBlobRequest;
using tern::worker::v1::ReadBlobResponse;
using tern::worker::v1::WriteBlobRequest;
using tern::worker::v1::WriteBlobResponse;

// How often a transfer is tried again without progress before its corruption is believed.
constexpr int kCorruptAttempts = 5;

// Returns early when `stop` is requested.
void Sleep(absl::Duration time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, absl::ToChronoMilliseconds(time), [] { return false; });
}

absl::Status Stopped() { return absl::CancelledError("the task was stopped"); }

std::span<const uint8_t> Bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Decides what follows a failed stream: another one after a pause (OK), or the error.
class RetryPolicy {
 public:
  explicit RetryPolicy(const BlobClient::Timing& timing)
      : backoff_(timing.first_retry, timing.longest_retry) {}

  void MadeProgress() {
    backoff_.Reset();
    corrupt_ = 0;
  }

  absl::Status AfterFailure(const absl::Status& status, const std::stop_token& stop) {
    if (stop.stop_requested()) return Stopped();
    const bool corrupt = absl::IsDataLoss(status);
    if (!corrupt && !IsTransient(status)) return status;
    if (corrupt && ++corrupt_ >= kCorruptAttempts) return status;
    Sleep(backoff_.Next(), stop);
    return stop.stop_requested() ? Stopped() : absl::OkStatus();
  }

 private:
  Backoff backoff_;
  int corrupt_ = 0;
};

}  // namespace

// What has arrived of a blob so far.
struct BlobClient::Download {
  std::vector<uint8_t> bytes;
  int64_t size = -1;  // unknown before the first piece
  std::string sha256;

  bool complete() const { return static_cast<int64_t>(bytes.size()) == size; }

  absl::Status Append(const std::string& path, const ReadBlobResponse& piece) {
    const int64_t have = static_cast<int64_t>(bytes.size());
    if (Crc32c(Bytes(piece.data())) != piece.crc32c()) {
      return absl::DataLossError(absl::StrCat(path, ": CRC32C mismatch at byte ", have));
    }
    if (size < 0) {
      size = piece.size_bytes();
      sha256 = piece.sha256();
    }
    if (piece.offset() != have || piece.size_bytes() != size || piece.sha256() != sha256 ||
        have + static_cast<int64_t>(piece.data().size()) > size) {
      return absl::DataLossError(absl::StrCat(path, ": the piece at byte ", piece.offset(),
                                              " does not continue byte ", have, " of ", size));
    }
    bytes.insert(bytes.end(), piece.data().begin(), piece.data().end());
    return absl::OkStatus();
  }
};

absl::StatusOr<std::vector<uint8_t>> BlobClient::Read(const std::string& job_uid,
                                                      const std::string& path,
                                                      const std::stop_token& stop) {
  ReadBlobRequest request;
  request.set_job_uid(job_uid);
  request.set_path(path);

  Download download;
  RetryPolicy retry(timing_);
  while (!download.complete()) {
    const size_t before = download.bytes.size();
    request.set_offset(static_cast<int64_t>(before));
    const absl::Status status = ReadStream(request, download, stop);
    if (status.ok()) break;
    if (download.bytes.size() > before) retry.MadeProgress();
    if (absl::Status end = retry.AfterFailure(status, stop); !end.ok()) return end;
  }
  if (Sha256Hex(download.bytes) != download.sha256) {
    return absl::DataLossError(absl::StrCat(path, ": SHA-256 does not match what was received"));
  }
  return std::move(download.bytes);
}

absl::Status BlobClient::ReadStream(const ReadBlobRequest& request, Download& download,
                                    const std::stop_token& stop) {
  grpc::ClientContext context;
  SetDeadline(context, timing_.stream);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  const absl::Time start = absl::Now();
  const auto reader = stub_.ReadBlob(&context, request);

  absl::Status broken;
  ReadBlobResponse piece;
  while (broken.ok() && reader->Read(&piece)) {
    metrics_.CountReceivedBytes(static_cast<int64_t>(piece.data().size()));
    broken = download.Append(request.path(), piece);
  }
  if (!broken.ok()) context.TryCancel();
  absl::Status status = FromGrpcStatus(reader->Finish());
  metrics_.CountRpc("ReadBlob", status.code(), absl::Now() - start);
  if (!broken.ok()) return broken;
  if (status.ok() && !download.complete()) {
    return absl::DataLossError(absl::StrCat(request.path(), ": ended after ", download.bytes.size(),
                                            " bytes of ", download.size));
  }
  return status;
}

absl::Status BlobClient::Write(const tern::worker::v1::Lease& lease, const std::string& path,
                               const FileProducer& producer, const std::stop_token& stop) {
  WriteBlobRequest::Header header;
  *header.mutable_lease() = lease;
  header.set_path(path);
  int64_t size = 0;
  Sha256 sha256;
  absl::Status measured = producer([&](std::span<const uint8_t> bytes) {
    size += static_cast<int64_t>(bytes.size());
    sha256.Update(bytes);
    return absl::OkStatus();
  });
  if (!measured.ok()) return measured;
  header.set_size_bytes(size);
  header.set_sha256(sha256.HexDigest());

  RetryPolicy retry(timing_);
  while (true) {
    absl::Status status = WriteStream(header, producer, stop);
    if (status.ok()) return status;
    if (absl::Status end = retry.AfterFailure(status, stop); !end.ok()) return end;
  }
}

absl::Status BlobClient::WriteStream(const WriteBlobRequest::Header& header,
                                     const FileProducer& producer, const std::stop_token& stop) {
  // An upload cannot be resumed, so that its time must grow with its size: 8 MiB a second at least.
  const auto allowance = absl::Seconds(header.size_bytes() >> 23);
  grpc::ClientContext context;
  SetDeadline(context, timing_.stream + allowance);
  const std::stop_callback cancel(stop, [&context] { context.TryCancel(); });
  const absl::Time start = absl::Now();
  WriteBlobResponse response;
  const auto writer = stub_.WriteBlob(&context, &response);

  WriteBlobRequest request;
  *request.mutable_header() = header;
  bool open = writer->Write(request);

  std::string& piece = *request.mutable_piece()->mutable_data();
  const auto send_piece = [&] {
    request.mutable_piece()->set_crc32c(Crc32c(Bytes(piece)));
    metrics_.CountSentBytes(static_cast<int64_t>(piece.size()));
    open = writer->Write(request);
    piece.clear();
  };
  const absl::Status produced = producer([&](std::span<const uint8_t> bytes) {
    while (open && !bytes.empty()) {
      const size_t room = static_cast<size_t>(kChunkBytes) - piece.size();
      const auto part = bytes.first(std::min(room, bytes.size()));
      piece.append(part.begin(), part.end());
      bytes = bytes.subspan(part.size());
      if (static_cast<int64_t>(piece.size()) == kChunkBytes) send_piece();
    }
    // The stream's own status, below, says why it closed.
    return open ? absl::OkStatus() : absl::CancelledError("the stream was closed");
  });
  if (open && produced.ok() && !piece.empty()) send_piece();

  if (open && !produced.ok()) context.TryCancel();
  writer->WritesDone();
  const absl::Status status = FromGrpcStatus(writer->Finish());
  metrics_.CountRpc("WriteBlob", status.code(), absl::Now() - start);
  return produced.ok() || !open ? status : produced;
}

}  // namespace tern
