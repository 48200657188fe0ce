#ifndef TERN_TESTS_UNIT_AGENT_BLOB_PIECES_H_
#define TERN_TESTS_UNIT_AGENT_BLOB_PIECES_H_

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/digest.h"
#include "tests/unit/agent/scripted_server.h"

// A server's side of blob transfers.

namespace tern {

inline tern::worker::v1::ReadBlobResponse Piece(const std::vector<uint8_t>& blob, int64_t offset,
                                                int64_t length) {
  tern::worker::v1::ReadBlobResponse piece;
  piece.set_offset(offset);
  piece.set_data(blob.data() + offset, static_cast<size_t>(length));
  piece.set_crc32c(Crc32c(std::span(blob).subspan(offset, length)));
  piece.set_size_bytes(static_cast<int64_t>(blob.size()));
  piece.set_sha256(Sha256Hex(blob));
  return piece;
}

// Sends everything from `offset` on in pieces of 1000 bytes.
inline grpc::Status SendRest(const std::vector<uint8_t>& blob, int64_t offset,
                             ScriptedServer::ReadWriter& writer) {
  const int64_t size = static_cast<int64_t>(blob.size());
  for (; offset < size; offset += 1000) {
    writer.Write(Piece(blob, offset, std::min<int64_t>(1000, size - offset)));
  }
  return grpc::Status::OK;
}

// What a server sees of an upload.
struct Upload {
  tern::worker::v1::WriteBlobRequest::Header header;
  std::string bytes;
  std::vector<size_t> pieces;
  bool checksums_fit = true;
};

inline Upload Receive(ScriptedServer::WriteReader& reader) {
  Upload upload;
  for (tern::worker::v1::WriteBlobRequest request; reader.Read(&request);) {
    if (request.has_header()) {
      upload.header = request.header();
      continue;
    }
    const std::string& data = request.piece().data();
    const auto* first = reinterpret_cast<const uint8_t*>(data.data());
    upload.checksums_fit &= Crc32c({first, data.size()}) == request.piece().crc32c();
    upload.pieces.push_back(data.size());
    upload.bytes += data;
  }
  return upload;
}

}  // namespace tern

#endif  // TERN_TESTS_UNIT_AGENT_BLOB_PIECES_H_
