#include "common/wire/text.h"

#include <gtest/gtest.h>

namespace proteus::wire {
namespace {

TEST(Text, HostNames) {
  EXPECT_TRUE(valid_host_name("h1"));
  EXPECT_TRUE(valid_host_name("node-3.rack_2.example"));
  EXPECT_FALSE(valid_host_name(""));
  EXPECT_FALSE(valid_host_name("-h1"));
  EXPECT_FALSE(valid_host_name("h 1"));
  EXPECT_FALSE(valid_host_name("h1/../h2"));
  EXPECT_FALSE(valid_host_name(std::string(254, 'a')));
}

TEST(Text, Uuids) {
  EXPECT_TRUE(valid_uuid("0f0e7a52-93b1-4c7c-8a55-0123456789ab"));
  EXPECT_FALSE(valid_uuid("0F0E7A52-93b1-4c7c-8a55-0123456789ab"));
  EXPECT_FALSE(valid_uuid("0f0e7a5293b1-4c7c-8a55-0123456789ab-"));
  EXPECT_FALSE(valid_uuid(""));
}

TEST(Text, Utf8WithoutControls) {
  EXPECT_TRUE(valid_text("", 10));
  EXPECT_TRUE(valid_text("Grüße €\U0001F600", 30));
  EXPECT_FALSE(valid_text("too long", 7));
  EXPECT_FALSE(valid_text("a\nb", 10));
  EXPECT_FALSE(valid_text("\x1b[31m", 10));
  EXPECT_FALSE(valid_text(std::string_view("a\0b", 3), 10));
  EXPECT_FALSE(valid_text("\xff", 10));
  EXPECT_FALSE(valid_text("\xc0\xaf", 10));          // overlong '/'
  EXPECT_FALSE(valid_text("\xed\xa0\x80", 10));      // surrogate
  EXPECT_FALSE(valid_text("\xf4\x90\x80\x80", 10));  // above U+10FFFF
  EXPECT_FALSE(valid_text("\xe2\x82", 10));          // cut off
}

TEST(Text, CleaningGivesWhatIsValid) {
  EXPECT_EQ(clean_text("domain\nis gone\xff", 100), "domain is gone?");
  EXPECT_EQ(clean_text("a€", 3), "a");  // cut between characters
  for (int seed = 0; seed < 500; ++seed) {
    std::string noise;
    for (int i = 0; i < seed % 40; ++i) noise += static_cast<char>((seed * 131 + i * 197) % 256);
    EXPECT_TRUE(valid_text(clean_text(noise, 20), 20)) << seed;
  }
}

}  // namespace
}  // namespace proteus::wire
