#include "controller/ctl/destination.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/temporary_directory.h"

namespace proteus::ctl {
namespace {

namespace fs = std::filesystem;

std::string content(const std::string& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

class DestinationTest : public testing::Test {
 protected:
  static Destination open(const std::string& file) {
    Result<Destination> to = Destination::open(file);
    EXPECT_TRUE(to) << to.error().message;
    return std::move(*to);
  }
  void put(const std::string& file, const std::string& text) { std::ofstream(file) << text; }

  /// Files in the folder.
  auto count() const { return std::distance(fs::directory_iterator(directory_.path()), fs::directory_iterator()); }
  mode_t mode_of(const std::string& file) const {
    struct stat status {};
    EXPECT_EQ(stat(file.c_str(), &status), 0);
    return status.st_mode & 07777;
  }

  TemporaryDirectory directory_;
  const std::string file_ = directory_ / "x.csv";
};

TEST_F(DestinationTest, AFileIsThereOnlyWhenItIsWhole) {
  put(file_, "before");
  {
    Destination to = open(file_);
    EXPECT_TRUE(to.write("half", 4));
    EXPECT_EQ(content(file_), "before");
  }
  EXPECT_EQ(content(file_), "before");
  EXPECT_EQ(count(), 1);
  Destination to = open(file_);
  EXPECT_TRUE(to.write("whole", 5));
  EXPECT_TRUE(to.keep());
  EXPECT_EQ(content(file_), "whole");
}

TEST_F(DestinationTest, WhoeverIsInterruptedLeavesNothingHalf) {
  for (const int ending : {SIGINT, SIGTERM, SIGHUP}) {
    const auto write_half = [&] {
      Destination to = open(file_);
      to.write("half", 4);
      if (count() == 1) std::raise(ending);
    };
    EXPECT_EXIT(write_half(), testing::KilledBySignal(ending), "");
    EXPECT_TRUE(fs::is_empty(directory_.path()));
  }
}

// Each was FILE.part: of two at a time the one took what the other had written, and a person's own was destroyed.
TEST_F(DestinationTest, NobodyElseIsInTheWayOfWhatIsHalf) {
  put(file_ + ".part", "somebody's own");
  {
    Destination first = open(file_);
    Destination second = open(file_);
    EXPECT_TRUE(first.write("first", 5));
    EXPECT_TRUE(second.write("second, longer", 14));
    EXPECT_TRUE(second.keep());
    EXPECT_EQ(content(file_), "second, longer");
    EXPECT_TRUE(first.keep());
    EXPECT_EQ(content(file_), "first");
    Destination third = open(file_);
  }
  EXPECT_EQ(content(file_ + ".part"), "somebody's own");
  EXPECT_EQ(count(), 2);
}

TEST_F(DestinationTest, AFileHasTheModeOfTheOneThatItReplacesElseTheOneAskedForLessTheUmask) {
  const mode_t before = umask(027);
  const auto written = [&](const std::string& file, mode_t mode) {
    Result<Destination> to = Destination::open(file, mode);
    EXPECT_TRUE(to && to->keep());
    return mode_of(file);
  };
  EXPECT_EQ(written(directory_ / "new", 0666), 0640u);
  EXPECT_EQ(written(directory_ / "record", 0600), 0600u);
  for (const mode_t mode : {0444, 0604}) {
    put(file_, "before");
    fs::permissions(file_, static_cast<fs::perms>(mode));
    EXPECT_EQ(written(file_, 0600), mode);
    fs::remove(file_);
  }
  umask(before);
}

TEST_F(DestinationTest, ANameMayBeAsLongAsTheFileSystemTakesIt) {
  std::string letters;
  while (letters.size() < 255) letters += "€";
  for (const std::string& longest : {directory_ / std::string(255, 'x'), directory_ / letters}) {
    Destination to = open(longest);
    EXPECT_TRUE(to.keep());
    EXPECT_TRUE(fs::exists(longest));
  }
}

TEST_F(DestinationTest, KnowsWhetherThereIsRoom) {
  const Destination to = open(file_);
  EXPECT_TRUE(to.check_room(1));
  EXPECT_EQ(to.check_room(std::uint64_t{1} << 60).error().code, ErrorCode::kFailedPrecondition);
  EXPECT_TRUE(open("/dev/null").check_room(std::uint64_t{1} << 60));
}

TEST_F(DestinationTest, ALinkIsFollowed) {
  put(file_, "before");
  fs::create_symlink("x.csv", directory_ / "link");
  Destination to = open(directory_ / "link");
  EXPECT_TRUE(to.write("after", 5));
  EXPECT_TRUE(to.keep());
  EXPECT_TRUE(fs::is_symlink(fs::symlink_status(directory_ / "link")));
  EXPECT_EQ(content(file_), "after");
}

// The link itself was replaced.
TEST_F(DestinationTest, ALinkIsFollowedToWhatIsNotThereYet) {
  fs::create_directory(directory_ / "there");
  fs::create_symlink("there/second", directory_ / "first");
  fs::create_symlink("../x.csv", directory_ / "there" + "/second");
  Destination to = open(directory_ / "first");
  EXPECT_TRUE(to.write("text", 4));
  EXPECT_TRUE(to.keep());
  EXPECT_TRUE(fs::is_symlink(fs::symlink_status(directory_ / "first")));
  EXPECT_TRUE(fs::is_symlink(fs::symlink_status(directory_ / "there" + "/second")));
  EXPECT_FALSE(fs::is_symlink(fs::symlink_status(file_)));
  EXPECT_EQ(content(file_), "text");
}

TEST_F(DestinationTest, LinksThatLeadNowhereAreAnError) {
  fs::create_symlink("second", directory_ / "first");
  fs::create_symlink("first", directory_ / "second");
  const auto opened = Destination::open(directory_ / "first");
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("Too many levels of symbolic links"), std::string::npos)
      << opened.error().message;
}

TEST_F(DestinationTest, APipeIsWrittenToAndStays) {
  const std::string pipe = directory_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  Destination to = open(pipe);
  EXPECT_TRUE(to.write("text", 4));
  EXPECT_TRUE(to.keep());
  char got[8] = {};
  EXPECT_EQ(::read(reader, got, sizeof got), 4);
  EXPECT_STREQ(got, "text");
  ::close(reader);
  EXPECT_TRUE(fs::is_fifo(pipe));
}

TEST_F(DestinationTest, AFullDeviceIsAnErrorAndStaysADevice) {
  Destination to = open("/dev/full");
  to.write("text", 4);
  const Status kept = to.failed() ? Status(to.error()) : to.keep();
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().message, "cannot write /dev/full: No space left on device");
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_F(DestinationTest, SaysWhatCannotBeWritten) {
  EXPECT_EQ(Destination::open(directory_.path()).error().message, directory_.path() + " is a directory");
  EXPECT_FALSE(Destination::open(directory_ / "none" + "/x"));
}

// It was written as ".part", which then got no name, and all was said to be well.
TEST(DestinationName, MustNotBeEmpty) {
  EXPECT_EQ(Destination::open("").error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace proteus::ctl
