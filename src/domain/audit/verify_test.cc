// SPDX-License-Identifier: Apache-2.0
// Every way to change a finished log by hand that somebody without the key has.
#include "domain/audit/verify.h"

#include <gmock/gmock.h>

#include "base/crypto.h"
#include "base/text.h"
#include "domain/audit/test_log.h"

namespace muster::audit {
namespace {

using testing::HasSubstr;

class Verify : public AuditFolder {
 protected:
  Verify() {
    options.segment_bytes = 3000;
    auto log = open();
    for (int i = 0; i < 20; ++i) put(*log, "Op" + std::to_string(i));
  }
  std::vector<std::string> lines(const std::string& path) const {
    const std::string bytes = slurp(path);
    std::vector<std::string> out;
    for (const std::string_view line : split(bytes, '\n')) {
      if (!line.empty()) out.emplace_back(line);
    }
    return out;
  }
  static void put_lines(const std::string& path, const std::vector<std::string>& lines) {
    std::string bytes;
    for (const std::string& line : lines) bytes += line + "\n";
    spill(path, bytes);
  }
};

TEST_F(Verify, TheUntouchedLogIsRight) {
  EXPECT_EQ(why(), "");
  EXPECT_GT(files().size(), 2u);
}

TEST_F(Verify, EveryChangedByteIsFoundAndItsLineNamed) {
  const std::string path = files()[1], bytes = slurp(path);
  for (std::size_t at = 0; at < bytes.size(); at += 37) {
    std::string changed = bytes;
    changed[at] = changed[at] == '0' ? '1' : '0';
    spill(path, changed);
    const std::string message = why();
    EXPECT_THAT(message, HasSubstr(path + ":")) << at;
  }
}

TEST_F(Verify, LinesThatAreGoneDoubledSwappedOrMadeUpAreFound) {
  const std::string path = files()[1];
  const auto original = lines(path);
  ASSERT_GT(original.size(), 4u);
  auto gone = original;
  gone.erase(gone.begin() + 2);
  put_lines(path, gone);
  EXPECT_THAT(why(), HasSubstr(path + ":3: it has number"));
  auto doubled = original;
  doubled.insert(doubled.begin() + 2, original[2]);
  put_lines(path, doubled);
  EXPECT_THAT(why(), HasSubstr(path + ":4: it has number"));
  auto swapped = original;
  std::swap(swapped[2], swapped[3]);
  put_lines(path, swapped);
  EXPECT_THAT(why(), HasSubstr(path + ":3:"));
  auto made_up = original;
  made_up.insert(made_up.begin() + 1, R"({"eventName":"forged"})");
  put_lines(path, made_up);
  EXPECT_THAT(why(), HasSubstr(path + ":2: it is not a line of an audit log"));
  auto last_gone = original;
  last_gone.pop_back();
  put_lines(path, last_gone);
  EXPECT_THAT(why(), HasSubstr(files()[2] + ":1:"));
}

TEST_F(Verify, SegmentsThatAreGoneAreFound) {
  const auto all_files = files();
  const std::string first = slurp(all_files.front()), last = slurp(all_files.back()), middle = slurp(all_files[1]);
  std::filesystem::remove(all_files.front());
  EXPECT_THAT(why(), HasSubstr("the log begins with line"));
  spill(all_files.front(), first);
  std::filesystem::remove(all_files.back());
  EXPECT_THAT(why(), HasSubstr("what is behind was cut off"));
  spill(all_files.back(), last);
  std::filesystem::remove(all_files[1]);
  EXPECT_THAT(why(), HasSubstr(all_files[2] + ":1: it has number"));
  spill(all_files[1], middle);
  EXPECT_EQ(why(), "");
  spill(options.files.directory + "/" + segment_name(1), "");
  EXPECT_NE(why(), "");
}

// The whole chain computed anew, as anybody can who can write the files: the seals give it away.
TEST_F(Verify, AChainThatWasMadeAnewIsFoundByItsSeals) {
  Position at;
  const auto stranger = Ed25519PrivateKey::generate();
  for (const std::string& path : files()) {
    std::string bytes;
    for (std::string line : lines(path)) {
      if (const auto op = line.find("\"Op3\""); op != std::string::npos) line.replace(op, 5, "\"Xx3\"");
      const auto parsed = parse_line(line);
      ASSERT_TRUE(parsed);
      if (parsed->kind == Line::Kind::kSeal) {
        append_seal(bytes, at, seal_time(parsed->body), stranger);
      } else {
        append_event(bytes, at, parsed->body);
      }
    }
    spill(path, bytes);
  }
  EXPECT_THAT(why(), HasSubstr("its seal was not made with key"));
  // Without the key it cannot be told: what the documentation says.
  EXPECT_TRUE(verify_log({.files = files(), .key = {}, .head = {}}));
}

TEST_F(Verify, ASealOfAnotherPlaceIsNoSeal) {
  const auto all_files = files();
  const auto key = *Ed25519PublicKey::from_pem(slurp(options.files.public_key));
  const std::string one = lines(all_files[1])[0], other = lines(all_files[2])[0];
  const auto first = parse_line(one), second = parse_line(other);
  ASSERT_TRUE(first && second);
  EXPECT_TRUE(check_seal(*first, key));
  const Line moved{Line::Kind::kSeal, first->sequence, first->previous, second->body};
  EXPECT_FALSE(check_seal(moved, key));
}

TEST_F(Verify, AHeadThatWasChangedIsNoHead) {
  std::string text = slurp(options.files.head);
  const auto at = text.find("\"first\":1");
  ASSERT_NE(at, std::string::npos);
  text.replace(at, 9, "\"first\":9");
  spill(options.files.head, text);
  EXPECT_THAT(why(), HasSubstr("was not signed with key"));
}

TEST(AuditLines, OnlyLinesAreLines) {
  std::string bytes;
  Position at;
  append_event(bytes, at, R"({"a":"}\n{"})");
  EXPECT_EQ(std::count(bytes.begin(), bytes.end(), '\n'), 1);
  bytes.pop_back();
  EXPECT_TRUE(parse_line(bytes));
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(parse_line(std::string_view(bytes).substr(0, size))) << size;
  }
  const std::string zeros(64, '0');
  for (const std::string& text :
       {std::string(), std::string("{}"), R"({"seq":0,"prev":")" + zeros + R"(","event":{}})",
        R"({"seq":01,"prev":")" + zeros + R"(","event":{}})", R"({"seq":-1,"prev":")" + zeros + R"(","event":{}})",
        R"({"seq":99999999999999999999,"prev":")" + zeros + R"(","event":{}})",
        R"({"seq":1,"prev":")" + std::string(64, 'G') + R"(","event":{}})",
        R"({"seq":1,"prev":")" + zeros + R"(","other":{}})", R"({"seq":1,"prev":")" + zeros + R"(","event":[]})"}) {
    EXPECT_FALSE(parse_line(text)) << text;
  }
}

}  // namespace
}  // namespace muster::audit
