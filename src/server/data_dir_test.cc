// SPDX-License-Identifier: Apache-2.0
#include "server/data_dir.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace muster::server {
namespace {

class DataDirTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/muster-data-dir-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    top_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(top_); }
  static unsigned mode(const std::string& path) {
    struct stat st {};
    EXPECT_EQ(::stat(path.c_str(), &st), 0);
    return st.st_mode & 0777;
  }
  std::string top_;
};

TEST_F(DataDirTest, MakesAPrivateFolderAndPrivateFiles) {
  auto dir = DataDir::open(top_ + "/d");
  ASSERT_TRUE(dir) << dir.error().message;
  EXPECT_EQ(mode(top_ + "/d"), 0700u);
  ASSERT_TRUE(dir->write("secret", "one"));
  ASSERT_TRUE(dir->write("secret", "two"));
  EXPECT_EQ(mode(dir->file("secret")), 0600u);
  EXPECT_EQ(dir->read("secret"), "two");
  EXPECT_FALSE(std::filesystem::exists(dir->file("secret.new")));
  EXPECT_EQ(dir->read("absent"), std::nullopt);
}

TEST_F(DataDirTest, RefusesAFolderThatOthersMayWrite) {
  ASSERT_EQ(::mkdir((top_ + "/open").c_str(), 0700), 0);
  ASSERT_EQ(::chmod((top_ + "/open").c_str(), 0777), 0);
  auto dir = DataDir::open(top_ + "/open");
  ASSERT_FALSE(dir);
  EXPECT_NE(dir.error().message.find("may be written by others"), std::string::npos);
}

TEST_F(DataDirTest, RefusesAFileInItsPlaceAndAnAbsentParent) {
  ASSERT_TRUE(DataDir::open(top_)->write("file", "x"));
  EXPECT_FALSE(DataDir::open(top_ + "/file"));
  EXPECT_FALSE(DataDir::open(top_ + "/a/b"));
  EXPECT_EQ(DataDir::open_existing(top_ + "/absent").error().kind, ErrorKind::kNotFound);
}

TEST_F(DataDirTest, BoundsWhatItReads) {
  auto dir = DataDir::open(top_);
  ASSERT_TRUE(dir->write("big", std::string(5000, 'x')));
  EXPECT_EQ(read_whole_file(dir->file("big"), 4999).error().kind, ErrorKind::kTooLarge);
  EXPECT_EQ(read_whole_file(dir->file("big"), 5000)->size(), 5000u);
}

}  // namespace
}  // namespace muster::server
