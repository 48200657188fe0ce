#include "server/api/file_pieces.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "checkpoint/digest.h"
#include "checkpoint/status_macros.h"
#include "proto/service/chunks.h"
#include "proto/service/error_details.h"

namespace tern {

FilePieces::FilePieces(OpenFile file, int64_t offset)
    : file_(std::move(file)), offset_(offset), done_(offset > 0 && offset >= file_.size) {}

absl::Status FilePieces::Next(int64_t& offset, std::string& data) {
  const int64_t length = std::min(kChunkBytes, file_.size - offset_);
  data.resize(static_cast<size_t>(length));
  TERN_ASSIGN_OR_RETURN(
      const int64_t got,
      file_.blob->ReadAt(offset_, {reinterpret_cast<uint8_t*>(data.data()), data.size()}));
  if (got != length) {
    return WithReason(absl::DataLossError(absl::StrCat(file_.path, ": ends at byte ", offset_ + got,
                                                       " of ", file_.size)),
                      "FILE_DAMAGED");
  }
  offset = offset_;
  offset_ += length;
  done_ = offset_ == file_.size;
  return absl::OkStatus();
}

absl::Status CheckOffset(const OpenFile& file, int64_t offset) {
  if (offset >= 0 && offset <= file.size) return absl::OkStatus();
  return WithReason(AtField(absl::OutOfRangeError(absl::StrCat(offset, " is not within the ",
                                                               file.size, " bytes of ", file.path)),
                            "offset"),
                    "OFFSET_PAST_END");
}

uint32_t PieceCrc32c(const std::string& data) {
  return Crc32c({reinterpret_cast<const uint8_t*>(data.data()), data.size()});
}

}  // namespace tern
