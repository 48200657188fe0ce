#include "checkpoint/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "checkpoint/mapped_file.h"
#include "checkpoint/status_macros.h"

namespace tern {
namespace {

// SHA-256 is built into OpenSSL and its context is made once: what fails here is memory.
void Require(int openssl_result) {
  if (openssl_result != 1) std::abort();
}

}  // namespace

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  Require(context_ != nullptr ? EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) : 0);
}

Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(std::span<const uint8_t> bytes) {
  Require(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()));
}

void Sha256::Update(absl::string_view text) {
  Require(EVP_DigestUpdate(context_.get(), text.data(), text.size()));
}

std::string Sha256::HexDigest() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  Require(EVP_DigestFinal_ex(context_.get(), digest, &size));
  return absl::BytesToHexString({reinterpret_cast<const char*>(digest), size});
}

std::string Sha256Hex(std::span<const uint8_t> bytes) {
  Sha256 sha;
  sha.Update(bytes);
  return sha.HexDigest();
}

std::string Sha256Hex(absl::string_view text) {
  Sha256 sha;
  sha.Update(text);
  return sha.HexDigest();
}

absl::StatusOr<FileDigest> DigestFile(const std::string& path) {
  TERN_ASSIGN_OR_RETURN(const std::unique_ptr<MappedFile> file, MappedFile::Open(path));
  constexpr size_t kPieceBytes = size_t{8} << 20;
  Sha256 sha;
  for (std::span<const uint8_t> rest = file->bytes(); !rest.empty();) {
    const std::span<const uint8_t> piece = rest.first(std::min(kPieceBytes, rest.size()));
    rest = rest.subspan(piece.size());
    file->WillNeed(rest.first(std::min(kPieceBytes, rest.size())));
    sha.Update(piece);
    file->Release(piece);
  }
  return FileDigest{file->size(), sha.HexDigest()};
}

}  // namespace tern
