#ifndef TERN_TESTS_INTEGRATION_API_HTTP_GET_H_
#define TERN_TESTS_INTEGRATION_API_HTTP_GET_H_

#include <string>

namespace tern {

// What http://127.0.0.1:port/path answers, head and body; empty when nothing does.
std::string HttpGet(int port, const std::string& path);

}  // namespace tern

#endif  // TERN_TESTS_INTEGRATION_API_HTTP_GET_H_
