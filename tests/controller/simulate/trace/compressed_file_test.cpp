#include "controller/simulate/trace/compressed_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace proteus::simulate {
namespace {

using namespace std::string_literals;

/// "vm,t0\na,1\n" by `xz -9` and by `gzip -9n`.
const std::string kText = "vm,t0\na,1\n";
const std::string kXz =
    "\375\067\172\130\132\000\000\004\346\326\264\106\002\000\041\001\034\000\000\000\020\317\130\314"
    "\001\000\011\166\155\054\164\060\012\141\054\061\012\000\000\000\365\262\354\205\215\147\322\061"
    "\000\001\042\012\025\032\341\147\037\266\363\175\001\000\000\000\000\004\131\132"s;
const std::string kGzip =
    "\037\213\010\000\000\000\000\000\002\003\053\313\325\051\061\340\112\324\061\344\002\000\071\246"
    "\200\331\012\000\000\000"s;

class CompressedFile : public testing::Test {
 protected:
  std::string write(const std::string& bytes) {
    std::ofstream(path_, std::ios::binary) << bytes;
    return path_;
  }
  void TearDown() override { std::filesystem::remove(path_); }

 private:
  std::string path_ = testing::TempDir() + testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(CompressedFile, IsKnownByItsFirstBytes) {
  for (const std::string& bytes : {kText, kXz, kGzip}) {
    const auto text = read_compressed_file(write(bytes));
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(*text, kText);
  }
}

TEST_F(CompressedFile, MayBeSeveralInOne) {
  for (const std::string& bytes : {kXz, kGzip}) {
    const auto text = read_compressed_file(write(bytes + bytes));
    ASSERT_TRUE(text) << text.error().message;
    EXPECT_EQ(*text, kText + kText);
  }
}

TEST_F(CompressedFile, CutShortIsCorrupt) {
  for (const std::string& bytes : {kXz, kGzip}) {
    for (std::size_t size = 6; size < bytes.size(); ++size) {
      const auto text = read_compressed_file(write(bytes.substr(0, size)));
      ASSERT_FALSE(text) << size;
      EXPECT_EQ(text.error().code, ErrorCode::kCorrupt) << text.error().message;
    }
  }
}

TEST_F(CompressedFile, DamagedIsCorrupt) {
  for (std::string bytes : {kXz, kGzip}) {
    bytes[bytes.size() - 6] ^= 0x10;
    const auto text = read_compressed_file(write(bytes));
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code, ErrorCode::kCorrupt) << text.error().message;
  }
}

TEST_F(CompressedFile, IsRefusedBeyondTheBound) {
  for (const std::string& bytes : {kText, kXz, kGzip}) {
    const auto text = read_compressed_file(write(bytes), kText.size() - 1);
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST_F(CompressedFile, MissingOrFolder) {
  const auto missing = read_compressed_file("/none/such");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(missing.error().message, "/none/such: No such file or directory");
  const auto folder = read_compressed_file(testing::TempDir());
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace proteus::simulate
