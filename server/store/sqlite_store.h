#ifndef TERN_SERVER_STORE_SQLITE_STORE_H_
#define TERN_SERVER_STORE_SQLITE_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/store/store.h"

namespace tern {

// The embedded driver: one SQLite file in WAL mode with synchronous=FULL. Writers take turns on one
// connection; readers have connections of their own and see the last commit.
//
// Opens `path`, creating it or bringing an older schema up to date. One process at a time may have
// it open, which the caller sees to (DataFolder). FAILED_PRECONDITION when the file was written by
// a newer version of Tern or cannot be made; DATA_LOSS when it is not a database or damaged;
// RESOURCE_EXHAUSTED when the disk is full.
absl::StatusOr<std::unique_ptr<Store>> OpenSqliteStore(const std::string& path);

}  // namespace tern

#endif  // TERN_SERVER_STORE_SQLITE_STORE_H_
