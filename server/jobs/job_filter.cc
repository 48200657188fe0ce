#include "server/jobs/job_filter.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "checkpoint/status_macros.h"
#include "proto/service/error_details.h"
#include "tern/v1/quantization_job.pb.h"

namespace tern {
namespace {

constexpr size_t kMaxFilterBytes = 4096;
constexpr int kMaxTerms = 16;

struct Token {
  enum class Kind { kWord, kString, kOperator, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;
};

absl::Status Fault(absl::string_view description) {
  return InvalidField("filter",
                      absl::StrCat(description,
                                   "; terms are state = STATE, state != STATE, labels.KEY = "
                                   "\"VALUE\", create_time > \"RFC 3339 TIME\" (also <), joined "
                                   "by AND"));
}

bool IsWordCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("_./-:+", c);
}

class Lexer {
 public:
  explicit Lexer(absl::string_view text) : rest_(text) {}

  absl::StatusOr<Token> Next() {
    rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    if (rest_.empty()) return Token{};
    if (rest_.front() == '"') return String();
    for (const absl::string_view op : {"!=", "=", "<", ">"}) {
      if (absl::ConsumePrefix(&rest_, op)) return Token{Token::Kind::kOperator, std::string(op)};
    }
    size_t size = 0;
    while (size < rest_.size() && IsWordCharacter(rest_[size])) ++size;
    if (size == 0) return Fault(absl::StrCat("cannot read \"", rest_.substr(0, 20), "\""));
    Token word{Token::Kind::kWord, std::string(rest_.substr(0, size))};
    rest_.remove_prefix(size);
    return word;
  }

 private:
  absl::StatusOr<Token> String() {
    Token token{Token::Kind::kString, ""};
    for (size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return token;
      }
      if (rest_[i] == '\\' && i + 1 < rest_.size()) ++i;
      token.text.push_back(rest_[i]);
    }
    return Fault("a string has no closing quote");
  }

  absl::string_view rest_;
};

struct Term {
  std::string field;
  std::string op;
  std::string value;
  std::string Text() const { return absl::StrCat("\"", field, " ", op, " ", value, "\""); }
};

absl::StatusOr<Term> ReadTerm(Lexer& lexer) {
  TERN_ASSIGN_OR_RETURN(const Token field, lexer.Next());
  TERN_ASSIGN_OR_RETURN(const Token op, lexer.Next());
  TERN_ASSIGN_OR_RETURN(const Token value, lexer.Next());
  const bool well_formed = field.kind == Token::Kind::kWord && op.kind == Token::Kind::kOperator &&
                           (value.kind == Token::Kind::kWord || value.kind == Token::Kind::kString);
  const Term term{field.text, op.text, value.text};
  if (!well_formed) return Fault(absl::StrCat("cannot read the term ", term.Text()));
  return term;
}

absl::Status AddState(const Term& term, JobQuery& query) {
  v1::QuantizationJob::State state = v1::QuantizationJob::STATE_UNSPECIFIED;
  if (!v1::QuantizationJob::State_Parse(term.value, &state) ||
      state == v1::QuantizationJob::STATE_UNSPECIFIED || (term.op != "=" && term.op != "!=")) {
    return Fault(absl::StrCat(term.Text(),
                              ": expected = or != and one of PENDING, RUNNING, "
                              "SUCCEEDED, FAILED, CANCELLED"));
  }
  const auto job_state = static_cast<JobState>(state);
  if (term.op == "!=") {
    query.not_states.push_back(job_state);
    return absl::OkStatus();
  }
  // A job has one state: two different ones exclude each other.
  for (const JobState other : query.states) {
    if (other != job_state) query.not_states.insert(query.not_states.end(), {other, job_state});
  }
  query.states = {job_state};
  return absl::OkStatus();
}

absl::Status AddCreateTime(const Term& term, JobQuery& query) {
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, term.value, &time, &error) ||
      (term.op != "<" && term.op != ">")) {
    return Fault(absl::StrCat(term.Text(), ": expected < or > and a time"));
  }
  if (term.op == ">") {
    query.created_after = std::max(query.created_after, time);
  } else {
    query.created_before = std::min(query.created_before, time);
  }
  return absl::OkStatus();
}

absl::Status AddTerm(const Term& term, JobQuery& query) {
  if (term.field == "state") return AddState(term, query);
  if (term.field == "create_time") return AddCreateTime(term, query);
  absl::string_view key = term.field;
  if (absl::ConsumePrefix(&key, "labels.") && !key.empty() && term.op == "=") {
    query.labels.emplace_back(std::string(key), term.value);
    return absl::OkStatus();
  }
  return Fault(absl::StrCat("cannot filter by ", term.Text()));
}

}  // namespace

absl::StatusOr<JobQuery> ParseJobFilter(absl::string_view filter) {
  JobQuery query;
  if (filter.size() > kMaxFilterBytes) return Fault("longer than 4096 bytes");
  if (absl::StripAsciiWhitespace(filter).empty()) return query;
  Lexer lexer(filter);
  for (int terms = 1;; ++terms) {
    if (terms > kMaxTerms) return Fault("more than 16 terms");
    TERN_ASSIGN_OR_RETURN(const Term term, ReadTerm(lexer));
    TERN_RETURN_IF_ERROR(AddTerm(term, query));
    TERN_ASSIGN_OR_RETURN(const Token joint, lexer.Next());
    if (joint.kind == Token::Kind::kEnd) return query;
    if (joint.kind != Token::Kind::kWord || joint.text != "AND") {
      return Fault(absl::StrCat("expected AND before \"", joint.text, "\""));
    }
  }
}

}  // namespace tern
