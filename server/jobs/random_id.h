#ifndef TERN_SERVER_JOBS_RANDOM_ID_H_
#define TERN_SERVER_JOBS_RANDOM_ID_H_

#include <string>

namespace tern {

// `digits` random lower-case hex digits, from the operating system's entropy. Thread-safe.
std::string RandomHex(int digits);

}  // namespace tern

#endif  // TERN_SERVER_JOBS_RANDOM_ID_H_
