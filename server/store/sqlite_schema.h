#ifndef TERN_SERVER_STORE_SQLITE_SCHEMA_H_
#define TERN_SERVER_STORE_SQLITE_SCHEMA_H_

#include "absl/status/status.h"
#include "server/store/sqlite_database.h"

namespace tern {

// Brings the database to the newest schema, one migration at a time, each in a transaction of its
// own. FAILED_PRECONDITION when it has a newer schema, or is some other program's; DATA_LOSS when
// it is damaged.
absl::Status MigrateSqliteSchema(SqliteDatabase& database);

}  // namespace tern

#endif  // TERN_SERVER_STORE_SQLITE_SCHEMA_H_
