#ifndef TERN_SERVER_API_FILE_PIECES_H_
#define TERN_SERVER_API_FILE_PIECES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "server/jobs/job_files.h"

namespace tern {

// Walks through an open file in pieces of at most 1 MiB. Thread-compatible.
class FilePieces {
 public:
  // Starts at `offset`. An empty file has one empty piece; a file started at its end has none.
  FilePieces(OpenFile file, int64_t offset);

  const OpenFile& file() const { return file_; }
  bool done() const { return done_; }

  // The next piece's offset; its bytes go into `data`. DATA_LOSS when the file is shorter than it
  // was when it was committed.
  absl::Status Next(int64_t& offset, std::string& data);

 private:
  OpenFile file_;
  int64_t offset_;
  bool done_;
};

// OUT_OF_RANGE (OFFSET_PAST_END) unless 0 <= offset <= the file's size.
absl::Status CheckOffset(const OpenFile& file, int64_t offset);

// CRC32C of a piece as it travels.
uint32_t PieceCrc32c(const std::string& data);

}  // namespace tern

#endif  // TERN_SERVER_API_FILE_PIECES_H_
