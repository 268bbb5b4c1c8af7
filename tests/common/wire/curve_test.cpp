#include "common/wire/curve.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/temporary_directory.h"

namespace proteus::wire {
namespace {

void write_text(const std::string& path, const std::string& text) {
  // By way of a new inode: a change must be seen even within the clock's granularity.
  std::ofstream(path + ".new") << text;
  std::filesystem::rename(path + ".new", path);
}

class Curve : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  const std::string path_ = directory_.path() + "/key";
  const KeyPair keys_ = generate_key_pair().value();
};

TEST_F(Curve, KeyPairIsWrittenPrivatelyAndReadBack) {
  ASSERT_TRUE(write_key_pair(path_, keys_));
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  const auto read = read_key_pair(path_);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->public_key, keys_.public_key);
  EXPECT_EQ(read->secret_key, keys_.secret_key);
}

TEST_F(Curve, AnExistingKeyPairIsNeverOverwritten) {
  ASSERT_TRUE(write_key_pair(path_, keys_));
  const auto again = write_key_pair(path_, generate_key_pair().value());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kAlreadyExists);
  EXPECT_EQ(read_key_pair(path_)->secret_key, keys_.secret_key);
}

TEST_F(Curve, ASecretThatOthersCanReadIsRefused) {
  ASSERT_TRUE(write_key_pair(path_, keys_));
  ASSERT_EQ(::chmod(path_.c_str(), 0640), 0);
  const auto read = read_key_pair(path_);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::kPermissionDenied);
}

TEST_F(Curve, KeysThatDoNotBelongTogetherAreRefused) {
  ASSERT_TRUE(write_key_pair(path_, {keys_.public_key, generate_key_pair()->secret_key}));
  EXPECT_FALSE(read_key_pair(path_));
  EXPECT_EQ(read_key_pair(path_ + "x").error().code, ErrorCode::kNotFound);
}

TEST_F(Curve, PublicKeyFileIsALineForTheOtherSide) {
  ASSERT_TRUE(write_public_key(path_, {"h1", keys_.public_key}));
  const auto read = read_public_key(path_);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->name, "h1");
  EXPECT_EQ(read->key, keys_.public_key);
  const auto authorized = AuthorizedKeys::load(path_);
  ASSERT_TRUE(authorized);
  EXPECT_EQ((*authorized)->host_of(keys_.public_key), HostId("h1"));
}

TEST_F(Curve, AuthorizedKeysAreReadStrictly) {
  const std::string other = generate_key_pair()->public_key;
  write_text(path_, "# agents\n\nh1 " + keys_.public_key + "\n  h2\t" + other + "\r\n");
  const auto keys = AuthorizedKeys::load(path_);
  ASSERT_TRUE(keys) << keys.error().message;
  EXPECT_EQ((*keys)->size(), 2u);
  EXPECT_EQ((*keys)->host_of(other), HostId("h2"));
  EXPECT_EQ((*keys)->host_of(generate_key_pair()->public_key), std::nullopt);

  const auto error_of = [&](const std::string& text) {
    write_text(path_, text);
    const auto loaded = AuthorizedKeys::load(path_);
    return loaded ? "" : loaded.error().message;
  };
  EXPECT_NE(error_of("# a\nh1 short\n").find("key:2:"), std::string::npos);
  EXPECT_NE(error_of("h1\n").find("key:1:"), std::string::npos);
  EXPECT_NE(error_of("h1 " + other + " more\n").find("key:1:"), std::string::npos);
  EXPECT_NE(error_of("h/1 " + other + "\n").find("not a host name"), std::string::npos);
  EXPECT_NE(error_of("h1 " + other + "\nh2 " + other).find("key:2:"), std::string::npos);
}

TEST_F(Curve, AuthorizedKeysFollowTheFile) {
  const std::string other = generate_key_pair()->public_key;
  write_text(path_, "h1 " + keys_.public_key + "\n");
  const auto keys = AuthorizedKeys::load(path_).value().release();
  const std::unique_ptr<AuthorizedKeys> owner(keys);
  EXPECT_FALSE(keys->reload_if_changed().value());

  write_text(path_, "h2 " + other + "\n");
  EXPECT_TRUE(keys->reload_if_changed().value());
  EXPECT_EQ(keys->host_of(keys_.public_key), std::nullopt);
  EXPECT_EQ(keys->host_of(other), HostId("h2"));

  write_text(path_, "nonsense\n");
  EXPECT_FALSE(keys->reload_if_changed());          // told once …
  EXPECT_FALSE(keys->reload_if_changed().value());  // … and not again
  EXPECT_EQ(keys->host_of(other), HostId("h2"));    // what was admitted stays
}

// Else a key that was revoked meanwhile would be admitted until the file changes again.
TEST_F(Curve, AuthorizedKeysThatCouldNotBeReadOnceAreReadLater) {
  write_text(path_, "h1 " + keys_.public_key + "\n");
  const auto keys = AuthorizedKeys::load(path_);
  ASSERT_TRUE(keys);
  write_text(path_, "h2 " + generate_key_pair()->public_key + "\n");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto refused = (*keys)->reload_if_changed();
  const auto again = (*keys)->reload_if_changed();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_FALSE(refused);
  EXPECT_FALSE(again) << "it is tried, and said, each time";
  EXPECT_EQ((*keys)->host_of(keys_.public_key), HostId("h1")) << "what was admitted stays";
  EXPECT_TRUE((*keys)->reload_if_changed().value());
  EXPECT_EQ((*keys)->host_of(keys_.public_key), std::nullopt);
}

TEST_F(Curve, AuthorizedKeysAreReadAgainOnceTheirRightsChange) {
  write_text(path_, "h1 " + keys_.public_key + "\n");
  const auto keys = AuthorizedKeys::load(path_);
  ASSERT_TRUE(keys);
  bool is_read = false;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  mode_t mode = 0600;
  while (!is_read && std::chrono::steady_clock::now() < deadline) {  // within the clock's granularity none is seen
    ASSERT_EQ(::chmod(path_.c_str(), mode), 0);
    mode ^= 0044;
    is_read = (*keys)->reload_if_changed().value();
  }
  EXPECT_TRUE(is_read);
}

}  // namespace
}  // namespace proteus::wire
